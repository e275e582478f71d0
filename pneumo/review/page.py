"""A review as Markdown that reads well in a pull request and in a terminal, and as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pneumo.evaluation.metrics import WORDS
from pneumo.evaluation.recipes import POWER
from pneumo.review import data_section, sections
from pneumo.review.about import about
from pneumo.review.cells import cell, fenced, interval, number, p_value, prose, signed
from pneumo.review.comparison import Comparison
from pneumo.review.data_diff import DataDiff
from pneumo.review.result import Result
from pneumo.review.sections import folded, named

LIMIT = 64_000  # characters; a comment on GitHub holds 65,536
SHOWN = 12  # models with all metrics
LISTED = (200, 60, 20, 5)  # rows of a list, fewer where the whole would not fit a comment; --format json has all


def markdown(result: Result, dvc: Mapping[str, str]) -> str:
    """`dvc`: command -> its output, which comes last and is cut where the whole would not fit a comment."""
    for listed in LISTED:
        text = _markdown(result, dvc, listed)
        if len(text) <= LIMIT:
            break
    return text


def _markdown(result: Result, dvc: Mapping[str, str], listed: int) -> str:
    selected = result.selected
    lines = [f"## pneumo review: {result.verdict}", "", *_headline(result), ""]
    lines += [*(prose(line) for line in about(selected, result.rules)), _rules(result), ""]
    lines += sections.reproduction(result, listed)
    lines += [*(f"- {prose(note)}" for note in result.notes), *([""] if result.notes else [])]
    lines += sections.models(result, listed)
    if selected.rows:
        lines += [f"### {named(selected)}, all metrics", "", *sections.metrics(selected, result), ""]
        lines += [sections.footnote(result), "", *sections.flips(selected, listed)]
    lines += data_section.images(result.images, listed)
    lines += ["### What changed", "", *sections.changes(result, listed)]
    changed = [other for other in result.others if other.rows and not other.unchanged]
    shown = min(SHOWN, listed)
    for other in changed[:shown]:
        content = [*sections.metrics(other, result), "", sections.flip_counts(other)]
        lines += folded(f"{named(other)}, all metrics", content)
    if len(changed) > shown:
        lines += [f"All metrics of {len(changed) - shown} more models: `--format json` has them.", ""]
    for command, output in dvc.items():
        printed = _cut(output.splitlines() or ["No difference."], LIMIT - _length(lines), command)
        lines += folded(f"<code>{cell(command)}</code>", fenced(printed))
    return "\n".join(lines).strip() + "\n"


def as_json(result: Result, dvc: Mapping[str, str]) -> str:
    """Everything that the Markdown says, and every flipped case of every model."""
    again = result.reproduction
    content: dict[str, Any] = {
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "base": {"name": result.base.name, "commit": result.base.commit},
        "head": {"name": result.head.name, "commit": result.head.commit},
        "rules": result.rules.model_dump(),
        "power": POWER,
        "phantom": result.phantom,
        "selected": asdict(result.selected),
        "others": [asdict(other) | {"p_corrected": result.p_corrected.get(other.head)} for other in result.others],
        "only_base": result.only_base,
        "only_head": result.only_head,
        "notes": result.notes,
        "changes": asdict(result.changes),
        "images": asdict(result.images) if isinstance(result.images, DataDiff) else None,
        "images_unknown": result.images if isinstance(result.images, str) else None,
        "reproduced": None if again is None else {"equal": again.equal, **asdict(again)},
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
    selected = result.selected
    if not selected.reasons:
        return [f"{_sentence(selected, result)} on the same {_images(selected, result)}."]
    of = f" ({named(selected)})" if selected.base else ""
    lines = [f"Not comparable{of}:", "", *(f"- {prose(reason)}" for reason in selected.reasons)]
    if selected.on_common:
        common = f"On the {_images(selected, result)} in common: **{selected.on_common}**."
        lines += ["", f"{common} {_sentence(selected, result).rstrip(',')}."]
    return lines


def _sentence(comparison: Comparison, result: Result) -> str:
    """Up to where the images are named."""
    row = comparison.row(result.rules.metric)
    assert row is not None, "a model that was compared has all metrics"
    of = WORDS[row.metric]
    if comparison.about == "recipes":
        of = f"mean {of} over seeds"
    moved = f"**{named(comparison)}**: {of} {number(row.base)} → {number(row.head)}"
    if comparison.unchanged:
        return f"{moved}, with identical scores"
    p = p_value(row.p)
    p = "too few patients for a test" if not p else f"p {p}" if p.startswith("<") else f"p = {p}"
    around = f" {interval(row)}" if row.interval else ""
    return f"{moved}, difference {signed(row.difference)}{around}, {p},"


def _images(comparison: Comparison, result: Result) -> str:
    return f"{comparison.n} {'phantom ' if result.phantom else ''}test images of {comparison.patients} patients"


def _rules(result: Result) -> str:
    rules = result.rules
    margin = (
        f", worse only if the loss exceeds {rules.margin:g}, and not worse if the interval rules out such a loss"
        if rules.margin
        else ""
    )
    return (
        f"Base is {cell(result.base.label)}, head is {cell(result.head.label)}. {WORDS[rules.metric]} decides: better "
        f"or worse only if test and interval both rule out chance (alpha {rules.alpha:g}, two-sided){margin}."
    )


def _cut(lines: Sequence[str], room: int, command: str) -> list[str]:
    """As many of `lines` as fit, and how many were left out."""
    used = 0
    for place, line in enumerate(lines):
        used += len(line) + 1
        if used > room:
            return [*lines[:place], "", f"{len(lines) - place} more lines: {command}"]
    return list(lines)


def _length(lines: Sequence[str]) -> int:
    return len("\n".join(lines)) + 400  # with the folds still to come


def _parsed(output: str) -> Any:
    try:
        return json.loads(output or "{}")
    except ValueError:
        return output
