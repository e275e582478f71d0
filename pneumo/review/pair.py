"""Two candidates on the test images that both have alike, and the cases that they decide differently."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.evaluation import recipes
from pneumo.evaluation.recipes import Networks
from pneumo.review.candidate import METRICS, Candidate, Network, measured

KEYS = ["image", "patient", "label"]


@dataclass(frozen=True)
class Pair:
    """`networks`: of base and of head, with the test images that both have alike alone, in the same order."""

    base: Candidate
    head: Candidate
    networks: tuple[tuple[Network, ...], tuple[Network, ...]]

    @classmethod
    def of(cls, base: Candidate, head: Candidate) -> Self:
        alike = base.test_scores[KEYS].merge(head.test_scores[KEYS])["image"]

        def on_common(network: Network) -> Network:
            test_scores = network.test_scores[network.test_scores["image"].isin(alike)]
            return replace(network, test_scores=test_scores.reset_index(drop=True))

        sides = (tuple(on_common(network) for network in of.networks) for of in (base, head))
        return cls(base, head, tuple(sides))  # type: ignore[arg-type]

    @property
    def rows(self) -> pd.DataFrame:
        """Images, patients and labels: those of the scores of any network."""
        return self.networks[0][0].test_scores

    @property
    def about_recipes(self) -> bool:
        """Whether each side has several seeds, so that training noise can be counted."""
        return all(len(side) > 1 for side in self.networks)

    @property
    def complete(self) -> bool:
        """Whether no test image of either is left out."""
        return len(self.rows) == len(self.base.test_scores) == len(self.head.test_scores)

    @property
    def unchanged(self) -> bool:
        """Whether network by network both score and decide alike."""
        before, after = self.networks
        return len(before) == len(after) and all(
            old.threshold == new.threshold and bool((old.test_scores["score"] == new.test_scores["score"]).all())
            for old, new in zip(before, after, strict=True)
        )

    def values(self) -> tuple[dict[str, float | None], dict[str, float | None]]:
        """METRICS of each side: means over its networks."""
        if self.complete:  # the figures of metrics/, which readers know
            return dict(self.base.metrics), dict(self.head.metrics)
        before, after = (_means(side) for side in self.networks)
        return before, after

    def measured(self, metric: str) -> tuple[Networks, Networks]:
        """`metric` of the networks of each side, for an interval of the difference of their means."""
        drawn = [network.threshold_draws for side in self.networks for network in side]
        known = [thresholds for thresholds in drawn if thresholds is not None]
        use = self.about_recipes and len(known) == len(drawn)
        defined: NDArray[np.bool_] | None = None
        if use:  # a draw may lack one of the classes
            defined = np.asarray(np.isfinite(np.stack(known)).all(axis=0), dtype=np.bool_)
        before, after = (_networks(metric, side, defined) for side in self.networks)
        return before, after

    def flips(self) -> list[dict[str, Any]]:
        """Cases whose decision changed: those that went wrong first, then by how far the score moved. Of several
        networks, the mean score and the decision of most.
        """
        (before, called_before), (after, called_after) = (_votes(side) for side in self.networks)
        rows = self.rows.rename(columns={"score": "base"}).assign(base=before, head=after)
        rows = rows.assign(right=called_after == (rows["label"] == 1), moved=np.abs(after - before))
        rows = rows[called_before != called_after]
        rows = rows.sort_values(["right", "moved", "image"], ascending=[True, False, True])
        return rows.drop(columns="moved").to_dict("records")


def _means(side: tuple[Network, ...]) -> dict[str, float | None]:
    values = [measured(network.test_scores, network.threshold) for network in side]
    means: dict[str, float | None] = {}
    for key in METRICS:
        defined = [value for of in values if (value := of[key]) is not None]
        means[key] = round(float(np.mean(defined)), 6) if len(defined) == len(side) else None
    return means


def _networks(metric: str, side: tuple[Network, ...], defined: NDArray[np.bool_] | None) -> Networks:
    """`defined`: draws in which all networks of both sides have a threshold; None for fixed thresholds."""
    redrawn = [
        network.threshold_draws[defined]
        for network in side
        if defined is not None and network.threshold_draws is not None
    ]
    return recipes.networks(
        metric,
        [network.test_scores for network in side],
        [network.threshold for network in side],
        threshold_draws=redrawn if len(redrawn) == len(side) else None,
    )


def _votes(side: tuple[Network, ...]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mean score of each image, and whether at least half of the networks call pneumonia."""
    scores = np.stack([network.test_scores["score"].to_numpy(float) for network in side])
    called = scores >= np.array([[network.threshold] for network in side])
    return scores.mean(axis=0), called.mean(axis=0) >= 0.5
