"""Predictions as people or programs read them: a table, CSV, JSON or a line of JSON for each."""

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from pneumo.errors import ServingError
from pneumo.serving.model import UNSURE, Model
from pneumo.serving.predict import Prediction

FORMATS = ("table", "csv", "json", "jsonl")
COLUMNS = ("image", "probability", "decision", "threshold", "model", "weights", "warnings", "error")
HEATMAP = "heatmap"  # one column more, where heat maps were asked for
NOTICE = "not a medical device: for research and teaching"


class Counted:
    """Predictions as they come, counted: `all` of them, and those that `failed`.

    On a terminal that does not show the predictions themselves a bar says how far they are.
    """

    def __init__(self, predictions: Iterable[Prediction]) -> None:
        self._predictions, self.all, self.failed = predictions, 0, 0

    def __iter__(self) -> Iterator[Prediction]:
        for one in self._with_bar():
            self.all += 1
            self.failed += one.error is not None
            yield one

    def _with_bar(self) -> Iterator[Prediction]:
        if sys.stdout.isatty() or not sys.stderr.isatty():
            yield from self._predictions
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.completed:,} images"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            for one in self._predictions:
                yield one
                bar.advance(task)


def lines(model: Model, predictions: Iterable[Prediction], kind: str, *, heatmaps: bool = False) -> Iterator[str]:
    """The text of `predictions` in one of FORMATS, each as soon as it is there; every text ends its line.

    heatmaps: whether they were asked for, so that all but the table say where each is.
    """
    if kind == "table":
        return _table(model, predictions)
    rows = (row(model, one) | ({HEATMAP: one.heatmap} if heatmaps else {}) for one in predictions)
    return {"csv": _csv, "json": _json, "jsonl": _jsonl}[kind](rows, heatmaps)


def write(texts: Iterable[str], stream: TextIO) -> None:
    """Each of `texts` at once. Raises ServingError on a full disk, BrokenPipeError where nobody reads on."""
    for text in texts:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ServingError(
                f"the predictions cannot be written: {error.strerror}. Free some space, and start again"
            ) from None


def row(model: Model, prediction: Prediction) -> dict[str, Any]:
    """COLUMNS of a prediction. Probability and threshold have six significant digits, as scores/ has them."""
    probability = prediction.probability
    return {
        "image": prediction.image,
        "probability": None if probability is None else float(f"{probability:.6g}"),
        "decision": prediction.decision,
        "threshold": model.contract.threshold,
        "model": model.contract.name,
        "weights": model.weights,
        "warnings": list(prediction.warnings),
        "error": prediction.error,
    }


def _table(model: Model, predictions: Iterable[Prediction]) -> Iterator[str]:
    about = model.contract
    yield f"{about.name}, weights {model.weights[:12]}: pneumonia from {about.threshold:.4f}; {NOTICE}\n"
    for warning in model.warnings:
        yield f"WARNING: {warning}\n"
    if model.margin is not None:
        yield f"{UNSURE}: left to a reader ({_within(model.margin)})\n"
    yield f"{'probability':>11}  {'decision':<9}  image\n"
    for one in predictions:
        if one.error:
            yield f"{'-':>11}  {'error':<9}  {_printable(f'{one.image}: {one.error}')}\n"
        else:
            notes = "".join(f"; {warning}" for warning in one.warnings if warning not in model.warnings)
            yield f"{one.probability:>11.4f}  {one.decision:<9}  {_printable(one.image + notes)}\n"


def _within(margin: float) -> str:
    if margin == 0:
        return "no film: on validation there were not too many errors"
    return "all films" if math.isinf(margin) else f"logit within {margin:.3g} of the threshold's"


def _printable(text: str) -> str:
    """On one line, with nothing in it that a terminal obeys: names of files may have any byte but two."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def _csv(rows: Iterable[dict[str, Any]], heatmaps: bool) -> Iterator[str]:
    columns = (*COLUMNS, HEATMAP) if heatmaps else COLUMNS
    yield _csv_line(columns)
    for values in rows:
        values["warnings"] = "; ".join(values["warnings"])
        yield _csv_line(["" if values[column] is None else values[column] for column in columns])


def _csv_line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _json(rows: Iterable[dict[str, Any]], heatmaps: bool) -> Iterator[str]:
    separator = "[\n"
    for values in rows:
        yield f"{separator}  {json.dumps(values)}"
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _jsonl(rows: Iterable[dict[str, Any]], heatmaps: bool) -> Iterator[str]:
    for values in rows:
        yield f"{json.dumps(values)}\n"
