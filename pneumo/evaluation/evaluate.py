"""One model on the official test set -> its scores and metrics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumo import files
from pneumo.evaluation import decision, metrics
from pneumo.models import bundle
from pneumo.scoring import outputs, scores, stress

if TYPE_CHECKING:
    from pneumo.params import Bootstrap

FROM_MODEL = ("weights", "parameters", "flops", "input_size")


def evaluate(
    folder: Path,
    processed: Path,
    scores_folder: Path,
    metrics_path: Path,
    *,
    members: Path,
    prevalence: float,
    bootstrap: "Bootstrap",
    accelerator: str,
) -> dict[str, Any]:
    """Write test/NAME.csv below `scores_folder` and the metrics to `metrics_path`; returns the metrics.

    `folder`: of a backbone or an ensemble, whose members are in `members`/NAME. Its validation scores, plain and under
    stress, are read from `scores_folder`. `prevalence`: of pneumonia, for ppv and npv.
    """
    model_json = bundle.model_json(folder)
    name, temperature = model_json["name"], model_json["temperature"]
    path = scores_folder / "test" / f"{name}.csv"
    logits = outputs.logits(folder, processed, "test", members=members, accelerator=accelerator)
    scores.write(decision.calibrated(logits, temperature), path)
    values = metrics.evaluate(
        scores.read_scores(path),
        model_json["threshold"],
        validation=scores.read_scores(scores_folder / "val" / f"{name}.csv"),
        stress_logits=stress.read_stress(scores_folder / "stress" / f"{name}.csv"),
        temperature=temperature,
        prevalence=prevalence,
        resamples=bootstrap.resamples,
        seed=bootstrap.seed,
    )
    values |= {key: model_json[key] for key in FROM_MODEL}
    if "members" in model_json:
        values["members"] = list(model_json["members"])
    files.write_json(metrics_path, values)
    return values
