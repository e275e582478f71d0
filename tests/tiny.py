"""A training run that takes seconds, as the tests of training, probe and resuming share it."""

import torch

from pneumo import files
from pneumo.evaluation import decision
from pneumo.models import bundle
from pneumo.params import Augment, Backbone, Threshold, Training, Views
from pneumo.scoring import outputs, scores
from pneumo.training.train import train

BACKBONE = Backbone(
    architecture="cnn",
    weights="none",
    published=None,
    normalisation=None,
    probe=None,
    freeze_norm=False,
    input_size=32,
    dropout=0.2,
    pool=1,
    stages=None,
    optimizer="adamw",
    lr=2e-3,
    weight_decay=0.0,
    layer_decay=1.0,
    epochs=4,
    batch_size=8,
)
AUGMENT = Augment(
    rotate=5.0,
    area=(0.8, 1.0),
    aspect=1.1,
    shift=0.0,
    flip=0.5,
    brightness=0.1,
    contrast=0.1,
    gamma=1.1,
    local_contrast=0.0,
    blur=0.1,
    noise=0.1,
    erase=0.0,
    mixup=0.0,
)
TRAINING = Training(
    monitor="roc_auc",
    patience=9,
    warmup=0.2,
    gradient_clip=1.0,
    label_smoothing=0.0,
    ema=0.0,
    imbalance="weights",
    compile=False,
    accelerator="cpu",
    devices=1,
    nodes=1,
    precision="auto",
)
THRESHOLD = Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05])
VIEWS = Views(flip=False, zooms=[1.0])
CPU = torch.device("cpu")


def changed(section, **values):
    """`section` with some values changed, checked."""
    return type(section).model_validate(section.model_dump() | values)


def run(processed, out, **changes):
    train(
        "cnn",
        processed,
        model=out / "model",
        curves=out / "curves",
        resume_from=out / "checkpoints",
        features=out / "features",
        backbone=changed(BACKBONE, **changes.pop("backbone", {})),
        augment=changed(AUGMENT, **changes.pop("augment", {})),
        training=changed(TRAINING, **changes.pop("training", {})),
        seed=changes.pop("seed", 0),
        film_fit="stretch",
    )
    views = changed(VIEWS, **changes.pop("views", {}))
    assert not changes, changes
    outputs.predict(out / "model", processed, out / "outputs", candidate="cnn", views=views, accelerator="cpu")
    scored, decided = decision.decide(scores.read_logits(out / "outputs/val/cnn/cnn.csv"), None, THRESHOLD)
    scores.write(scored, out / "scores/val.csv")
    files.write_json(
        out / "model/model.json", bundle.training_json(out / "model") | {"views": views.model_dump()} | decided
    )
    return out


def scored(folder, processed, split):
    """pneumo.scoring.scores.COLUMNS of the network in `folder` on one split."""
    raw = outputs.logits(folder, processed, split, accelerator="cpu")
    return decision.calibrated(raw, bundle.model_json(folder)["temperature"])
