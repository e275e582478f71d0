"""reports/MODEL_CARD.md, after Mitchell et al. 2019 (doi:10.1145/3287560.3287596), filled from real values."""

from pneumo.evaluation import abstention, flagged
from pneumo.evaluation.metrics import BY_KEY, WORDS
from pneumo.report import templates, verdict
from pneumo.report.results import Results

ROWS = (*WORDS, "recall_bacterial", "recall_viral", "ppv", "npv", "brier", "ece")  # of the table of results


def render(results: Results) -> str:
    """The card of the selected model, in Markdown."""
    model_json = results.model_json
    ensemble = model_json["kind"] == "ensemble"
    return templates.render(
        "model_card.md.j2",
        html=False,
        results=results,
        headline=verdict.headline(results),
        seeds=verdict.seeds(results),
        line_to_beat=verdict.line_to_beat(results),
        findings=results.data["audit"]["findings"],
        official=verdict.official(results),
        abstentions=[(words.replace("%", " %"), row) for words, row in abstention.rows(results.best).items()],
        fitted_on=results.model_json["threshold_policy"]["scores"],
        guarded=[(flagged.GROUPS[group], row) for group, row in results.guard["groups"].items()],
        missed=_missed(results),
        rows={key: BY_KEY[key].words for key in ROWS},
        architecture=f"mean logit of {', '.join(model_json['members'])}" if ensemble else model_json["architecture"],
        input=_input(model_json["input_size"]),
    )


def _missed(results: Results) -> list[str]:
    """What is no proper film, and yet is flagged in less than half of the cases."""
    proper = (flagged.VALIDATION, flagged.TEST)
    groups = results.guard["groups"].items()
    return [flagged.GROUPS[group] for group, row in groups if group not in proper and row["flagged"] < 0.5]


def _input(size: int | None) -> str:
    """`size`: pixels a side; None for an ensemble whose members differ."""
    if size is None:
        return "greyscale, the whole image stretched to a square; each member at its own size"
    return f"greyscale, {size} x {size} pixels, the whole image stretched to a square"
