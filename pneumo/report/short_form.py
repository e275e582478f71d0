"""reports/report.md: the results as far as they fit into a pull request."""

import textwrap
from collections.abc import Iterable

from pneumo.evaluation.metrics import WORDS
from pneumo.report import published, verdict
from pneumo.report.markdown import interval, number, percent, table, weights, with_interval
from pneumo.report.results import Results


def render(results: Results) -> str:
    """The short form, in Markdown."""
    under_stress = results.choice["scores"] == "stress"
    paragraphs = [
        "# Pneumonia from chest X-rays",
        _wrap(f"**{verdict.headline(results)}**"),
        _listed(verdict.sentences(results)),
        "## Test images",
        _test_table(results),
        _wrap(
            "Brackets hold 95 % intervals over patients, not images, and over seeds where there are several: then "
            "figures are means. Each model is used at its own threshold, set on validation. The shortcut baseline "
            "never sees the lungs."
        ),
        f"## {'Stress validation' if under_stress else 'Validation'}, on which the model was selected",
        _validation_table(results),
        _wrap(
            f"`wins` is the share of {results.choice['resamples']:,} draws of the {results.choice['patients']} "
            "validation patients, and of seeds where there are several, in which the model ranks first. The interval "
            "of the difference is paired over patients."
        ),
        "## Data",
        _listed(
            f"{'**flagged** ' if finding['flag'] else ''}{finding['check']}: {finding['finding']}"
            for finding in results.data["audit"]["findings"]
        ),
        "Curves, calibration, Grad-CAM, errors beside training images, and the pictures behind the audit:\n"
        "`reports/index.html`.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _test_table(results: Results) -> str:
    rows = [
        [_bold(name, results), *(with_interval(metrics[key], metrics["ci95"].get(key)) for key in WORDS)]
        for name, metrics in {**results.metrics, "shortcut baseline": results.baseline}.items()
    ]
    line = [f"{published.FIGURES[key]:.2f}" if key in published.FIGURES else "" for key in WORDS]
    return "\n".join(table(["model", *WORDS.values()], [*rows, ["published line", *line]]))


def _validation_table(results: Results) -> str:
    metric = results.choice["metric"]
    rows = [
        [
            _bold(candidate["model"], results),
            number(candidate[metric]),
            f"{candidate['difference']:+.3f} {interval(candidate['difference_ci95'])}",
            percent(candidate["p_best"]),
            f"{results.metrics[candidate['model']]['threshold']:.4g}",
            f"{candidate['parameters']:,}",
            weights(results.metrics[candidate["model"]]),
        ]
        for candidate in results.choice["candidates"]
    ]
    header = ["difference to best", "wins", "threshold", "parameters", "starting weights"]
    return "\n".join(table(["model", WORDS.get(metric, metric), *header], rows))


def _bold(name: str, results: Results) -> str:
    return f"**{name}**" if name == results.selected else name


def _listed(sentences: Iterable[str]) -> str:
    return "\n".join(_wrap(f"- {sentence}", "  ") for sentence in sentences)


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)
