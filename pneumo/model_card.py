"""reports/MODEL_CARD.md, after Mitchell et al. 2019 (doi:10.1145/3287560.3287596), filled from real values."""

from pneumo import templates, verdict
from pneumo.results import WORDS, Results

ROWS = {
    **WORDS,
    "recall_bacterial": "recall, bacterial",
    "recall_viral": "recall, viral",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "brier": "Brier score",
    "ece": "expected calibration error",
}


def render(results: Results) -> str:
    """The card of the chosen model, in Markdown."""
    contract = results.contract
    ensemble = contract["kind"] == "ensemble"
    return templates.render(
        "model_card.md.j2",
        html=False,
        results=results,
        headline=verdict.headline(results),
        line_to_beat=verdict.line_to_beat(results),
        findings=results.data["audit"]["findings"],
        official=verdict.official(results),
        rows=ROWS,
        architecture=f"mean logit of {', '.join(contract['members'])}" if ensemble else contract["architecture"],
        input=f"grey, {contract['input_size']} x {contract['input_size']} pixels, the whole field stretched to a square"
        if contract["input_size"]
        else "grey, the whole field stretched to a square; each member at its own size",
    )
