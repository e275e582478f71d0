"""The last stage: joins the selection, made on validation images alone, with the results on the test images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo import files
from pneumo.evaluation import abstention, bootstrap, calibration
from pneumo.evaluation.metrics import net_benefit
from pneumo.report import model_card, page, plots, short_form
from pneumo.report.figures import curves, distributions, stress
from pneumo.report.results import Results

GRID = np.linspace(0, 1, 101)
SHIFTED = 5  # features in the figure
THRESHOLDS = np.linspace(0.01, 0.99, 99)


def write(results: Results, out: Path, winner: Path, *, resamples: int, seed: int) -> None:
    """Write index.html, report.md, MODEL_CARD.md, figures/ and plots/ into `out`, the selected model's metrics to
    `winner`. `resamples`, `seed`: of the uncertainty bands, as for the intervals.
    """
    tables = plots.tables(results)
    plots.write(tables, out / "plots")
    figures = out / "figures"
    _draw_curves(results, figures, tables, resamples, seed)
    _draw_stress(results, figures)
    _draw_distributions(results, figures)
    files.write_text(out / "index.html", page.render(results, figures))
    files.write_text(out / "report.md", short_form.render(results))
    files.write_text(out / "MODEL_CARD.md", model_card.render(results))
    files.write_json(winner, results.winner)


def _draw_curves(results: Results, folder: Path, tables: Mapping[str, pd.DataFrame], resamples: int, seed: int) -> None:
    selected = results.selected
    test = results.test[selected]
    band = (GRID, *bootstrap.roc_band(test, GRID, resamples=resamples, seed=seed))
    curves.roc(folder, tables["roc"], results.figures, selected, band)
    band = (GRID, *bootstrap.precision_recall_band(test, GRID, resamples=resamples, seed=seed))
    curves.precision_recall(folder, tables["precision_recall"], results.figures, selected, band)
    scored = {**results.test, "shortcut": results.baseline_test}
    benefit = {name: net_benefit(table["label"], table["score"], THRESHOLDS) for name, table in scored.items()}
    treat_all = net_benefit(test["label"], np.ones(len(test)), THRESHOLDS)
    threshold = results.best["threshold"]
    curves.decision_curve(folder / "decision_curve.svg", THRESHOLDS, benefit, treat_all, selected, threshold)
    parts = {"validation": results.validation[selected], "test": test}
    at = {name: abstention.curve(scored, threshold)[:2] for name, scored in parts.items()}
    kept = {
        words: {"coverage": 1 - row["test"]["left"], "risk": row["test"]["error"]}
        for words, row in abstention.rows(results.best).items()
        if row["test"]["error"] is not None
    }
    curves.risk_coverage(folder / "risk_coverage.svg", at, kept, results.shown[selected])
    drawn = results.history[results.history["model"].isin(results.shown.values())]
    curves.training(folder / "training.svg", drawn, results.shown[selected])


def _draw_stress(results: Results, folder: Path) -> None:
    tables = {name: metrics["stress"] for name, metrics in results.metrics.items()}
    stress.ranking(folder / "stress_ranking.svg", tables, results.selected)
    seeds = len(results.replicates) or 1
    stress.decisions(folder / "stress_decisions.svg", results.best["stress"], results.selected, seeds)


def _draw_distributions(results: Results, folder: Path) -> None:
    selected = results.selected
    for stale in folder.glob("reliability_*.svg"):
        stale.unlink()
    for name, scored in results.test.items():
        raw = calibration.calibrate(scored["logit"], 1.0)
        after, before = (
            calibration.reliability(scored["label"], scores, patients=scored["patient"])
            for scores in (scored["score"], raw)
        )
        distributions.reliability(folder / f"reliability_{name}.svg", after, before, name)
    test, validation = results.test[selected], results.validation[selected]
    distributions.scores(folder / "scores.svg", test, validation, results.best["threshold"], selected)
    shift = results.audit["shift"]
    largest = shift.loc[shift["smd_test_train"].abs().sort_values(ascending=False).index, "feature"].unique()[:SHIFTED]
    names = {name: name.replace("_", " ") for name in largest}
    distributions.feature_shift(folder / "feature_shift.svg", results.features, names)
