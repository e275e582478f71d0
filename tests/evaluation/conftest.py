from pathlib import Path

import numpy as np
import pytest
from made_scores import NOISE, drawn_logits

from pneumo import files
from pneumo.evaluation import decision
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.params import Threshold, Views
from pneumo.scoring import scores, stress


@pytest.fixture(scope="package")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of three backbones after stage calibrate: models/trained, outputs, scores. Tests read them only."""
    root = tmp_path_factory.mktemp("calibrated")
    for place, (name, noise) in enumerate(NOISE.items()):
        training_json = dict.fromkeys(bundle.TRAINING_KEYS, 1) | {
            **{"name": name, "kind": "backbone", "parameters": 10 + place, "flops": 7, "input_size": 64},
            **{"weights": "none", "sha256": {"weights": name, "manifest": "ab"}},
        }
        files.write_json(root / "models/trained" / name / "training.json", training_json)
        val_logits, test_logits = (drawn_logits(noise, seed=place, split=split) for split in ("val", "test"))
        paths = scores.paths(root / "outputs", name, name)
        scores.write(val_logits, paths["val"])
        scores.write(test_logits, paths["test"])
        shifts = np.random.default_rng(9).normal(0, 1, (len(val_logits), len(NAMES)))
        under_stress = stress.table(val_logits, val_logits["logit"].to_numpy()[:, None] + shifts)
        stress.write(under_stress, paths["stress"])
        decision.calibrate_backbone(
            root / "models/trained" / name,
            paths["val"],
            paths["stress"],
            root / "scores",
            views=Views(flip=False, zooms=[1.0]),
            policy=Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05]),
        )
    return root
