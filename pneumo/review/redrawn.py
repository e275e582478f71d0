"""The thresholds that other validation patients would have given: part of what a recipe does by chance."""

from dataclasses import replace

from pydantic import ValidationError

from pneumo.errors import RecordError
from pneumo.evaluation import decision
from pneumo.params import Bootstrap
from pneumo.record.record import Record
from pneumo.review.candidate import Candidate
from pneumo.verification.basis import PastThreshold


def with_draws(candidate: Candidate, record: Record, bootstrap: Bootstrap) -> Candidate:
    """`candidate` of `record`, with the thresholds that draws of its validation patients give, if `bootstrap` asks so.

    Raises RecordError where its policy, temperatures or scores under stress cannot be read.
    """
    if bootstrap.threshold == "fixed":
        return candidate
    where, remedy = record.tree.where("params.yaml"), record.tree.remedy("params.yaml")
    try:
        policy = PastThreshold.model_validate(record.params.get("threshold"))
    except ValidationError as error:
        raise RecordError(f"{where}: threshold: {error.errors()[0]['msg']}: {remedy}") from None
    drawn = []
    for network in candidate.networks:
        model = record.model(network.name)
        temperature, under_stress = model.metrics.get("temperature"), None
        if not isinstance(temperature, int | float) or not temperature > 0:
            raise RecordError(f"{model.where('metrics')}: temperature is {temperature!r}; expected a number above 0")
        if policy.scores == "stress":
            under_stress = model.stress_logits
            if under_stress is None:
                raise RecordError(f"{model.where('stress')} is missing, but threshold.scores is stress: {remedy}")
        thresholds = decision.redrawn_thresholds(network.val_scores, under_stress, temperature, policy, bootstrap)
        drawn.append(thresholds)
    networks = [
        replace(network, threshold_draws=thresholds)
        for network, thresholds in zip(candidate.networks, drawn, strict=True)
        if thresholds is not None
    ]
    return replace(candidate, networks=tuple(networks))
