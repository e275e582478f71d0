"""Replicates: a backbone or ensemble once for each seed. The first seed's has the name of the candidate itself, so that
one more seed changes nothing of what is there.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from pneumo.params.values import Count, Section


def _seeds(value: Any) -> Any:
    listed = value if isinstance(value, list) else [value]
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in listed)
    if not whole or not listed or value == 0 or len(set(listed)) < len(listed):
        raise ValueError("expected how many (1 or more), or different seeds such as [0, 1, 2]")
    return value


class Seeds(Section):
    """`seeds`: of the networks that each backbone is trained to, or how many: 3 stands for [0, 1, 2]."""

    seeds: Annotated[int | list[int], BeforeValidator(_seeds)]

    @property
    def listed(self) -> list[int]:
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds


class Replicate(Section):
    """`folder`: below models/trained or models/ensembles."""

    candidate: str
    seed: Count
    folder: str


def replicates(candidates: Iterable[str], seeds: int | Sequence[int]) -> dict[str, Replicate]:
    """Name -> replicate, for each candidate and seed."""
    first, *others = range(seeds) if isinstance(seeds, int) else seeds
    made: dict[str, Replicate] = {}
    for candidate in candidates:
        made[candidate] = Replicate(candidate=candidate, seed=first, folder=candidate)
        for seed in others:
            folder = f"{candidate}/seed-{seed}"
            made[f"{candidate}-{seed}"] = Replicate(candidate=candidate, seed=seed, folder=folder)
    return made
