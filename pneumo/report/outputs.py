"""What the stages have written, with the stage to run where something is missing or broken."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from pneumo.record.record import BASELINE, GUARD, GUARD_METRICS, SUSPECTED_LABELS, Record
from pneumo.record.tree import Folder

DATA_PATH = "metrics/data.json"
STAGES = {  # file or folder -> the stage that writes it
    DATA_PATH: "audit",
    f"metrics/{BASELINE}.json": "audit",
    f"scores/{BASELINE}": "audit",
    SUSPECTED_LABELS: "audit",
    GUARD: "guard",
    GUARD_METRICS: "guard",
    "data/audit": "audit",
    "models/best": "export",
    "scores/test": "score",
    "reports/ablation": "ablation",
    "reports/explain": "explain",
}
STAGES_OF_MODELS = {  # folder -> the stages that write what it has of a backbone, of an ensemble
    "scores/val": ("calibrate", "ensemble"),
    "metrics": ("evaluate", "evaluate_ensemble"),
}


@dataclass(frozen=True)
class Outputs(Folder):
    """The project's folder while the pipeline runs: a stage writes what is missing or broken."""

    def remedy(self, path: str) -> str:
        folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).stem
        stage = STAGES.get(path) or STAGES.get(folder, "")
        if not stage and folder in STAGES_OF_MODELS:
            record = Record(self)
            is_ensemble = name in {**record.section("ensembles"), **record.section("ensemble_replicates")}
            stage = f"{STAGES_OF_MODELS[folder][is_ensemble]}@{name}"
        if folder in ("metrics/external", "scores/external"):
            stage = f"evaluate_external@{name}"
        if path.startswith("dvclive/"):
            stage = f"train@{PurePosixPath(path).parts[1]}"
        return f"run `{f'dvc repro {stage}'.strip()}`"
