"""Train one backbone: linear probe, epochs, and the weights of the best epoch with all it takes to use them."""

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import seed_everything

from pneumo.data import packed
from pneumo.errors import TrainingError
from pneumo.models import backbones, bundle, runtime
from pneumo.training import checkpoints, fingerprint, probe, processes
from pneumo.training.classifier import Classifier
from pneumo.training.fit import fit, require_devices
from pneumo.training.progress import first_process, say

if TYPE_CHECKING:
    from pneumo.params import Augment, Backbone, Training


def train(
    name: str,
    processed: Path,
    *,
    model: Path,
    curves: Path,
    resume_from: Path,
    shared: bool = False,
    features: Path,
    backbone: "Backbone",
    augment: "Augment",
    training: "Training",
    seed: int,
    film_fit: str,
) -> None:
    """Train `name`: weights and training.json in `model`, curves in `curves`.

    Only the train and val splits are read. `seed`: of new weights, the order of images, augmentation and dropout.
    `film_fit`: how films became squares, for those who use the model. Features for the linear probe are cached in
    `features`. A run of the same parameters, data and code that was interrupted continues after its last completed
    epoch, from `resume_from`, and ends with the same bytes. `shared`: other clones keep theirs there, too, which are
    left alone. Raises TrainingError where the loss is not finite, the process is told to end, there is nothing to
    train, or another process trains the very same with the same shared folder.
    """
    require_devices(training)
    processes.environment(training)  # before minutes of work
    train_split, val_split = (packed.read_split(processed, split) for split in ("train", "val"))
    seed_everything(seed, verbose=False)
    network, weights_sha256 = backbones.create(
        backbone.architecture,
        input_size=backbone.input_size,
        dropout=backbone.dropout,
        pool=backbone.pool,
        stages=backbone.stages,
        weights=backbone.weights,
        source=backbone.source,
        normalisation=backbones.Normalisation(**vars(backbone.normalisation)) if backbone.normalisation else None,
        seed=seed,
    )
    say(f"{name}: {backbone.architecture}, {backbones.parameters(network) / 1e6:.1f} M parameters, "
        f"{starting_point(backbone)}, {backbone.input_size} px, "
        f"{len(train_split)} training and {len(val_split)} validation images")  # fmt: skip
    has_probe = bool(backbone.probe and weights_sha256)
    if not backbone.epochs and not has_probe:
        raise TrainingError(
            f"model.{name}.epochs is 0, which leaves the linear probe alone, and there is none: it needs "
            f"model.{name}.probe and starting weights (model.{name}.weights is {backbone.weights})"
        )
    device = runtime.device(training.accelerator)
    sha256 = fingerprint.of_run(processed, backbone, augment, training, weights_sha256, seed=seed)
    if has_probe:
        depends_on = fingerprint.of_features(processed, backbone.architecture, sha256, device)
        probe.initialise_head(network, train_split, backbone, training, device, cache=features, depends_on=depends_on)
    trained, checkpointed = network, None
    if backbone.epochs:
        classifier = Classifier(
            network, backbone, augment, training, seed=seed, pos_weight=_pos_weight(train_split, training.imbalance)
        )
        depends_on = fingerprint.of_checkpoints(processed, sha256, device)
        folder = checkpoints.folder(resume_from, depends_on, cleans_up=first_process() and not shared)
        if shared and first_process():
            checkpointed = checkpoints.Claimed(folder)
        fit(classifier, train_split, val_split, backbone, training, curves, folder)
        trained = classifier.eval_network
    elif first_process():
        (curves / "plots/metrics").mkdir(parents=True, exist_ok=True)  # there are no epochs to draw
    if not first_process():
        return
    training_json = {
        "name": name,
        "kind": "backbone",
        "architecture": backbone.architecture,
        "image_size": val_split.images.shape[1],
        "fit": film_fit,
        "input_size": backbone.input_size,
        "normalisation": vars(network.normalisation),
        "dropout": backbone.dropout,
        "pool": backbone.pool,
        "stages": backbone.stages,
        "labels": ["normal", "pneumonia"],
        "parameters": backbones.parameters(network),
        "flops": backbones.flops(trained, backbone.input_size),
        "weights": bundle.weights_name(backbone.weights),
        "sha256": sha256,
        "versions": bundle.versions(),
    }
    bundle.write_trained(model, trained.state_dict(), training_json)
    if checkpointed:
        checkpointed.remove()
    elif not shared:
        checkpoints.remove(resume_from)


def starting_point(backbone: "Backbone") -> str:
    """How people say where training starts."""
    if backbone.weights == "none":
        return "from scratch"
    return f"from {backbone.source.trained_on} weights" if backbone.source else f"from {Path(backbone.weights).name}"


def _pos_weight(train_split: packed.Split, imbalance: str) -> float:
    pneumonia = float(train_split.labels.sum())
    return (len(train_split) - pneumonia) / pneumonia if imbalance == "weights" else 1.0
