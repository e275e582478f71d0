"""The linear probe: the head of a logistic regression on features that are computed once."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tiny import AUGMENT, BACKBONE, CPU, TRAINING, changed, run

from pneumo.data import packed
from pneumo.errors import TrainingError
from pneumo.models import backbones, bundle
from pneumo.scoring import inference
from pneumo.training import probe
from pneumo.training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Starting weights in a file, as a user names them."""
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    network, _ = backbones.create("cnn", input_size=32, dropout=0.0, weights="none", seed=5)
    save_file({name: value.contiguous() for name, value in network.body.state_dict().items()}, path)
    return path


def network_of(weights):
    return backbones.create("cnn", input_size=32, dropout=0.2, weights=str(weights), seed=0)[0]


def initialise(network, split, cache, depends_on="a", strength=0.1, input_size=32):
    backbone, training = changed(BACKBONE, input_size=input_size, probe=strength), changed(TRAINING, imbalance="none")
    probe.initialise_head(network, split, backbone, training, CPU, cache=cache, depends_on={"weights": depends_on})


def test_the_head_is_that_of_a_logistic_regression_on_the_features(processed, weights, tmp_path):
    part, network = packed.read_split(processed, "train"), network_of(weights)
    features = probe.features(network, part, input_size=32, device=CPU)
    initialise(network, part, tmp_path)
    scaler = StandardScaler().fit(features)
    line = LogisticRegression(C=0.1, max_iter=2000).fit(scaler.transform(features), part.labels)
    expected = line.decision_function(scaler.transform(features))
    views = {"flip": False, "zooms": [1.0]}
    found = inference.Scorer(network, input_size=32, views=views, device=CPU).logits(part)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_features_are_computed_once_for_all_heads(processed, weights, tmp_path, monkeypatch):
    part = packed.read_split(processed, "train")
    initialise(network_of(weights), part, tmp_path)
    (kept,) = tmp_path.glob("*.npy")
    monkeypatch.setattr(probe, "features", None)  # not to be called again
    first, second = network_of(weights), network_of(weights)
    initialise(first, part, tmp_path, strength=1e-3)
    initialise(second, part, tmp_path, strength=10.0)
    assert not torch.equal(first.head[1].weight, second.head[1].weight)
    assert list(tmp_path.glob("*.npy")) == [kept]


def test_the_network_moves_to_its_device_outside_of_inference_mode(processed, weights, tmp_path, monkeypatch):
    # What is copied to a GPU in inference mode can never be trained: a seen error of fine-tuning on a GPU.
    moves, network = [], network_of(weights)
    move = network.to
    monkeypatch.setattr(network, "to", lambda device: moves.append(torch.is_inference_mode_enabled()) or move(device))
    initialise(network, packed.read_split(processed, "train"), tmp_path)
    assert moves == [False]


def test_features_of_other_weights_or_another_size_are_not_taken(processed, weights, tmp_path):
    part = packed.read_split(processed, "train")
    initialise(network_of(weights), part, tmp_path)
    initialise(network_of(weights), part, tmp_path, depends_on="b")
    larger = backbones.create("cnn", input_size=40, dropout=0.2, weights="none", seed=0)[0]
    initialise(larger, part, tmp_path, input_size=40)
    assert len(list(tmp_path.glob("*.npy"))) == 3


def test_no_epochs_leave_the_probe_alone(processed, weights, tmp_path):
    backbone = {"weights": str(weights), "epochs": 0, "probe": 0.1}
    run(processed, tmp_path / "one", backbone=backbone)
    run(processed, tmp_path / "two", backbone=backbone, seed=3)
    one, two = ((tmp_path / name / "model/model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two, "nothing in it is random"
    assert bundle.training_json(tmp_path / "one/model")["weights"] == "start.safetensors"


def test_fine_tuning_starts_from_the_probe(processed, weights, tmp_path):
    backbone = {"weights": str(weights), "epochs": 1, "lr": 1e-12, "dropout": 0.0, "probe": 0.1}
    run(processed, tmp_path / "probe", backbone=backbone | {"epochs": 0})
    run(processed, tmp_path / "tuned", backbone=backbone)
    heads = [
        inference.load(tmp_path / name / "model", bundle.training_json(tmp_path / name / "model")).head[1].weight
        for name in ("probe", "tuned")
    ]
    torch.testing.assert_close(*heads, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("start", "strength"), [("none", 0.1), ("file", None)])
def test_no_epochs_and_no_probe_are_refused(processed, weights, tmp_path, start, strength):
    named = str(weights) if start == "file" else "none"
    with pytest.raises(TrainingError, match=r"epochs is 0, .* needs model\.cnn\.probe and starting weights"):
        train(
            "cnn",
            processed,
            model=tmp_path / "model",
            curves=tmp_path / "curves",
            resume_from=tmp_path / "checkpoints",
            features=tmp_path / "features",
            backbone=changed(BACKBONE, epochs=0, weights=named, probe=strength),
            augment=AUGMENT,
            training=TRAINING,
            seed=0,
            film_fit="stretch",
        )
    assert not (tmp_path / "model").exists()
