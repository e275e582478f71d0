"""What the results amount to, in sentences: the choice, the test part, the published line, the shortcut."""

from collections.abc import Mapping
from typing import Any

from pneumo.report import published
from pneumo.report.markdown import interval, number, weights
from pneumo.report.results import WORDS, Results


def headline(results: Results) -> str:
    """One sentence: what the chosen model does on the test part."""
    one = results.best
    what = "phantom images" if results.phantom else "test images"
    return (
        f"{results.chosen} ({weights(one)}) finds {one['tp']} of {one['tp'] + one['fn']} pneumonias "
        f"(recall {number(one['recall'])} {interval(one['ci95'].get('recall'))}) and clears {one['tn']} of "
        f"{one['tn'] + one['fp']} normals (specificity {number(one['specificity'])} "
        f"{interval(one['ci95'].get('specificity'))}) among {one['n']} {what} of {one['patients']} patients."
    ).replace(" )", ")")


def sentences(results: Results) -> list[str]:
    """What to know before reading on: the choice, the published line, the shortcut, the audit."""
    return [
        f"Chosen on validation alone: {results.choice['reason']}",
        *line_to_beat(results),
        shortcut(results),
        audit(results),
    ]


def line_to_beat(results: Results) -> list[str]:
    """Where the chosen model stands against the published line, metric by metric, or why that cannot be said."""
    figures = ", ".join(f"{WORDS[key]} {value:.2f}" for key, value in published.FIGURES.items())
    line = f"The published line to beat, {published.BY}, is {figures}."
    if results.phantom:
        return [
            "These are phantom images, drawn by a program: the numbers show that the pipeline works, mean nothing "
            f"clinically and do not compare with any published number. {line}"
        ]
    if results.best["n"] != published.TEST_IMAGES:
        return [f"{line} These {results.best['n']} test images are others, so the numbers do not compare with it."]
    return [f"{line} {standing(results.best)}"]


def official(results: Results) -> bool:
    """Whether the test part has as many images as the official one, and they are not phantoms."""
    return not results.phantom and results.best["n"] == published.TEST_IMAGES


def standing(one: Mapping[str, Any]) -> str:
    """Metrics of the line as above, below, or within the 95 % interval of ours."""
    sides: dict[str, list[str]] = {"above it": [], "below it": [], "indistinguishable from it": []}
    for key, value in published.FIGURES.items():
        low, high = one["ci95"].get(key) or (None, None)
        side = "indistinguishable from it"
        if low is not None and high is not None:
            side = "above it" if low > value else "below it" if high < value else side
        sides[side].append(f"{WORDS[key]} ({one[key] - value:+.3f})")
    said = [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {side}" for side, names in sides.items() if names]
    return f"Here, {weights(one)}: {'; '.join(said)}, by the 95 % intervals over patients."


def shortcut(results: Results) -> str:
    """What the baseline gets that never looks at lungs."""
    one = results.baseline
    return (
        f"A logistic regression on image size, file size, brightness and borders alone, which never sees lungs, has "
        f"ROC AUC {number(one['roc_auc'])} {interval(one['ci95'].get('roc_auc'))} and accuracy "
        f"{number(one['accuracy'])} on the same test images."
    ).replace("  ", " ")


def audit(results: Results) -> str:
    """How many checks of the data are flagged, and which."""
    found = results.data["audit"]["findings"]
    flagged = [one["check"] for one in found if one["flag"]]
    if not flagged:
        return f"The audit of the data flags none of its {len(found)} checks."
    return f"The audit of the data flags {len(flagged)} of {len(found)} checks: {', '.join(flagged)}."
