"""Two commits -> a verdict on the model that each has chosen and on every candidate that both have."""

from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import ValidationError

from pneumo.errors import ReviewError
from pneumo.params import Bootstrap, Review
from pneumo.review import candidate, paired
from pneumo.review.changes import Changes, changes, mapping
from pneumo.review.comparison import Comparison, Verdict, compare, judge
from pneumo.review.snapshot import Snapshot

EXIT = {"better": 0, "within noise": 0, "worse": 1, "not comparable": 3}
DEFAULTS = {"review": Review(metric="roc_auc", margin=0.0, alpha=0.05), "bootstrap": Bootstrap(resamples=2000, seed=0)}


@dataclass(frozen=True)
class Result:
    """`chosen`: of the models that metrics/best.json names; `others`: every other candidate that both commits have.
    `p_corrected`: of `others`, by name in head, the p of the metric of the rules, corrected for their number.
    `only_base`, `only_head`: candidates that the other commit lacks. `notes`: what to know besides the verdict.
    """

    base: Snapshot
    head: Snapshot
    rules: Review
    phantom: bool
    chosen: Comparison
    others: list[Comparison]
    p_corrected: dict[str, float | None]
    only_base: list[str]
    only_head: list[str]
    notes: list[str]
    changes: Changes

    @property
    def verdict(self) -> Verdict:
        return self.chosen.verdict


def review(base: Snapshot, head: Snapshot) -> Result:
    """Raises ReviewError where a file of either is broken so that nothing can be said."""
    rules, drawing, notes = _rules(base, head)
    other_contents, seen = _contents(base, head)
    settings = {"resamples": drawing.resamples, "seed": drawing.seed, "other_contents": other_contents}
    chosen = _chosen(base, head, rules, settings)
    pairs, only_base, only_head = _pairs(base, head)
    pairs = [pair for pair in pairs if pair != (chosen.base, chosen.head)]
    others = [_compared(base, head, *pair, rules, settings) for pair in pairs]
    rows = {one.head: one.row(rules.metric) for one in others}
    tested = [one.head for one in others if rows[one.head] and not one.unchanged]
    corrected = dict(zip(tested, paired.holm([getattr(rows[name], "p", None) for name in tested]), strict=True))
    return Result(
        base,
        head,
        rules,
        mapping(head, "metrics/data.json").get("source") == "phantom",
        chosen,
        [_corrected(one, rules, corrected.get(one.head)) for one in others],
        corrected,
        only_base,
        only_head,
        notes + seen,
        changes(base, head),
    )


def _chosen(base: Snapshot, head: Snapshot, rules: Review, settings: dict[str, Any]) -> Comparison:
    names, reasons = [], []
    for snapshot in (base, head):
        try:
            names.append(candidate.chosen(snapshot))
        except ReviewError as error:
            names.append("")
            reasons.append(str(error))
    if reasons:
        return Comparison(names[0], names[1], "not comparable", reasons)
    return _compared(base, head, names[0], names[1], rules, settings)


def _compared(
    base: Snapshot, head: Snapshot, before: str, after: str, rules: Review, settings: dict[str, Any]
) -> Comparison:
    read, reasons = [], []
    for snapshot, name in ((base, before), (head, after)):
        try:
            read.append(candidate.read_candidate(snapshot, name))
        except ReviewError as error:
            reasons.append(str(error))
    if reasons:
        return Comparison(before, after, "not comparable", reasons)
    return compare(read[0], read[1], rules, **settings)


def _corrected(one: Comparison, rules: Review, p: float | None) -> Comparison:
    """With the verdict by the corrected p."""
    row = one.row(rules.metric)
    if row is None or p is None:
        return one
    verdict = judge(row, rules, p)
    return replace(one, on_common=verdict, verdict="not comparable" if one.reasons else verdict)


def _pairs(base: Snapshot, head: Snapshot) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Candidates of both commits, and those of one alone. Another name with the same parameters makes a pair, too."""
    before, after = candidate.candidates(base), candidate.candidates(head)
    pairs = [(name, name) for name in before if name in after]
    only_base = [name for name in before if name not in after]
    only_head = [name for name in after if name not in before]
    sections = [mapping(snapshot, "params.yaml").get("model") or {} for snapshot in (base, head)]
    for old in list(only_base):
        renamed = [new for new in only_head if old in sections[0] and sections[0][old] == sections[1].get(new)]
        if renamed:
            pairs.append((old, renamed[0]))
            only_base.remove(old)
            only_head.remove(renamed[0])
    return pairs, only_base, only_head


def _rules(base: Snapshot, head: Snapshot) -> tuple[Review, Bootstrap, list[str]]:
    """The rules of base, so that no branch can loosen those by which it is judged; head's where base has none."""
    notes = []
    found: dict[str, Any] = {}
    for section, default in DEFAULTS.items():
        raw = [mapping(snapshot, "params.yaml").get(section) for snapshot in (base, head)]
        source = base if raw[0] is not None else head
        try:
            found[section] = type(default).model_validate(raw[0] if raw[0] is not None else raw[1] or default)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, (section, *problem["loc"])))
            raise ReviewError(f"{source.where('params.yaml')}: {key}: {problem['msg']}") from None
        if raw[0] is None and raw[1] is not None:
            notes.append(f"base has no `{section}` in params.yaml; judged by head's.")
        elif raw[0] != raw[1]:
            given = yaml.safe_dump(raw[1], default_flow_style=True).strip() if raw[1] else "removes it"
            notes.append(f"head changes `{section}` ({given}); judged by base's.")
    return found["review"], found["bootstrap"], notes


def _contents(base: Snapshot, head: Snapshot) -> tuple[bool, list[str]]:
    """Whether metrics/data.json knows the test images to be others, which no scores show; and notes for the reader."""
    before, after = (mapping(snapshot, "metrics/data.json") for snapshot in (base, head))
    if before.get("manifest_sha256", base) == after.get("manifest_sha256", head):
        return False, []
    one, other = (data.get("parts_sha256") for data in (before, after))
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False, [
            "metrics/data.json of one commit is missing or has no `parts_sha256`: that test images of the same names "
            "have the same pixels is not known."
        ]
    differ = [name for key, name in (("train", "training"), ("val", "validation")) if one.get(key) != other.get(key)]
    notes = [f"The {' and '.join(differ)} images differ, so the difference is that of data and code together."]
    return one.get("test") != other.get("test"), notes if differ else []
