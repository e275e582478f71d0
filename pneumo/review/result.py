"""Two commits -> a verdict on the model that each has selected and on every candidate that both have."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pneumo.errors import ManifestError, RecordError, ReviewError
from pneumo.evaluation.holm import holm
from pneumo.params import Bootstrap, Review
from pneumo.review import candidate, manifests, processors, reproduced
from pneumo.review.changes import Changes, changes
from pneumo.review.comparison import Comparison, Verdict, compare, judge
from pneumo.review.data_diff import DataDiff, data_diff
from pneumo.review.noise import training_noise
from pneumo.review.notes import notes_of
from pneumo.review.redrawn import with_draws
from pneumo.review.reproduced import Reproduction
from pneumo.review.snapshot import Snapshot
from pneumo.verification.basis import PastBootstrap

EXIT = {"better": 0, "not worse": 0, "within noise": 0, "worse": 1, "not comparable": 3}
NOT_REPRODUCED = 4
DEFAULTS = {
    "review": Review(metric="roc_auc", margin=0.0, alpha=0.05),
    "bootstrap": PastBootstrap(resamples=2000, seed=0),
}


@dataclass(frozen=True)
class Result:
    """`selected`: of the models that metrics/best.json names; `others`: every other candidate that both commits have.
    `p_corrected`: of `others`, by name in head, the p of the metric of the rules, corrected for their number.
    `only_base`, `only_head`: candidates that the other commit lacks. `notes`: what to know besides the verdict.
    `images`: which differ, or why that cannot be said; None where the manifests are the same, or nobody looked.
    `reproduction`: what the pipeline of head gave when it was run again, where it was.
    """

    base: Snapshot
    head: Snapshot
    rules: Review
    phantom: bool
    selected: Comparison
    others: list[Comparison]
    p_corrected: dict[str, float | None]
    only_base: list[str]
    only_head: list[str]
    notes: list[str]
    changes: Changes
    images: DataDiff | str | None = None
    reproduction: Reproduction | None = None

    @property
    def verdict(self) -> Verdict:
        return self.selected.verdict

    @property
    def exit_code(self) -> int:
        again = self.reproduction
        if again is None or again.equal:
            return EXIT[self.verdict]
        return max(EXIT[self.verdict], EXIT[again.verdict]) if again.other_digits else NOT_REPRODUCED


Names = tuple[str, str]  # of a model in base and in head


def review(base: Snapshot, head: Snapshot, by: Snapshot | None = None) -> Result:
    """`by`: whose rules apply, by default those of base.

    Raises ReviewError or RecordError where a file that every verdict needs is broken.
    """
    rules, drawing, notes = rules_of(by or base, head)
    other_contents, data_notes = _contents(base, head)
    settings = {"resamples": drawing.resamples, "seed": drawing.seed, "other_contents": other_contents}
    compared = partial(_compared, base, head, rules, drawing, settings)
    selected = _selected(base, head, compared)
    if selected.seeds and selected.seeds[1] < selected.seeds[0]:
        notes.append(
            f"Head has fewer seeds ({selected.seeds[1]}) than base ({selected.seeds[0]}): with those of base, recipes "
            "would be compared, and nobody could pick a seed."
        )
    pairs, only_base, only_head = _pairs(base, head)
    others = [compared(names) for names in pairs if names != (selected.base, selected.head)]
    corrected = _corrected(others, rules)
    changed = changes(base, head)
    return Result(
        base,
        head,
        rules,
        head.record.data.get("source") == "phantom",
        selected,
        [_judged_again(other, rules, corrected.get(other.head)) for other in others],
        corrected,
        only_base,
        only_head,
        [*notes, *notes_of(changed, head), *data_notes],
        changed,
    )


def with_images(result: Result, top: Path) -> Result:
    """With the images that differ where the manifests do. DVC's cache and remote are those of `top`."""
    base, head = result.base, result.head
    before, after = (side.record.data.get("manifest_sha256") for side in (base, head))
    if before == after and before is not None:
        return result
    try:
        images: DataDiff | str = data_diff(*(manifests.read(top, side, base) for side in (base, head)))
    except (ManifestError, ReviewError) as error:
        images = str(error)
    return replace(result, images=images)


def with_reproduction(result: Result, made: Snapshot) -> Result:
    """`made`: what the pipeline of head gave when it was run again. Raises like `review`."""
    rows = reproduced.compare(result.head.record, made.record)
    again = review(result.base, made)
    row = again.selected.row(result.rules.metric)
    difference = row.difference if row else None
    makes = processors.other_makes(result.head.record, made.record)
    apart = review(result.head, made, by=result.base).verdict if makes else None
    return replace(result, reproduction=Reproduction(rows, again.verdict, difference, makes, apart))


