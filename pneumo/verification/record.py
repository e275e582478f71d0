"""A folder that records a run, params.yaml, metrics/ and scores/, read without believing that its parts agree."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from pneumo.errors import VerifyError
from pneumo.params import Bootstrap, Ensemble, Evaluate, Scores, Select, Threshold
from pneumo.scoring import scores, stress
from pneumo.verification.compare import history

BASELINE = "shortcut"
OTHER_METRICS = ("best", "data")


class Network(BaseModel):
    """What metrics/NAME.json repeats of `model.NAME`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    weights: str
    input_size: int


# Records from before stress validation have no such key, and early ones call it "stressed".
PastScores = Annotated[Scores, BeforeValidator(lambda kind: "stress" if kind == "stressed" else kind)]


class PastThreshold(Threshold):
    scores: PastScores = "plain"


class PastSelect(Select):
    scores: PastScores = "plain"


class Basis(BaseModel):
    """The sections of params.yaml that figures rest on.

    Not pneumo.params.Params: that also holds what training needs, in which an old record may lack a key of today and
    name a weights file that is not on this machine.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    model: dict[str, Network]
    ensembles: dict[str, Ensemble]
    threshold: PastThreshold
    bootstrap: Bootstrap
    evaluate: Evaluate
    select: PastSelect

    @property
    def candidates(self) -> list[str]:
        """As pneumo.params.Params.candidates."""
        return [*self.model, *self.ensembles]


@dataclass(frozen=True)
class Model:
    """Metrics and scores (scores.COLUMNS) of one model, and where they were read. `stress_logits`: its outputs on
    perturbed validation images (stress.COLUMNS); the baseline and old records have none.
    """

    name: str
    metrics: Mapping[str, Any]
    validation: pd.DataFrame
    test: pd.DataFrame
    stress_logits: pd.DataFrame | None
    metrics_path: Path
    validation_path: Path
    test_path: Path
    stress_path: Path


@dataclass(frozen=True)
class Record:
    """`models`: the candidates of params.yaml and whatever else has metrics. `data`, `best`: metrics/ has them."""

    folder: Path
    basis: Basis
    models: Mapping[str, Model]
    data: Mapping[str, Any]
    best: Mapping[str, Any]

    @property
    def test(self) -> pd.DataFrame:
        """The rows of the test part, which are the same for all models."""
        return next(iter(self.models.values())).test

    def model_json(self, name: str) -> dict[str, Any]:
        """What choice asks of a model's model.json."""
        model = self.models[name]
        kind = "ensemble" if "members" in model.metrics else "backbone"
        needs = ("threshold", "parameters", "flops")
        if name == BASELINE:  # a logistic regression, which has neither parameters nor flops to speak of
            return {"kind": kind, "parameters": 0, "flops": 0, "threshold": model.metrics["threshold"]}
        missing = [key for key in needs if key not in model.metrics]
        if missing:
            raise VerifyError(f"{model.metrics_path}: {missing[0]} is missing; {history(model.metrics_path)}")
        return {"kind": kind, **{key: model.metrics[key] for key in needs}}


def read_record(folder: Path) -> Record:
    """The record in `folder`.

    Raises VerifyError or ManifestError where a file is missing, broken, or there without the others of its model.
    """
    basis = _basis(folder / "params.yaml")
    return Record(
        folder,
        basis,
        {name: _model(folder, name) for name in _names(folder, basis)},
        read_json(folder / "metrics" / "data.json"),
        read_json(folder / "metrics" / "best.json"),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`. Raises VerifyError where it is missing, broken or has a key twice."""
    if not path.is_file():
        raise VerifyError(f"{path} is missing: {_restore(path)}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except ValueError as error:  # of two values of one key, json keeps the last, and a reader sees the first
        raise VerifyError(f"{path} is not JSON: {error}; {_restore(path)}") from None
    if not isinstance(content, dict):
        raise VerifyError(f"{path} holds a {type(content).__name__}, expected an object; {_restore(path)}")
    return content


def score_path(folder: Path, part: str, name: str) -> Path:
    """The scores of a model on `part`: val, test or stress. The baseline, no candidate, has a folder of its own."""
    return folder / "scores" / (f"{BASELINE}/{part}.csv" if name == BASELINE else f"{part}/{name}.csv")


def _basis(path: Path) -> Basis:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Basis.model_validate(raw)
    except FileNotFoundError:
        raise VerifyError(f"{path} is missing: run from the project's top folder, or restore it with git") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise VerifyError(f"{path} is not YAML: {error}; {_restore(path)}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise VerifyError(f"{path}: {key}: {first['msg']}; {history(path)}") from None


def _names(folder: Path, basis: Basis) -> list[str]:
    """All models that the record has anything of, the candidates first. What is no part of a record is refused: nobody
    would verify it.
    """
    names: dict[str, Path] = {}
    for path in sorted([*(folder / "metrics").glob("[!.]*"), *(folder / "scores").rglob("[!.]*")]):
        name = BASELINE if path.parent.name == BASELINE else path.stem
        parts = ("val", "test", "stress")
        paths = (folder / "metrics" / f"{name}.json", *(score_path(folder, part, name) for part in parts))
        if path.is_file() and path not in paths:
            raise VerifyError(f"{path} is not a metrics or scores file that can be verified: delete it")
        if path.is_file() and (path.parent.name != "metrics" or name not in OTHER_METRICS):
            names.setdefault(name, path)
    if not names:
        raise VerifyError(f"{folder} has neither metrics nor scores: there is nothing to verify")
    return [*basis.candidates, *(name for name in names if name not in basis.candidates)]


def _model(folder: Path, name: str) -> Model:
    paths = [folder / "metrics" / f"{name}.json", *(score_path(folder, part, name) for part in ("val", "test"))]
    there = [path for path in paths if path.is_file()]
    missing = [path for path in paths if path not in there]
    if missing:
        says = f"{there[0]} is there" if there else f"{folder / 'params.yaml'} names {name}"
        raise VerifyError(
            f"{missing[0]} is missing, and {says}: {_restore(missing[0])}; of a model that is no longer wanted, "
            "delete its files: metrics, and scores on val, test and stress"
        )
    stress_logits = score_path(folder, "stress", name)
    stress_table = _scores(stress_logits, stress.read_stress) if stress_logits.is_file() else None
    return Model(
        name,
        read_json(paths[0]),
        _scores(paths[1]),
        _scores(paths[2]),
        stress_table,
        paths[0],
        paths[1],
        paths[2],
        stress_logits,
    )


def _scores(path: Path, read: Callable[[Path], pd.DataFrame] = scores.read_scores) -> pd.DataFrame:
    try:
        return read(path)
    except ValueError as error:
        raise VerifyError(f"{path} is not a table: {error}; {_restore(path)}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice")
    return dict(pairs)


def _restore(path: Path) -> str:
    return f"restore it with `git checkout -- {path}`, or run the pipeline again and commit what it writes"
