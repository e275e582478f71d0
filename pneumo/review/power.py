"""How small a difference more patients and more seeds would show, planned from two candidates that are there."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pneumo.errors import ReviewError
from pneumo.evaluation import recipes
from pneumo.evaluation.metrics import WORDS
from pneumo.evaluation.planning import ASSUMED, MOST, Plan
from pneumo.evaluation.recipes import POWER
from pneumo.record.record import Record
from pneumo.report import markdown as md
from pneumo.review import candidate
from pneumo.review.cells import cell
from pneumo.review.noise import Noise, training_noise
from pneumo.review.pair import Pair
from pneumo.review.redrawn import with_draws
from pneumo.review.result import rules_of
from pneumo.review.snapshot import Snapshot

SEEDS = (1, 3, 5, 10)
PATIENTS = (100, 300, 1_000, 3_000, 10_000)
WIDTH = 80  # columns of a terminal


@dataclass(frozen=True)
class Power:
    """`plan`: None where training noise is unknown, and nothing can be planned. `noise`: where it was measured if not
    here. `smallest`: patients -> the detectable difference with each of SEEDS. `needed`: the patients that show
    `difference` with each of SEEDS, None where no number is enough.
    """

    base: str
    head: str
    metric: str
    alpha: float
    difference: float
    seeds: tuple[int, int]
    patients: int
    plan: Plan | None
    noise: Noise | None
    smallest: dict[int, list[float]]
    needed: list[int | None]


def power(base: Snapshot, head: Snapshot | None, difference: float, metric: str | None = None) -> Power:
    """Of the candidates that base and head have selected; without head, of the one that base has selected and the best
    other one. Raises ReviewError or RecordError where one cannot be read, or the two were tested on other images.
    """
    rules, drawing, _ = rules_of(base, head or base)
    metric = metric or rules.metric
    if metric not in WORDS:
        raise ReviewError(f"--metric {metric}: expected one of {', '.join(WORDS)}")
    first = candidate.selected(base.record)
    second = candidate.selected(head.record) if head else _best_other(base.record, first, metric)
    records = (base.record, (head or base).record)
    before, after = (candidate.read_candidate(*pair) for pair in zip(records, (first, second), strict=True))
    if len(before.networks) > 1 and len(after.networks) > 1:
        before, after = (with_draws(*pair, drawing) for pair in zip((before, after), records, strict=True))
    several = min(len(before.networks), len(after.networks)) > 1
    pair = Pair.of(before, after) if several else Pair.of(before.alone, after.alone)
    if not pair.complete:
        raise ReviewError(
            f"{first} and {second} were tested on different images, so neither shows what the other needs"
        )
    patients = int(pair.rows["patient"].nunique())
    noise = None if several else training_noise(base, first, metric, len(pair.rows), rules.alpha)
    known = {"sd": noise.sd, "freedom": noise.freedom} if noise else {}
    plan = Plan.of(recipes.difference(*pair.measured(metric)), patients, **known)
    rows = sorted({*PATIENTS, patients}) if plan else []
    return Power(
        f"{first} of {base.label}",
        f"{second} of {(head or base).label}",
        metric,
        rules.alpha,
        difference,
        (len(before.networks), len(after.networks)),
        patients,
        plan,
        noise,
        {count: [round(plan.detectable(count, seeds, rules.alpha), 6) for seeds in SEEDS] for count in rows if plan},
        [plan.patients_for(difference, seeds, rules.alpha) for seeds in SEEDS] if plan else [],
    )


def _best_other(record: Record, selected: str, metric: str) -> str:
    others = [name for name in record.candidates if name != selected]
    if not others:
        raise ReviewError(f"{selected} is the only candidate here: name a commit to compare with, `pneumo power BASE`")
    return max(others, key=lambda name: candidate.read_candidate(record, name).metrics[metric])


def markdown(result: Power) -> str:
    """Reads well in a terminal of WIDTH columns, too."""
    words = WORDS[result.metric]
    lines = [f"## pneumo power: {words}", "", *_wrapped(_measured(result)), ""]
    if result.plan is None:
        return "\n".join(lines).strip() + "\n"
    title = (
        f"Smallest difference in {words} that shows in {POWER:.0%} of cases (alpha {result.alpha:g}), by seeds a side:"
    )
    header = ["patients", *(f"{seeds} {'seed' if seeds == 1 else 'seeds'}" for seeds in SEEDS)]
    rows = [
        [f"{count:,}{' (now)' if count == result.patients else ''}", *(f"{value:.4f}" for value in values)]
        for count, values in result.smallest.items()
    ]
    lines += [*_wrapped(title), "", *md.table(header, rows), ""]
    needed = [["patients", *("no number" if count is None else f"{count:,}" for count in result.needed)]]
    lines += [*_wrapped(f"Patients that show a difference of {result.difference:g}:"), ""]
    lines += [*md.table(["needed", *header[1:]], needed), ""]
    if None in result.needed:
        lines += _wrapped(f"No number: with so few seeds training noise alone hides it, even on {MOST:,} patients.")
    once = "With one seed a side, training noise is taken as it was measured here; a review then judges networks."
    return "\n".join([*lines, *_wrapped(once), *_wrapped(ASSUMED)]) + "\n"


def _measured(result: Power) -> str:
    pair = f"From {cell(result.base)} and {cell(result.head)}"
    plan = result.plan
    if plan is None and result.noise is None and min(result.seeds) == 1:
        return (
            f"{pair}: training noise is unknown, as one of them has a single seed and base has no other record of "
            "several. `train.seeds=3` measures it; without it nothing can be planned."
        )
    if plan is None:
        return (
            f"{pair}: {WORDS[result.metric]} does not vary on these {result.patients} patients: nothing to plan from."
        )
    training = " and ".join(f"{np.sqrt(variance):.4f}" for variance in plan.training)
    source = f", from {', '.join(result.noise.records)}" if result.noise else ""
    return (
        f"{pair}, {result.seeds[0]} and {result.seeds[1]} seeds, {result.patients} patients. SD between seeds, without "
        f"what the patients add: {training}{source}. Standard error of the difference from these patients: "
        f"{np.sqrt(plan.common):.4f} with any number of seeds."
    )


def as_json(result: Power) -> str:
    content: dict[str, Any] = asdict(result) | {"power": POWER, "seeds_planned": SEEDS, "assumed": ASSUMED}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _wrapped(text: str) -> Sequence[str]:
    return textwrap.wrap(text, WIDTH)
