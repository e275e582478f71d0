"""What the input guard flags: the shares follow from the distances, which only pixels and the guard give."""

from pneumo.errors import VerifyError
from pneumo.evaluation import flagged
from pneumo.record.parse import read_json, read_table
from pneumo.record.record import GUARD, GUARD_METRICS
from pneumo.verification.compare import numbers, same, same_table
from pneumo.verification.run import Run


def verify_guard(run: Run) -> tuple[int, int]:
    """How many figures follow from how many distances; 0 and 0 for an early record, which has none.

    Raises VerifyError where a share differs, where one of the two files is missing, or where validation and test are
    not the images that have scores.
    """
    tree = run.record.tree
    where, metrics = tree.where(GUARD), tree.where(GUARD_METRICS)
    if tree.has(GUARD) != tree.has(GUARD_METRICS):
        missing, present = (GUARD, metrics) if tree.has(GUARD_METRICS) else (GUARD_METRICS, where)
        raise VerifyError(f"{tree.where(missing)} is missing, but {present} exists: {tree.remedy(missing)}")
    if not tree.has(GUARD):
        return 0, 0
    table, committed = read_table(tree, GUARD, flagged.parse), read_json(tree, GUARD_METRICS)
    same_table(tree.text(GUARD), table, where, [where], flagged.write)
    model = next(iter(run.models.values()))
    for group, scored in ((flagged.VALIDATION, model.val_scores), (flagged.TEST, model.test_scores)):
        if set(table.loc[table["group"] == group, "image"]) != set(scored["image"]):
            raise VerifyError(
                f"{where}: the images of {group} are not those that {model.name} has scores of: {tree.remedy(GUARD)}"
            )
    limit = committed.get("limit")
    if not isinstance(limit, int | float) or not limit >= 0:
        raise VerifyError(f"{metrics}: limit is {limit!r}; expected a number: {tree.remedy(GUARD_METRICS)}")
    expected = flagged.measure(table, limit)
    same(committed, expected, metrics, [where])
    return numbers(expected) - 1, len(table)
