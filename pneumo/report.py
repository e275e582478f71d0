"""The last stage: joins the choice, made on validation images alone, with the results on the test images."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumo import figures
from pneumo.errors import BundleError, ManifestError
from pneumo.scores import read as read_scores

METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "avg. precision",
    "accuracy": "accuracy",
    "recall": "recall",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1",
}
NEEDED = (*METRICS, "n", "patients", "threshold", "tp", "fp", "tn", "fn", "weights", "ci95", "at_half", "oracle")
CALIBRATION = {
    "temperature": "temperature",
    "brier": "Brier",
    "ece": "ECE",
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
}
PUBLISHED_BY = "ResNet50 with ImageNet weights on the 624 official test images of Kermany et al. (2018)"
PUBLISHED = {"accuracy": 0.93, "recall": 0.98, "precision": 0.91, "f1": 0.94}
OFFICIAL_TEST_IMAGES = 624
HISTORY = {"train_loss": "train/loss.tsv", "val_loss": "val/loss.tsv", "val_roc_auc": "val/roc_auc.tsv"}
WEIGHTS = {"none": "from scratch", "imagenet": "ImageNet"}

Results = dict[str, dict[str, Any]]


def write(
    names: Sequence[str],
    *,
    best: Path,
    scores: Path,
    metrics: Path,
    curves: Path,
    data: Path,
    out: Path,
    winner: Path,
) -> None:
    """Write report.md, figures/ and plots/ into `out`, and the chosen model's metrics to `winner`.

    Reads best/choice.json, `data` (metrics/data.json) and, for the `names` alone, scores/test/NAME.csv,
    metrics/NAME.json and, of backbones, curves/NAME/plots/metrics/*/*.tsv. Raises ManifestError or BundleError where
    one of them is missing or does not fit the others.
    """
    choice = _read_choice(best / "choice.json", names)
    ranked = [one["model"] for one in choice["candidates"] if one["model"] in names]
    chosen = choice["model"]
    results = {name: _read_metrics(metrics / f"{name}.json") for name in ranked}
    tables = _read_tables(scores / "test", results)
    trained = [one["model"] for one in choice["candidates"] if one["model"] in names and one["kind"] == "backbone"]
    history = pd.concat([_read_history(curves / name / "plots" / "metrics", name) for name in trained])
    source = _read_json(data, "dvc repro preprocess")
    _require(data, source, ("source",), "dvc repro preprocess")

    roc = pd.concat([_roc(name, table) for name, table in tables.items()])
    precision_recall = pd.concat([_precision_recall(name, table) for name, table in tables.items()])
    threshold = results[chosen]["threshold"]
    plots = {
        "roc": roc,
        "precision_recall": precision_recall,
        "confusion": _confusion(chosen, tables[chosen], threshold),
        "training": history,
    }
    for name, table in plots.items():
        text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        _write_text(out / "plots" / f"{name}.csv", text)

    figures.roc(out / "figures" / "roc.png", roc, results, chosen)
    figures.precision_recall(out / "figures" / "precision_recall.png", precision_recall, results, chosen)
    figures.confusion(out / "figures" / "confusion.png", results, chosen)
    figures.training(out / "figures" / "training.png", history, chosen)
    figures.scores(out / "figures" / "scores.png", tables[chosen], threshold, chosen)

    _write_text(out / "report.md", _page(choice, results, source))
    _write_text(winner, json.dumps({"model": chosen, **results[chosen]}, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # DVC may have hard-linked it to its cache
    path.write_text(text, encoding="utf-8", newline="\n")


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path} is missing: run `{remedy}`") from None
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}): run `{remedy} --force`") from None
    if not isinstance(content, dict):
        raise BundleError(f"{path} holds a {type(content).__name__}; expected an object: run `{remedy} --force`")
    return content


def _read_choice(path: Path, names: Sequence[str]) -> dict[str, Any]:
    choice = _read_json(path, "dvc repro select_best")
    _require(
        path, choice, ("model", "metric", "reason", "resamples", "patients", "candidates"), "dvc repro select_best"
    )
    for one in choice["candidates"]:
        _require(
            path,
            one,
            ("model", "kind", choice["metric"], "parameters", "p_best", "difference", "difference_ci95"),
            "dvc repro select_best",
        )
    compared = {one["model"] for one in choice["candidates"]}
    for name in (*names, choice["model"]):
        if name not in compared or name not in names:
            raise BundleError(
                f"{path} chose {choice['model']} among {', '.join(sorted(compared))}, and params.yaml has "
                f"{', '.join(sorted(names))}: run `dvc repro select_best`"
            )
    return choice


def _read_metrics(path: Path) -> dict[str, Any]:
    remedy = f"dvc repro evaluate@{path.stem}"
    content = _read_json(path, remedy)
    _require(path, content, NEEDED, remedy)
    return content


def _require(path: Path, content: Mapping[str, Any], keys: Iterable[str], remedy: str) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise BundleError(f"{path} has no {missing[0]!r}: run `{remedy} --force`")


def _read_tables(folder: Path, results: Results) -> dict[str, pd.DataFrame]:
    """The test scores of each backbone: of the same images, of both labels, as many as its metrics say."""
    tables: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        path = folder / f"{name}.csv"
        table = read_scores(path)
        if set(table["label"]) != {0, 1}:
            raise ManifestError(f"{path}: labels are {sorted(set(table['label']))}; expected both 0 and 1")
        if len(table) != result["n"]:
            raise ManifestError(f"{path} has {len(table)} images, its metrics are of {result['n']}: run `dvc repro`")
        first = next(iter(tables), name)
        if first != name and not table["image"].equals(tables[first]["image"]):
            raise ManifestError(f"{path} and {folder / first}.csv are not of the same images: run `dvc repro`")
        tables[name] = table
    return tables


def _read_history(folder: Path, name: str) -> pd.DataFrame:
    """model, epoch, train_loss, val_loss, val_roc_auc. Of an epoch that was run again the last row counts."""
    columns = []
    for column, place in HISTORY.items():
        path = folder / place
        if not path.is_file():
            raise BundleError(f"{path} is missing: run `dvc repro --force train@{name}`")
        table = pd.read_csv(path, sep="\t")
        if not {"step", path.stem} <= set(table.columns) or table.empty:
            raise BundleError(
                f"{path}: expected rows with the columns step and {path.stem}, found {len(table)} rows with "
                f"{', '.join(map(str, table.columns))}: run `dvc repro --force train@{name}`"
            )
        columns.append(table.drop_duplicates("step", keep="last").set_index("step")[path.stem].rename(column))
    history = pd.concat(columns, axis=1).sort_index().rename_axis("epoch").reset_index()
    history.insert(0, "model", name)
    return history


def _roc(name: str, table: pd.DataFrame) -> pd.DataFrame:
    fpr, tpr, threshold = roc_curve(table["label"], table["score"])
    # The first point calls nothing pneumonia: its threshold is infinite, which is no number in JSON.
    return pd.DataFrame({"model": name, "fpr": fpr, "tpr": tpr, "threshold": [None, *threshold[1:]]})


def _precision_recall(name: str, table: pd.DataFrame) -> pd.DataFrame:
    precision, recall, threshold = precision_recall_curve(table["label"], table["score"], drop_intermediate=True)
    columns = {"model": name, "recall": recall, "precision": precision, "threshold": [*threshold, None]}
    return pd.DataFrame(columns).iloc[::-1]


def _confusion(name: str, table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    words = {False: "normal", True: "pneumonia"}
    actual, predicted = table["label"].eq(1).map(words), table["score"].ge(threshold).map(words)
    return pd.DataFrame({"model": name, "actual": actual, "predicted": predicted})


def _page(choice: dict[str, Any], results: Results, source: dict[str, Any]) -> str:
    chosen = choice["model"]
    one = results[chosen]
    lines = [
        "# Pneumonia from chest X-rays",
        "",
        _wrap(f"**{chosen}** ({_weights(one)}) is chosen: {choice['reason']}"),
        "",
        _wrap(
            f"On the {one['n']} test images, which took no part in the choice, it finds {one['tp']} of "
            f"{one['tp'] + one['fn']} pneumonias (recall {_number(one['recall'])}) and clears {one['tn']} of "
            f"{one['tn'] + one['fp']} normals (specificity {_number(one['specificity'])}) at the threshold "
            f"{one['threshold']:.4g}, set on validation images."
        ),
        "",
        _wrap(_line_to_beat(one, source)),
        "",
        "## Test images",
        "",
        *_test_table(chosen, results),
        "",
        _wrap(
            "In brackets 95 % intervals from drawing patients, not images, with replacement. At 0.5 instead of the "
            "threshold, and at the best threshold that could have been picked on these very images (**not achievable "
            "in advance**, shown to judge the threshold):"
        ),
        "",
        *_alternatives_table(chosen, results),
        "",
        "## Calibration, test images",
        "",
        _wrap(
            "Scores are calibrated by temperature scaling on validation. Brier score and expected calibration error "
            "(ECE) are better the lower, a slope of 1 and an intercept of 0 are right."
        ),
        "",
        *_calibration_table(chosen, results),
        "",
        "## Validation images, on which the choice was made",
        "",
        _wrap(
            f"`wins` is the share of {choice['resamples']:,} resamples of the {choice['patients']} validation patients "
            "in which a model is the best of all; the difference has a paired 95 % interval from the same resamples."
        ),
        "",
        *_validation_table(choice, results),
        "",
    ]
    captions = {
        "roc": "ROC curves",
        "precision_recall": "Precision and recall",
        "confusion": "Confusion matrices",
        "scores": f"Test scores of {chosen} by subtype",
        "training": "Loss and ROC AUC by epoch",
    }
    lines += ["## Figures", ""]
    for stem, caption in captions.items():
        lines += [f"![{caption}](figures/{stem}.png)", ""]
    return "\n".join(lines)


def _line_to_beat(one: dict[str, Any], source: dict[str, Any]) -> str:
    published = ", ".join(f"{METRICS[key]} {value:.2f}" for key, value in PUBLISHED.items())
    line = f"The published line to beat, {PUBLISHED_BY}, is {published}."
    if source["source"] == "phantom":
        return (
            "**These are phantom images**, drawn by a program: the numbers show that the pipeline works, mean "
            f"nothing clinically and do not compare with any published number. {line}"
        )
    if one["n"] != OFFICIAL_TEST_IMAGES:
        return f"{line} These {one['n']} test images are others, so the numbers do not compare with it."
    differences = ", ".join(f"{METRICS[key]} {one[key] - value:+.3f}" for key, value in PUBLISHED.items())
    return f"{line} Here ({_weights(one)}): {differences}."


def _wrap(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _test_table(chosen: str, results: Results) -> list[str]:
    rows = [
        [_bold(name, chosen), *(f"{_number(one[key])} {_interval(one['ci95'].get(key))}".strip() for key in METRICS)]
        for name, one in results.items()
    ]
    return _table(["model", *METRICS.values()], rows)


def _alternatives_table(chosen: str, results: Results) -> list[str]:
    keys = ("accuracy", "recall", "specificity", "f1")
    rows = [
        [
            _bold(name, chosen),
            *(_number(one["at_half"][key]) for key in keys),
            *(
                f"{_number(one['oracle'][key])} at {one['oracle'][f'{key}_threshold']:.3g}"
                for key in ("accuracy", "f1")
            ),
        ]
        for name, one in results.items()
    ]
    header = ["model", *(f"{METRICS[key]} at 0.5" for key in keys), "oracle accuracy", "oracle F1"]
    return _table(header, rows)


def _at(oracle: Mapping[str, Any], key: str) -> str:
    return f"{_number(oracle[key])} at {oracle[f'{key}_threshold']:.3g}"


def _calibration_table(chosen: str, results: Results) -> list[str]:
    rows = [
        [
            _bold(name, chosen),
            *(f"{_number(one[key])} {_interval(one['ci95'].get(key))}".strip() for key in CALIBRATION),
            *(_number(one["uncalibrated"][key]) for key in ("brier", "ece")),
        ]
        for name, one in results.items()
    ]
    return _table(["model", *CALIBRATION.values(), "Brier before", "ECE before"], rows)


def _validation_table(choice: dict[str, Any], results: Results) -> list[str]:
    metric = choice["metric"]
    rows = [
        [
            _bold(one["model"], choice["model"]),
            _number(one[metric]),
            f"{_signed(one['difference'])} {_interval(one['difference_ci95'])}",
            f"{one['p_best']:.0%}",
            f"{results[one['model']]['threshold']:.4g}",
            f"{one['parameters']:,}",
            _weights(results[one["model"]]),
        ]
        for one in choice["candidates"]
        if one["model"] in results
    ]
    word = METRICS.get(metric, metric)
    header = ["model", word, "less the best", "wins", "threshold", "parameters", "starting weights"]
    return _table(header, rows)


def _bold(name: str, chosen: str) -> str:
    return f"**{name}**" if name == chosen else name


def _interval(bounds: Sequence[float | None] | None) -> str:
    return f"[{_number(bounds[0])}, {_number(bounds[1])}]" if bounds and None not in bounds else ""


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _weights(one: dict[str, Any]) -> str:
    return WEIGHTS.get(one["weights"], Path(one["weights"]).name) if one["weights"] else "mixed"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, padded so that it reads well in a terminal too."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    first, *others = widths
    ruler = ["-" * first, *("-" * (width - 1) + ":" for width in others)]
    lines = []
    for row in (header, ruler, *rows):
        cells = [row[0].ljust(first), *(cell.rjust(w) for cell, w in zip(row[1:], others, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
