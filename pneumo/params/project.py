"""All parameters, and the names that backbones, ensembles and data sets may have."""

import re
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pneumo.params.data import Audit, Data, External, Preprocess, Site, Split
from pneumo.params.evaluation import Bootstrap, Ensemble, Evaluate, Explain, Review, Select, Threshold, Views
from pneumo.params.replicates import Replicate, replicates
from pneumo.params.training import Augment, BackboneFile, Runtime, Train
from pneumo.params.values import Section

RESERVED = ("best", "data", "shortcut")  # metrics/ has files of these names
_RENAME: dict[str | None, str] = {
    "model": "Rename its file in conf/model/, and the name where it stands in that file",
    "external": "Rename its file in conf/external/, and the name where it stands in that file",
    "sites": "Give it another one: -S +data@sites.NAME=…",
    "ensembles": "Rename it below `ensembles` of its file in conf/model/, or in -S +ensembles.NAME.top=all",
}


def _not_a_name(name: str, reserved: Collection[str]) -> str | None:
    """Why this cannot be the name of a backbone, an ensemble or a data set; None if it can."""
    if name.lower() in reserved:  # some file systems do not tell upper from lower case
        return f"metrics/{name.lower()}.json is not about a model"
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", name):
        return "files, stages and -S take a letter of a-z first, then letters, digits, - and _"
    return None


class Params(Section):
    data: Data
    sites: dict[str, Site]
    external: dict[str, External]
    preprocess: Preprocess
    split: Split
    augment: Augment
    train: Train
    model: Annotated[dict[str, BackboneFile], Field(min_length=1)]
    ensembles: dict[str, Ensemble]
    replicates: dict[str, Replicate]
    ensemble_replicates: dict[str, Replicate]
    views: Views
    threshold: Threshold
    bootstrap: Bootstrap
    evaluate: Evaluate
    select: Select
    review: Review
    explain: Explain
    audit: Audit
    runtime: Runtime

    @field_validator("model", "ensembles", "external", "sites")
    @classmethod
    def _names_are_paths(cls, named: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        for name in named:
            if reason := _not_a_name(name, () if info.field_name == "sites" else RESERVED):
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
    def _replicates_follow(self) -> "Params":
        both = {"replicates": list(self.model), "ensemble_replicates": list(self.ensembles)}
        for section, candidates in both.items():
            expected = replicates(list(candidates), self.train.seeds)
            names = [f"{candidate}-{seed}" for candidate in candidates for seed in self.train.listed[1:]]
            twice = [name for name in names if name in self.candidates]
            if twice:
                raise ValueError(
                    f"train.seeds makes {twice[0]} the name of a replicate, and there is a candidate of this name: "
                    "rename that"
                )
            if getattr(self, section) != expected:
                raise ValueError(
                    f"{section} is not what follows from train.seeds and the candidates: it is composed by `dvc exp "
                    "run -S train.seeds=…`, never edited"
                )
        return self

    @model_validator(mode="after")
    def _something_is_learnt(self) -> "Params":
        for name, backbone in self.model.items():
            if not backbone.epochs and (backbone.probe is None or backbone.weights == "none"):
                raise ValueError(
                    f"model.{name}.epochs is 0, which leaves the linear probe alone, and there is none: it needs "
                    f"model.{name}.probe, which is {backbone.probe}, and weights, which are {backbone.weights}"
                )
        return self

    @model_validator(mode="after")
    def _sites_have_names_of_their_own(self) -> "Params":
        if self.data.site in self.sites:
            raise ValueError(
                f"data.site and one of sites are both {self.data.site!r}: give the images of `data` another name, "
                "-S data.site=NAME"
            )
        return self

    @property
    def candidates(self) -> list[str]:
        """Names of everything that is scored, calibrated and compared: backbones, then ensembles."""
        return [*self.model, *self.ensembles]
