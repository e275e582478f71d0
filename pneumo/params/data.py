"""Sections about images: where they come from, what is made of them, how patients are kept apart."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pneumo.params.values import Count, Fraction, Positive, Section, Share, Share0

Folder = Annotated[str, Field(pattern="^(train|val|test)/(NORMAL|PNEUMONIA)$")]
View = Literal["PA", "AP", "FRONTAL", "LATERAL", "OBLIQUE", "DECUBITUS", "LORDOTIC"]
NO_KEY = "stages/preprocess.py"  # DVC needs a file to watch
SOURCES: Mapping[str, tuple[str, ...]] = {  # data.source, a module of pneumo/sources -> the keys that it needs
    "phantom": ("phantom",),
    "archive": ("path",),
    "kaggle": ("dataset", "version"),
    "table": ("path", "delimiter", "columns", "labels", "duplicates"),
}
Part = Literal["train", "val", "test"]
Value = str | int | float | bool  # of a table's cell


def _rule(rule: Any) -> Any:
    lists = rule.values() if isinstance(rule, dict) else [rule]
    if not all(isinstance(values, list) and all(isinstance(value, Value) for value in values) for values in lists):
        raise ValueError("expected a list of values of data.columns.label, or {column: [values]}")
    return rule


Rule = Annotated[list[Value] | dict[str, list[Value]], BeforeValidator(_rule)]


def _known_source(source: str) -> str:
    if source not in SOURCES:
        *others, last = map(repr, SOURCES)
        raise ValueError(f"expected {', '.join(others)} or {last}")
    return source


SourceName = Annotated[str, AfterValidator(_known_source)]


class Phantom(Section):
    """Images to draw: `images[split][subtype]` is a count, `size` the nominal height in pixels."""

    seed: Count
    size: Annotated[int, Field(strict=True, ge=64, le=1024)]
    images: Mapping[str, Mapping[str, Count]]


class Inputs(Section):
    """Files of this machine that DVC watches for a source: paths, relative to the project or absolute."""

    images: str
    table: str


class Columns(Section):
    """What a table calls its columns. `keep`: further ones for the manifest, as a list or as {new name: name}."""

    image: str
    label: str | None
    patient: str | None
    split: str | None
    subtype: str | None
    view: str | None
    keep: list[str] | dict[str, str] | None


class Labels(Section):
    """Which values mean what; every other row is left out. `separator` stands between the values of one cell."""

    pneumonia: Rule | None
    normal: Rule | None
    separator: Annotated[str, Field(min_length=1)] | None


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class Patterns(Section):
    """What to take of a cell: the first group of a regular expression, or all that matches one without a group."""

    image: Pattern | None
    patient: Pattern | None


class Source(Section):
    """Where the images come from. Each source reads its own keys; the others are null."""

    source: SourceName
    inputs: Inputs
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    dataset: Annotated[str, Field(pattern="^[^/]+/[^/]+$")] | None
    version: Positive | None
    expected: Mapping[Folder, Count] | None
    phantom: Phantom | None
    tables: Mapping[Part, str] | None
    delimiter: Literal[",", ";", "|", "tab"] | None
    columns: Columns | None
    labels: Labels | None
    splits: Mapping[Part, list[Value]] | None
    where: Mapping[str, list[Value]] | None
    lists: Mapping[Part, str] | None
    suffix: str | None
    patterns: Patterns | None
    duplicates: Literal["reject", "majority"] | None


class Subset(Section):
    """`subset`: use about so many images."""

    subset: Annotated[int, Field(strict=True, ge=20)] | None


class Main(Subset):
    """`site`: what the images of `data` are called in the column `site`, where there are several sites."""

    site: Annotated[str, Field(min_length=1)]


class Sourced(Section):
    source: SourceName


class Origin(Subset, Sourced):
    """What the audit says of the images."""


class Described(Source, Origin):
    """A data set: also `path` and `table`, as the user gave them, from which conf/data/ makes `inputs`.

    `sets`: the files of conf/data/ that it was composed from, each with its source.
    """

    sets: dict[str, SourceName]
    path: str | None
    table: str | None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        """Hydra merges `data=[one,two]` into one, of which the last value of each key counts."""
        names = [name for name in self.sets if name != "table"] or list(self.sets)
        if len(names) == 1 and set(self.sets.values()) != {self.source}:
            names = list(self.sets)
        if len(names) > 1:
            ways = " ".join(f"-S +data@sites.{name}={name}" for name in names[1:])
            raise ValueError(
                f"data is composed of {', '.join(names)}; further sites are added: -S data={names[0]} {ways}"
            )
        if names and self.sets[names[0]] != self.source:
            raise ValueError(
                f"data.source is {self.source!r}, and conf/data/{names[0]}.yaml is read by "
                f"{self.sets[names[0]]!r}: choose another file, as in -S data={self.source}"
            )
        return self

    @model_validator(mode="after")
    def _source_has_its_keys(self) -> Self:
        for key in SOURCES[self.source]:
            if getattr(self, key) is None:
                raise ValueError(f"data.{key} is null; data.source={self.source} needs it: -S data.{key}=VALUE")
        return self

    @model_validator(mode="after")
    def _table_is_described_once(self) -> Self:
        if self.columns is None or self.labels is None:
            return self
        if (self.table is None) == (self.tables is None):
            raise ValueError(
                f"data.table is {self.table!r} and data.tables {self.tables}; expected one of them: "
                "-S data.table=FILE -S data.tables=null"
            )
        ways = {"data.columns.split": self.columns.split, "data.lists": self.lists, "data.tables": self.tables}
        given = [key for key, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both say which part an image is in; set all but one to null")
        if self.splits is not None and self.columns.split is None:
            raise ValueError("data.splits needs the column whose values it lists: -S data.columns.split=…")
        for name in ("pneumonia", "normal"):
            rule = getattr(self.labels, name)
            if not rule:
                raise ValueError(f"data.labels.{name} is {rule}; name its values: -S 'data.labels.{name}=[…]'")
            if isinstance(rule, list) and self.columns.label is None:
                raise ValueError(
                    f"data.labels.{name} is a list of values of data.columns.label, which is null: "
                    "-S data.columns.label=…"
                )
        return self


class Data(Described, Main):
    """The section `data`."""


class Site(Described):
    """One of the section `sites`: a further hospital's images, with the keys of `data`."""

    @model_validator(mode="after")
    def _sampled_with_the_others(self) -> Self:
        if self.subset is not None:
            raise ValueError(
                f"data.subset is {self.subset}; the section `data` has the one for all sites: set it there"
            )
        return self


