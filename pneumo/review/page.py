"""A review as Markdown that reads well in a pull request and in a terminal, and as JSON."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pneumo.evaluation.metrics import WORDS
from pneumo.report import markdown as md
from pneumo.review.cells import cell, code, interval, number, p_value, prose, signed, value_of
from pneumo.review.comparison import Comparison
from pneumo.review.result import EXIT, Result
from pneumo.verification.compare import Row as Change

WORDS = WORDS | {"average_precision": "average precision"}
LIMIT = 64_000  # characters; a comment on GitHub holds 65,536
FOLDED = 12  # rows of changes or flips from which on they are folded
SHOWN = 12  # models with all metrics
LISTED = 200  # flips; --format json has all


def markdown(result: Result, dvc: Mapping[str, str]) -> str:
    """`dvc`: command -> its output, which comes last and is cut where the whole would not fit a comment."""
    comparison = result.chosen
    lines = [
        f"## pneumo review: {result.verdict}",
        "",
        *_headline(result),
        "",
        *_rules(result),
        *(f"- {prose(note)}" for note in result.notes),
        *([""] if result.notes else []),
        *_models(result),
    ]
    if comparison.rows:
        lines += [
            f"### {_named(comparison)}, all metrics",
            "",
            *_metrics(comparison, result),
            "",
            *_footnote(result),
            "",
        ]
        lines += _flips(comparison)
    lines += ["### What changed", "", *_changes(result)]
    changed = [other for other in result.others if other.rows and not other.unchanged]
    for other in changed[:SHOWN]:
        lines += _folded(f"{_named(other)}, all metrics", [*_metrics(other, result), "", _flip_counts(other)])
    if len(changed) > SHOWN:
        lines += [f"All metrics of {len(changed) - SHOWN} more models: `--format json` has them.", ""]
    for command, output in dvc.items():
        shown = _cut(output.splitlines() or ["No difference."], LIMIT - _length(lines), command)
        lines += _folded(f"<code>{cell(command)}</code>", shown)
    return "\n".join(lines).strip() + "\n"


def as_json(result: Result, dvc: Mapping[str, str]) -> str:
    """Everything that the Markdown says, and every flipped case of every model."""
    content: dict[str, Any] = {
        "verdict": result.verdict,
        "exit_code": EXIT[result.verdict],
        "base": {"name": result.base.name, "commit": result.base.commit},
        "head": {"name": result.head.name, "commit": result.head.commit},
        "rules": result.rules.model_dump(),
        "phantom": result.phantom,
        "chosen": asdict(result.chosen),
        "others": [asdict(one) | {"p_corrected": result.p_corrected.get(one.head)} for one in result.others],
        "only_base": result.only_base,
        "only_head": result.only_head,
        "notes": result.notes,
        "changes": asdict(result.changes),
        "dvc": {command: _parsed(output) for command, output in dvc.items()},
    }
    return json.dumps(_plain(content), indent=2, default=str, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """`value` with text for keys and null for what JSON cannot say: YAML has dates for keys, and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _headline(result: Result) -> list[str]:
    one = result.chosen
    if not one.reasons:
        return [f"{_sentence(one, result)}, on the same {_images(one, result)}."]
    lines = [
        f"Not comparable{f', {_named(one)}' if one.base else ''}:",
        "",
        *(f"- {prose(reason)}" for reason in one.reasons),
    ]
    if one.on_common:
        alike = f"On the {_images(one, result)} that both have alike: **{one.on_common}**."
        lines += ["", f"{alike} {_sentence(one, result)}."]
    return lines


def _sentence(comparison: Comparison, result: Result) -> str:
    row = comparison.row(result.rules.metric)
    assert row is not None, "a model that was compared has all metrics"
    moved = f"{WORDS[row.metric]} {number(row.base)} → {number(row.head)}"
    if comparison.unchanged:
        return f"**{_named(comparison)}**: {moved}, with the same score for every image"
    p = p_value(row.p)
    p = "too few patients for a test" if not p else f"p {p}" if p.startswith("<") else f"p = {p}"
    around = f" {interval(row)}" if row.interval else ""
    return f"**{_named(comparison)}**: {moved}, difference {signed(row.difference)}{around}, {p}"


def _images(comparison: Comparison, result: Result) -> str:
    return f"{comparison.n} {'phantom ' if result.phantom else ''}test images of {comparison.patients} patients"


def _rules(result: Result) -> list[str]:
    rules = result.rules
    margin = f", worse only beyond a loss of {rules.margin:g}" if rules.margin else ""
    beyond = f"alpha {rules.alpha:g}, two-sided"
    return [
        f"Base is {cell(result.base.label)}, head is {cell(result.head.label)}. {WORDS[rules.metric]} decides: "
        f"better or worse where test and interval agree that it is no chance ({beyond}){margin}.",
        "",
    ]


