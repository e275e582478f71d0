"""Images that are in the dataset more than once: byte for byte, or with the same pixels in another file."""

import hashlib
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.errors import AuditError, override

COLUMNS = ("group", "image", "patient", "label", "split", "kind")
SHOWN = 5  # groups in an error message


def find(manifest: pd.DataFrame, pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """Every image that has a copy, COLUMNS, by group and image.

    pixels: uint8 [N, S, S], row i of `manifest`. group: 1, 2, ... by the first image. kind: `bytes` where another image
    of the group has the same SHA-256, `pixels` where only the packed pixels are equal (re-encoded losslessly).
    """
    table = manifest.assign(pixels=digests(pixels)).sort_values("image")
    table = table[table.duplicated("pixels", keep=False)]
    table["group"] = pd.factorize(table["pixels"])[0] + 1
    table["kind"] = np.where(table.duplicated("sha256", keep=False), "bytes", "pixels")
    return table.sort_values(["group", "image"], ignore_index=True).loc[:, list(COLUMNS)]


def digests(pixels: NDArray[np.uint8]) -> list[str]:
    """SHA-256 of the pixels of each image. Equal bytes decode to equal pixels, so these reveal all copies."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]


def summary(copies: pd.DataFrame) -> dict[str, int]:
    """Groups of copies, and how many of them reach across splits, classes and patients."""
    groups = copies.groupby("group")
    across = {"splits": "split", "classes": "label", "patients": "patient"}
    return {
        "groups": groups.ngroups,
        "images": len(copies),
        **{f"groups_across_{word}": int((groups[column].nunique() > 1).sum()) for word, column in across.items()},
    }


def refuse_unknown(names: Iterable[str], images: Collection[str], key: str) -> None:
    """Raise AuditError if `names`, the value of the parameter `key`, has a name that is not among `images`."""
    if unknown := sorted(set(names) - set(images)):
        raise AuditError(
            f"{key} names {unknown[0]!r}, which is not among the {len(images)} images; expected a path below data/raw "
            f"like {min(images, default='train/NORMAL/IM-0115-0001.jpeg')}: correct or remove it"
        )


def refuse_across_splits(copies: pd.DataFrame, allow: Sequence[str], exclude: Sequence[str] = ()) -> None:
    """Raise AuditError if copies of an image, none of them in `allow`, are in different splits.

    `allow`, `exclude`: the values of these parameters, to which the remedies add. They leave the test set whole.
    """
    counted = copies[~copies["image"].isin(allow)]
    crossing = [rows for _, rows in counted.groupby("group") if rows["split"].nunique() > 1]
    if not crossing:
        return
    lines = ["  " + " = ".join(f"{row.image} ({row.split})" for row in rows.itertuples()) for rows in crossing[:SHOWN]]
    if len(crossing) > SHOWN:
        lines.append(f"  and {len(crossing) - SHOWN} more")
    extra = [image for rows in crossing for image in _outside_the_kept_split(rows)]
    raise AuditError(
        f"{len(crossing)} images have copies in another split:\n" + "\n".join(lines) + "\n"
        "Look at them, and add one of these to the command: the first leaves the copies out, the second keeps both.\n"
        f"  {override('audit.exclude', [*exclude, *extra])}\n"
        f"  {override('audit.allow', [*allow, *extra])}"
    )


def _outside_the_kept_split(rows: pd.DataFrame) -> list[str]:
    """Of copies of one image those that are not in test, or, where none is in test, not in train."""
    kept = "test" if (rows["split"] == "test").any() else "train"
    return rows.loc[rows["split"] != kept, "image"].tolist()
