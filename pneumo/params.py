"""Typed parameters. `read` refuses a params.yaml that it does not understand; `load` gives a stage its share of it.

A stage declares what it reads as a Section of its own, with fields named like the sections of Params:

    class Params(Section):
        model: Backbone  # model.NAME: of the backbone that the stage is run for
        runtime: Runtime

Of a section that is typed by a base class it gets, and dvc.yaml lists, the fields of that class alone.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pneumo.errors import ParamsError

Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
PositiveFraction = Annotated[float, Field(strict=True, gt=0, le=1)]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
Share0 = Annotated[float, Field(strict=True, ge=0, lt=1)]
Scores = Literal["plain", "stress"]
Rate = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
RESERVED = ("best", "data", "shortcut")  # metrics/ has files of these names
Folder = Annotated[str, Field(pattern="^(train|val|test)/(NORMAL|PNEUMONIA)$")]
View = Literal["PA", "AP", "FRONTAL", "LATERAL", "OBLIQUE", "DECUBITUS", "LORDOTIC"]
NO_KEY = "stages/preprocess.py"  # DVC needs a file to watch
SOURCES = {  # data.source, a module of pneumo/sources -> the keys of `data` that it cannot do without
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


def _named_weights(weights: str) -> str:
    if weights not in ("imagenet", "none") and not weights.endswith(".safetensors"):
        raise ValueError("expected 'imagenet', 'none' or a .safetensors path")
    if weights.endswith(".safetensors") and not Path(weights).is_file():
        raise ValueError(_no_such_file(weights))
    return weights


def _no_such_file(path: str) -> str:
    """Says where the file is if `path` starts with ~, or if a queued run works in a copy of the project, DVC_ROOT."""
    with suppress(RuntimeError):  # no such user
        elsewhere = Path(os.environ.get("DVC_ROOT", ""), Path(path).expanduser()).absolute()
        if elsewhere.is_file():
            return f"there is no such file here; give the whole path, {elsewhere}"
    return "there is no such file"


Weights = Annotated[str, AfterValidator(_named_weights)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Origin(Subset):
    source: SourceName


class Data(Source, Origin):
    """The section `data`: also `path` and `table`, as the user gave them, from which conf/data/ makes `inputs`."""

    path: str | None
    table: str | None

    @model_validator(mode="after")
    def _source_has_its_keys(self) -> "Data":
        for key in SOURCES[self.source]:
            if getattr(self, key) is None:
                raise ValueError(f"data.{key} is null; data.source={self.source} needs it: -S data.{key}=VALUE")
        return self

    @model_validator(mode="after")
    def _table_is_described_once(self) -> "Data":
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


class External(Data):
    """One of the section `external`: another hospital's data, with the keys of `data`."""


class Preprocess(Section):
    """How films become pixels. `views`: which to take; null takes all. `patient_key`: a file that DVC watches, by
    which patients of DICOM are known; NO_KEY where none is needed."""

    image_size: Annotated[int, Field(strict=True, ge=32, le=1024)]
    fit: Literal["stretch", "pad"]
    views: Annotated[list[View], Field(min_length=1)] | None
    max_rejected: Fraction
    patient_key: str


def _column_and_value(text: str) -> str:
    column, _, value = text.partition(":")
    if not column or not value:
        raise ValueError("expected COLUMN:VALUE, such as site:nih")
    return text


class Split(Section):
    """How patients are kept apart. The test part is drawn, with a seed of its own, only where none is official.

    `leave_out`: COLUMN:VALUE of a column that the source keeps; these images alone are the test part.
    """

    seed: Count
    val_fraction: Share
    test_fraction: Share
    test_seed: Count
    max_unknown_patients: Fraction
    leave_out: Annotated[str, AfterValidator(_column_and_value)] | None


class Augment(Section):
    """Strength of each random change to a training image; 0 (or equal bounds) switches it off."""

    rotate: Annotated[float, Field(strict=True, ge=0, le=180)]  # degrees to either side
    area: tuple[PositiveFraction, PositiveFraction]  # share of the field that a random crop keeps
    aspect: Annotated[float, Field(strict=True, ge=1, le=4)]  # width to height of the crop, up to this or its inverse
    shift: Annotated[float, Field(strict=True, ge=0, le=0.5)]  # of the crop beyond the border, in shares of the field
    flip: Fraction  # probability of a left-right mirror image
    brightness: Annotated[float, Field(strict=True, ge=0, lt=1)]
    contrast: Annotated[float, Field(strict=True, ge=0, lt=1)]
    gamma: Annotated[float, Field(strict=True, ge=1, le=4)]
    local_contrast: Fraction  # probability
    blur: Fraction  # probability
    noise: Fraction  # probability
    erase: Fraction  # probability
    mixup: NonNegative  # parameter of the Beta distribution of the share of another image

    @field_validator("area")
    @classmethod
    def _ordered(cls, area: tuple[float, float]) -> tuple[float, float]:
        if area[0] > area[1]:
            raise ValueError("the lower bound comes first")
        return area


