"""Which values of a table mean pneumonia and which mean normal."""

import pytest
from hospital import ROWS


@pytest.mark.parametrize(
    ("lines", "rules", "images", "left_out"),
    [
        # of a field with several values any counts, whatever stands beside it
        (
            ["a.png,Effusion|Pneumonia", "b.png,No Finding", "c.png,Effusion", "d.png,No Finding|Pneumonia"],
            ["data.labels.separator='|'"],
            {"a.png": (1, ""), "b.png": (0, ""), "d.png": (0, "both match: label is 'No Finding|Pneumonia'")},
            [("c.png", "label is 'Effusion'")],
        ),
        # without a separator the cell is one value
        (
            ["a.png,Pneumonia", "b.png,No Finding", "c.png,Effusion|Pneumonia"],
            [],
            {"a.png": (1, ""), "b.png": (0, "")},
            [("c.png", "label is 'Effusion|Pneumonia'")],
        ),
        # numbers are compared as numbers, empty cells are a value
        (
            ["a.png,1.0", "b.png,0", "c.png,-1.0", "d.png,"],
            ["data.labels.pneumonia=[1]", "data.labels.normal=[0.0]"],
            {"a.png": (1, ""), "b.png": (0, "")},
            [("c.png", "label is '-1.0'"), ("d.png", "label is ''")],
        ),
        (
            ["a.png,1", "b.png,"],
            ["data.labels.pneumonia=[1]", 'data.labels.normal=[""]'],
            {"a.png": (1, ""), "b.png": (0, "")},
            [],
        ),
    ],
)
def test_labels(hospital, lines, rules, images, left_out):
    hospital.film("c.png", "d.png")
    named = {line.split(",")[0] for line in lines}
    for name in {"c.png", "d.png"} - named:
        (hospital.images / name).unlink()
    hospital.rows("image,label", *lines)
    found = hospital.obtain(*rules)
    assert {name: (row.label, row.rejected.partition("normal ")[2]) for name, row in found.items()} == images
    assert hospital.left_out() == left_out


@pytest.mark.parametrize(
    ("rows", "overrides", "words"),
    [
        (ROWS, ("data.labels.normal=[normal]",), ["no row has 'normal' in the column 'label'", "'No Finding' (1)"]),
        (
            [*ROWS, "a.png,pneumonia,1"],
            (),
            ["1 rows have 'pneumonia'", """-S 'data.labels.pneumonia=[Pneumonia,pneumonia]'"""],
        ),
    ],
)
def test_an_error_names_what_is_wrong_and_the_parameter(hospital, rows, overrides, words):
    message = hospital.refusal(rows, *overrides)
    assert [word for word in words if word not in message] == []
    assert not hospital.raw.exists()
