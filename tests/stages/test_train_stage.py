"""The stage that trains one network: what it hands to the library."""

from pathlib import Path

import pytest

import pneumo.models.runtime
import pneumo.training.train
from stages import train


@pytest.mark.parametrize(
    ("shared", "checkpoints", "features"),
    [(None, ".checkpoints/cnn", ".features"), ("/shared/kept", "/shared/kept/cnn", "/shared/kept/.features")],
)
def test_checkpoints_and_features_of_a_probe_are_where_all_clones_find_them(shared, checkpoints, features, monkeypatch):
    given = {}
    monkeypatch.setattr(pneumo.models.runtime, "fix", lambda **_: None)
    monkeypatch.setattr(pneumo.training.train, "train", lambda *_, **named: given.update(named))
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.delenv("PNEUMO_CHECKPOINTS", raising=False)
    if shared:
        monkeypatch.setenv("PNEUMO_CHECKPOINTS", shared)
    train.main("cnn")
    assert (given["resume_from"], given["features"]) == (Path(checkpoints), Path(features))
    assert given["shared"] == bool(shared)
