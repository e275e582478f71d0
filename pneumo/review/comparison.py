"""Two models on the images that both were tested on: differences with intervals and tests, flipped cases, a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from pneumo.evaluation import bootstrap
from pneumo.evaluation.holm import holm
from pneumo.params import Review
from pneumo.review import paired
from pneumo.review.candidate import METRICS, Candidate, measured

Verdict = Literal["better", "worse", "within noise", "not comparable"]
NAMED = 3  # images that a reason names
KEYS = ["image", "patient", "label"]
TESTED = ("roc_auc", "accuracy", "recall", "specificity")
PERMUTATIONS = 5  # for each resample; they take less time
CLASS_OF = {"recall": [1], "specificity": [0]}


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


@dataclass(frozen=True)
class Pair:
    """Two models and their scores on the test images that both have alike: the same rows in the same order."""

    base: Candidate
    head: Candidate
    base_scores: pd.DataFrame
    head_scores: pd.DataFrame

    @classmethod
    def of(cls, base: Candidate, head: Candidate) -> Self:
        alike = base.test_scores[KEYS].merge(head.test_scores[KEYS])["image"]
        on_common = (model.test_scores[model.test_scores["image"].isin(alike)] for model in (base, head))
        return cls(base, head, *(table.reset_index(drop=True) for table in on_common))

    @property
    def sides(self) -> tuple[tuple[Candidate, pd.DataFrame], tuple[Candidate, pd.DataFrame]]:
        return (self.base, self.base_scores), (self.head, self.head_scores)

    @property
    def complete(self) -> bool:
        """Whether no test image of either is left out."""
        return len(self.base_scores) == len(self.base.test_scores) == len(self.head.test_scores)

    @property
    def unchanged(self) -> bool:
        same_scores = bool((self.base_scores["score"] == self.head_scores["score"]).all())
        return same_scores and self.base.threshold == self.head.threshold


def compare(
    base: Candidate, head: Candidate, rules: Review, *, resamples: int, seed: int, other_contents: bool
) -> Comparison:
    """`other_contents`: whether the two test sets are known to differ in names or contents of images."""
    reasons = _incomparable(base, head)
    if other_contents and list(base.test_scores["image"]) == list(head.test_scores["image"]):
        reasons.append(
            "the test images have the same names but different contents (`parts_sha256` in metrics/data.json)"
        )
        return Comparison(base.name, head.name, "not comparable", reasons)
    pair = Pair.of(base, head)
    patients = pair.base_scores.groupby("label")["patient"].nunique()
    if len(patients) < 2 or patients.min() < 2:
        where = "the common test images have" if reasons else "the test set has"
        reasons.append(f"{where} fewer than two patients in one of the classes")
        return Comparison(base.name, head.name, "not comparable", reasons)
    rows = _rows(pair, rules, resamples, seed)
    verdict = judge(next(row for row in rows if row.metric == rules.metric), rules)
    return Comparison(
        base.name,
        head.name,
        "not comparable" if reasons else verdict,
        reasons,
        verdict,
        len(pair.base_scores),
        int(pair.base_scores["patient"].nunique()),
        pair.unchanged,
        (base.threshold, head.threshold),
        rows,
        _flips(pair),
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


def _rows(pair: Pair, rules: Review, resamples: int, seed: int) -> list[Row]:
    if pair.complete:  # the figures of metrics/, which readers know
        values: list[Mapping[str, float | None]] = [pair.base.metrics, pair.head.metrics]
    else:
        values = [measured(table, model.threshold) for model, table in pair.sides]
    tests = {metric: _test(metric, pair, PERMUTATIONS * resamples, seed) for metric in TESTED}
    intervals: dict[str, tuple[float, float] | None] = dict.fromkeys(METRICS, (0.0, 0.0))
    if not pair.unchanged:
        drawn = bootstrap.paired(
            {"base": pair.base_scores, "head": pair.head_scores},
            {"base": pair.base.threshold, "head": pair.head.threshold},
            METRICS,
            resamples=resamples,
            seed=seed,
        )
        intervals = {name: _interval(drawn["head"][name] - drawn["base"][name], rules.alpha) for name in METRICS}
    others = [metric for metric in TESTED if metric != rules.metric]
    corrected = dict(zip(others, holm([tests[metric].p for metric in others]), strict=True))
    corrected[rules.metric] = tests[rules.metric].p  # it decides alone, so there is nothing to correct for
    rows = []
    for metric in METRICS:
        before, after = (side[metric] for side in values)
        difference = None if before is None or after is None else round(after - before, 6)
        name, p = tests.get(metric, (None, None))
        rows.append(Row(metric, before, after, difference, intervals[metric], name, p, corrected.get(metric)))
    return rows


def _interval(differences: np.ndarray, alpha: float) -> tuple[float, float] | None:
    """The middle 1 - alpha of the resampled differences; None where too many of them lack the metric."""
    finite = differences[np.isfinite(differences)]
    if len(finite) < (1 - bootstrap.UNDEFINED) * len(differences):
        return None
    low, high = np.percentile(finite, [50 * alpha, 100 - 50 * alpha])
    return round(float(low), 6), round(float(high), 6)


def _test(metric: str, pair: Pair, permutations: int, seed: int) -> paired.Test:
    rows = pair.base_scores
    if metric == "roc_auc":
        columns = (rows["label"], rows["score"], pair.head_scores["score"], rows["patient"])
        return paired.roc_auc(*columns, permutations=permutations, seed=seed)
    counted = rows["label"].isin(CLASS_OF.get(metric, [0, 1])).to_numpy()
    before, after = (((table["score"] >= model.threshold) == table["label"])[counted] for model, table in pair.sides)
    return paired.mcnemar(before, after, rows["patient"][counted])


def _flips(pair: Pair) -> list[dict[str, Any]]:
    """Cases whose decision changed: those that went wrong first, then by how far the score moved."""
    before, after = (table["score"] >= model.threshold for model, table in pair.sides)
    rows = pair.base_scores.rename(columns={"score": "base"}).assign(head=pair.head_scores["score"])
    rows = rows.assign(right=after == (rows["label"] == 1), moved=(rows["head"] - rows["base"]).abs())
    rows = rows[before != after].sort_values(["right", "moved", "image"], ascending=[True, False, True])
    return rows.drop(columns="moved").to_dict("records")  # type: ignore[return-value]


def _incomparable(base: Candidate, head: Candidate) -> list[str]:
    """How the test or validation sets of the two differ. Validation may grow with the data set: the test stays."""
    grown = base.val_scores["image"].isin(head.val_scores["image"]).all()
    known = head.val_scores["image"].isin(base.val_scores["image"])
    reasons = _different_rows("test", base.test_scores, head.test_scores)
    reasons += _different_rows("validation", base.val_scores, head.val_scores[known] if grown else head.val_scores)
    for before, after, moved in (
        (base.test_scores, head.val_scores, "from test to validation"),
        (base.val_scores, head.test_scores, "from validation to test"),
    ):
        images = before.loc[before["image"].isin(after["image"]), "image"]
        if len(images):
            reasons.append(f"{_counted(images, '')} moved {moved}")
    return reasons


def _different_rows(name: str, base: pd.DataFrame, head: pd.DataFrame) -> list[str]:
    before, after = (table.set_index("image") for table in (base, head))
    reasons = [
        f"{_counted(images, name)} only in {side}"
        for side, images in (
            ("base", before.index.difference(after.index)),
            ("head", after.index.difference(before.index)),
        )
        if len(images)
    ]
    both = before.index.intersection(after.index)
    for column in ("label", "patient"):
        differs = before.loc[both, column] != after.loc[both, column]
        if differs.any():
            verb = "has" if differs.sum() == 1 else "have"
            reasons.append(f"{_counted(both[differs], name)} {verb} another {column}")
    return reasons


def _counted(images: Any, name: str) -> str:
    named = ", ".join(f"`{str(image).replace('`', '')}`" for image in list(images)[:NAMED])
    more = ", …" if len(images) > NAMED else ""
    return f"{len(images)} {name} image{'' if len(images) == 1 else 's'} ({named}{more})".replace("  ", " ")
