"""What the results amount to, in sentences: the selection, the test set, the published line, the shortcut."""

from collections.abc import Mapping
from typing import Any

from pneumo.evaluation.metrics import WORDS
from pneumo.report import published
from pneumo.report.markdown import number, weights, with_interval
from pneumo.report.results import Results


def headline(results: Results) -> str:
    """One sentence: what the selected model does on the test set."""
    metrics = results.best
    images = "phantom test images" if results.phantom else "test images"
    pneumonias, normals = metrics["tp"] + metrics["fn"], metrics["tn"] + metrics["fp"]
    return (
        f"{results.shown[results.selected]} ({weights(metrics)}) detects {metrics['tp']} of {pneumonias} pneumonias "
        f"(recall {_value(metrics, 'recall')}) and clears {metrics['tn']} of {normals} normals "
        f"(specificity {_value(metrics, 'specificity')}) on {metrics['n']} {images} of {metrics['patients']} patients."
    )


def sentences(results: Results) -> list[str]:
    """What to know before reading on: the selection, the published line, the shortcut, the audit."""
    return [
        f"Selected on validation alone: {results.choice['reason']}",
        seeds(results),
        *line_to_beat(results),
        *(elsewhere(name, metrics) for name, metrics in results.external.items()),
        shortcut(results),
        audit(results),
    ]


def seeds(results: Results) -> str:
    """How much the seed matters, or that nobody knows."""
    metrics, shown = results.metrics[results.selected], ("roc_auc", "accuracy", "recall", "specificity")
    if "sd" not in metrics:
        return (
            f"{results.selected} was trained with one seed: how much another seed would change is unknown, and no "
            "interval here counts it. train.seeds=3 measures it."
        )
    figures = ", ".join(f"{WORDS[key]} {_value(metrics, key)}, SD {number(metrics['sd'][key])}" for key in shown)
    return (
        f"Mean of {results.selected} over {len(metrics['seeds'])} seeds, with intervals over patients and seeds and SD "
        f"between seeds: {figures}."
    )


def elsewhere(name: str, metrics: Mapping[str, Any]) -> str:
    """What the selected model does at another hospital, and, but for early records, what can be had without lungs."""
    drop, baseline, readable = (
        metrics["drop"]["roc_auc"],
        metrics.get("shortcut"),
        metrics.get("readable_without_lungs"),
    )
    beside = f" There the shortcut baseline has ROC AUC {_value(baseline, 'roc_auc')}." if baseline else ""
    readable = metrics.get("readable_without_lungs")
    if readable and readable["roc_auc"] is not None:
        beside += (
            " Exposure and borders alone, learnt on these very images by folds over patients, have "
            f"{with_interval(readable['roc_auc'], readable['roc_auc_ci95'])}."
        )
    return (
        f"At another hospital ({name}, {metrics['n']} images of {metrics['patients']} patients) it has ROC AUC "
        f"{_value(metrics, 'roc_auc')}, recall {_value(metrics, 'recall')} and specificity "
        f"{_value(metrics, 'specificity')}; ROC AUC on the internal test set is {number(drop['internal'])}.{beside}"
    )


def line_to_beat(results: Results) -> list[str]:
    """Where the selected model stands against the published line, metric by metric, or why that cannot be said."""
    figures = ", ".join(f"{WORDS[key]} {value:.2f}" for key, value in published.FIGURES.items())
    line = f"The published line to beat, {published.BY}: {figures}."
    if results.phantom:
        return [
            "These are phantom images, drawn by a program: the numbers show that the pipeline works. They have no "
            f"clinical meaning and cannot be compared with any published number. {line}"
        ]
    if results.best["n"] != published.TEST_IMAGES:
        return [
            f"{line} These {results.best['n']} test images are different ones, so the numbers cannot be compared with "
            "it."
        ]
    return [f"{line} {standing(results.metrics[results.selected])}"]


def official(results: Results) -> bool:
    """Whether the test set has as many images as the official one, and they are not phantoms."""
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
    return f"Here ({weights(metrics)}), {'; '.join(clauses)}, judged by the 95 % intervals."


def shortcut(results: Results) -> str:
    """How far the baseline gets that never sees the lungs."""
    metrics = results.baseline
    return (
        "The shortcut baseline, a logistic regression on image size, file size, brightness and borders alone, never "
        f"sees the lungs. On the same test images it has ROC AUC {_value(metrics, 'roc_auc')} and accuracy "
        f"{number(metrics['accuracy'])}."
    )


def audit(results: Results) -> str:
    """How many checks of the data are flagged, and which."""
    findings = results.data["audit"]["findings"]
    flagged = [finding["check"] for finding in findings if finding["flag"]]
    if not flagged:
        return f"The data audit flags none of its {len(findings)} checks."
    return f"The data audit flags {len(flagged)} of its {len(findings)} checks: {', '.join(flagged)}."


def _value(metrics: Mapping[str, Any], key: str) -> str:
    return with_interval(metrics[key], metrics["ci95"].get(key))
