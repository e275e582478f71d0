"""A candidate as one commit has it, one network for each seed: metrics and scores, believed only where they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.errors import RecordError
from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.record.parse import read_scores
from pneumo.record.record import Model, Record
from pneumo.scoring import scores

METRICS = tuple(metrics.WORDS)
COLUMNS = (*scores.KEY_COLUMNS, "score")  # early commits have no logits
DIGIT = 1.5e-6  # committed figures have six digits


@dataclass(frozen=True)
class Network:
    """`metrics`: METRICS of the test set, as committed. `val_scores`, `test_scores`: COLUMNS, sorted by image.
    `threshold_draws`: the threshold found anew on resamples of validation patients, the same for all networks; None
    where it is taken as it is.
    """

    name: str
    metrics: Mapping[str, float]
    threshold: float
    val_scores: pd.DataFrame
    test_scores: pd.DataFrame
    threshold_draws: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Candidate:
    """`networks`: one for each seed, all scored on the same images. `metrics`: their means; `sd`: their standard
    deviations, None of one network. `replicate`: the network that stands for all where one must.
    """

    name: str
    networks: tuple[Network, ...]
    metrics: Mapping[str, float]
    sd: Mapping[str, float] | None
    replicate: str

    @classmethod
    def of(cls, name: str, networks: Sequence[Network], replicate: str | None = None) -> Self:
        """`replicate`: without one, the first network, which no result has chosen."""
        if len(networks) == 1:
            return cls(name, tuple(networks), networks[0].metrics, None, networks[0].name)
        values = {key: [network.metrics[key] for network in networks] for key in METRICS}
        return cls(
            name,
            tuple(networks),
            {key: round(float(np.mean(of)), 6) for key, of in values.items()},
            {key: round(float(np.std(of, ddof=1)), 6) for key, of in values.items()},
            replicate or networks[0].name,
        )

    @property
    def alone(self) -> "Candidate":
        """The network that stands for all, alone."""
        return Candidate.of(self.name, [network for network in self.networks if network.name == self.replicate])

    @property
    def val_scores(self) -> pd.DataFrame:
        """Of one network: images, patients and labels are the same in all."""
        return self.networks[0].val_scores

    @property
    def test_scores(self) -> pd.DataFrame:
        return self.networks[0].test_scores


def selected(record: Record) -> str:
    """The candidate that metrics/best.json names. Raises RecordError where its figures are not that candidate's."""
    figures = dict(record.best)
    where = record.tree.where("metrics/best.json")
    name = figures.pop("model", None)
    if not isinstance(name, str):
        raise RecordError(f"{where} names no model")
    if record.candidates and name not in record.candidates:
        raise RecordError(f"{where} names {name}, which is no model of {record.tree.where('params.yaml')}")
    replicate, of_replicate = figures.pop("replicate", None), figures.pop("selected", None)
    own = record.figures(name)
    differ = [key for key in {**figures, **own} if figures.get(key) != own.get(key)]
    if differ:
        raise RecordError(f"{where} names {name}, but {differ[0]} differs from metrics/{name}.json")
    networks = {model.name: model for model in record.replicates(name)}
    if isinstance(of_replicate, dict) and replicate in networks:
        committed = networks[replicate].metrics
        differ = [key for key in (*METRICS, "threshold") if of_replicate.get(key) != committed.get(key)]
        if differ:
            raise RecordError(f"{where}: {differ[0]} of {replicate} differs from metrics/{name}.json")
    return name


def read_candidate(record: Record, name: str) -> Candidate:
    """Raises RecordError where a file is missing or broken, or the metrics are not those of the scores."""
    models = record.replicates(name)
    networks = [_network(record, model) for model in models]
    first = networks[0]
    for network, model in zip(networks, models, strict=True):
        for split in ("val", "test"):
            mine, others = (getattr(of, f"{split}_scores")[list(scores.KEY_COLUMNS)] for of in (network, first))
            if not mine.equals(others):
                raise RecordError(
                    f"{model.where(split)} and {models[0].path(split)} are not of the same images: "
                    f"{record.tree.remedy(model.path(split))}"
                )
    candidate = Candidate.of(name, networks, _replicate(record, name, [network.name for network in networks]))
    if candidate.sd is not None:
        _check_means(record, candidate, models[0])
    return candidate


def _replicate(record: Record, name: str, networks: list[str]) -> str | None:
    """The one in models/best, where it is one of `networks`."""
    if not record.tree.has("metrics/best.json") or record.best.get("model") != name:
        return None
    replicate = record.best.get("replicate")
    return replicate if replicate in networks else None


def _network(record: Record, model: Model) -> Network:
    val_scores, test_scores = (
        _scores(record, model.path(split)).sort_values("image").reset_index(drop=True).astype({"subtype": str})
        for split in ("val", "test")
    )
    committed = _figures(record, model, model.metrics, (*METRICS, "threshold"))
    threshold = committed.pop("threshold")
    for key, recomputed in measured(test_scores, threshold).items():
        if recomputed is None or not abs(recomputed - committed[key]) <= DIGIT:
            raise RecordError(
                f"{model.where('metrics')}: {key} is {committed[key]}, but {model.path('test')} gives {recomputed}: "
                f"{record.tree.remedy(model.path('metrics'))}"
            )
    return Network(model.name, committed, threshold, val_scores, test_scores)


def _check_means(record: Record, candidate: Candidate, model: Model) -> None:
    """Raise RecordError where the figures of all seeds together are not those of its networks."""
    figures = record.figures(candidate.name)
    spreads = figures.get("sd")
    for words, content, expected in (
        ("", figures, candidate.metrics),
        ("sd.", spreads if isinstance(spreads, dict) else {}, candidate.sd or {}),
    ):
        committed = _figures(record, model, content, METRICS, words)
        for key in METRICS:
            if not abs(committed[key] - expected[key]) <= DIGIT:
                raise RecordError(
                    f"{model.where('metrics')}: {words}{key} is {committed[key]}, but its {len(candidate.networks)} "
                    f"networks give {expected[key]}: {record.tree.remedy(model.path('metrics'))}"
                )


def _figures(
    record: Record, model: Model, content: Mapping[str, Any], keys: Sequence[str], words: str = ""
) -> dict[str, float]:
    """`keys` of metrics/NAME.json. Raises RecordError where one is missing or is no share."""
    for key in keys:
        if not _is_share(content.get(key)):
            value = repr(content[key])[:20] if key in content else "missing"
            raise RecordError(
                f"{model.where('metrics')}: {words}{key} is {value}; expected a number: "
                f"{record.tree.remedy(model.path('metrics'))}"
            )
    return {key: content[key] for key in keys}


def _scores(record: Record, path: str) -> pd.DataFrame:
    """COLUMNS. Logits are read where there are any, so that they are checked, too."""
    header = record.tree.text(path).partition("\n")[0].split(",")
    return read_scores(record.tree, path, [*COLUMNS, *({"logit"} & set(header))])[list(COLUMNS)]


def measured(test_scores: pd.DataFrame, threshold: float) -> dict[str, float | None]:
    """METRICS of a scores table, to six digits; None where a class is missing."""
    drawn = Drawn.once(test_scores["label"], test_scores["score"], threshold, test_scores["subtype"])
    values = metrics.values(drawn, "decision", "ranking")
    return {key: values[key] for key in METRICS}


def _is_share(value: Any) -> bool:
    """Whether it is a number that a share or a threshold can be: Python's JSON has NaN, and integers of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10
