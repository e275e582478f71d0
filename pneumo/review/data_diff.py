"""Two manifests -> the images that one has and the other lacks, and those that both have but not alike."""

from dataclasses import dataclass, field

import pandas as pd

from pneumo.data.manifest import COLUMNS, truth

# What may differ of an image that both have -> the columns that say so.
KINDS = {
    "relabelled": ("label", "subtype"),
    "moved": ("split",),
    "changed": ("sha256",),
    "regrouped": ("patient",),
}
OTHERS = [name for name in COLUMNS if name != "image" and not any(name in columns for columns in KINDS.values())]


@dataclass(frozen=True)
class Entry:
    """What a manifest says of an image. `truth`: normal, pneumonia, or with a subtype, as bacterial pneumonia."""

    split: str
    truth: str
    patient: str
    sha256: str


@dataclass(frozen=True)
class Image:
    """An image by its name in the manifest; None where that side lacks it."""

    image: str
    base: Entry | None
    head: Entry | None

    @property
    def entries(self) -> list[Entry]:
        return [entry for entry in (self.base, self.head) if entry]


@dataclass(frozen=True)
class DataDiff:
    """Lists are sorted by name, and an image may be in several. `changed`: other content, by SHA-256; `regrouped`:
    given to another patient. `columns`: of images that both have, any other column -> how many differ in it; -1 where
    only one side has the column.
    """

    added: list[Image] = field(default_factory=list)
    removed: list[Image] = field(default_factory=list)
    relabelled: list[Image] = field(default_factory=list)
    moved: list[Image] = field(default_factory=list)
    changed: list[Image] = field(default_factory=list)
    regrouped: list[Image] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)


def data_diff(base: pd.DataFrame, head: pd.DataFrame) -> DataDiff:
    """Of two manifests as `manifest.check` accepts them."""
    before, after = base.set_index("image"), head.set_index("image")
    common = before.index.intersection(after.index)
    old, new = before.loc[common], after.loc[common]
    differ = {kind: (old[list(of)] != new[list(of)]).any(axis=1) for kind, of in KINDS.items()}
    lists = {kind: _images(old[rows], new[rows]) for kind, rows in differ.items()}
    lists["added"] = _images(before.iloc[:0], after.loc[after.index.difference(common)])
    lists["removed"] = _images(before.loc[before.index.difference(common)], after.iloc[:0])
    return DataDiff(**lists, columns=_columns(old, new))


def _images(before: pd.DataFrame, after: pd.DataFrame) -> list[Image]:
    """The rows of both, which have the images for their index."""
    old, new = _entries(before), _entries(after)
    return [Image(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]


def _entries(rows: pd.DataFrame) -> dict[str, Entry]:
    columns = (rows[name] for name in ("split", "label", "subtype", "patient", "sha256"))
    return {
        image: Entry(split, truth(label, subtype), patient, sha256)
        for image, split, label, subtype, patient, sha256 in zip(rows.index, *columns, strict=True)
    }


def _columns(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, int]:
    further = sorted({*old.columns, *new.columns} - set(COLUMNS))
    counts = {
        name: int((old[name] != new[name]).sum()) if name in old and name in new else -1 for name in (*OTHERS, *further)
    }
    return {name: count for name, count in counts.items() if count}
