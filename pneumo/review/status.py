"""How the results that lie here differ from those of HEAD, and what to do about it."""

from collections import Counter
from pathlib import Path

from pneumo.evaluation.metrics import WORDS
from pneumo.record.locks import locked_files
from pneumo.record.record import Record
from pneumo.record.tree import Folder
from pneumo.review import processors, snapshot
from pneumo.review.cells import number
from pneumo.review.result import Result, review
from pneumo.review.sections import named

RESULTS = ("scores", "metrics", "reports/plots", "dvc.lock")
NAMED = 3  # outputs that are not here
_KEEP = (
    "Keep them: `git add params.yaml dvc.lock machine.json metrics scores reports/plots && git commit`. Discard them: "
    "`make restore`."
)


def status(top: Path) -> list[str]:
    """A sentence where nothing differs, otherwise a paragraph; then, if outputs are not here, a sentence on them.

    Raises ReviewError where there is no commit, RecordError where a result is missing or broken.
    """
    head = snapshot.commit(top, "HEAD")
    where = f"HEAD ({(head.commit or '')[:10]})"
    changed = snapshot.changed(top, RESULTS)
    missing = _missing(top)
    if not changed:
        return [f"The results are those of {where}.", *missing]
    if not any(path.startswith(("scores/", "metrics/")) for path in changed):
        return [f"{_counted(changed, where)}; every score and figure is the same. {_KEEP}", *missing]
    result = review(head, snapshot.working_tree(top))
    return [f"{_counted(changed, where)}. {_verdict(result)} {_cause(result)} {_KEEP}", *missing]


def _counted(changed: list[str], where: str) -> str:
    """Results differ from HEAD (1a2b3c4d5e) in 3 files (2 in scores/, dvc.lock)."""
    counts = Counter(
        next(place for place in RESULTS if name == place or name.startswith(f"{place}/")) for name in changed
    )
    places = [place if place == "dvc.lock" else f"{count} in {place}/" for place, count in counts.items()]
    return f"Results differ from {where} in {len(changed)} file{'s' * (len(changed) > 1)} ({', '.join(places)})"


def _verdict(result: Result) -> str:
    selected = result.selected
    row = selected.row(result.rules.metric)
    if row is None:
        return f"The selected model is not comparable: {'; '.join(selected.reasons)}."
    moved = f"{WORDS[row.metric]} {number(row.base)} → {number(row.head)}"
    same = ", with identical scores" if selected.unchanged else ""
    return f"The selected model, {named(selected)}, is {result.verdict} ({moved}{same})."


def _cause(result: Result) -> str:
    base, head = result.base.record, result.head.record
    changes = result.changes
    differ = {
        "parameters": changes.params,
        "data": changes.data,
        "pipeline": changes.pipeline,
        "code": [row for row in changes.code if row[2]],
        "libraries": changes.libraries,
    }
    if words := [what for what, rows in differ.items() if rows]:
        return f"So do {', '.join(words)}: `pneumo review HEAD` has the details."
    if processors.other_makes(base, head):
        return (
            f"HEAD's were made on {processors.named(base)}, these on {processors.named(head)}: another make of "
            "processor can give other last digits in training, and so another network."
        )
    return (
        f"By machine.json both are from {processors.named(base)}, so libraries, a GPU or an editor made the difference."
    )


def _missing(top: Path) -> list[str]:
    """A sentence on outputs of dvc.lock that are neither here nor in DVC's cache."""
    outs = {path: None for _, written in locked_files(Record(Folder(top), lenient=True)).values() for path in written}
    absent = [path for path in outs if not (top / path).exists()]
    if not absent:
        return []
    more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
    return [
        f"{len(absent)} of {len(outs)} outputs of dvc.lock are not here: {', '.join(absent[:NAMED])}{more}. `dvc pull` "
        "gets them from a remote, where there is one; `make repro` makes this machine's own."
    ]
