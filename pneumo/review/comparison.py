"""Two models on the images that both were tested on: differences with intervals and tests, flipped cases, a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from pneumo.evaluation import bootstrap
from pneumo.params import Review
from pneumo.review import paired
from pneumo.review.candidate import METRICS, Model, measured

Verdict = Literal["better", "worse", "within noise", "not comparable"]
NAMED = 3  # images that a reason names
KEYS = ["image", "patient", "label"]
TESTS = {"roc_auc": "DeLong", "accuracy": "McNemar", "recall": "McNemar", "specificity": "McNemar"}
CLASS_OF = {"recall": [1], "specificity": [0]}
SECOND = "images of two classes, of two or more patients each"


@dataclass(frozen=True)
class Row:
    """One metric. `interval`: of head minus base, at the level 1 - alpha; `p_holm`: `p` corrected for their number."""

    metric: str
    base: float | None
    head: float | None
    difference: float | None
    interval: tuple[float, float] | None
    test: str | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Comparison:
    """`reasons`: why it is not comparable. `on_common`: the verdict on the `n` images that both have alike, where that
    is sound. `unchanged`: whether both score and decide every one of them alike. `flips`: rows of image, patient,
    label, subtype, base, head (scores), and right, whether head decides right.
    """

    base: str
    head: str
    verdict: Verdict
    reasons: list[str]
    on_common: Verdict | None = None
    n: int = 0
    patients: int = 0
    unchanged: bool = False
    thresholds: tuple[float, float] | None = None
    rows: list[Row] = field(default_factory=list)
    flips: list[dict[str, Any]] = field(default_factory=list)

    def row(self, metric: str) -> Row | None:
        return next((row for row in self.rows if row.metric == metric), None)


def compare(base: Model, head: Model, rules: Review, *, resamples: int, seed: int, other_contents: bool) -> Comparison:
    """`other_contents`: whether the names and contents of the two test parts, taken together, are known to differ."""
    found = _different(base, head)
    if other_contents and list(base.test["image"]) == list(head.test["image"]):
        found.append("the test images have the same names and other contents (`parts_sha256` in metrics/data.json)")
        return Comparison(base.name, head.name, "not comparable", found)
    alike = base.test[KEYS].merge(head.test[KEYS])
    one, other = (model.test[model.test["image"].isin(alike["image"])].reset_index(drop=True) for model in (base, head))
    by_class = one.groupby("label")["patient"].nunique()
    if len(by_class) < 2 or by_class.min() < 2:
        found.append(f"there are no {SECOND} on both sides" if found else f"the test part has no {SECOND}")
        return Comparison(base.name, head.name, "not comparable", found)
    rows = _rows(base, head, one, other, rules, resamples, seed)
    verdict = judge(next(row for row in rows if row.metric == rules.metric), rules)
    return Comparison(
        base.name,
        head.name,
        "not comparable" if found else verdict,
        found,
        verdict,
        len(one),
        int(one["patient"].nunique()),
        _unchanged(base, head, one, other),
        (base.threshold, head.threshold),
        rows,
        _flips(one, other, base.threshold, head.threshold),
    )


def judge(row: Row, rules: Review, p: float | None = None) -> Verdict:
    """Better or worse only where test and interval agree; worse only where the loss exceeds the margin, too.

    p: instead of the row's own, where it was corrected.
    """
    p = row.p if p is None else p
    if row.interval is None or p is None or p >= rules.alpha:
        return "within noise"
    low, high = row.interval
    return "better" if low > 0 else "worse" if high < -rules.margin else "within noise"


def _rows(
    base: Model, head: Model, one: pd.DataFrame, other: pd.DataFrame, rules: Review, resamples: int, seed: int
) -> list[Row]:
    if len(one) == len(base.test) == len(head.test):  # the figures of metrics/, which readers have before them
        values: list[Mapping[str, float | None]] = [base.metrics, head.metrics]
    else:
        values = [measured(table, model.threshold) for table, model in ((one, base), (other, head))]
    p_values: dict[str, float | None] = dict.fromkeys(TESTS, 1.0)
    intervals: dict[str, tuple[float, float] | None] = dict.fromkeys(METRICS, (0.0, 0.0))
    if not _unchanged(base, head, one, other):
        drawn = bootstrap.paired(
            {"base": one, "head": other},
            {"base": base.threshold, "head": head.threshold},
            METRICS,
            resamples=resamples,
            seed=seed,
        )
        intervals = {name: _interval(drawn["head"][name] - drawn["base"][name], rules.alpha) for name in METRICS}
        p_values = {metric: _p(metric, one, other, base.threshold, head.threshold) for metric in TESTS}
    others = [metric for metric in TESTS if metric != rules.metric]
    corrected = dict(zip(others, paired.holm([p_values[metric] for metric in others]), strict=True))
    corrected[rules.metric] = p_values[rules.metric]  # it decides alone, so that there is nothing to correct it for
    rows = []
    for metric in METRICS:
        before, after = (side[metric] for side in values)
        difference = None if before is None or after is None else round(after - before, 6)
        tested = (TESTS.get(metric), p_values.get(metric), corrected.get(metric))
        rows.append(Row(metric, before, after, difference, intervals[metric], *tested))
    return rows


def _unchanged(base: Model, head: Model, one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return base.threshold == head.threshold and bool((one["score"] == other["score"]).all())


def _interval(differences: np.ndarray, alpha: float) -> tuple[float, float] | None:
    """The middle 1 - alpha of the resampled differences; None where too many of them lack the metric."""
    finite = differences[np.isfinite(differences)]
    if len(finite) < (1 - bootstrap.UNDEFINED) * len(differences):
        return None
    low, high = np.percentile(finite, [50 * alpha, 100 - 50 * alpha])
    return round(float(low), 6), round(float(high), 6)


def _p(metric: str, one: pd.DataFrame, other: pd.DataFrame, base: float, head: float) -> float | None:
    if metric == "roc_auc":
        return paired.delong(one["label"], one["score"], other["score"], one["patient"])
    of_it = one["label"].isin(CLASS_OF.get(metric, [0, 1])).to_numpy()
    before, after = (
        ((table["score"] >= threshold) == table["label"])[of_it] for table, threshold in ((one, base), (other, head))
    )
    return paired.mcnemar(before, after, one["patient"][of_it])


def _flips(one: pd.DataFrame, other: pd.DataFrame, base: float, head: float) -> list[dict[str, Any]]:
    """Cases whose decision changed: those that went wrong first, then by how far the score moved."""
    called = [table["score"] >= threshold for table, threshold in ((one, base), (other, head))]
    rows = one.rename(columns={"score": "base"}).assign(head=other["score"], right=called[1] == (one["label"] == 1))
    rows = rows.assign(moved=(rows["head"] - rows["base"]).abs())[called[0] != called[1]]
    rows = rows.sort_values(["right", "moved", "image"], ascending=[True, False, True])
    return rows.drop(columns="moved").to_dict("records")  # type: ignore[return-value]


def _different(base: Model, head: Model) -> list[str]:
    """Reasons why the two test or validation parts are not the same ones."""
    found = []
    for part in ("test", "validation"):
        before, after = (getattr(model, part).set_index("image") for model in (base, head))
        only = {"base": before.index.difference(after.index), "head": after.index.difference(before.index)}
        for side, images in only.items():
            if len(images):
                found.append(f"{_counted(images, part)} only in {side}")
        both = before.index.intersection(after.index)
        for column in ("label", "patient"):
            differs = before.loc[both, column] != after.loc[both, column]
            if differs.any():
                verb = "has" if differs.sum() == 1 else "have"
                found.append(f"{_counted(both[differs], part)} {verb} another {column}")
    for before, after, moved in (
        (base.test, head.validation, "test to validation"),
        (base.validation, head.test, "validation to test"),
    ):
        both = before.loc[before["image"].isin(after["image"]), "image"]
        if len(both):
            found.append(f"{_counted(both, '')} went from {moved}")
    return found


def _counted(images: Any, part: str) -> str:
    named = ", ".join(f"`{str(image).replace('`', '')}`" for image in list(images)[:NAMED])
    more = ", …" if len(images) > NAMED else ""
    return f"{len(images)} {part} image{'' if len(images) == 1 else 's'} ({named}{more})".replace("  ", " ")
