"""reports/index.html: complete, self-contained, safe."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_report import ELSEWHERE, MODELS, read

from pneumo.evaluation.metrics import WORDS
from pneumo.explain import ablation
from pneumo.report import page


class Page(HTMLParser):
    """Everything that a page would load or link to, its ids, and what it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        for name, value in attrs:
            if name == "src" or (name == "href" and tag in ("link", "image", "use")):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(reported: Path) -> str:
    return (reported / "reports/index.html").read_text()


def test_the_page_needs_nothing_but_itself_and_its_links_lead_somewhere(html: str) -> None:
    parsed = Page(html)
    assert {source for source in parsed.loads if not source.startswith(("data:", "#"))} == {"run.js"}
    assert not re.findall(r"url\((?!#)[^)]*\)|@import", html)
    assert parsed.links
    assert all(link.startswith("#") and link[1:] in parsed.ids for link in parsed.links)


def test_the_page_begins_with_the_verdict_and_shows_every_number_of_every_model(reported: Path, html: str) -> None:
    text = Page(html).text
    assert (
        text.index("Phantom images.") < text.index("densenet121 (from scratch) detects") < text.index("Models on the")
    )
    for name in (*MODELS, "shortcut"):
        metrics = json.loads((reported / f"metrics/{name}.json").read_text())
        for key in WORDS:
            low, high = metrics["ci95"][key]
            shown = f"{metrics[key]:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None else "")
            assert shown in text, (name, key)
    for words in ("not for diagnosis", "not achievable in advance", "do not outline a lesion", "0.93", "Provenance"):
        assert words in text


def test_text_from_a_file_cannot_become_part_of_the_page(reported: Path) -> None:
    made = read(reported)
    spoilt = dataclasses.replace(made, choice={**made.choice, "reason": "<script>alert(1)</script>"})
    html = page.render(spoilt, reported / "reports/figures")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_ablation_is_shown_cover_by_cover_with_what_was_left_out(reported: Path, html: str) -> None:
    text = Page(html).text
    for words in page.COVERS.values():
        assert f"{words} 0.700 [0.400, 0.812]" in text
    left_out = json.loads((reported / "reports/ablation/ablation.json").read_text())["left_out"]
    assert f"1 of 30 images: {left_out[0]['image']}." in text


def test_another_hospital_is_shown_with_the_shortcut_baseline_beside_the_model(reported: Path, html: str) -> None:
    text = Page(html).text
    metrics = json.loads((reported / f"metrics/external/{ELSEWHERE}.json").read_text())
    assert f"{ELSEWHERE}: 100 images of 100 patients" in text
    for key in (*WORDS, "brier"):
        cells = [
            f"{values[key]:.3f} [{values['ci95'][key][0]:.3f}, {values['ci95'][key][1]:.3f}]"
            for values in (metrics, metrics["shortcut"])
        ]
        assert all(cell in text for cell in cells), key
    low, high = metrics["shortcut"]["ci95"]["roc_auc"]
    sentence = f"There the shortcut baseline has ROC AUC {metrics['shortcut']['roc_auc']:.3f} [{low:.3f}, {high:.3f}]."
    assert sentence in text
    assert sentence in " ".join((reported / "reports/report.md").read_text().split())


def test_metrics_of_another_hospital_from_before_the_baseline_was_scored_there_are_shown(reported: Path) -> None:
    made = read(reported)
    there = {key: value for key, value in made.external[ELSEWHERE].items() if key != "shortcut"}
    html = page.render(dataclasses.replace(made, external={ELSEWHERE: there}), reported / "reports/figures")
    text = Page(html).text
    assert f"{ELSEWHERE}: 100 images of 100 patients" in text
    assert "shortcut baseline, there" not in text
    assert "There the shortcut baseline" not in text


def test_every_cover_has_words() -> None:
    assert list(page.COVERS) == list(ablation.COVERS)


def test_an_ablation_without_lungs_says_so(reported: Path) -> None:
    made = read(reported)
    empty = dataclasses.replace(made, ablation={**made.ablation, "covers": {}, "examples": []})
    text = Page(page.render(empty, reported / "reports/figures")).text
    assert "Not measured: lungs were found on too few validation images." in text
