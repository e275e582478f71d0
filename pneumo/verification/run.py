"""A record as it is verified: the models that params.yaml names, complete, and with typed parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.evaluation import suspected
from pneumo.record.parse import read_table
from pneumo.record.record import BASELINE, KINDS, SUSPECTED_LABELS, Kind, Model, Record
from pneumo.record.tree import Tree
from pneumo.verification.basis import Basis, read_basis
from pneumo.verification.compare import history

REQUIRED: tuple[Kind, ...] = ("metrics", "val", "test")


@dataclass(frozen=True)
class Run:
    """`candidates`: those of params.yaml, each with the names of its models, one for each seed. `models`: all of these,
    then the baseline where there is one. `suspects`: the images with suspected labels, suspected.COLUMNS; None for an
    early record, which has no list of them.
    """

    record: Record
    basis: Basis
    candidates: Mapping[str, Sequence[str]]
    models: Mapping[str, Model]
    suspects: pd.DataFrame | None

    @property
    def suspected_images(self) -> list[str] | None:
        return None if self.suspects is None else self.suspects["image"].tolist()

    @property
    def test_scores(self) -> pd.DataFrame:
        """Those of the first model. The images are the same for all."""
        return next(iter(self.models.values())).test_scores

    def model_json(self, name: str) -> dict[str, Any]:
        """What choice asks of a model's model.json."""
        model = self.models[name]
        if name == BASELINE:  # a logistic regression, which has neither parameters nor flops to speak of
            return {"kind": "backbone", "parameters": 0, "flops": 0, "threshold": model.metrics["threshold"]}
        figures = self.record.figures(model.candidate) | {"threshold": model.metrics.get("threshold")}
        keys = ("threshold", "parameters", "flops")
        missing = [key for key in keys if figures.get(key) is None]
        if missing:
            path = model.where("metrics")
            raise VerifyError(f"{path}: {missing[0]} is missing; {history(path)}")
        kind = "ensemble" if "members" in model.metrics else "backbone"
        return {"kind": kind, **{key: figures[key] for key in keys}}


def read_run(tree: Tree) -> Run:
    """Raises RecordError or VerifyError where a file is missing or broken."""
    record = Record(tree)
    basis = read_basis(record)
    candidates = {name: [model.name for model in record.replicates(name)] for name in record.candidates}
    names = [name for models in candidates.values() for name in models]
    if any(tree.has(record.model(BASELINE).path(kind)) for kind in KINDS):
        names = [*names, BASELINE]
    if not names:
        raise VerifyError(f"{tree.where('params.yaml')} names no model: there is nothing to verify")
    suspects = (
        read_table(tree, SUSPECTED_LABELS, suspected.parse, may_be_empty=True) if tree.has(SUSPECTED_LABELS) else None
    )
    return Run(record, basis, candidates, {name: _complete(record, name) for name in names}, suspects)


def _complete(record: Record, name: str) -> Model:
    model = record.model(name)
    missing = [kind for kind in REQUIRED if not record.tree.has(model.path(kind))]
    if missing:
        present = [model.where(kind) for kind in REQUIRED if kind not in missing]
        reason = f"{present[0]} exists" if present else f"{record.tree.where('params.yaml')} names {name}"
        raise VerifyError(
            f"{model.where(missing[0])} is missing, but {reason}: {record.tree.remedy(model.path(missing[0]))}"
        )
    return model