class Device(Section):
    accelerator: Literal["auto", "cpu", "gpu"]


class Training(Device):
    """How every backbone is trained; a backbone's own values stand in `model.NAME`."""

    seed: Count
    probe: Rate | None
    label_smoothing: Share0
    ema: Share0
    monitor: Literal["roc_auc", "loss", "stress_roc_auc", "stress_loss"]
    patience: Positive
    warmup: Share
    gradient_clip: Rate
    imbalance: Literal["weights", "sampling", "none"]
    compile: Annotated[bool, Field(strict=True)]
    devices: Positive
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class Train(Training):
    """The section `train`: also the defaults that conf/model/ takes over into each `model.NAME`."""

    recipe: Literal["fine_tune", "from_scratch"]
    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2)]
    weights: Weights
    input: Literal["native", "small"]
    layer_decay: PositiveFraction


class Backbone(Section):
    """How one network is made and trained. `architecture`: one of our own, or a timm model with its pretrained tag."""

    architecture: str
    weights: Weights
    input_size: Annotated[int, Field(strict=True, ge=32, le=1024)]
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)]
    optimizer: Literal["rmsprop", "adamw", "sgd"]
    lr: Rate
    weight_decay: NonNegative
    layer_decay: PositiveFraction
    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2)]


class BackboneFile(Backbone):
    """The section `model.NAME`: also the tables from which the recipe and train.input pick."""

    input_sizes: dict[Literal["native", "small"], Positive]
    lrs: dict[Literal["fine_tune", "from_scratch"], Rate]


class Views(Section):
    """Test-time augmentation: a score is the mean over these views of an image."""

    flip: Annotated[bool, Field(strict=True)]
    zooms: Annotated[list[Annotated[float, Field(strict=True, ge=0.5, le=1)]], Field(min_length=1)]


class Threshold(Section):
    """How the decision threshold is found on validation scores; `value` belongs to some policies."""

    scores: Scores
    policy: Literal["youden", "f1", "sensitivity", "specificity", "fixed"]
    value: Fraction | None

    @model_validator(mode="after")
    def _value_where_needed(self) -> "Threshold":
        needs = self.policy in ("sensitivity", "specificity", "fixed")
        if needs != (self.value is not None):
            raise ValueError(f"policy {self.policy} {'needs a' if needs else 'takes no'} value in [0, 1]")
        return self


class Ensemble(Section):
    """The mean logit of all backbones, or of the `top` best by select.metric on validation."""

    top: Literal["all"] | Annotated[int, Field(strict=True, ge=2)]


class Bootstrap(Section):
    """Resampling of patients: paired differences, the choice and bands of curves."""

    resamples: Annotated[int, Field(strict=True, ge=200, le=100_000)]
    seed: Count


class Evaluate(Section):
    prevalence: Annotated[float, Field(strict=True, gt=0, lt=1)]  # of pneumonia, for ppv and npv


class Selection(Section):
    """What candidates are ranked by: a metric of these validation scores."""

    scores: Scores
    metric: Literal["roc_auc", "average_precision", "accuracy", "f1", "recall", "specificity"]


class Select(Selection):
    """The section `select`."""

    prefer_cheaper: Annotated[bool, Field(strict=True)]


class Review(Section):
    """When `pneumo review` calls a model better or worse: by one metric, beyond chance at `alpha`, two-sided."""

    metric: Literal["roc_auc", "accuracy", "recall", "specificity"]
    margin: Annotated[float, Field(strict=True, ge=0, lt=1)]  # a loss up to this is tolerated
    alpha: Annotated[float, Field(strict=True, ge=0.001, le=0.2)]


class Explain(Section):
    """Grad-CAM of the most confident right and wrong cases: `cases` of each of the four kinds."""

    cases: Annotated[int, Field(strict=True, ge=1, le=50)]
    seed: Count


class Audit(Section):
    """Exceptions to what the audit of the data refuses: image names like train/NORMAL/IM-0115-0001.jpeg."""

    allow: list[str]  # copies of these may stand in another split
    exclude: list[str]  # left out of everything, and listed in rejected.csv


class Runtime(Section):
    """What fixes floating-point results on a CPU: thread count and instruction set."""

    threads: Positive
    cpu_isa: Literal["sse4.1", "avx2", "avx512", "amx", "native"]


_RENAME: dict[str | None, str] = {
    "model": "Rename its file in conf/model/, and the name where it stands in that file",
    "external": "Rename its file in conf/external/, and the name where it stands in that file",
    "ensembles": "Rename it below `ensembles` of its file in conf/model/, or in -S +ensembles.NAME.top=all",
}


