"""A record as it is verified: complete, without files that nobody would verify, and with typed parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.record.record import BASELINE, KINDS, Kind, Model, Record
from pneumo.record.tree import FOLDERS, Tree
from pneumo.verification.basis import Basis, read_basis
from pneumo.verification.compare import history

OTHER_METRICS = ("metrics/best.json", "metrics/data.json")
REQUIRED: tuple[Kind, ...] = ("metrics", "val", "test")


@dataclass(frozen=True)
class Run:
    """`models`: the candidates of params.yaml, then whatever else has metrics or scores."""

    record: Record
    basis: Basis
    models: Mapping[str, Model]

    @property
    def test_scores(self) -> pd.DataFrame:
        """Those of the first model. The images are the same for all."""
        return next(iter(self.models.values())).test_scores

    def model_json(self, name: str) -> dict[str, Any]:
        """What choice asks of a model's model.json."""
        model = self.models[name]
        if name == BASELINE:  # a logistic regression, which has neither parameters nor flops to speak of
            return {"kind": "backbone", "parameters": 0, "flops": 0, "threshold": model.metrics["threshold"]}
        keys = ("threshold", "parameters", "flops")
        missing = [key for key in keys if key not in model.metrics]
        if missing:
            path = model.where("metrics")
            raise VerifyError(f"{path}: {missing[0]} is missing; {history(path)}")
        kind = "ensemble" if "members" in model.metrics else "backbone"
        return {"kind": kind, **{key: model.metrics[key] for key in keys}}


def read_run(tree: Tree) -> Run:
    """Raises RecordError or VerifyError where a file is missing, broken, or there without the others of its model."""
    record = Record(tree)
    basis = read_basis(record)
    names = list(dict.fromkeys([*record.candidates, *_names(record)]))
    return Run(record, basis, {name: _complete(record, name) for name in names})


def _names(record: Record) -> list[str]:
    """The models that have a file. A file that belongs to no model is refused: nothing would verify it."""
    names: dict[str, None] = {}
    for path in record.tree.paths():
        file = PurePosixPath(path)
        if file.parts[0] not in FOLDERS or file.name.startswith(".") or path in OTHER_METRICS:
            continue
        name = BASELINE if file.parent.name == BASELINE else file.stem
        if path not in [record.model(name).path(kind) for kind in KINDS]:
            where = record.tree.where(path)
            raise VerifyError(f"{where} is not a metrics or scores file that can be verified: delete it")
        names[name] = None
    if not names:
        raise VerifyError(f"{record.tree.where('')} has neither metrics nor scores: there is nothing to verify")
    return list(names)


def _complete(record: Record, name: str) -> Model:
    model = record.model(name)
    missing = [kind for kind in REQUIRED if not record.tree.has(model.path(kind))]
    if missing:
        present = [model.where(kind) for kind in REQUIRED if kind not in missing]
        reason = f"{present[0]} exists" if present else f"{record.tree.where('params.yaml')} names {name}"
        raise VerifyError(
            f"{model.where(missing[0])} is missing, but {reason}: {record.tree.remedy(model.path(missing[0]))}; if "
            "the model is no longer wanted, delete its files: metrics, and scores on val, test and stress"
        )
    return model
