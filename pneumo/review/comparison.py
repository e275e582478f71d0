"""Two candidates on the images that both were tested on: differences with intervals and tests, flips, a verdict.

With several seeds on both sides the verdict is about recipes; otherwise about one network of each.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from pneumo.params import Review
from pneumo.review.candidate import Candidate
from pneumo.review.noise import Noise
from pneumo.review.pair import Pair
from pneumo.review.rows import PERMUTATIONS, Row, rows_of

Verdict = Literal["better", "worse", "not worse", "within noise", "not comparable"]
NAMED = 3  # images that a reason names


@dataclass(frozen=True)
class Comparison:
    """`reasons`: why it is not comparable. `on_common`: the verdict on the `n` images that both have alike, where that
    is sound. `about`: whether training noise is counted. `seeds`: how many each side has; `replicates`: of which
    networks the figures are; `thresholds`: theirs. `unchanged`: whether all score and decide alike. `flips`: rows of
    image, patient, label, subtype, base, head (scores), and right, whether head decides right. `noise`: what training
    alone did so far, where the verdict does not count it.
    """

    base: str
    head: str
    verdict: Verdict
    reasons: list[str]
    on_common: Verdict | None = None
    about: Literal["recipes", "networks"] | None = None
    seeds: tuple[int, int] | None = None
    replicates: tuple[list[str], list[str]] | None = None
    n: int = 0
    patients: int = 0
    unchanged: bool = False
    thresholds: tuple[list[float], list[float]] | None = None
    rows: list[Row] = field(default_factory=list)
    flips: list[dict[str, Any]] = field(default_factory=list)
    noise: Noise | None = None

    def row(self, metric: str) -> Row | None:
        return next((row for row in self.rows if row.metric == metric), None)


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
    several = min(len(base.networks), len(head.networks)) > 1
    pair = Pair.of(base, head) if several else Pair.of(base.alone, head.alone)
    patients = pair.rows.groupby("label")["patient"].nunique()
    if len(patients) < 2 or patients.min() < 2:
        where = "the common test images have" if reasons else "the test set has"
        reasons.append(f"{where} fewer than two patients in one of the classes")
        return Comparison(base.name, head.name, "not comparable", reasons)
    rows = rows_of(pair, rules, permutations=PERMUTATIONS * resamples, seed=seed)
    verdict = judge(next(row for row in rows if row.metric == rules.metric), rules)
    before, after = pair.networks
    return Comparison(
        base.name,
        head.name,
        "not comparable" if reasons else verdict,
        reasons,
        verdict,
        "recipes" if several else "networks",
        (len(base.networks), len(head.networks)),
        ([network.name for network in before], [network.name for network in after]),
        len(pair.rows),
        int(pair.rows["patient"].nunique()),
        pair.unchanged,
        ([network.threshold for network in before], [network.threshold for network in after]),
        rows,
        pair.flips(),
    )


def judge(row: Row, rules: Review, p: float | None = None) -> Verdict:
    """Better or worse only where test and interval agree; worse only where the loss exceeds the margin, too. With a
    margin, what is neither is not worse where the interval rules out a loss of that size.

    p: instead of the row's own, where it was corrected.
    """
    p = row.p if p is None else p
    if row.interval is None or p is None:
        return "within noise"
    low, high = row.interval
    if p < rules.alpha and low > 0:
        return "better"
    if p < rules.alpha and high < -rules.margin:
        return "worse"
    return "not worse" if low > -rules.margin and rules.margin > 0 else "within noise"


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
