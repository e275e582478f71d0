"""Whether the scores of a run are of the same images, and validation and test have none in common."""

from pneumo.errors import VerifyError
from pneumo.record.record import Model
from pneumo.scoring import scores
from pneumo.verification.compare import history
from pneumo.verification.run import Run

KEYS = list(scores.KEY_COLUMNS)


def consistent(run: Run) -> None:
    """Raise VerifyError where images, patients, labels or subtypes of two tables contradict each other."""
    first, *others = run.models.values()
    for model in others:
        _same_rows(first, model)
    for model in run.models.values():
        _same_rows_under_stress(model)
    _no_overlap(first)


def _same_rows(first: Model, model: Model) -> None:
    for split in ("val", "test"):
        reference, table = first.scores(split), model.scores(split)
        path, other = model.where(split), first.where(split)
        if len(table) != len(reference):
            raise VerifyError(f"{path} has {len(table)} images, but {other} has {len(reference)}")
        for column in KEYS:
            differs = (table[column] != reference[column]).to_numpy()
            if differs.any():
                at = int(differs.argmax())
                raise VerifyError(
                    f"{path}: {column} of {table['image'][at]} is {table[column][at]}, but {reference[column][at]} in "
                    f"{other}\n  {history(path, other)}"
                )


def _same_rows_under_stress(model: Model) -> None:
    if model.stress_logits is not None and not model.stress_logits[KEYS].equals(model.val_scores[KEYS]):
        stress, val = model.where("stress"), model.where("val")
        raise VerifyError(
            f"{stress} and {val} differ in images, patients, labels or subtypes\n  {history(stress, val)}"
        )


def _no_overlap(model: Model) -> None:
    """No patient and no image is in both sets. All models have the same ones, so that one stands for all."""
    for column in ("image", "patient"):
        both = set(model.val_scores[column]) & set(model.test_scores[column])
        if both:
            raise VerifyError(
                f"{model.where('test')}: {column} {min(both)} is also in {model.where('val')}, on which threshold and "
                "model were selected"
            )