def _models(result: Result) -> list[str]:
    """A line for each model that both commits have, the chosen one first."""
    metric = WORDS[result.rules.metric]
    rows = []
    for one in (result.chosen, *result.others):
        row = one.row(result.rules.metric)
        p = row.p if row and one is result.chosen else result.p_corrected.get(one.head)
        name = f"**{_named(one)}** (chosen)" if one is result.chosen else _named(one)
        cells = [number(row.base), number(row.head), signed(row.difference), interval(row)] if row else [""] * 4
        rows.append([name, _verdict(one), *cells, p_value(p)])
    lines = md.table(["model", "verdict", f"base {metric}", "head", "difference", _level(result), "p (Holm)"], rows)
    reasons = [f"- {_named(one)}: {prose(reason)}" for one in result.others for reason in one.reasons]
    if all(one.reasons == result.chosen.reasons for one in result.others if one.reasons):
        reasons = []
    alone = [
        f"Only in {side}: {cell(', '.join(names))}."
        for side, names in (("base", result.only_base), ("head", result.only_head))
        if names
    ]
    return [*lines, "", *reasons, *([""] if reasons else []), *alone, *([""] if alone else [])]


def _verdict(comparison: Comparison) -> str:
    verdict = (
        f"{comparison.verdict} (common images: {comparison.on_common})"
        if comparison.reasons and comparison.on_common
        else str(comparison.verdict)
    )
    return f"{verdict}, same scores" if comparison.unchanged and not comparison.reasons else verdict


def _metrics(comparison: Comparison, result: Result) -> list[str]:
    rows = [
        [
            WORDS[row.metric],
            number(row.base),
            number(row.head),
            signed(row.difference),
            interval(row),
            row.test or "",
            p_value(row.p),
            "decides" if row.metric == result.rules.metric else p_value(row.p_holm),
        ]
        for row in comparison.rows
    ]
    return md.table(["metric", "base", "head", "difference", _level(result), "test", "p", "p (Holm)"], rows)


def _footnote(result: Result) -> list[str]:
    one = result.chosen
    before, after = one.thresholds or (None, None)
    return [
        "Intervals: patients drawn with replacement, the same draws for base and head. Tests: DeLong, and McNemar in "
        "its exact form, both with patients as units. What does not decide is corrected for its number (Holm): here "
        "the other tests of the table, above the other models. "
        f"Threshold {number(before)} in base, {number(after)} in head."
    ]


def _flips(comparison: Comparison) -> list[str]:
    lines = [f"### Decisions that flipped: {_flip_counts(comparison)}", ""]
    if not comparison.flips:
        return lines
    rows = [
        [
            code(flip["image"]),
            cell(flip["patient"]),
            cell(flip["subtype"]) if flip["label"] else "normal",
            f"{flip['base']:.3f}",
            f"{flip['head']:.3f}",
            "right" if flip["right"] else "wrong",
        ]
        for flip in comparison.flips
    ]
    header = ["image", "patient", "truth", "base score", "head score", "head is"]
    first, more = rows[:FOLDED], rows[FOLDED:LISTED]
    lines += [*md.table(header, first), ""]
    if more:
        rest = [f"{len(rows) - LISTED} more: `--format json` has all."] if len(rows) > LISTED else []
        lines += _folded(f"{len(rows) - FOLDED} more flipped decisions", [*md.table(header, more), "", *rest])
    return lines


def _flip_counts(comparison: Comparison) -> str:
    wrong = sum(not flip["right"] for flip in comparison.flips)
    return f"{wrong} right to wrong, {len(comparison.flips) - wrong} wrong to right, of {comparison.n} images"


def _changes(result: Result) -> list[str]:
    kinds: dict[str, tuple[tuple[str, str, str], list[Change]]] = {
        "Parameters": (("parameter", "base", "head"), result.changes.params),
        "Data": (("metrics/data.json", "base", "head"), result.changes.data),
        "Code of the stages": (("module", "is", "stages"), result.changes.code),
        "Libraries": (("requirements.lock", "base", "head"), result.changes.libraries),
    }
    same = [kind.lower() for kind, (_, rows) in kinds.items() if not rows]
    lines = [f"Nothing in: {', '.join(same)}.", ""] if same else []
    for kind, (header, rows) in kinds.items():
        if rows:
            shown = md.table(header, [_change(row) for row in rows[:LISTED]])
            shown += [f"{len(rows) - LISTED} more: `--format json` has all."] if len(rows) > LISTED else []
            lines += [*shown, ""] if len(rows) <= FOLDED else _folded(f"{kind}: {len(rows)} differences", shown)
    return lines


def _change(row: Change) -> list[str]:
    key, base, head = row
    if isinstance(base, list) and isinstance(head, list):  # of a long list only what it lost and gained
        lost, gained = [one for one in base if one not in head], [one for one in head if one not in base]
        if lost or gained:
            return [code(key), f"{value_of(lost)} of {len(base)}", f"{value_of(gained)} of {len(head)}"]
    return [code(key), value_of(base), value_of(head)]


def _folded(title: str, lines: Iterable[str]) -> list[str]:
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _cut(lines: Sequence[str], room: int, command: str) -> list[str]:
    """As many of `lines` as have room, and what was left out."""
    kept: list[str] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        if used > room:
            return [*kept, "", f"{len(lines) - len(kept)} more lines: `{command}`"]
        kept.append(line)
    return kept


def _length(lines: Sequence[str]) -> int:
    return len("\n".join(lines)) + 400  # with the folds still to come


def _parsed(output: str) -> Any:
    try:
        return json.loads(output or "{}")
    except ValueError:
        return output


def _named(comparison: Comparison) -> str:
    return cell(comparison.head if comparison.base == comparison.head else f"{comparison.base} → {comparison.head}")


def _level(result: Result) -> str:
    return f"{100 * (1 - result.rules.alpha):g} % interval"
