"""Marked tables: what they show, and on which pages they are found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from records import BACKBONES, first_cell, make, put, run, text

from pneumo.errors import VerifyError
from pneumo.verification import markers, tables, verify


def test_a_summary_has_mean_and_standard_deviation_over_the_runs_of_a_model(made: Path, tmp_path: Path) -> None:
    recalls = {"a": 0.9, "b": 0.95, "c": 0.97}
    for name, recall in recalls.items():
        shutil.copytree(made, tmp_path / name)
        put("metrics/cnn.json", "recall", recall)(tmp_path / name)
    columns = "columns=run,model,input_size,recall:ci,stress.all.roc_auc models=cnn without=shortcut,published"
    page = f"<!-- pneumo table: a b c {columns} summary=mean -->\n<!-- /pneumo table -->\n"
    (tmp_path / "page.md").write_text(page)
    tables.write(tmp_path / "page.md", tmp_path)
    lines = (tmp_path / "page.md").read_text().splitlines()
    assert "stress validation ROC AUC" in lines[1]
    assert len(lines) == 3 + 3 + 1 + 1
    cells = [cell.strip() for cell in lines[-2].split("|")[1:-1]]
    size, auc = (json.loads((made / "metrics/cnn.json").read_text())[key] for key in ("input_size", "stress"))
    spread = np.std(list(recalls.values()), ddof=1)
    expected = ["mean ± SD of 3", "cnn", str(size), f"0.940 ± {spread:.3f}", f"{auc['all']['roc_auc']:.3f} ± 0.000"]
    assert cells == expected


def test_a_column_can_be_of_the_images_without_suspected_labels(made: Path, copy: Path) -> None:
    columns = "columns=model,roc_auc,without_suspected_labels.roc_auc models=cnn without=shortcut"
    (copy / "page.md").write_text(f"<!-- pneumo table: . {columns} -->\n<!-- /pneumo table -->\n")
    tables.write(copy / "page.md", copy)
    header, _, row = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in (copy / "page.md").read_text().splitlines()[1:4]
    )
    figures = json.loads((made / "metrics/cnn.json").read_text())
    assert header == ["model", "test ROC AUC", "without suspected labels, ROC AUC"]
    assert row[1:] == [f"{values['roc_auc']:.3f}" for values in (figures, figures["without_suspected_labels"])]


def test_a_table_shows_the_baseline_last_and_the_published_line_on_the_official_images_alone(tmp_path: Path) -> None:
    def rows(root: Path) -> list[str]:
        return [line.split("|")[1].strip() for line in markers.blocks(root / "README.md")[0].content[2:]]

    archive, phantom = make(tmp_path / "a", n=624), make(tmp_path / "b", n=624, source="phantom")
    assert rows(archive)[-2:] == ["shortcut", "published: ResNet50"]
    assert rows(phantom)[-1] == "shortcut"
    assert sum(name.startswith("**") for name in rows(archive)) == 1
    assert {name.strip("*") for name in rows(archive)[:-2]} == {*BACKBONES, "ensemble"}
    both = "<!-- pneumo table: a b columns=run,model,recall models=best -->\n<!-- /pneumo table -->\n"
    (tmp_path / "page.md").write_text(both)
    assert tables.write(tmp_path / "page.md", tmp_path) == 1
    written = (tmp_path / "page.md").read_text()
    assert written.count("[a](a)") == 2
    assert written.count("[b](b)") == 2
    assert written.count("published") == 1


def test_writing_tables_again_changes_nothing_and_words_outside_of_markers_stay(made: Path, copy: Path) -> None:
    before = (copy / "README.md").read_text()
    assert tables.write(copy / "README.md", copy) == 2
    assert (copy / "README.md").read_text() == before
    assert "\nWords.\n" in before
    assert "\nold\n" not in before


def test_pages_are_the_readme_those_of_docs_and_that_of_results(tmp_path: Path) -> None:
    assert tables.pages(tmp_path) == []
    for name in ("README.md", "CHANGELOG.md", "docs/b.md", "docs/a.md", "docs/review/c.md", "results/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [page.relative_to(tmp_path).as_posix() for page in tables.pages(tmp_path)]
    assert names == ["README.md", "docs/a.md", "docs/b.md", "results/README.md"]


def test_figures_in_tables_outside_of_markers_are_counted(copy: Path) -> None:
    with (copy / "README.md").open("a") as page:
        page.write("| mine | 0.999 |\n")
    assert run(copy).unverified[f"{copy / 'README.md'}: table rows with figures outside of markers"] == 1


def test_a_summary_of_seeds_has_a_row_for_each_replicate_then_mean_and_spread(tmp_path: Path) -> None:
    root = make(tmp_path / "seeds", seeds=3, backbones={"cnn": 0.8, "vgg16": 0.9}, ensembles=())
    columns = "columns=model,val_roc_auc,roc_auc:ci,recall,stress.all.roc_auc"
    page = f"<!-- pneumo table: . {columns} summary=seeds without=shortcut -->\n<!-- /pneumo table -->\n"
    (root / "README.md").write_text(page)
    tables.write(root / "README.md", root)
    rows = [line.split("|")[1:-1] for line in (root / "README.md").read_text().split("\n") if line.startswith("|")][2:]
    names = [row[0].strip() for row in rows]
    best = json.loads((root / "metrics/best.json").read_text())["model"]
    other = {"cnn": "vgg16", "vgg16": "cnn"}[best]
    seeds = ["seed 0", "seed 1", "seed 2"]
    expected = [f"{best}, {seed}" for seed in seeds] + [f"**{best}**, mean of 3", f"{best}, SD of 3"]
    assert names == expected + [f"{other}, {seed}" for seed in seeds] + [f"{other}, mean of 3", f"{other}, SD of 3"]
    figures = json.loads((root / f"metrics/{best}.json").read_text())
    low, high = figures["ci95"]["roc_auc"]
    assert rows[3][2].strip() == f"{figures['roc_auc']:.3f} [{low:.3f}, {high:.3f}]"
    assert rows[4][2].strip() == f"{figures['sd']['roc_auc']:.3f}"
    assert [row[4].strip() for row in rows[:5]] == ["-", "-", "-", f"{figures['stress']['all']['roc_auc']:.3f}", "-"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("\n<!-- pneumo table: . -->\n", ["line 2", "is not closed"]),
        ("<!-- pneumo table: . -->\n<!-- pneumo table: . -->\n<!-- /pneumo table -->", ["line 1", "before", "line 2"]),
        ("<!-- /pneumo table -->", ["line 1", "closes no table"]),
        ("<!-- pneumo tabel: . -->", ["line 1", "expected <!-- pneumo table: FOLDER -->"]),
        ("<!--pneumo table: . -->", ["line 1", "expected <!-- pneumo table"]),
        ("<!-- pneumo table: . rows=all -->\n<!-- /pneumo table -->", ["line 1", "no option rows", "columns"]),
        ("<!-- pneumo table: . without=cnn -->\n<!-- /pneumo table -->", ["line 1", "without=cnn", "published"]),
        (
            "<!-- pneumo table: . summary=median -->\n<!-- /pneumo table -->",
            ["line 1", "summary=median", "expected mean or seeds"],
        ),
        ("<!-- pneumo table: . columns=kappa -->\n<!-- /pneumo table -->", ["line 1", "has no kappa"]),
        ("<!-- pneumo table: . models=vgg61 -->\n<!-- /pneumo table -->", ["line 1", "no model vgg61", "vgg16"]),
        ("<!-- pneumo table: results/x -->\n<!-- /pneumo table -->", ["line 1", "results/x", "not among"]),
        ("<!-- pneumo table: ../x -->\n<!-- /pneumo table -->", ["line 1", "../x"]),
        ("<!-- pneumo table -->\n<!-- /pneumo table -->", ["line 1", "found none"]),
    ],
)
def test_a_marker_that_cannot_be_followed_is_named_with_its_line(copy: Path, page: str, words: list[str]) -> None:
    (copy / "README.md").write_text(page)
    with pytest.raises(VerifyError) as caught:
        run(copy)
    assert all(word in str(caught.value) for word in ["README.md", *words]), str(caught.value)


def test_a_table_of_a_folder_that_was_not_asked_for_is_skipped(made: Path, copy: Path) -> None:
    text("README.md", first_cell)(copy)
    put("metrics/cnn.json", "f1", 1.0)(copy)
    verify.verify([made], [copy / "README.md"], copy, others=True)
