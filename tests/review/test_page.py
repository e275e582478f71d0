"""The Markdown as GitHub renders it, and the JSON for machines."""

import json

import pytest
from project import Project, table
from rendered import rendered

from pneumo.evaluation.metrics import WORDS
from pneumo.review import page, result, sections, snapshot

DVC = {"dvc metrics diff --md": "| Path | Metric |\n|---|---|\n| a | b |", "dvc params diff --md": ""}


def reviewed(project: Project) -> result.Result:
    return result.review(snapshot.commit(project.root, "main~1"), snapshot.commit(project.root, "main"))


@pytest.fixture
def changed(project: Project) -> Project:
    """The selected model and the other one have other scores, and parameters differ."""
    for name, noise in (("cnn", 1.0), ("vgg16", 1.2)):
        project.score(name, table(noise, seed=6))
    project.select("cnn")
    project.params["model"]["cnn"]["lr"] = 0.02
    project.commit()
    return project


def test_every_table_is_one_in_html_too_and_every_fold_is_closed(changed):
    outcome = reviewed(changed)
    text = page.markdown(outcome, DVC)
    html = rendered(text)
    assert html.open == []
    tables = {
        title: [rows for rows in html.tables if rows[0][0] == title] for title in [rows[0][0] for rows in html.tables]
    }
    assert list(tables) == ["model", "metric", "image", "parameter"]
    assert "```text\n| Path | Metric |" in text, "what DVC prints holds names and values as they are, so it is code"
    assert len(tables["metric"]) == 2, "of the selected model, and folded of the other one"
    for rows in html.tables:
        assert len({len(row) for row in rows}) == 1, rows
    assert [row[0] for row in tables["model"][0][1:]] == ["cnn (selected)", "vgg16"]
    accuracy = next(row for row in tables["metric"][0] if row[0] == "accuracy")
    row = outcome.selected.row("accuracy")
    assert accuracy[1:4] == [f"{row.base:.6f}", f"{row.head:.6f}", f"{row.difference:+.6f}"]
    assert sum(len(rows) - 1 for rows in tables["image"]) == len(outcome.selected.flips)
    assert tables["parameter"][0][1:] == [["model.cnn.lr", "0.001", "0.02"]]


def test_the_verdict_comes_first_and_names_both_commits(changed):
    outcome = reviewed(changed)
    first, _, second, _, power, _, about, _, third, *_ = page.markdown(outcome, DVC).splitlines()
    assert first == f"## pneumo review: {outcome.verdict}"
    assert second.startswith("**cnn**: ROC AUC 0.")
    assert second.endswith("phantom test images of 120 patients.")
    assert power.startswith(("Differences below 0.", "These 120 patients show a difference of 0."))
    assert about.startswith("The verdict is about these two networks, not about the recipes. Training noise is unknown")
    assert third.startswith(
        f"Base is `main~1 ({outcome.base.commit[:10]})`, head is main ({outcome.head.commit[:10]})."
    )


def test_reasons_stand_below_a_verdict_of_not_comparable(project):
    project.score("cnn", table(1.0).iloc[1:])
    project.select("cnn")
    project.commit()
    text = page.markdown(reviewed(project), DVC)
    assert text.startswith(
        "## pneumo review: not comparable\n\nNot comparable (cnn):\n\n- 1 test image (`test/NORMAL/000"
    )
    assert "in common: **within noise**." in text


def test_names_from_the_data_start_no_html_and_leave_their_cells(project):
    test = table(1.0)
    name = "test/NORMAL/<img src=x>|`--`.jpeg"
    project.params["model"]["c|n <i>"] = {}
    for noise in (1.0, 2.0):
        renamed = table(noise, seed=3).assign(image=[name, *test["image"][1:]], subtype="<i>|a")
        renamed["patient"] = [f"<details>|{patient}" for patient in renamed["patient"]]
        project.score("c|n <i>", renamed)
        project.select("c|n <i>")
        project.params["model"]["cnn"]["<script>|x"] = noise
        project.commit()
    outcome = reviewed(project)
    assert outcome.selected.flips
    text = page.markdown(outcome, DVC)
    html = rendered(text)
    assert html.open == []
    assert not {"img", "script", "i"} & html.seen
    assert "model.cnn.<script>|x" in {row[0] for rows in html.tables for row in rows}, "as code it is shown as it is"
    assert all(len({len(row) for row in rows}) == 1 for rows in html.tables)


def test_it_fits_into_a_comment_however_long_dvc_is(changed):
    long = "\n".join(f"| metrics/{place}.json | accuracy | 0.1 | 0.2 |" for place in range(5000))
    text = page.markdown(reviewed(changed), {"dvc metrics diff --md x": long, "dvc params diff --md x": long})
    assert len(text) < 65_536
    assert "more lines: dvc metrics diff --md x" in text
    assert rendered(text).open == []


def test_many_flips_and_changes_are_folded(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    project.commit()
    project.score("cnn", table(4.0, seed=2))
    project.select("cnn")
    project.params["model"]["cnn"] |= {f"p{place:02}": place for place in range(20)}
    project.commit()
    outcome = reviewed(project)
    text = page.markdown(outcome, {})
    assert len(outcome.selected.flips) > sections.FOLDED
    assert f"<summary>{len(outcome.selected.flips) - sections.FOLDED} more flipped decisions</summary>" in text
    assert "<summary>Parameters: 20 differences</summary>" in text
    assert sum(len(rows) - 1 for rows in rendered(text).tables if rows[0][0] == "image") == len(outcome.selected.flips)


def test_it_fits_into_a_comment_however_many_models_and_parameters_there_are(tmp_path):
    names = [f"model_with_a_long_name_{place:03}" for place in range(60)]
    project = Project(tmp_path / "p", dict.fromkeys(["cnn", *names], 1.0))
    project.commit()
    for place, name in enumerate(names):
        project.score(name, table(1.2, seed=place + 100))
    project.params["model"]["cnn"] |= {f"parameter_{place}": "x" * 500 for place in range(3000)}
    project.commit()
    text = page.markdown(reviewed(project), {"dvc params diff": "\n".join(["| a | b |"] * 9000)})
    assert len(text) < 65_536
    assert "2800 more: `--format json` has all." in text
    assert rendered(text).open == []


def test_of_long_lists_what_they_lost_and_gained_is_shown(project):
    project.params["audit"] = {"exclude": ["a", "b", "c", "d"]}
    project.commit()
    project.params["audit"] = {"exclude": ["a", "b", "c", "e", "f"]}
    project.commit()
    rows = [row for table_ in rendered(page.markdown(reviewed(project), {})).tables for row in table_]
    assert ["audit.exclude", "d of 4", "e, f of 5"] in rows


def test_json_has_everything(changed):
    outcome = reviewed(changed)
    content = json.loads(page.as_json(outcome, {"dvc params diff --json": '{"a": 1}', "dvc metrics diff": "failed: x"}))
    assert content["verdict"] == outcome.verdict
    assert content["exit_code"] == 0
    assert content["base"] == {"name": "main~1", "commit": outcome.base.commit}
    assert [row["metric"] for row in content["selected"]["rows"]] == list(WORDS)
    assert content["selected"]["flips"] == outcome.selected.flips
    assert content["others"][0]["head"] == "vgg16"
    assert content["others"][0]["p_corrected"] == outcome.p_corrected["vgg16"]
    assert content["changes"]["params"] == [["model.cnn.lr", 0.001, 0.02]]
    assert content["dvc"] == {"dvc params diff --json": {"a": 1}, "dvc metrics diff": "failed: x"}
