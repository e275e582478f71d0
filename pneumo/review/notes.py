"""What a reader must not overlook beside the verdict, in sentences; names and values stand as `code`."""

from typing import Any

from pneumo.review.changes import Changes
from pneumo.review.snapshot import Snapshot

# Sections by which figures come about. Of these head's apply, since its results were made by them.
RULES_OF_RESULTS = ("threshold", "select", "evaluate", "ensembles", "audit", "split")
FEW = 6  # items of a note
LONGEST = 100  # characters of a value in a note


def notes_of(changed: Changes, head: Snapshot) -> list[str]:
    """What a reader must not overlook: other commands, other rules, outputs that nothing explains, stray files."""
    notes = []
    if changed.commands:
        rows = [f"`{stage}` {_value(before)} → {_value(after)}" for stage, before, after in changed.commands]
        notes.append(f"The pipeline's commands changed: {_few(rows)}.")
    ruled = [row for row in changed.params if row[0].partition(".")[0] in RULES_OF_RESULTS]
    if ruled:
        rows = [f"`{key}` {_value(before)} → {_value(after)}" for key, before, after in ruled]
        notes.append(f"Rules by which head's results were made changed: {_few(rows)}.")
    if changed.unexplained:
        notes.append(
            f"Same inputs, other outputs: {_few([f'`{stage}`' for stage in changed.unexplained])}. By dvc.lock "
            "these stages had the same command, parameters, code and data in both commits. Another processor or other "
            "libraries can do that, and so can an editor; only running them again can tell (docs/threat-model.md)."
        )
    if head.record.left_over:
        rows = [f"`{path}`" for path in head.record.left_over]
        notes.append(f"Files of no model that params.yaml names, which count for nothing: {_few(rows)}.")
    return notes


def _few(rows: list[str]) -> str:
    return ", ".join([*rows[:FEW], *([f"and {len(rows) - FEW} more"] if len(rows) > FEW else [])])


def _value(value: Any) -> str:
    """A value of a parameter or a command, as code."""
    text = " && ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = text.replace("`", "'")
    return f"`{text if len(text) <= LONGEST else f'{text[: LONGEST - 1]}…'}`"
