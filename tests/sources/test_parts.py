"""The official parts of a table: by a column, by lists, by files."""

import pytest
from hospital import ROWS

PARTS = ["image,label,patient,part", "a.png,Pneumonia,1,{}", "b.png,No Finding,2,{}"]


@pytest.mark.parametrize(
    ("values", "overrides", "parts"),
    [
        (("train", "test"), (), ["train", "test"]),
        (("dev", "1.0"), ("data.splits={train: [dev], test: [1]}",), ["train", "test"]),
        (("", "x"), ('data.splits={val: [""], test: [x]}',), ["val", "test"]),
    ],
)
def test_official_parts_by_a_column(hospital, values, overrides, parts):
    hospital.rows(*(line.format(value) for line, value in zip(PARTS, ("", *values), strict=True)))
    images = hospital.obtain("data.columns.split=part", *overrides)
    assert [row.source_split for row in images.values()] == parts


def test_official_parts_by_lists_and_by_tables(hospital):
    (hospital.images / "test_list.txt").write_text("b.png\nother.png\n")
    images = hospital.obtain("data.lists={test: test_list.txt}")
    assert [row.source_split for row in images.values()] == ["train", "test"]
    (hospital.images / "t").mkdir()
    for part, line in (("train", ROWS[1]), ("test", ROWS[2])):
        (hospital.images / f"t/{part}.csv").write_text(f"{ROWS[0]}\n{line}\n")
    images = hospital.obtain("data.table=null", "data.tables={train: t/train.csv, test: t/test.csv}")
    assert [row.source_split for row in images.values()] == ["train", "test"]
    assert hospital.left_out() == [("test_list.txt", "not in the table")]


@pytest.mark.parametrize(
    ("rows", "overrides", "words"),
    [
        (
            [*PARTS[:2], "b.png,No Finding,2,dev 1"],
            ("data.columns.split=part", 'data.splits={train: ["{}"]}'),
            [
                "1 rows have 'dev 1' in the column 'part'",
                """-S 'data.splits={train: ["{}","dev 1"], val: [], test: []}'""",
            ],
        ),
        (ROWS, ("data.lists={test: none.txt}",), ["expected the file 'none.txt' of data.lists.test", "found none"]),
        (ROWS, ("data.lists={test: ../labels.csv}",), ["expected the file '../labels.csv'"]),
        (ROWS, ("data.lists={test: list.txt}",), ["the lists name 'z.png' and 1 in all, and no row"]),
        (ROWS, ("data.lists={train: list.txt}",), ["2 rows are on no list, such as 'a.png'"]),
    ],
)
def test_an_error_names_what_is_wrong_and_the_parameter(hospital, rows, overrides, words):
    message = hospital.refusal(rows, *overrides)
    assert [word for word in words if word not in message] == []
    assert not hospital.raw.exists()
