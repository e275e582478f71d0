"""reports/index.html: one page that needs nothing but itself, for reading in a browser and for printing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from pneumo.data import manifest
from pneumo.evaluation import abstention, flagged, suspected
from pneumo.evaluation.metrics import BY_KEY, WORDS
from pneumo.external.subgroups import subgroups
from pneumo.report import gallery, published, templates, verdict
from pneumo.report.figures import pictures
from pneumo.report.results import CALIBRATION, Results

KINDS = {
    "true_positive": "Pneumonia, detected",
    "false_negative": "Pneumonia, missed",
    "false_positive": "Normal, called pneumonia",
    "true_negative": "Normal, cleared",
}
COVERS = {  # name in ablation.json -> what is covered
    "nothing": "nothing",
    "lungs": "the lungs",
    "lungs_of_another": "the place of another patient’s lungs",
    "lungs_of_most": "where most films have lungs, the same for all",
    "all_but_lungs": "all but the lungs",
    "all_but_lungs_of_another": "all but the place of another patient’s lungs",
    "all_but_lungs_of_most": "all but where most films have lungs",
    "border": "the border, an eighth of each side",
}
COLUMNS = (*WORDS, "recall_bacterial", "recall_viral")  # of the table of all models
LARGEST_SHIFTS = 12  # rows of the table
UNFOLDED = 12  # pictures of suspected labels; more are folded


def render(results: Results, figures: Path) -> str:
    """The page as HTML. `figures`: the folder of the SVG files that it holds."""
    splits = gallery.read_splits(results)
    return templates.render(
        "page.html.j2",
        html=True,
        results=results,
        style=templates.text("page.css"),
        script=templates.text("page.js"),
        headline=verdict.headline(results),
        sentences=verdict.sentences(results),
        published=published,
        official=verdict.official(results),
        columns={key: BY_KEY[key].words for key in COLUMNS},
        seed_columns=WORDS,
        selection_metric=WORDS.get(results.choice["metric"], results.choice["metric"]),
        calibration=CALIBRATION,
        abstentions=[(words.replace("%", " %"), row) for words, row in abstention.rows(results.best).items()],
        fitted_on=results.model_json["threshold_policy"]["scores"],
        guarded=[(flagged.GROUPS[group], row) for group, row in results.guard["groups"].items()],
        subgroups=_subgroups(results),
        findings=results.data["audit"]["findings"],
        figure=lambda stem, words: _svg(figures / f"{stem}.svg", words),
        elsewhere=gallery.errors_elsewhere(results),
        sheets=gallery.errors_beside_training(results, splits),
        pairs=gallery.near_duplicates(results, splits),
        suspects=gallery.suspected_labels(results, splits),
        most_unfolded=UNFOLDED,
        without_suspects=results.metrics[results.selected].get(suspected.GROUP),
        without_suspects_columns={key: BY_KEY[key].words for key in suspected.KEYS},
        truth=manifest.truth,
        explained=_explained(results),
        covers=[
            (words, results.ablation["covers"][key]) for key, words in COVERS.items() if results.ablation["covers"]
        ],
        covered=[
            case | {"source": pictures.strip(results.root / "reports/ablation" / case["file"])}
            for case in results.ablation["examples"]
        ],
        shift=_largest_shifts(results),
        stress=_stress_rows(results),
        samples=pictures.strip(results.root / "reports/explain/samples.png"),
        coefficients=results.audit["shortcut_coefficients"].to_dict("records"),
    )


def _subgroups(results: Results) -> list[dict[str, Any]]:
    """The selected model on the groups of test images that the columns kept by the source make."""
    rows = results.split("test").rows
    columns = [column for column in rows.columns if column not in manifest.COLUMNS]
    table = results.test[results.selected].merge(rows[["image", *columns]], on="image", validate="one_to_one")
    return subgroups(table, columns, threshold=results.best["threshold"])


def _svg(path: Path, words: str) -> Markup:
    """The drawing without its XML declaration, named for people who cannot see it."""
    text = path.read_text(encoding="utf-8")
    drawing = text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(words)}"', 1)
    return Markup(drawing)


def _explained(results: Results) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The Grad-CAM strips by kind of case, each with its picture as `source`."""
    folder = results.root / "reports/explain"
    cases = [case | {"source": pictures.strip(folder / case["file"])} for case in results.explained["cases"]]
    return [(words, [case for case in cases if case["kind"] == kind]) for kind, words in KINDS.items()]


def _stress_rows(results: Results) -> list[tuple[str, Mapping[str, Any]]]:
    """Words for the perturbation and the selected model's metrics under it: none, all together, then each."""
    table = results.best["stress"]
    rows = [("none", table["plain"]), ("all images under stress, pooled", table["all"])]
    kinds = [kind for kind in table if kind not in ("plain", "all")]
    return rows + [(f"{kind} {strength}", row) for kind in kinds for strength, row in table[kind].items()]


def _largest_shifts(results: Results) -> list[Mapping[str, Any]]:
    table = results.audit["shift"]
    order = table["smd_test_train"].abs().sort_values(ascending=False).index
    return [dict(row) for _, row in table.loc[order].head(LARGEST_SHIFTS).iterrows()]
