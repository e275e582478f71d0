"""What a verdict is about, and what it could have seen: the sentences below the headline."""

from pneumo.evaluation.metrics import WORDS
from pneumo.evaluation.recipes import POWER
from pneumo.params import Review
from pneumo.review.cells import number
from pneumo.review.comparison import Comparison

MEASURE = "`train.seeds=3` measures it"


def about(comparison: Comparison, rules: Review) -> list[str]:
    """Paragraphs: power, and, of two networks, training noise."""
    if not comparison.rows:
        return []
    lines = [_power(comparison, rules)] if not comparison.unchanged else []
    if comparison.about == "networks":
        lines.append(_networks(comparison, rules))
    return [paragraph for line in lines for paragraph in (line, "")]


def sample(comparison: Comparison) -> str:
    """5 patients and 3 + 3 seeds."""
    seeds = " + ".join(map(str, comparison.seeds or ())) if comparison.about == "recipes" else ""
    return f"{comparison.patients} patients{f' and {seeds} seeds' if seeds else ''}"


def _power(comparison: Comparison, rules: Review) -> str:
    row = comparison.row(rules.metric)
    if row is None or row.detectable is None:
        return (
            f"What could be seen here is unknown: these {sample(comparison)} show no spread in {WORDS[rules.metric]}."
        )
    least = number(row.detectable)
    if (comparison.on_common or comparison.verdict) == "within noise":
        return (
            f"Differences below {least} cannot be seen here: these {sample(comparison)} show one of that size in "
            f"{POWER:.0%} of cases."
        )
    return f"These {sample(comparison)} show a difference of {least} in {POWER:.0%} of cases."


def _networks(comparison: Comparison, rules: Review) -> str:
    verdict = "The verdict is about these two networks, not about the recipes"
    taken = [
        f"`{names[0]}` stands for the {seeds} seeds of {side}"
        for side, names, seeds in zip(
            ("base", "head"), comparison.replicates or ((), ()), comparison.seeds or (), strict=False
        )
        if seeds > 1
    ]
    noise = comparison.noise
    if noise is None:
        known = f"Training noise is unknown: {MEASURE}"
    else:
        row = comparison.row(rules.metric)
        beyond = row is not None and row.difference is not None and abs(row.difference) > noise.exceeds
        known = (
            f"By training alone, two networks of one recipe would differ by up to {number(noise.exceeds)} (SD between "
            f"seeds {number(noise.sd)}, {noise.freedom} degrees of freedom, {_listed(noise.records)}), and these two "
            f"differ by {'more' if beyond else 'no more'}"
        )
        if not beyond:
            known += ". To compare recipes: `train.seeds=3`"
    return f"{verdict}{f' ({_listed(taken)})' if taken else ''}. {known}."


def _listed(names: list[str]) -> str:
    shown = names[:3]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(shown)}{more}"
