"""The sections of params.yaml that figures rest on, of any age."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pneumo.errors import VerifyError
from pneumo.params import Bootstrap, Ensemble, Evaluate, Scores, Select, Threshold
from pneumo.params.values import Share
from pneumo.record.record import Record
from pneumo.verification.compare import history


class Network(BaseModel):
    """What metrics/NAME.json repeats of `model.NAME`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    weights: str
    input_size: int


# Records from before stress validation have no such key, and early ones call it "stressed".
PastScores = Annotated[Scores, BeforeValidator(lambda kind: "stress" if kind == "stressed" else kind)]


class PastThreshold(Threshold):
    scores: PastScores = "plain"
    error_rates: list[Share] = Field(default_factory=list)


class PastSelect(Select):
    scores: PastScores = "plain"
    replicate: Literal["median", "ensemble"] = "median"


class PastBootstrap(Bootstrap):
    """Intervals of early records take the threshold for given."""

    threshold: Literal["redrawn", "fixed"] = "fixed"


class Basis(BaseModel):
    """Not pneumo.params.Params: that also holds what training needs. There an old record may lack a key of today, or
    name a weights file that is not on this machine.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    model: dict[str, Network]
    ensembles: dict[str, Ensemble]
    threshold: PastThreshold
    bootstrap: PastBootstrap
    evaluate: Evaluate
    select: PastSelect


def read_basis(record: Record) -> Basis:
    """Raises VerifyError where params.yaml lacks a value or has an impossible one."""
    try:
        return Basis.model_validate(record.params)
    except ValidationError as error:
        first, path = error.errors()[0], record.tree.where("params.yaml")
        key = ".".join(map(str, first["loc"]))
        raise VerifyError(f"{path}: {key}: {first['msg']}; {history(path)}") from None
