"""The images with suspected labels on the page, and the figures with and without them."""

import dataclasses
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from made_report import MODELS, read
from test_report_page import Page

from pneumo.evaluation import suspected
from pneumo.evaluation.metrics import BY_KEY
from pneumo.report import gallery, page
from pneumo.report.results import Results

BEST = MODELS[-1]


@pytest.fixture(scope="module")
def made(reported: Path) -> Results:
    return read(reported)


def listed(made: Results, count: int) -> pd.DataFrame:
    """`count` images of all splits in turn, the last of them the least probable labels."""
    splits = [made.split(split).rows for split in ("train", "val", "test")]
    rows = pd.concat([rows.assign(place=range(len(rows))) for rows in splits]).sort_values(["place", "split"])
    rows = rows.head(count).assign(probability=[0.15 - 0.002 * place for place in range(count)])
    return rows.loc[:, list(suspected.COLUMNS)].sort_values("image", ignore_index=True)


def shown(made: Results, suspects: pd.DataFrame) -> str:
    """The page's part on suspected labels."""
    html = page.render(dataclasses.replace(made, suspects=suspects), made.root / "reports/figures")
    return html[html.index("<h3>Suspected label errors") : html.index('<h2 id="training"')]


def test_all_are_shown_those_of_test_first_and_the_least_probable_label_first(made: Results) -> None:
    suspects = listed(made, 41)
    pictures = gallery.suspected_labels(dataclasses.replace(made, suspects=suspects), gallery.read_splits(made))
    assert {picture.image for picture in pictures} == set(suspects["image"])
    splits = [picture.split for picture in pictures]
    assert splits == sorted(splits, key=["test", "training", "validation"].index)
    for split in set(splits):
        of_split = [picture.probability for picture in pictures if picture.split == split]
        assert of_split == sorted(of_split)


def test_each_has_its_name_split_label_probability_and_but_for_training_the_score_of_the_selected_model(
    made: Results,
) -> None:
    suspects = listed(made, 5)
    text = Page(shown(made, suspects)).text
    scores = pd.concat([made.test[BEST], made.validation[BEST]]).set_index("image")["score"]
    for row in suspects.itertuples():
        words = {"train": "training", "val": "validation", "test": "test"}[row.split]
        caption = f"{row.image} {words}, labelled {('normal', 'pneumonia')[row.label]} probability "
        caption += f"{row.probability:.2g}" + (f" score {scores[row.image]:.3f}" if row.split != "train" else "")
        assert caption in text
    assert len(re.findall(r" score [01]\.", text)) == (suspects["split"] != "train").sum()


def test_a_sentence_says_what_suspected_means(made: Results) -> None:
    text = Page(shown(made, listed(made, 3))).text
    assert "“Suspected” means" in text
    assert "nobody has read these images again, and labels are never changed" in text


@pytest.mark.parametrize(("count", "folded"), [(0, False), (12, False), (13, True), (41, True)])
def test_more_than_a_dozen_are_folded(made: Results, count: int, folded: bool) -> None:
    html = shown(made, listed(made, count))
    assert ("<details>" in html) == folded
    assert html.count("<img") == count
    if folded:
        in_test = (listed(made, count)["split"] == "test").sum()
        assert f"<summary>{count} images, {in_test} of them in the test part</summary>" in html
    if not count:
        assert "None." in html


def test_pictures_are_small(made: Results) -> None:
    """Noise, which compresses worst."""
    sources = re.findall(r'src="(data:[^"]+)"', shown(made, listed(made, 41)))
    assert max(map(len, sources)) < 20_000


def test_figures_of_the_selected_model_stand_beside_those_without_suspected_labels(made: Results) -> None:
    metrics = dict(made.metrics[BEST])
    metrics[suspected.GROUP] = suspected.without(made.test[BEST], metrics["threshold"], made.test[BEST]["image"][:7])
    group = metrics[suspected.GROUP]
    text = Page(shown(dataclasses.replace(made, metrics={**made.metrics, BEST: metrics}), listed(made, 3))).text
    assert "all test images without suspected labels images 100 93 left out: 7 normal, 0 pneumonia" in text
    for key in suspected.KEYS:
        low, high = metrics["ci95"][key]
        assert f"{BY_KEY[key].words} {metrics[key]:.3f} [{low:.3f}, {high:.3f}] {group[key]:.3f}" in text
    assert "flatters every model, so the first column is the result" in text


def test_the_report_reads_the_group_of_metrics(reported: Path, made: Results) -> None:
    committed = json.loads((reported / "metrics/best.json").read_text())[suspected.GROUP]
    in_test = (made.suspects["split"] == "test").sum()
    assert committed["images"] == 100 - in_test
    assert made.metrics[BEST][suspected.GROUP] == committed


def test_metrics_without_the_group_are_shown_without_the_table(made: Results) -> None:
    metrics = {key: value for key, value in made.metrics[BEST].items() if key != suspected.GROUP}
    text = Page(shown(dataclasses.replace(made, metrics={**made.metrics, BEST: metrics}), listed(made, 3))).text
    assert "“Suspected” means" in text
    assert "without suspected labels" not in text
    assert "flatters" not in text
