"""How far the networks of one recipe lay apart so far, by training alone: for verdicts that cannot count it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from pneumo.errors import RecordError
from pneumo.record.record import Record
from pneumo.review.snapshot import Snapshot


@dataclass(frozen=True)
class Noise:
    """`sd`: of a metric between seeds, pooled over the candidates of `records`, with so many degrees of `freedom`.
    `exceeds`: what the difference of two networks has to exceed to be more than training noise, at the level alpha.
    """

    sd: float
    freedom: int
    records: list[str]
    exceeds: float


@dataclass(frozen=True)
class _Seen:
    record: str
    candidate: str
    architecture: str | None
    images: float
    sd: float
    freedom: int
    temperatures: tuple[Any, ...]  # of the networks: the same in records that differ by the threshold alone


def training_noise(base: Snapshot, candidate: str, metric: str, images: int, alpha: float) -> Noise | None:
    """From `candidate` of base, else from all of base; where these have one seed, from the records in its results/: of
    those with replicates, the ones of the same architecture as `candidate` and at least half as many test `images`,
    else those of the same architecture, of such size, or all. None where training noise was never measured.
    """
    of_base = list(_seen(base.record, "base", metric))
    seen = [found for found in of_base if found.candidate == candidate] or of_base
    if not seen:
        recorded = list(
            {
                (found.candidate, found.temperatures): found
                for name, record in base.results.items()
                for found in _seen(record, name, metric)
            }.values()
        )
        architecture = _architecture(base.record, candidate)
        alike = [found for found in recorded if architecture and found.architecture == architecture]
        seen = _large(alike, images) or alike or _large(recorded, images) or recorded
    if not seen:
        return None
    freedom = sum(found.freedom for found in seen)
    sd = float(np.sqrt(sum(found.freedom * found.sd**2 for found in seen) / freedom))
    exceeds = float(stdtrit(freedom, 1 - alpha / 2) * sd * np.sqrt(2))
    return Noise(round(sd, 6), freedom, sorted({found.record for found in seen}), round(exceeds, 6))


def _large(seen: list[_Seen], images: int) -> list[_Seen]:
    return [found for found in seen if found.images >= images / 2]


def _seen(record: Record, name: str, metric: str) -> Iterator[_Seen]:
    """Of each candidate that has figures of several seeds. What cannot be read measures nothing."""
    try:
        candidates = record.candidates
    except RecordError:
        return
    for candidate in candidates:
        try:
            figures = record.figures(candidate)
        except RecordError:
            continue
        spread, seeds, images = (figures.get(key) for key in ("sd", "seeds", "n"))
        sd = _number(spread.get(metric)) if isinstance(spread, dict) else None
        if isinstance(seeds, list) and len(seeds) > 1 and sd is not None and 0 <= sd < 1:
            replicates = figures.get("replicates")
            each = replicates.values() if isinstance(replicates, dict) else ()
            temperatures = tuple(one.get("temperature") if isinstance(one, dict) else None for one in each)
            architecture, size = _architecture(record, candidate), _number(images) or 0
            yield _Seen(name, candidate, architecture, size, sd, len(seeds) - 1, temperatures)


def _architecture(record: Record, candidate: str) -> str | None:
    model = record.section("model").get(candidate)
    architecture = model.get("architecture") if isinstance(model, dict) else None
    return architecture if isinstance(architecture, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
