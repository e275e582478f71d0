"""Patient-grouped assignment to train, val and test, and patient-grouped samples.

An official test set stays as it is; where there is none, test patients are drawn once, by a seed of their own. The
other patients go to val or train. Each is decided by a hash of the seed and the patient alone, so that adding images to
the data set never moves a patient from one split to another. Every class is drawn from at the same rate.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pneumo.data.listing import SITE, UNKNOWN, Listed
from pneumo.errors import SplitError

if TYPE_CHECKING:
    from pneumo.params import Split

Stratum = tuple[bool, str, str]  # whether in the test part, site, subtype


def position(patient: str, seed: int) -> float:
    """A number in [0, 1), uniform over patients, that depends on `seed` and `patient` alone."""
    digest = hashlib.sha256(f"{seed}:{patient}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def in_test(image: Listed, split: "Split") -> bool:
    """By split.leave_out, or officially, or drawn where the source has no official parts."""
    if split.leave_out is not None:
        column, _, value = split.leave_out.partition(":")
        return image.details.get(column) == value
    if image.source_split:
        return image.source_split == "test"
    return position(f"test:{image.patient}", split.test_seed) < split.test_fraction


def side(image: Listed, split: "Split") -> str:
    """`train`, `val` or `test` for one image."""
    if in_test(image, split):
        return "test"
    return "val" if position(image.patient, split.seed) < split.val_fraction else "train"


def assign(images: Sequence[Listed], split: "Split") -> list[str]:
    """The split of each image, in order.

    Raises SplitError if a patient has images both in the test set and outside it, or if a split would lack one of the
    two classes.
    """
    refuse_leak(images, split)
    sides = [side(image, split) for image in images]
    classes = {(name, image.label) for name, image in zip(sides, images, strict=True)}
    for name in ("train", "val", "test"):
        for label, word in enumerate(("NORMAL", "PNEUMONIA")):
            if (name, label) not in classes:
                raise SplitError(
                    f"{name} would get no {word} image out of {len(images)} images: use more images, or change "
                    f"split.val_fraction ({split.val_fraction}), split.test_fraction ({split.test_fraction}) or "
                    f"split.seed ({split.seed})"
                )
    return sides


def elsewhere(images: Sequence[Listed]) -> list[str]:
    """`test` for each image of another hospital. Raises SplitError where one of the two classes is missing."""
    for label, word in enumerate(("NORMAL", "PNEUMONIA")):
        if not any(image.label == label for image in images):
            raise SplitError(f"none of the {len(images)} images is {word}: both classes are needed to measure a model")
    return ["test"] * len(images)


def refuse_unknown_patients(images: Sequence[Listed], max_unknown: float) -> None:
    """Raise SplitError if more than the share `max_unknown` of the images has no patient: images of one child would
    be in train and in val, and all intervals would be over images.
    """
    unknown = [image.image for image in images if image.patient.startswith(UNKNOWN)]
    if len(unknown) > max_unknown * len(images):
        raise SplitError(
            f"{len(unknown)} of {len(images)} images, such as {unknown[0]}, give no patient; "
            f"split.max_unknown_patients allows {max_unknown:.0%}. Images of one patient could be in train and in val. "
            "Rename the files to CLASS-patient-image, as in BACTERIA-12-1.jpeg (also VIRUS, NORMAL), complete the "
            "table, or, if every image is of another patient: -S split.max_unknown_patients=1"
        )


def refuse_leak(images: Sequence[Listed], split: "Split") -> None:
    """Raise SplitError if a patient of the test set also has images outside it, or if split.leave_out names none."""
    _refuse_unknown_site(images, split.leave_out)
    sides: dict[str, dict[bool, str]] = defaultdict(dict)
    for image in images:
        if image.rejected:
            continue
        sides[image.patient].setdefault(in_test(image, split), image.image)
    leaks = sorted(patient for patient, of_patient in sides.items() if len(of_patient) > 1)
    if leaks:
        example = sides[leaks[0]]
        raise SplitError(
            f"{len(leaks)} patients are in the test set and outside it, first {leaks[0]}: {example[True]} and "
            f"{example[False]}. Move or remove the images of one side, or, if these are two patients, name them apart."
        )


def _refuse_unknown_site(images: Sequence[Listed], leave_out: str | None) -> None:
    if leave_out is None:
        return
    column, _, value = leave_out.partition(":")
    columns = sorted({key for image in images for key in image.details})
    if column not in columns:
        raise SplitError(
            f"split.leave_out is {leave_out!r}; the source keeps no column {column!r}, but "
            f"{', '.join(map(repr, columns)) or 'none'}. Keep one of the table: -S 'data.columns.keep=[{column}]'"
        )
    counts = Counter(image.details.get(column, "") for image in images)
    if value not in counts:
        sites = ", ".join(f"{site!r} ({count} images)" for site, count in counts.most_common())
        raise SplitError(f"split.leave_out is {leave_out!r}; no image has this {column}, but they have {sites}")


def sample(images: Sequence[Listed], size: int, split: "Split") -> set[str]:
    """Names of at most `size` images: whole patients, with test set, sites and subtypes in proportion.

    Patients are taken in an order that depends on the seed and the patient alone. A patient with more images than the
    stratum still needs is skipped, so the sample can fall a few images short of `size`.
    """
    strata: dict[Stratum, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for image in images:
        strata[in_test(image, split), image.details.get(SITE, ""), image.subtype][image.patient].append(image.image)
    sampled: set[str] = set()
    for key, patients in sorted(strata.items()):
        room = _share(size, strata, key, len(images))
        # Not in the order that decides between val and train: the first patients would all be on one side.
        for patient in sorted(patients, key=lambda name: position(f"sample:{name}", split.seed)):
            if len(patients[patient]) <= room:
                sampled.update(patients[patient])
                room -= len(patients[patient])
    return sampled


def _share(
    size: int,
    strata: dict[Stratum, dict[str, list[str]]],
    key: Stratum,
    total: int,
) -> int:
    """Images that stratum `key` may have: rounded cumulatively, so that the shares add up to `size` exactly."""
    before = sum(_count(strata[other]) for other in strata if other < key)
    upto = before + _count(strata[key])
    return round(size * upto / total) - round(size * before / total)


def _count(patients: dict[str, list[str]]) -> int:
    return sum(len(images) for images in patients.values())
