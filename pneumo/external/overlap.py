"""Images of another hospital that are among ours, too: a model must not have seen what it is measured on."""

from pathlib import Path

import numpy as np
import pandas as pd

from pneumo.audit import near_duplicates
from pneumo.data import manifest
from pneumo.errors import AuditError
from pneumo.preprocessing import copies

SHOWN = 5  # pairs in an error message


def refuse(name: str, external: Path, internal: Path) -> None:
    """Raise AuditError if an image in the folder `external`, as preprocess fills it, is also in `internal`: the same
    bytes, the same pixels, or one exposure saved twice. `name`: of the external data set.
    """
    pairs = shared(external, internal)
    if len(pairs):
        lines = [
            f"  {row.external} = {row.internal} ({row.split}; {row.kind})" for row in pairs.head(SHOWN).itertuples()
        ]
        more = [f"  and {len(pairs) - SHOWN} more"] if len(pairs) > SHOWN else []
        raise AuditError(
            f"external.{name} shares {len(pairs)} images with {internal}:\n" + "\n".join([*lines, *more]) + "\n"
            f"Remove them from the data of external.{name}: the model was trained, selected or tested on them."
        )


def shared(external: Path, internal: Path) -> pd.DataFrame:
    """Pairs of the same image, with the columns external, internal, split (of the internal one) and kind."""
    here, there = (manifest.read_manifest(folder / "manifest.csv") for folder in (external, internal))
    pixels = [np.load(folder / "images.npy", mmap_mode="r") for folder in (external, internal)]
    found = [
        _equal(here["sha256"], there["sha256"], "same bytes"),
        _equal(pd.Series(copies.digests(pixels[0])), pd.Series(copies.digests(pixels[1])), "same pixels"),
        _near(*pixels),
    ]
    pairs = pd.concat(found, ignore_index=True).drop_duplicates(["a", "b"])
    return pd.DataFrame(
        {
            "external": here["image"].to_numpy()[pairs["a"].to_numpy(int)],
            "internal": there["image"].to_numpy()[pairs["b"].to_numpy(int)],
            "split": there["split"].to_numpy()[pairs["b"].to_numpy(int)],
            "kind": pairs["kind"].to_numpy(),
        }
    )


def _equal(first: pd.Series, second: pd.Series, kind: str) -> pd.DataFrame:
    a, b = (pd.DataFrame({"value": values, name: range(len(values))}) for values, name in ((first, "a"), (second, "b")))
    return a.merge(b, on="value")[["a", "b"]].assign(kind=kind)


def _near(first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    a, b = near_duplicates.between(first, second)
    return pd.DataFrame({"a": a, "b": b, "kind": "one exposure saved twice"})
