"""Pictures that a radiologist asks for: the worst mistakes beside training images, copies, doubtful labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pneumo.data import packed
from pneumo.report.figures.pictures import thumbnail
from pneumo.report.markdown import CLASSES, SPLITS
from pneumo.report.results import Results

ERRORS = 12  # of each kind
FEWEST_TRAINING = 4  # training images beside them
PAIRS = 12
SUSPECTED_IN = ("test", "train", "val")  # in this order
Splits = Mapping[str, packed.Split]


@dataclass(frozen=True)
class Picture:
    """source: a data: address; caption: one short line; title: the image's name."""

    source: str
    caption: str
    title: str


@dataclass(frozen=True)
class Sheet:
    """Two groups of pictures side by side, each with its heading."""

    left: str
    left_pictures: list[Picture]
    right: str
    right_pictures: list[Picture]


@dataclass(frozen=True)
class Suspect:
    """An image with a suspected label. probability: of this label, by the audit. score: of the selected model; None of
    a training image.
    """

    source: str
    image: str
    split: str
    label: str
    probability: float
    score: float | None


def read_splits(results: Results) -> Splits:
    """Pixels and manifest rows of each split."""
    return {split: results.split(split) for split in SPLITS}


def errors_beside_training(results: Results, splits: Splits) -> list[Sheet]:
    """For each class the most confident errors of the selected model on test, and training images of the same class.

    The training images are a random sample, drawn with a fixed seed. A difference in framing shows at a glance.
    """
    test, train = splits["test"], splits["train"]
    threshold, table = results.best["threshold"], results.test[results.selected]
    sheets = []
    for label, word in enumerate(CLASSES):
        called = table["score"] >= threshold
        wrong = table[(table["label"] == label) & (called != (label == 1))]
        worst = wrong.sort_values(["logit", "image"], ascending=[label == 1, True]).head(ERRORS)
        of_class = np.flatnonzero(train.rows["label"] == label)
        drawn = np.random.default_rng(0).permutation(of_class)[: max(len(worst), FEWEST_TRAINING)]
        sheets.append(
            Sheet(
                f"Test: {word}, called {CLASSES[1 - label]} ({len(worst)} of {len(wrong)}, most confident first)",
                [
                    _picture(test, image, f"score {score:.3f}")
                    for image, score in zip(worst["image"], worst["score"], strict=True)
                ],
                f"Training: {word} ({len(drawn)} of {len(of_class)}, at random)",
                [_picture(train, train.rows["image"].iloc[row], "") for row in np.sort(drawn)],
            )
        )
    return sheets


def errors_elsewhere(results: Results) -> dict[str, dict[str, list[Picture]]]:
    """For each other data set and each class the most confident errors of the selected model, under a heading."""
    sheets: dict[str, dict[str, list[Picture]]] = {}
    for name, table in results.elsewhere.items():
        split, called = results.elsewhere_split(name), table["score"] >= results.external[name]["threshold"]
        sheets[name] = {}
        for label, word in enumerate(CLASSES):
            wrong = table[(table["label"] == label) & (called != (label == 1))]
            worst = wrong.sort_values(["logit", "image"], ascending=[label == 1, True]).head(ERRORS)
            heading = f"{word}, called {CLASSES[1 - label]} ({len(worst)} of {len(wrong)}, most confident first)"
            sheets[name][heading.capitalize()] = [
                _picture(split, image, f"score {score:.3f}")
                for image, score in zip(worst["image"], worst["score"], strict=True)
            ]
    return sheets


def near_duplicates(results: Results, splits: Splits) -> list[tuple[Picture, Picture]]:
    """Pairs that look alike though they are not the same file; those across splits first."""
    pairs = results.audit["near_duplicates"]
    ordered = pairs.assign(same=pairs["split_a"] == pairs["split_b"]).sort_values(
        ["same", "correlation"], ascending=[True, False], kind="stable"
    )
    return [
        (
            _with_patient(splits, pair["split_a"], pair["image_a"]),
            _with_patient(splits, pair["split_b"], pair["image_b"]),
        )
        for pair in ordered.head(PAIRS).to_dict("records")
    ]


def suspected_labels(results: Results, splits: Splits) -> list[Suspect]:
    """All images whose label a cross-validated classifier does not believe: those of test, then of train and val, the
    least believed first.
    """
    scored = pd.concat([results.test[results.selected], results.validation[results.selected]])
    scores = dict(zip(scored["image"], scored["score"], strict=True))
    ordered = results.suspects.sort_values(["probability", "image"])
    return [
        Suspect(
            _thumbnail(splits[split], suspect["image"]),
            suspect["image"],
            SPLITS[split],
            CLASSES[suspect["label"]],
            suspect["probability"],
            scores.get(suspect["image"]),
        )
        for split in SUSPECTED_IN
        for suspect in ordered[ordered["split"] == split].to_dict("records")
    ]


def _with_patient(splits: Splits, split: str, image: str) -> Picture:
    rows = splits[split].rows
    (patient,) = rows.loc[rows["image"] == image, "patient"]
    return _picture(splits[split], image, f"{SPLITS[split]}, {patient}")


def _picture(split: packed.Split, image: str, caption: str) -> Picture:
    return Picture(_thumbnail(split, image), caption, image)


def _thumbnail(split: packed.Split, image: str) -> str:
    (row,) = np.flatnonzero(split.rows["image"] == image)
    return thumbnail(split.pixels([int(row)])[0])