def _not_a_name(name: str) -> str | None:
    """Why a backbone or an ensemble cannot have this name; None if it can."""
    if name.lower() in RESERVED:  # some file systems do not tell upper from lower case
        return f"metrics/{name.lower()}.json is not about a model"
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", name):
        return "files, stages and -S take a letter of a-z first, then letters, digits, - and _"
    return None


class Params(Section):
    data: Data
    external: dict[str, External]
    preprocess: Preprocess
    split: Split
    augment: Augment
    train: Train
    model: Annotated[dict[str, BackboneFile], Field(min_length=1)]
    ensembles: dict[str, Ensemble]
    views: Views
    threshold: Threshold
    bootstrap: Bootstrap
    evaluate: Evaluate
    select: Select
    review: Review
    explain: Explain
    audit: Audit
    runtime: Runtime

    @field_validator("model", "ensembles", "external")
    @classmethod
    def _names_are_paths(cls, named: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        for name in named:
            if reason := _not_a_name(name):
                raise ValueError(
                    f"{info.field_name}.{name} cannot have this name: {reason}. {_RENAME[info.field_name]}"
                )
        return named

    @model_validator(mode="after")
    def _ensembles_have_members(self) -> "Params":
        for name, ensemble in self.ensembles.items():
            if name in self.model:
                raise ValueError(f"ensembles.{name} has the name of a backbone")
            if len(self.model) < 2 or (ensemble.top != "all" and ensemble.top > len(self.model)):
                raise ValueError(f"ensembles.{name} needs more backbones than {', '.join(self.model)}: -S model=all")
        return self

    @model_validator(mode="after")
    def _something_is_learnt(self) -> "Params":
        for name, backbone in self.model.items():
            if not backbone.epochs and (self.train.probe is None or backbone.weights == "none"):
                raise ValueError(
                    f"model.{name}.epochs is 0, which leaves the linear probe alone, and there is none: it needs "
                    f"train.probe, which is {self.train.probe}, and weights, which are {backbone.weights}"
                )
        return self

    @property
    def candidates(self) -> list[str]:
        """Names of everything that is scored, calibrated and compared: backbones, then ensembles."""
        return [*self.model, *self.ensembles]


StageParams = TypeVar("StageParams", bound=Section)


def load(stage: type[StageParams], name: str | None = None, path: Path = Path("params.yaml")) -> StageParams:
    """What `stage` declares of the parameters, all of which are checked. `name`: of the backbone or ensemble it is for.

    Raises ParamsError like `read`, and where params.yaml has no backbone or ensemble `name`.
    """
    params = read(path)
    values = {}
    for section, kind in get_type_hints(stage).items():
        value = getattr(params, section)
        if _is_section(kind) and isinstance(value, dict):
            if name not in value:
                raise ParamsError(
                    f"{path} has no {section}.{name}; it has {', '.join(value) or 'none'}. "
                    "conf/model/ lists what `dvc exp run -S model=NAME` can choose."
                )
            value = value[name]
        if _is_section(kind):
            value = kind.model_construct(**{key: getattr(value, key) for key in kind.model_fields})
        values[section] = value
    return stage.model_construct(**values)


def declared(stage: type[Section]) -> list[str]:
    """The parameters that `load` gives to `stage`, as dvc.yaml has to list them."""
    keys = []
    for section, kind in get_type_hints(stage).items():
        whole = Params.model_fields[section].annotation
        key = section
        if _is_section(kind) and not _is_section(whole):
            key, whole = f"{section}.${{key}}", get_args(whole)[1]
        keys += [key] if not _is_section(kind) or kind is whole else [f"{key}.{field}" for field in kind.model_fields]
    return sorted(keys)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def read(path: Path = Path("params.yaml")) -> Params:
    """All parameters, checked.

    Raises ParamsError, which lists every key that is unknown, missing, of the wrong type or out of range.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing: run from the project's top folder") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}. It is composed from conf/ by `dvc exp run`.") from None
    return check(raw, str(path))


def check(raw: Any, where: str) -> Params:
    """`raw` as Params; `where` names it in errors."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [f"{where}: {_line(problem, raw)}" for problem in error.errors()]
        raise ParamsError("\n".join(lines) + "\nChange it in conf/ or with -S key=value.") from None


def _line(problem: Any, raw: Any) -> str:
    place = [part for part in problem["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in place)
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        known = ", ".join(_siblings(place))
        return f"{key} is not a parameter; expected one of {known}" if known else f"{key} is not a parameter"
    if place[:1] == ["external"]:
        message = message.replace("data.", f"{key}.")  # the same section, under another name
    if message.startswith(key):
        return message
    return f"{key} is {problem['input']!r}; {message}" if key else message


def _siblings(place: list[Any]) -> list[str]:
    section: Any = Params
    for part in place[:-1]:
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        if field is None:
            continue
        section = {"model": BackboneFile, "phantom": Phantom, "ensembles": Ensemble, "external": External}.get(
            part, field.annotation
        )
    return sorted(section.model_fields) if hasattr(section, "model_fields") else []
