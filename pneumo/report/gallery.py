"""Pictures that a radiologist asks for: the worst mistakes beside training images, copies, doubtful labels."""

from dataclasses import dataclass

import numpy as np

from pneumo.data import manifest, packed
from pneumo.report.figures.pictures import thumbnail
from pneumo.report.results import Results

ERRORS = 12  # of each kind
PAIRS = 12
SUSPECTS = 24
CLASSES = ("normal", "pneumonia")


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


def errors_beside_training(results: Results) -> list[Sheet]:
    """For each class the most confident errors of the chosen model on test, and training images of the same class.

    The training images are a random sample, drawn with a fixed seed. A difference in framing shows at a glance.
    """
    test, train = results.split("test"), results.split("train")
    threshold, table = results.best["threshold"], results.test[results.chosen]
    sheets = []
    for label, word in enumerate(CLASSES):
        called = table["score"] >= threshold
        wrong = table[(table["label"] == label) & (called != (label == 1))]
        worst = wrong.sort_values(["logit", "image"], ascending=[label == 1, True])
        shown = worst.head(ERRORS)
        of_class = np.flatnonzero(train.rows["label"] == label)
        drawn = np.sort(np.random.default_rng(0).permutation(of_class)[: max(len(shown), 4)])
        other = CLASSES[1 - label]
        sheets.append(
            Sheet(
                f"test, {word}, called {other}: {len(shown)} most confident of {len(wrong)}",
                [
                    _picture(test, image, f"score {score:.3f}")
                    for image, score in zip(shown["image"], shown["score"], strict=True)
                ],
                f"training, {word}: {len(drawn)} at random of {len(of_class)}",
                [_picture(train, train.rows["image"].iloc[row], "") for row in drawn],
            )
        )
    return sheets


def near_duplicates(results: Results) -> list[tuple[Picture, Picture]]:
    """Pairs that look alike though they are not the same file; those across splits first."""
    pairs = results.audit["near_duplicates"]
    ordered = pairs.assign(same=pairs["split_a"] == pairs["split_b"]).sort_values(
        ["same", "correlation"], ascending=[True, False], kind="stable"
    )
    return [
        (_of(results, pair["image_a"], pair["split_a"]), _of(results, pair["image_b"], pair["split_b"]))
        for pair in ordered.head(PAIRS).to_dict("records")
    ]


def suspected_labels(results: Results) -> list[Picture]:
    """Images whose label a cross-validated classifier does not believe, the least believed first."""
    some = results.audit["suspected_labels"].head(SUSPECTS)
    return [
        _picture(
            results.split(suspect["split"]),
            suspect["image"],
            f"{suspect['split']}, {CLASSES[suspect['label']]}: {suspect['probability']:.2g}",
        )
        for suspect in some.to_dict("records")
    ]


def _of(results: Results, image: str, split: str) -> Picture:
    return _picture(results.split(split), image, f"{split}, {manifest.identify(image).patient}")


def _picture(part: packed.Split, image: str, caption: str) -> Picture:
    (row,) = np.flatnonzero(part.rows["image"] == image)
    return Picture(thumbnail(part.pixels([int(row)])[0]), caption, image)
