"""The list of suspected labels. Only pixels give it, so it is held against the scores and what else is said of it."""

from collections.abc import Mapping
from typing import Any

from pneumo.errors import VerifyError
from pneumo.evaluation import suspected
from pneumo.record.record import SUSPECTED_LABELS, Record
from pneumo.verification.compare import history, numbers, same, same_table
from pneumo.verification.run import Run

DATA, KEY = "metrics/data.json", "audit.suspected_labels"


def verify_suspected(run: Run) -> int:
    """How many figures of metrics/data.json follow from the list; 0 for an early record, which has none.

    Raises VerifyError where the list is not byte for byte the one of metrics/data.json, or differs from the scores in
    patient, label or split of an image.
    """
    tree, committed = run.record.tree, _committed(run.record)
    where, data = tree.where(SUSPECTED_LABELS), tree.where(DATA)
    if run.suspects is None:
        if "sha256" in committed:
            raise VerifyError(f"{where} is missing, but {data} has its SHA-256: {tree.remedy(SUSPECTED_LABELS)}")
        return 0
    same_table(tree.text(SUSPECTED_LABELS), run.suspects, where, [where], suspected.write)
    _same_images(run, where)
    expected = suspected.summary(run.suspects)
    same(committed, expected, data, [where], KEY)
    return numbers(expected)


def _committed(record: Record) -> Mapping[str, Any]:
    audit = record.data.get("audit")
    committed = audit.get("suspected_labels") if isinstance(audit, Mapping) else None
    return committed if isinstance(committed, Mapping) else {}


def _same_images(run: Run, where: str) -> None:
    """All images of validation and test have scores, so that one without is of training."""
    model = next(iter(run.models.values()))
    scored = {
        row.image: ((row.patient, row.label, split), model.where(split))
        for split in ("val", "test")
        for row in model.scores(split).itertuples()
    }
    for row in run.suspects.itertuples() if run.suspects is not None else ():
        listed = (row.patient, row.label, row.split)
        expected, path = scored.get(row.image, ((row.patient, row.label, "train"), model.where("test")))
        if listed != expected:
            words = (", ".join(map(str, values)) for values in (listed, expected))
            raise VerifyError(
                f"{where}: patient, label and split of {row.image} are {next(words)}; by the scores, {next(words)}\n"
                f"  rests on {path}\n  {history(where, path)}"
            )
