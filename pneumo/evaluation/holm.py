"""Several tests at once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p values corrected for multiple tests (Holm 1979), in the same order. None stands for no test and stays."""
    tested = [(p, place) for place, p in enumerate(p_values) if p is not None]
    corrected, least = list(p_values), 0.0
    for done, (p, place) in enumerate(sorted(tested)):
        least = max(least, min(1.0, (len(tested) - done) * p))
        corrected[place] = least
    return corrected