class External(Described):
    """One of the section `external`: another hospital's data, with the keys of `data`."""


class Sites(Section):
    """Which `sites` there are, and the folder that DVC watches for their images."""

    names: list[str]
    folder: str


class Sited(Section):
    sites: Sites


class Fit(Section):
    """`fit`: how a film becomes a square."""

    fit: Literal["stretch", "pad"]


class FilmViews(Section):
    """`views`: of which films are taken; null takes all."""

    views: Annotated[list[View], Field(min_length=1)] | None


class Pixels(Fit, FilmViews):
    """How films become pixels. `patient_key`: a file that DVC watches, by which patients of DICOM are known; NO_KEY
    where none is needed."""

    image_size: Annotated[int, Field(strict=True, ge=32, le=1024)]
    max_rejected: Fraction
    patient_key: str


class Preprocess(Pixels, Sited):
    """The section `preprocess`."""


def _column_and_value(text: str) -> str:
    column, _, value = text.partition(":")
    if not column or not value:
        raise ValueError("expected COLUMN:VALUE, such as site:nih")
    return text


class Seed(Section):
    seed: Count


class Split(Seed):
    """How patients are kept apart. The test part is drawn, with a seed of its own, only where none is official.

    `leave_out`: COLUMN:VALUE of a column that the source keeps; these images alone are the test part.
    """

    val_fraction: Share
    test_fraction: Share0
    test_seed: Count
    max_unknown_patients: Fraction
    leave_out: Annotated[str, AfterValidator(_column_and_value)] | None


class Audit(Section):
    """Exceptions to what the audit of the data refuses: image names like train/NORMAL/IM-0115-0001.jpeg."""

    allow: list[str]  # copies of these may stand in another split
    exclude: list[str]  # left out of everything, and listed in rejected.csv
