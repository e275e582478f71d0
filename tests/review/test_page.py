"""The Markdown as GitHub renders it, and the JSON for machines."""

import json
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from project import Project, table

from pneumo.review import page, result, snapshot

DVC = {"dvc metrics diff --md": "| Path | Metric |\n|---|---|\n| a | b |", "dvc params diff --md": ""}


def reviewed(project: Project) -> result.Result:
    return result.review(snapshot.commit(project.root, "main~1"), snapshot.commit(project.root, "main"))


@pytest.fixture
def changed(project: Project) -> Project:
    """The chosen model and the other one have other scores, and parameters differ."""
    for name, noise in (("cnn", 1.0), ("vgg16", 1.2)):
        project.score(name, table(noise, seed=6))
    project.choose("cnn")
    project.params["model"]["cnn"]["lr"] = 0.02
    project.commit()
    return project


class Cells(HTMLParser):
    """Tables as lists of rows of text, and how deep the open tags are at the end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


def rendered(text: str) -> Cells:
    return Cells(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def test_every_table_is_one_in_html_too_and_every_fold_is_closed(changed):
    found = reviewed(changed)
    text = page.markdown(found, DVC)
    html = rendered(text)
    assert html.open == []
    tables = {title: [one for one in html.tables if one[0][0] == title] for title in [one[0][0] for one in html.tables]}
    assert list(tables) == ["model", "metric", "image", "parameter", "Path"]
    assert len(tables["metric"]) == 2, "of the chosen model, and folded of the other one"
    for one in html.tables:
        assert len({len(row) for row in one}) == 1, one
    assert [row[0] for row in tables["model"][0][1:]] == ["cnn (chosen)", "vgg16"]
    accuracy = next(row for row in tables["metric"][0] if row[0] == "accuracy")
    chosen = found.chosen.row("accuracy")
    assert accuracy[1:4] == [f"{chosen.base:.6f}", f"{chosen.head:.6f}", f"{chosen.difference:+.6f}"]
    assert sum(len(one) - 1 for one in tables["image"]) == len(found.chosen.flips)
    assert tables["parameter"][0][1:] == [["model.cnn.lr", "0.001", "0.02"]]


def test_the_verdict_comes_first_and_names_both_commits(changed):
    found = reviewed(changed)
    first, _, second, _, third, *_ = page.markdown(found, DVC).splitlines()
    assert first == f"## pneumo review: {found.verdict}"
    assert second.startswith("**cnn**: ROC AUC 0.")
    assert second.endswith("phantom test images of 120 patients.")
    assert third.startswith(f"Base is main~1 ({found.base.commit[:10]}), head is main ({found.head.commit[:10]}).")


def test_reasons_stand_below_a_verdict_of_not_comparable(project):
    project.score("cnn", table(1.0).iloc[1:])
    project.choose("cnn")
    project.commit()
    text = page.markdown(reviewed(project), DVC)
    assert text.startswith(
        "## pneumo review: not comparable\n\nNot comparable, cnn:\n\n- 1 test image (`test/NORMAL/000"
    )
    assert "that both have alike: **within noise**." in text


def test_names_from_the_data_start_no_html_and_leave_their_cells(project):
    test = table(1.0)
    name = "test/NORMAL/<img src=x>|`--`.jpeg"
    for noise in (1.0, 2.0):
        odd = table(noise, seed=3).assign(image=[name, *test["image"][1:]], subtype="<i>|a")
        odd["patient"] = [f"<details>|{patient}" for patient in odd["patient"]]
        project.score("c|n <i>", odd)
        project.choose("c|n <i>")
        project.params["model"]["cnn"]["<script>|x"] = noise
        project.commit()
    found = reviewed(project)
    assert found.chosen.flips
    text = page.markdown(found, DVC)
    html = rendered(text)
    assert html.open == []
    assert not {"img", "script", "i"} & html.seen
    assert "model.cnn.<script>|x" in {row[0] for one in html.tables for row in one}, "as code it is shown as it is"
    assert all(len({len(row) for row in one}) == 1 for one in html.tables)


def test_it_fits_into_a_comment_however_long_dvc_is(changed):
    long = "\n".join(f"| metrics/{place}.json | accuracy | 0.1 | 0.2 |" for place in range(5000))
    text = page.markdown(reviewed(changed), {"dvc metrics diff --md x": long, "dvc params diff --md x": long})
    assert len(text) < 65_536
    assert "more lines: `dvc metrics diff --md x`" in text
    assert rendered(text).open == []


def test_many_flips_and_changes_are_folded(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    project.commit()
    project.score("cnn", table(4.0, seed=2))
    project.choose("cnn")
    project.params["model"]["cnn"] |= {f"p{place:02}": place for place in range(20)}
    project.commit()
    found = reviewed(project)
    text = page.markdown(found, {})
    assert len(found.chosen.flips) > page.FOLDED
    assert f"<summary>{len(found.chosen.flips) - page.FOLDED} more flipped decisions</summary>" in text
    assert "<summary>Parameters: 20 differences</summary>" in text
    assert sum(len(one) - 1 for one in rendered(text).tables if one[0][0] == "image") == len(found.chosen.flips)


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
    rows = [row for one in rendered(page.markdown(reviewed(project), {})).tables for row in one]
    assert ["audit.exclude", "d of 4", "e, f of 5"] in rows


def test_json_has_everything(changed):
    found = reviewed(changed)
    content = json.loads(page.as_json(found, {"dvc params diff --json": '{"a": 1}', "dvc metrics diff": "failed: x"}))
    assert content["verdict"] == found.verdict
    assert content["exit_code"] == 0
    assert content["base"] == {"name": "main~1", "commit": found.base.commit}
    assert [row["metric"] for row in content["chosen"]["rows"]] == list(page.WORDS)
    assert content["chosen"]["flips"] == found.chosen.flips
    assert content["others"][0]["head"] == "vgg16"
    assert content["others"][0]["p_corrected"] == found.p_corrected["vgg16"]
    assert content["changes"]["params"] == [["model.cnn.lr", 0.001, 0.02]]
    assert content["dvc"] == {"dvc params diff --json": {"a": 1}, "dvc metrics diff": "failed: x"}
