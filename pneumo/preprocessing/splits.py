"""Patient-grouped assignment to train, val and test, and patient-grouped samples.

The official test set stays as it is. The other patients go to val or train by a hash of the seed and the patient alone,
so that adding images to the dataset never moves a patient from one split to the other.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pneumo.data.manifest import UNKNOWN, Identity
from pneumo.errors import SplitError


def position(patient: str, seed: int) -> float:
    """A number in [0, 1), uniform over patients, that depends on `seed` and `patient` alone."""
    digest = hashlib.sha256(f"{seed}:{patient}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def side(identity: Identity, *, seed: int, val_fraction: float) -> str:
    """`train`, `val` or `test` for one image."""
    if identity.source_split == "test":
        return "test"
    return "val" if position(identity.patient, seed) < val_fraction else "train"


def assign(identities: Sequence[Identity], *, seed: int, val_fraction: float) -> list[str]:
    """The split of each image, in order.

    Raises SplitError if a patient has images both in the official test set and outside it, or if a split would lack one
    of the two classes.
    """
    refuse_leak(identities)
    splits = [side(identity, seed=seed, val_fraction=val_fraction) for identity in identities]
    classes = {(split, identity.label) for split, identity in zip(splits, identities, strict=True)}
    for split in ("train", "val", "test"):
        for label, word in enumerate(("NORMAL", "PNEUMONIA")):
            if (split, label) not in classes:
                raise SplitError(
                    f"{split} would get no {word} image out of {len(identities)} images: use more images, or change "
                    f"split.val_fraction ({val_fraction}) or split.seed ({seed})"
                )
    return splits


def refuse_unknown_patients(identities: Sequence[Identity], max_unknown: float) -> None:
    """Raise SplitError if more than the share `max_unknown` of the names gives no patient: images of one child would
    be in train and in val, and all intervals would be over images.
    """
    unknown = [identity.image for identity in identities if identity.patient.startswith(UNKNOWN)]
    if len(unknown) > max_unknown * len(identities):
        raise SplitError(
            f"{len(unknown)} of {len(identities)} file names, such as {unknown[0]}, give no patient; "
            f"split.max_unknown_patients allows {max_unknown:.0%}. Images of one patient could be in train and in val. "
            "Rename the files to CLASS-patient-image, as in BACTERIA-12-1.jpeg (also VIRUS, NORMAL), or, if every "
            "image is of another patient: -S split.max_unknown_patients=1"
        )


def refuse_leak(identities: Iterable[Identity]) -> None:
    """Raise SplitError if a patient of the official test set also has images outside it."""
    sides: dict[str, dict[bool, str]] = defaultdict(dict)
    for identity in identities:
        sides[identity.patient].setdefault(identity.source_split == "test", identity.image)
    leaks = sorted(patient for patient, images in sides.items() if len(images) > 1)
    if leaks:
        example = sides[leaks[0]]
        raise SplitError(
            f"{len(leaks)} patients are in the test set and outside it, first {leaks[0]}: {example[True]} and "
            f"{example[False]}. Move or remove the images of one side, or rename the files if these are two patients."
        )


def sample(identities: Sequence[Identity], size: int, *, seed: int) -> set[str]:
    """Names of at most `size` images: whole patients, with test set and subtypes in proportion.

    Patients are taken in an order that depends on the seed and the patient alone. A patient with more images than the
    stratum still needs is skipped, so the sample can fall a few images short of `size`.
    """
    strata: dict[tuple[bool, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for identity in identities:
        strata[identity.source_split == "test", identity.subtype][identity.patient].append(identity.image)
    sampled: set[str] = set()
    for key, patients in sorted(strata.items()):
        room = _share(size, strata, key, len(identities))
        # Not in the order that decides between val and train: the first patients would all be on one side.
        for patient in sorted(patients, key=lambda name: position(f"sample:{name}", seed)):
            if len(patients[patient]) <= room:
                sampled.update(patients[patient])
                room -= len(patients[patient])
    return sampled


def _share(
    size: int,
    strata: dict[tuple[bool, str], dict[str, list[str]]],
    key: tuple[bool, str],
    total: int,
) -> int:
    """Images that stratum `key` may have: rounded cumulatively, so that the shares add up to `size` exactly."""
    before = sum(_count(strata[other]) for other in strata if other < key)
    upto = before + _count(strata[key])
    return round(size * upto / total) - round(size * before / total)


def _count(patients: dict[str, list[str]]) -> int:
    return sum(len(images) for images in patients.values())
