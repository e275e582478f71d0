"""reports/index.html: one page that needs nothing but itself, for reading in a browser and for printing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pneumo.report import gallery, published, templates, verdict
from pneumo.report.figures import pictures
from pneumo.report.results import CALIBRATION, WORDS, Results

KINDS = {
    "true_positive": "pneumonia, found",
    "false_negative": "pneumonia, missed",
    "false_positive": "normal, called pneumonia",
    "true_negative": "normal, cleared",
}
LARGEST_SHIFTS = 12  # rows of the table


def render(results: Results, figures: Path) -> str:
    """The page as HTML. `figures`: the folder of the SVG files that it holds."""
    return templates.render(
        "page.html.j2",
        html=True,
        results=results,
        style=templates.text("page.css"),
        headline=verdict.headline(results),
        sentences=verdict.sentences(results),
        published=published.FIGURES,
        official=verdict.official(results),
        words=WORDS,
        calibration=CALIBRATION,
        findings=results.data["audit"]["findings"],
        figure=lambda stem, words: _svg(figures / f"{stem}.svg", words),
        reliability=[path.stem for path in sorted(figures.glob("reliability_*.svg"))],
        sheets=gallery.errors_beside_training(results),
        pairs=gallery.near_duplicates(results),
        suspects=gallery.suspected_labels(results),
        explained=_explained(results),
        shift=_largest_shifts(results),
        stress=_stress_rows(results),
        samples=pictures.strip(results.root / "reports/explain/samples.png"),
        coefficients=results.audit["shortcut_coefficients"].to_dict("records"),
    )


def _svg(path: Path, words: str) -> Markup:
    """The drawing without its XML declaration, named for people who cannot see it."""
    text = path.read_text(encoding="utf-8")
    drawing = text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{words}"', 1)
    return Markup(drawing)


def _explained(results: Results) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The Grad-CAM strips by kind of case, each with its picture as `source`."""
    folder = results.root / "reports/explain"
    cases = [case | {"source": pictures.strip(folder / case["file"])} for case in results.explained["cases"]]
    return [(words, [case for case in cases if case["kind"] == kind]) for kind, words in KINDS.items()]


def _stress_rows(results: Results) -> list[tuple[str, Mapping[str, Any]]]:
    """Words for the perturbation and its metrics of the chosen model: none, all together, and one by one."""
    table = results.best["stress"]
    rows = [("none", table["plain"]), ("all perturbed images", table["all"])]
    kinds = [kind for kind in table if kind not in ("plain", "all")]
    return rows + [(f"{kind} {strength}", row) for kind in kinds for strength, row in table[kind].items()]


def _largest_shifts(results: Results) -> list[Mapping[str, Any]]:
    table = results.audit["shift"]
    order = table["smd_test_train"].abs().sort_values(ascending=False).index
    return [dict(row) for _, row in table.loc[order].head(LARGEST_SHIFTS).iterrows()]
