"""The last stage: joins the choice, made on validation images alone, with the results on the test images."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumo import files
from pneumo.evaluation import bootstrap, calibration
from pneumo.evaluation.metrics import net_benefit
from pneumo.report import model_card, page, published, verdict
from pneumo.report.figures import curves, distributions, stress
from pneumo.report.markdown import interval, number, table, weights, with_interval
from pneumo.report.results import WORDS, Results

GRID = np.linspace(0, 1, 101)
SHIFTED = 5  # features in the figure
THRESHOLDS = np.linspace(0.01, 0.99, 99)


def write(results: Results, out: Path, winner: Path, *, resamples: int, seed: int) -> None:
    """Write index.html, report.md, MODEL_CARD.md, figures/ and plots/ into `out`, the chosen model's metrics to
    `winner`. `resamples`, `seed`: of the uncertainty bands, as for the intervals.
    """
    roc = pd.concat([_roc(name, scored) for name, scored in results.test.items()])
    precision_recall = pd.concat([_precision_recall(name, scored) for name, scored in results.test.items()])
    plots = {
        "roc": roc,
        "precision_recall": precision_recall,
        "confusion": _confusion(results.chosen, results.test[results.chosen], results.best["threshold"]),
        "training": results.history,
    }
    for name, scored in plots.items():
        text = scored.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(out / "plots" / f"{name}.csv", text)
    figures = out / "figures"
    _draw_curves(results, figures, roc, precision_recall, resamples, seed)
    _draw_distributions(results, figures)
    files.write_text(out / "index.html", page.render(results, figures))
    files.write_text(out / "report.md", short_form(results))
    files.write_text(out / "MODEL_CARD.md", model_card.render(results))
    files.write_json(winner, {"model": results.chosen, **results.best})


def short_form(results: Results) -> str:
    """report.md: what fits into a pull request."""
    lines = [
        "# Pneumonia from chest X-rays",
        "",
        _wrap(f"**{verdict.headline(results)}**"),
        "",
        *(line for sentence in verdict.sentences(results) for line in (_wrap(f"- {sentence}", "  "),)),
        "",
        "## Test images",
        "",
        *_test_table(results),
        "",
        _wrap(
            "In brackets 95 % intervals from drawing patients, not images, with replacement. Each model at its own "
            "threshold, fixed on validation. The shortcut baseline sees the frame of the image and no lungs."
        ),
        "",
        f"## {'Stress validation' if results.choice['scores'] == 'stress' else 'Validation'}, on which the choice "
        "was made",
        "",
        *_validation_table(results),
        "",
        _wrap(
            f"`wins` is the share of {results.choice['resamples']:,} resamples of the {results.choice['patients']} "
            "validation patients in which a model is the best of all; the difference has a paired 95 % interval from "
            "the same resamples."
        ),
        "",
        "## Data",
        "",
        *(
            _wrap(f"- {'**flagged** ' if finding['flag'] else ''}{finding['check']}: {finding['finding']}", "  ")
            for finding in results.data["audit"]["findings"]
        ),
        "",
        "Curves, calibration, Grad-CAM, errors beside training images and the audit's pictures: `reports/index.html`.",
    ]
    return "\n".join(lines) + "\n"


def _draw_curves(
    results: Results, folder: Path, roc: pd.DataFrame, precision_recall: pd.DataFrame, resamples: int, seed: int
) -> None:
    test, chosen = results.test[results.chosen], results.chosen
    band = (GRID, *bootstrap.roc_band(test, GRID, resamples=resamples, seed=seed))
    curves.roc(folder, roc, results.metrics, chosen, band)
    band = (GRID, *bootstrap.precision_recall_band(test, GRID, resamples=resamples, seed=seed))
    curves.precision_recall(folder, precision_recall, results.metrics, chosen, band)
    benefit = {name: net_benefit(scored["label"], scored["score"], THRESHOLDS) for name, scored in results.test.items()}
    benefit["shortcut"] = net_benefit(results.baseline_test["label"], results.baseline_test["score"], THRESHOLDS)
    treat_all = net_benefit(test["label"], np.ones(len(test)), THRESHOLDS)
    at = results.best["threshold"]
    curves.decision_curve(folder / "decision_curve.svg", THRESHOLDS, benefit, treat_all, chosen, at)
    curves.training(folder / "training.svg", results.history, chosen)
    stress.ranking(
        folder / "stress_ranking.svg", {name: scored["stress"] for name, scored in results.metrics.items()}, chosen
    )
    stress.decisions(folder / "stress_decisions.svg", results.best["stress"], chosen)


def _draw_distributions(results: Results, folder: Path) -> None:
    chosen, threshold = results.chosen, results.best["threshold"]
    for stale in folder.glob("reliability_*.svg"):
        stale.unlink()
    for name, scored in results.test.items():
        raw = calibration.calibrate(scored["logit"], 1.0)
        after, before = (
            calibration.reliability(scored["label"], scores, patients=scored["patient"])
            for scores in (scored["score"], raw)
        )
        distributions.reliability(folder / f"reliability_{name}.svg", after, before, name)
    distributions.scores(folder / "scores.svg", results.test[chosen], results.validation[chosen], threshold, chosen)
    shift = results.audit["shift"]
    largest = shift.loc[shift["smd_test_train"].abs().sort_values(ascending=False).index, "feature"].unique()[:SHIFTED]
    names = {name: name.replace("_", " ") for name in largest}
    distributions.feature_shift(folder / "feature_shift.svg", results.features, names)


def _roc(name: str, scored: pd.DataFrame) -> pd.DataFrame:
    fpr, tpr, threshold = roc_curve(scored["label"], scored["score"])
    # The first point calls nothing pneumonia: its threshold is infinite, which is no number in JSON.
    return pd.DataFrame({"model": name, "fpr": fpr, "tpr": tpr, "threshold": [None, *threshold[1:]]})


def _precision_recall(name: str, scored: pd.DataFrame) -> pd.DataFrame:
    precision, recall, threshold = precision_recall_curve(scored["label"], scored["score"], drop_intermediate=True)
    columns = {"model": name, "recall": recall, "precision": precision, "threshold": [*threshold, None]}
    return pd.DataFrame(columns).iloc[::-1]


def _confusion(name: str, scored: pd.DataFrame, threshold: float) -> pd.DataFrame:
    words = {False: "normal", True: "pneumonia"}
    actual, predicted = scored["label"].eq(1).map(words), scored["score"].ge(threshold).map(words)
    return pd.DataFrame({"model": name, "actual": actual, "predicted": predicted})


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)


def _test_table(results: Results) -> list[str]:
    rows = [
        [
            _bold(name, results.chosen),
            *(with_interval(row[key], row["ci95"].get(key)) for key in WORDS),
        ]
        for name, row in {**results.metrics, "shortcut baseline": results.baseline}.items()
    ]
    line = [f"{published.FIGURES[key]:.2f}" if key in published.FIGURES else "" for key in WORDS]
    return table(["model", *WORDS.values()], [*rows, ["published line", *line]])


def _validation_table(results: Results) -> list[str]:
    metric = results.choice["metric"]
    rows = [
        [
            _bold(candidate["model"], results.chosen),
            number(candidate[metric]),
            f"{candidate['difference']:+.3f} {interval(candidate['difference_ci95'])}",
            f"{candidate['p_best']:.0%}",
            f"{results.metrics[candidate['model']]['threshold']:.4g}",
            f"{candidate['parameters']:,}",
            weights(results.metrics[candidate["model"]]),
        ]
        for candidate in results.choice["candidates"]
    ]
    word = WORDS.get(metric, metric)
    return table(["model", word, "difference to best", "wins", "threshold", "parameters", "starting weights"], rows)


def _bold(name: str, chosen: str) -> str:
    return f"**{name}**" if name == chosen else name