def _selected(base: Snapshot, head: Snapshot, compared: Callable[[Names], Comparison]) -> Comparison:
    names, reasons = [], []
    for snapshot in (base, head):
        try:
            names.append(candidate.selected(snapshot.record))
        except RecordError as error:
            names.append("")
            reasons.append(str(error))
    if reasons:
        return Comparison(names[0], names[1], "not comparable", reasons)
    return compared((names[0], names[1]))


def _compared(
    base: Snapshot, head: Snapshot, rules: Review, drawing: Bootstrap, settings: dict[str, Any], names: Names
) -> Comparison:
    models, reasons = [], []
    for snapshot, name in zip((base, head), names, strict=True):
        try:
            models.append(candidate.read_candidate(snapshot.record, name))
        except RecordError as error:
            reasons.append(str(error))
    if not reasons and all(len(model.networks) > 1 for model in models):
        try:
            models = [with_draws(*pair, drawing) for pair in zip(models, (base.record, head.record), strict=True)]
        except RecordError as error:
            reasons.append(str(error))
    if reasons:
        return Comparison(*names, "not comparable", reasons)
    comparison = compare(models[0], models[1], rules, **settings)
    if comparison.about != "networks":
        return comparison
    noise = training_noise(base, names[0], rules.metric, comparison.n, rules.alpha)
    return replace(comparison, noise=noise)


def _corrected(others: list[Comparison], rules: Review) -> dict[str, float | None]:
    """Name in head -> the p that decides, corrected for the number of models that were tested and have changed."""
    rows = {other.head: other.row(rules.metric) for other in others if not other.unchanged}
    p_values = {name: row.p for name, row in rows.items() if row}
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def _judged_again(comparison: Comparison, rules: Review, p: float | None) -> Comparison:
    """With the verdict by the corrected p."""
    row = comparison.row(rules.metric)
    if row is None or p is None:
        return comparison
    verdict = judge(row, rules, p)
    return replace(comparison, on_common=verdict, verdict="not comparable" if comparison.reasons else verdict)


def _pairs(base: Snapshot, head: Snapshot) -> tuple[list[Names], list[str], list[str]]:
    """Candidates of both commits, and those of one alone. Another name with the same parameters makes a pair, too."""
    before, after = base.record.candidates, head.record.candidates
    pairs = [(name, name) for name in before if name in after]
    only_base = [name for name in before if name not in after]
    only_head = [name for name in after if name not in before]
    old_params, new_params = (snapshot.record.section("model") for snapshot in (base, head))
    for old in list(only_base):
        renamed = [new for new in only_head if old in old_params and old_params[old] == new_params.get(new)]
        if renamed:
            pairs.append((old, renamed[0]))
            only_base.remove(old)
            only_head.remove(renamed[0])
    return pairs, only_base, only_head


def rules_of(base: Snapshot, head: Snapshot) -> tuple[Review, Bootstrap, list[str]]:
    """The rules of base, so that no branch can loosen the rules it is judged by; those of head where base has none."""
    notes = []
    rules: dict[str, Any] = {}
    for section, default in DEFAULTS.items():
        before, after = (snapshot.record.params.get(section) for snapshot in (base, head))
        try:
            rules[section] = type(default).model_validate(before if before is not None else after or default)
        except ValidationError as error:
            where = (head if before is None else base).where("params.yaml")
            problem = error.errors()[0]
            key = ".".join(map(str, (section, *problem["loc"])))
            raise ReviewError(f"{where}: {key}: {problem['msg']}") from None
        if before is None and after is not None:
            notes.append(f"base has no `{section}` in params.yaml, so head's applies.")
        elif before != after:
            change = yaml.safe_dump(after, default_flow_style=True).strip() if after else "removed"
            notes.append(f"head changes `{section}` ({change}), but base's applies.")
    return rules["review"], rules["bootstrap"], notes


def _contents(base: Snapshot, head: Snapshot) -> tuple[bool, list[str]]:
    """Whether the test images differ according to metrics/data.json, which no scores show; and notes for the reader."""
    before, after = base.record.data, head.record.data
    if before.get("manifest_sha256", base) == after.get("manifest_sha256", head):
        return False, []
    old, new = (data.get("parts_sha256") for data in (before, after))
    if not isinstance(old, dict) or not isinstance(new, dict):
        return False, [
            "metrics/data.json of one commit is missing or has no `parts_sha256`, so test images of the same names may "
            "have different pixels."
        ]
    differ = [name for key, name in (("train", "training"), ("val", "validation")) if old.get(key) != new.get(key)]
    notes = [f"The {' and '.join(differ)} images differ, so the difference is due to data and code together."]
    return old.get("test") != new.get("test"), notes if differ else []
