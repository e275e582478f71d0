"""Sections about what is made of scores."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pneumo.params.values import Count, Fraction, Section, Share

Scores = Literal["plain", "stress"]


class Views(Section):
    """Test-time augmentation: a score is the mean over these views of an image."""

    flip: Annotated[bool, Field(strict=True)]
    zooms: Annotated[list[Annotated[float, Field(strict=True, ge=0.5, le=1)]], Field(min_length=1)]


class Threshold(Section):
    """How the decision threshold is found on validation scores; `value` belongs to some policies. `error_rates`: each
    with a margin around the threshold within which films are left to a reader.
    """

    scores: Scores
    policy: Literal["youden", "f1", "sensitivity", "specificity", "fixed"]
    value: Fraction | None
    error_rates: list[Share]

    @model_validator(mode="after")
    def _value_where_needed(self) -> "Threshold":
        needs = self.policy in ("sensitivity", "specificity", "fixed")
        if needs != (self.value is not None):
            raise ValueError(f"policy {self.policy} {'needs a' if needs else 'takes no'} value in [0, 1]")
        return self


class Ensemble(Section):
    """The mean logit of all backbones, or of the `top` best by select.metric on validation."""

    top: Literal["all"] | Annotated[int, Field(strict=True, ge=2)]


class Resampling(Section):
    """Draws of patients: for paired differences, the choice and bands of curves."""

    resamples: Annotated[int, Field(strict=True, ge=200, le=100_000)]
    seed: Count


class Bootstrap(Resampling):
    """The section `bootstrap`. `threshold`: whether intervals of decisions find it anew in each draw of the validation
    patients, or take it for given.
    """

    threshold: Literal["redrawn", "fixed"]


class Evaluate(Section):
    prevalence: Share  # of pneumonia, for ppv and npv


class Selection(Section):
    """What candidates are ranked by: a metric of these validation scores."""

    scores: Scores
    metric: Literal["roc_auc", "average_precision", "accuracy", "f1", "recall", "specificity"]


class Select(Selection):
    """The section `select`. `replicate`: which of the winner's replicates models/best is, where it has several."""

    replicate: Literal["median", "ensemble"]
    prefer_cheaper: Annotated[bool, Field(strict=True)]


class Review(Section):
    """When `pneumo review` calls a model better or worse: by one metric, beyond chance at `alpha`, two-sided."""

    metric: Literal["roc_auc", "accuracy", "recall", "specificity"]
    margin: Annotated[float, Field(strict=True, ge=0, lt=1)]  # a loss up to this is tolerated
    alpha: Annotated[float, Field(strict=True, ge=0.001, le=0.2)]


class Lots(Section):
    """`seed`: of what is drawn by lot to explain a model."""

    seed: Count


class Explain(Lots):
    """Grad-CAM of the most confident right and wrong cases: `cases` of each of the four kinds."""

    cases: Annotated[int, Field(strict=True, ge=1, le=50)]
