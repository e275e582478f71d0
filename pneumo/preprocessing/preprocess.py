"""Raw files -> packed pixels, manifest and rejected.csv."""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from pneumo.data import manifest, packed
from pneumo.data.manifest import Identity
from pneumo.errors import ImageRejected, SourceError, TooManyRejected
from pneumo.preprocessing import copies, counts, images, splits

FEW = 1_000  # files: starting more processes takes longer than reading so few in this one


def preprocess(
    raw: Path,
    out: Path,
    *,
    image_size: int,
    max_rejected: float,
    seed: int,
    val_fraction: float,
    subset: int | None = None,
    allow: Collection[str] = (),
    exclude: Collection[str] = (),
    jobs: int | None = None,
) -> dict[str, Any]:
    """Fill `out` with images.npy, rejected.csv and, once all else has succeeded, manifest.csv; return the counts.

    Every file under `raw` is in the manifest or in rejected.csv. exclude: names of images to leave out; allow: images
    whose copies may be in another split. Raises TooManyRejected where more than the share `max_rejected` of the files
    cannot be read, SplitError where the parts would leak or lack a class, and AuditError where one image would be in
    two splits or a name in `allow` or `exclude` is none of the files received.
    """
    names = received(raw)
    copies.refuse_unknown(allow, names, "audit.allow")
    copies.refuse_unknown(exclude, names, "audit.exclude")
    identities = [manifest.identify(name) for name in names if name not in exclude]
    splits.refuse_leak(identities)
    sampled = splits.sample(identities, subset, seed=seed) if subset else {identity.image for identity in identities}
    todo = [identity for identity in identities if identity.image in sampled]

    out.mkdir(parents=True, exist_ok=True)
    for name in ("images.npy", "rejected.csv", "manifest.csv"):
        (out / name).unlink(missing_ok=True)  # a failure must not leave an old manifest beside new pixels
    jobs = jobs or (1 if len(todo) < FEW else -1)
    rows, unreadable = _pack(raw, todo, out / "images.npy", image_size, jobs)
    _refuse_many(unreadable, len(todo), max_rejected)
    table = pd.DataFrame(rows)
    usable = set(table["image"])
    used = [identity for identity in todo if identity.image in usable]
    table["split"] = splits.assign(used, seed=seed, val_fraction=val_fraction)
    copies.refuse_across_splits(copies.find(table, np.load(out / "images.npy", mmap_mode="r")), allow)
    unsampled = [
        (identity.image, f"{counts.UNSAMPLED}{subset}") for identity in identities if identity.image not in sampled
    ]
    left_out = [*unreadable, *unsampled, *((image, counts.EXCLUDED) for image in set(exclude))]
    rejected = pd.DataFrame(sorted(left_out), columns=list(manifest.REJECTED_COLUMNS))
    rejected.to_csv(out / "rejected.csv", index=False, lineterminator="\n")
    manifest.write(table, out / "manifest.csv")
    return counts.received(table, rejected, subset) | counts.parts(table)


def received(raw: Path) -> list[str]:
    """Paths of all files below `raw`, relative to it, sorted."""
    found = sorted(path.relative_to(raw).as_posix() for path in raw.glob("*/*/*") if path.is_file())
    if not found:
        raise SourceError(f"{raw} holds no images: run `dvc repro download`")
    odd = [name for name in found if any("\ud800" <= letter <= "\udfff" for letter in name)]
    if odd:
        raise SourceError(f"{raw}: the file name {odd[0]!a} is not UTF-8 and cannot go into a table: rename the file")
    return found


def _pack(
    raw: Path, todo: Sequence[Identity], path: Path, size: int, jobs: int
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    rows: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    with packed.Writer(path, size) as writer:
        for identity, result in zip(todo, _decode(raw, todo, size, jobs), strict=True):
            if isinstance(result, str):
                unreadable.append((identity.image, result))
                continue
            writer.append(result.pixels)
            rows.append(vars(identity) | {"width": result.width, "height": result.height, "sha256": result.sha256})
    return rows, unreadable


def _decode(raw: Path, todo: Sequence[Identity], size: int, jobs: int) -> Iterator[images.Radiograph | str]:
    """Decode in `jobs` processes, in order, holding no more than what they are at work on."""
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=16, pre_dispatch="4*n_jobs")
    results = parallel(joblib.delayed(_read)(raw / identity.image, size) for identity in todo)
    console = Console(stderr=True)
    return iter(track(results, "images", len(todo), console=console, disable=not console.is_terminal))


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
        f"The first{os.linesep}{first}\nMend or remove them, or raise preprocess.max_rejected."
    )
