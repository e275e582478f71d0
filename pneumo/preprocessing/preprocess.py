"""Raw files -> packed pixels, manifest and rejected.csv."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo.data import manifest, packed
from pneumo.data.manifest import Identity
from pneumo.errors import ImageRejected, SourceError, TooManyRejected
from pneumo.preprocessing import copies, counts, images, splits

AHEAD = 64  # images that are decoded before they can be written


def preprocess(
    raw: Path,
    out: Path,
    *,
    image_size: int,
    max_rejected: float,
    seed: int,
    val_fraction: float,
    max_unknown_patients: float,
    subset: int | None = None,
    allow: Sequence[str] = (),
    exclude: Sequence[str] = (),
    threads: int | None = None,
) -> dict[str, Any]:
    """Fill `out` with images.npy, rejected.csv and, once all else has succeeded, manifest.csv; return the counts.

    Every file under `raw` is in the manifest or in rejected.csv. exclude: names of images to leave out; allow: images
    whose copies may be in another split; threads: None chooses. Raises TooManyRejected if more than the share
    `max_rejected` of the files cannot be read; SplitError if more than the share `max_unknown_patients` of the names
    gives no patient, if a patient would be in two splits or a split would lack a class; and AuditError if an image
    would be in two splits or if `allow` or `exclude` names a file that is not there.
    """
    names = received(raw)
    copies.refuse_unknown(allow, names, "audit.allow")
    copies.refuse_unknown(exclude, names, "audit.exclude")
    identities = [manifest.identify(name) for name in names if name not in exclude]
    splits.refuse_unknown_patients(identities, max_unknown_patients)
    splits.refuse_leak(identities)
    sampled = splits.sample(identities, subset, seed=seed) if subset else {identity.image for identity in identities}
    todo = [identity for identity in identities if identity.image in sampled]

    out.mkdir(parents=True, exist_ok=True)
    for name in ("images.npy", "rejected.csv", "manifest.csv"):
        (out / name).unlink(missing_ok=True)  # a failure must not leave an old manifest beside new pixels
    rows, unreadable = _pack(raw, todo, out / "images.npy", image_size, threads)
    _refuse_many(unreadable, len(todo), max_rejected)
    table = pd.DataFrame(rows)
    usable = set(table["image"])
    used = [identity for identity in todo if identity.image in usable]
    table["split"] = splits.assign(used, seed=seed, val_fraction=val_fraction)
    copies.refuse_across_splits(copies.find(table, np.load(out / "images.npy", mmap_mode="r")), allow, exclude)
    unsampled = [
        (identity.image, f"{counts.UNSAMPLED}{subset}") for identity in identities if identity.image not in sampled
    ]
    left_out = [*unreadable, *unsampled, *((image, counts.EXCLUDED) for image in set(exclude))]
    rejected = pd.DataFrame(sorted(left_out), columns=list(manifest.REJECTED_COLUMNS))
    rejected.to_csv(out / "rejected.csv", index=False, lineterminator="\n")
    manifest.write(table, out / "manifest.csv")
    return counts.received(table, rejected, subset) | counts.usable(table)


def received(raw: Path) -> list[str]:
    """Paths of all files below `raw`, relative to it, sorted."""
    names = sorted(path.relative_to(raw).as_posix() for path in raw.glob("*/*/*") if path.is_file())
    if not names:
        raise SourceError(f"{raw} holds no images: run `dvc repro download`")
    not_utf8 = [name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name)]
    if not_utf8:
        raise SourceError(f"{raw}: the file name {not_utf8[0]!a} is not UTF-8 and cannot go into a table: rename it")
    return names


def _pack(
    raw: Path, todo: Sequence[Identity], path: Path, size: int, threads: int | None
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    rows: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    with packed.Writer(path, size) as writer:
        for identity, result in zip(todo, _decode(raw, todo, size, threads), strict=True):
            if isinstance(result, str):
                unreadable.append((identity.image, result))
                continue
            writer.append(result.pixels)
            rows.append(vars(identity) | {"width": result.width, "height": result.height, "sha256": result.sha256})
    return rows, unreadable


def _decode(raw: Path, todo: Sequence[Identity], size: int, threads: int | None) -> Iterator[images.Radiograph | str]:
    """Decode in order, a few images ahead. Threads will do: Pillow decodes and resizes without Python's global lock."""
    with ThreadPoolExecutor(threads) as pool:
        decoding: deque[Future[images.Radiograph | str]] = deque()
        for identity in _with_bar(todo):
            decoding.append(pool.submit(_read, raw / identity.image, size))
            if len(decoding) == AHEAD:
                yield decoding.popleft().result()
        while decoding:
            yield decoding.popleft().result()


def _with_bar(todo: Sequence[Identity]) -> Iterable[Identity]:
    if not sys.stderr.isatty():
        return todo
    from rich.console import Console
    from rich.progress import track

    return track(todo, "images", console=Console(stderr=True))


def _read(path: Path, size: int) -> images.Radiograph | str:
    try:
        return images.read_image(path, size)
    except ImageRejected as error:
        return str(error)


def _refuse_many(unreadable: list[tuple[str, str]], total: int, max_rejected: float) -> None:
    if len(unreadable) <= max_rejected * total and len(unreadable) < total:
        return
    first = "\n".join(f"  {image}: {reason}" for image, reason in unreadable[:5])
    raise TooManyRejected(
        f"{len(unreadable)} of {total} images cannot be read; preprocess.max_rejected allows {max_rejected:.2%}. "
        f"The first:\n{first}\nRepair or remove them, or raise preprocess.max_rejected."
    )
