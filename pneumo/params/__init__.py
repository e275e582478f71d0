"""Typed parameters. `read` refuses a params.yaml that it does not understand; `load` gives a stage its share of it.

A stage declares what it reads as a Section of its own, with fields named like the sections of Params:

    class Params(Section):
        model: Backbone  # model.NAME: of the backbone that the stage is run for
        replicates: Replicate  # replicates.NAME; `model` is then that of its candidate
        runtime: Runtime

Of a section that is typed by a base class it gets, and dvc.yaml lists, the fields of that class alone.
"""

from pneumo.params.data import (
    NO_KEY,
    SOURCES,
    Audit,
    Columns,
    Data,
    External,
    FilmViews,
    Fit,
    Inputs,
    Labels,
    Main,
    Origin,
    Part,
    Pixels,
    Preprocess,
    Rule,
    Seed,
    Site,
    Sited,
    Source,
    Sourced,
    Split,
    Subset,
    Value,
)
from pneumo.params.evaluation import (
    Bootstrap,
    Ensemble,
    Evaluate,
    Explain,
    Lots,
    Resampling,
    Review,
    Scores,
    Select,
    Selection,
    Threshold,
    Views,
)
from pneumo.params.loading import check, declared, load, read
from pneumo.params.project import Params
from pneumo.params.replicates import Replicate, Seeds, replicates
from pneumo.params.training import Augment, Backbone, BackboneFile, Device, Published, Runtime, Training
from pneumo.params.values import Section

__all__ = [
    "NO_KEY",
    "SOURCES",
    "Audit",
    "Augment",
    "Backbone",
    "BackboneFile",
    "Bootstrap",
    "Columns",
    "Data",
    "Device",
    "Ensemble",
    "Evaluate",
    "Explain",
    "External",
    "FilmViews",
    "Fit",
    "Inputs",
    "Labels",
    "Lots",
    "Main",
    "Origin",
    "Params",
    "Part",
    "Pixels",
    "Preprocess",
    "Published",
    "Replicate",
    "Resampling",
    "Review",
    "Rule",
    "Runtime",
    "Scores",
    "Section",
    "Seed",
    "Seeds",
    "Select",
    "Selection",
    "Site",
    "Sited",
    "Source",
    "Sourced",
    "Split",
    "Subset",
    "Threshold",
    "Training",
    "Value",
    "Views",
    "check",
    "declared",
    "load",
    "read",
    "replicates",
]
