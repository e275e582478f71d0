"""Small networks with random weights, and models made of them: nothing in these tests depends on training."""

from pneumo import files
from pneumo.evaluation import decision
from pneumo.explain import grad_cam
from pneumo.models import backbones, bundle
from pneumo.scoring import outputs

SIZE, INPUT_SIZE = 40, 32  # pixels a side, packed and as the networks take them
PLAIN = {"flip": False, "zooms": [1.0]}


def network(seed):
    return backbones.create("cnn", input_size=INPUT_SIZE, dropout=0.2, weights="none", seed=seed)[0]


def member(net, input_size=INPUT_SIZE):
    net = net.requires_grad_(False).eval()
    return grad_cam.Member(net, {"input_size": input_size, "views": PLAIN}, *grad_cam.last_map(net, input_size))


def write_backbone(folder, name, seed):
    about = dict.fromkeys(bundle.TRAINING_KEYS, 1) | {
        "name": name,
        "kind": "backbone",
        "architecture": "cnn",
        "image_size": SIZE,
        "input_size": INPUT_SIZE,
        "normalisation": {"mean": [0.5], "std": [0.25]},
        "dropout": 0.2,
        "stages": None,
        "sha256": {"manifest": "0"},
    }
    bundle.write_trained(folder, network(seed).state_dict(), about)
    decided = {
        "temperature": 1.5,
        "threshold": 0.5,
        "threshold_policy": {"policy": "fixed", "value": 0.5},
        "margins": {},
    }
    views = {"views": PLAIN}
    files.write_json(folder / "model.json", bundle.training_json(folder) | views | decided)


def write_ensemble(folder, seeds):
    """`seeds`: name of the member -> seed of its weights."""
    for name, seed in seeds.items():
        write_backbone(folder / "members" / name, name, seed)
    hashes = {name: bundle.model_json(folder / "members" / name)["sha256"]["weights"] for name in seeds}
    model_json = dict.fromkeys(bundle.ENSEMBLE_KEYS, 1) | {"name": "ensemble", "kind": "ensemble", "members": hashes}
    files.write_json(folder / "model.json", model_json | {"temperature": 1.0, "threshold": 0.5})


def score(folder, processed):
    """Scores on the test set, after the threshold has moved to their median, so that all four kinds of case occur."""
    raw = outputs.logits(folder, processed, "test", accelerator="cpu")
    model_json = bundle.model_json(folder)
    table = decision.calibrated(raw, model_json["temperature"])
    files.write_json(folder / "model.json", model_json | {"threshold": float(table["score"].median())})
    return table
