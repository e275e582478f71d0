"""Every figure of the chosen model at other hospitals, recomputed from its scores there."""

import io

from pneumo.evaluation import decision
from pneumo.external.measure import measure
from pneumo.external.subgroups import subgroups
from pneumo.record.parse import read_json, read_scores
from pneumo.scoring import scores
from pneumo.verification.compare import ABSENT, same, same_table
from pneumo.verification.run import Run

NOT_FROM_SCORES = ("image_shift", "manifest_sha256")


def verify_external(run: Run, name: str) -> tuple[dict[str, object], int, list[str]]:
    """The recomputed metrics of the data set `name`, the number of its scores, and which keys are not from scores.

    Raises VerifyError or RecordError like `verify`.
    """
    tree, best = run.record.tree, run.record.best.get("model", ABSENT)
    metrics_path, scores_path = run.record.external_paths(name)
    committed, text = read_json(tree, metrics_path), tree.text(scores_path)
    table, details = read_scores(tree, scores_path), scores.details(io.StringIO(text))
    where, rests_on = tree.where(metrics_path), [tree.where(scores_path)]
    same(committed.get("model", ABSENT), best, where, [tree.where("metrics/best.json")], "model")
    model, columns = run.models[best], [column for column in details.columns if column != "image"]
    threshold, temperature = model.metrics["threshold"], model.metrics["temperature"]
    scored = decision.calibrated(table, temperature).merge(details, on="image", validate="one_to_one")
    same_table(text, scored, rests_on[0], rests_on, lambda rows, path: scores.write(rows, path, details=columns))
    expected: dict[str, object] = {
        "model": best,
        **measure(
            table,
            model.test_scores,
            threshold=threshold,
            temperature=temperature,
            prevalence=run.basis.evaluate.prevalence,
        ),
        "subgroups": subgroups(table.merge(details, on="image"), columns, threshold=threshold),
    }
    taken = {key: committed[key] for key in NOT_FROM_SCORES if key in committed}
    same(committed, expected | taken, where, [*rests_on, model.where("test")])
    return expected, len(table), list(taken)
