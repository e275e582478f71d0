"""Replicates: a backbone or ensemble once for each seed. The first seed's has the name of the candidate itself, so that
one more seed changes nothing of what is there.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from pneumo.params.values import Count, Positive, Section


def _different(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("expected seeds that differ, each once")
    return seeds


class Seeds(Section):
    """`seeds`: of the networks that each backbone is trained to, or how many: 3 stands for [0, 1, 2]."""

    seeds: Positive | Annotated[list[Count], Field(min_length=1), AfterValidator(_different)]

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
