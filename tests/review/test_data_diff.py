"""Two manifests -> which images differ, and how a reviewer reads it."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import Project, review
from rendered import rendered

from pneumo.data import manifest
from pneumo.review import page
from pneumo.review.data_diff import DataDiff, Entry, Image, data_diff

BASE = {  # image -> split, subtype, patient, content
    "a.png": ("train", "normal", "1", "a"),
    "b.png": ("train", "viral", "2", "b"),
    "c.png": ("val", "unknown", "3", "c"),
    "d.png": ("test", "normal", "4", "d"),
}
Rows = dict[str, tuple[str, str, str, str]]


def table(rows: Rows, **columns: str) -> pd.DataFrame:
    """A manifest; `columns` are those of the source's own."""
    made = [
        {
            "image": image,
            "label": int(subtype != "normal"),
            "subtype": subtype,
            "patient": patient,
            "source_split": split,
            "split": split,
            "width": 96,
            "height": 96,
            "sha256": content * 64,
            **columns,
        }
        for image, (split, subtype, patient, content) in sorted(rows.items())
    ]
    return pd.DataFrame(made, columns=[*manifest.COLUMNS, *columns])


def names(differ: DataDiff) -> dict[str, list[str]]:
    lists = {kind: [image.image for image in rows] for kind, rows in vars(differ).items() if kind != "columns"}
    return {kind: rows for kind, rows in lists.items() if rows}


@pytest.mark.parametrize(
    ("head", "expected", "columns"),
    [
        (BASE, {}, {}),
        (BASE | {"e.png": ("train", "normal", "5", "e")}, {"added": ["e.png"]}, {}),
        ({k: v for k, v in BASE.items() if k != "d.png"}, {"removed": ["d.png"]}, {}),
        (BASE | {"a.png": ("train", "viral", "1", "a")}, {"relabelled": ["a.png"]}, {}),
        (BASE | {"b.png": ("train", "bacterial", "2", "b")}, {"relabelled": ["b.png"]}, {}),
        (BASE | {"c.png": ("test", "unknown", "3", "c")}, {"moved": ["c.png"]}, {"source_split": 1}),
        (BASE | {"d.png": ("test", "normal", "4", "e")}, {"changed": ["d.png"]}, {}),
        (BASE | {"d.png": ("test", "normal", "9", "d")}, {"regrouped": ["d.png"]}, {}),
        (
            BASE | {"a.png": ("test", "viral", "1", "e")},
            {"relabelled": ["a.png"], "moved": ["a.png"], "changed": ["a.png"]},
            {"source_split": 1},
        ),
        ({"z.png": BASE["a.png"]}, {"added": ["z.png"], "removed": list(BASE)}, {}),
    ],
)
def test_each_kind_of_difference_has_its_list(head, expected, columns):
    differ = data_diff(table(BASE), table(head))
    assert names(differ) == expected
    assert differ.columns == columns


def test_an_image_has_what_both_commits_say_of_it():
    head = BASE | {"b.png": ("val", "normal", "2", "b"), "e.png": ("test", "unknown", "5", "e")}
    differ = data_diff(table(BASE), table(head))
    before = Entry("train", "viral pneumonia", "2", "b" * 64)
    assert differ.moved == differ.relabelled == [Image("b.png", before, Entry("val", "normal", "2", "b" * 64))]
    assert differ.added == [Image("e.png", None, Entry("test", "pneumonia", "5", "e" * 64))]


def test_further_columns_are_counted():
    assert data_diff(table(BASE, view="PA"), table(BASE, view="AP")).columns == {"view": 4}
    assert data_diff(table(BASE, view="PA"), table(BASE)).columns == {"view": -1}


ROWS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(
        st.sampled_from(manifest.SPLITS), st.sampled_from(manifest.SUBTYPES), st.just("1"), st.sampled_from("01")
    ),
)


@settings(deadline=None)
@given(ROWS, ROWS)
def test_the_other_way_round_what_was_added_is_removed(base, head):
    there, back = data_diff(table(base), table(head)), data_diff(table(head), table(base))
    turned = {"added": "removed", "removed": "added"}
    for kind, rows in vars(there).items():
        if kind == "columns":
            assert back.columns == rows
        else:
            other = getattr(back, turned.get(kind, kind))
            assert [Image(row.image, row.head, row.base) for row in other] == rows
    assert {row.image for row in there.added} == set(head) - set(base)
    assert names(data_diff(table(base), table(base))) == {}


def csv(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False).encode()


def test_markdown_counts_and_names_the_images(project):
    added = {f"n{place:03}.png": ("train", "normal", f"n{place}", "e") for place in range(50)}
    head = BASE | added | {"b.png": ("val", "normal", "2", "b")}
    project.commit()
    outcome = replace(review(project), images=data_diff(table(BASE), table(head, view="PA")))
    text = page.markdown(outcome, {})
    assert "### Data: 50 images added, 1 relabelled, 1 moved between splits\n" in text
    assert (
        "Other columns of the manifest that differ: `source_split` (1 image), `view` (in one commit alone).\n" in text
    )
    html = rendered(text)
    assert html.open == []
    counts, *lists = [rows for rows in html.tables if rows[0][1:3] in (["train", "val"], ["split", "truth"])]
    assert counts == [
        ["images", "train", "val", "test", "normal", "pneumonia", "all"],
        ["added", "50", "0", "0", "50", "0", "50"],
        ["relabelled", "0", "1", "0", "1", "0", "1"],
        ["moved between splits", "0", "1", "0", "1", "0", "1"],
    ]
    assert [row[0] for row in lists[0][1:]] == list(added)
    assert lists[1][1:] == lists[2][1:] == [["b.png", "train → val", "viral pneumonia → normal", "2"]]


def test_names_mean_nothing_to_markdown_and_long_lists_are_cut(project: Project):
    names = [f"</details>@someone <img src=x> {place:06}" for place in range(100_000)]
    head = dict.fromkeys(names, ("train", "normal", "1", "e"))
    project.commit()
    outcome = replace(review(project), images=data_diff(table(BASE), table(head)))
    text = page.markdown(outcome, {})
    assert len(text) <= page.LIMIT
    html = rendered(text)
    assert (html.open, "img" in html.seen, "@someone" in html.words) == ([], False, False)
    assert "### Data: 100,000 images added, 4 removed\n" in text
    assert "more: `--format json` has all." in text


def test_why_the_images_cannot_be_listed_is_said(project):
    project.commit()
    outcome = replace(review(project), images="the manifest of main cannot be had: run `dvc push`")
    assert "### Data: which images differ cannot be said\n\nthe manifest of main cannot" in page.markdown(outcome, {})
