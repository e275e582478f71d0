"""How many patients and seeds a comparison of two recipes needs, from the variances that one comparison has shown."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from pneumo.evaluation.recipes import Estimate, detectable

MOST = 10_000_000  # patients that a plan considers
ASSUMED = (
    "Assumed: the variance from patients falls as 1 / their number, with the same share of pneumonia, and validation "
    "grows with the test set; that between seeds falls as 1 / their number."
)


@dataclass(frozen=True)
class Plan:
    """Variances of the difference of two recipes on `patients`. training: between the seeds of each recipe, without
    what patients do to them, from so many degrees of `freedom` in all; interplay: what patients do to each network, of
    each recipe; common: to all networks of a side; common_error: the variance of `common`.
    """

    patients: int
    training: tuple[float, float]
    freedom: float
    interplay: tuple[float, float]
    common: float
    common_error: float

    @classmethod
    def of(cls, estimate: Estimate, patients: int, *, sd: float | None = None, freedom: float = 0) -> Self | None:
        """`sd`, `freedom`: of training, for an estimate from one seed a side. None where training or the patients show
        no variance at all, or nobody has measured what training does.
        """
        if estimate.error is None:
            return None
        if estimate.of_recipes:
            spreads = [(side.spread or 0.0, side.interplay) for side in estimate.sides]
            training = [max(0.0, spread - interplay) for spread, interplay in spreads]
            freedom = sum(side.seeds - 1 for side in estimate.sides)
        elif sd is None:
            return None
        else:
            training = [sd**2, sd**2]
        before, after = estimate.sides
        return cls(
            patients,
            (training[0], training[1]),
            freedom,
            (before.interplay, after.interplay),
            estimate.from_patients,
            estimate.common_error,
        )

    def detectable(self, patients: float, seeds: int, alpha: float) -> float:
        """The smallest difference that `patients` and so many `seeds` a side show in 80 % of cases. With one seed
        training noise is taken as it was measured before.
        """
        share = self.patients / patients
        spreads = [
            (training + alone * share) / seeds for training, alone in zip(self.training, self.interplay, strict=True)
        ]
        known = seeds - 1 if seeds > 1 else self.freedom / 2
        variance = sum(spreads) + self.common * share
        below = sum(spread**2 for spread in spreads) / known + self.common_error * share**3 / 2
        return detectable(float(np.sqrt(variance)), variance**2 / below if below else np.inf, alpha)

    def patients_for(self, difference: float, seeds: int, alpha: float) -> int | None:
        """How many are needed to see `difference`; None where no number up to MOST is enough with so few seeds."""
        low, high = 4, MOST
        if self.detectable(high, seeds, alpha) > difference:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.detectable(middle, seeds, alpha) > difference else (low, middle)
        return low
