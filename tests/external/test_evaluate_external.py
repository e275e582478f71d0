"""The model and the shortcut baseline at another hospital: internal phantoms have a mark that gives pneumonia away."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from listed import draw, relist, split_params
from phantoms import AUDITED, letter_on_pneumonia

from pneumo import files
from pneumo.audit import audit
from pneumo.data import packed
from pneumo.data.listing import Raw
from pneumo.errors import AuditError, ManifestError
from pneumo.evaluation import decision, metrics
from pneumo.external import evaluate
from pneumo.models import bundle
from pneumo.preprocessing.preprocess import preprocess
from pneumo.scoring import scores

pytestmark = pytest.mark.slow

SPLIT = split_params(val_fraction=0.3, max_unknown_patients=0.05)
PREPARED = {"image_size": 64, "max_rejected": 0.0, "split": SPLIT}
DECIDED = {"temperature": 1.0, "threshold": 0.5, "threshold_policy": {}, "margins": {}}


def drawn(folder: Path, seed: int, *, mark: bool, elsewhere: bool) -> None:
    """folder/raw and folder/processed, with the mark on all pneumonias or without."""
    parts = {part: {"normal": 24, "viral": 24} for part in ("train", "test")}
    draw(folder / "raw", seed=seed, images=parts, size=96)
    if mark:
        letter_on_pneumonia(folder / "raw")
        relist(folder / "raw")
    preprocess(Raw(folder / "raw"), folder / "processed", elsewhere=elsewhere, **PREPARED)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A project with a marked internal data set, a model that guesses, and two other hospitals."""
    top = tmp_path_factory.mktemp("project")
    data = top / "data"
    drawn(data, 0, mark=True, elsewhere=False)
    audited = audit.audit(Raw(data / "raw"), data / "processed", data / "audit", **AUDITED)
    files.write_json(top / "metrics/shortcut.json", audited.shortcut)
    about = {"name": "cnn", "kind": "backbone", "views": {}} | DECIDED
    files.write_json(top / "models/best/model.json", dict.fromkeys(bundle.TRAINING_KEYS, 1) | about)
    scores.write(decision.calibrated(guessed(data), 1.0), top / "scores/test/cnn.csv")
    for seed, name in enumerate(("marked", "unmarked"), start=1):
        drawn(data / "external" / name, seed, mark=name == "marked", elsewhere=True)
        scores.write(guessed(data / "external" / name), top / f"outputs/external/{name}.csv")
    return top


def guessed(folder: Path) -> pd.DataFrame:
    """Logits of the test images that say nothing."""
    rows = packed.read_split(folder / "processed", "test").rows
    return scores.table(rows, np.random.default_rng(0).normal(0, 1, len(rows)))


def evaluated(root: Path, name: str) -> dict:
    places = (root / place for place in ("data", "models/best", "outputs/external", "scores", "metrics"))
    return evaluate.evaluate(name, *places, prevalence=0.1)


@pytest.fixture(scope="module")
def measured(root) -> dict[str, dict]:
    return {name: evaluated(root, name) for name in ("marked", "unmarked")}


def test_the_baseline_is_measured_like_the_model_beside_it(root, measured):
    for name, values in measured.items():
        assert json.loads((root / f"metrics/external/{name}.json").read_text()) == values
        baseline = values["shortcut"]
        assert set(baseline) <= set(values)
        assert set(baseline["ci95"]) == set(values["ci95"]) == {each.key for each in metrics.METRICS if each.interval}
        assert (baseline["n"], baseline["patients"]) == (values["n"], values["patients"])


def test_the_baseline_knows_the_mark_again_and_nothing_else(measured):
    assert measured["marked"]["shortcut"]["roc_auc"] > 0.95
    assert measured["unmarked"]["shortcut"]["roc_auc"] < 0.8
    assert max(values["roc_auc"] for values in measured.values()) < 0.7, "the model guesses"


def test_temperature_and_threshold_are_those_of_the_internal_images(root, measured):
    internal = json.loads((root / "metrics/shortcut.json").read_text())
    for values in measured.values():
        assert [values["shortcut"][key] for key in ("temperature", "threshold")] == [
            internal[key] for key in ("temperature", "threshold")
        ]


def test_its_scores_are_of_the_same_images_with_nothing_more(root, measured):
    for name in measured:
        path = root / f"scores/external/shortcut/{name}.csv"
        assert path.read_text().splitlines()[0] == ",".join(scores.COLUMNS)
        keys = list(scores.KEY_COLUMNS)
        table, of_model = scores.read_scores(path), scores.read_scores(root / f"scores/external/{name}.csv")
        assert table[keys].equals(of_model[keys])


def test_a_missing_file_stops_the_run_and_is_named(root):
    shard = root / "data/external/marked/raw/images.zip"
    shard.rename(root / "aside")
    with pytest.raises(ManifestError, match=r"data/external/marked/raw/test/NORMAL/.*\.jpeg is missing.*dvc checkout"):
        evaluated(root, "marked")
    (root / "aside").rename(shard)


def test_without_the_baseline_of_the_audit_the_run_stops(root):
    path = root / "data/audit/shortcut.json"
    path.rename(root / "aside")
    with pytest.raises(AuditError, match=r"shortcut\.json is missing"):
        evaluated(root, "marked")
    (root / "aside").rename(path)
