"""What the results amount to, in sentences: the choice, the test part, the published line, the shortcut."""

from collections.abc import Mapping
from typing import Any

from pneumo.report import published
from pneumo.report.markdown import interval, number, weights
from pneumo.report.results import WORDS, Results


def headline(results: Results) -> str:
    """One sentence: what the chosen model does on the test part."""
    metrics = results.best
    what = "phantom images" if results.phantom else "test images"
    return (
        f"{results.chosen} ({weights(metrics)}) finds {metrics['tp']} of {metrics['tp'] + metrics['fn']} pneumonias "
        f"(recall {number(metrics['recall'])} {interval(metrics['ci95'].get('recall'))}) and clears {metrics['tn']} of "
        f"{metrics['tn'] + metrics['fp']} normals (specificity {number(metrics['specificity'])} "
        f"{interval(metrics['ci95'].get('specificity'))}) among {metrics['n']} {what} of "
        f"{metrics['patients']} patients."
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


def standing(metrics: Mapping[str, Any]) -> str:
    """Metrics of the line as above, below, or within the 95 % interval of ours."""
    sides: dict[str, list[str]] = {"above it": [], "below it": [], "indistinguishable from it": []}
    for key, value in published.FIGURES.items():
        low, high = metrics["ci95"].get(key) or (None, None)
        side = "indistinguishable from it"
        if low is not None and high is not None:
            side = "above it" if low > value else "below it" if high < value else side
        sides[side].append(f"{WORDS[key]} ({metrics[key] - value:+.3f})")
    clauses = [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {side}" for side, names in sides.items() if names
    ]
    return f"Here, {weights(metrics)}: {'; '.join(clauses)}, by the 95 % intervals over patients."


def shortcut(results: Results) -> str:
    """What the baseline gets that never looks at lungs."""
    metrics = results.baseline
    return (
        f"A logistic regression on image size, file size, brightness and borders alone, which never sees lungs, has "
        f"ROC AUC {number(metrics['roc_auc'])} {interval(metrics['ci95'].get('roc_auc'))} and accuracy "
        f"{number(metrics['accuracy'])} on the same test images."
    ).replace("  ", " ")


def audit(results: Results) -> str:
    """How many checks of the data are flagged, and which."""
    findings = results.data["audit"]["findings"]
    flagged = [finding["check"] for finding in findings if finding["flag"]]
    if not flagged:
        return f"The audit of the data flags none of its {len(findings)} checks."
    return f"The audit of the data flags {len(flagged)} of {len(findings)} checks: {', '.join(flagged)}."
