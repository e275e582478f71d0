"""A table and a folder: which images are taken, rejected or left out, and what stops with which remedy."""

import pytest
from hospital import ROWS
from listed import contents

from pneumo import sources
from pneumo.data import listing
from pneumo.errors import ParamsError, SourceError


def test_every_row_becomes_an_image_with_its_file_at_the_same_path(hospital):
    hospital.film("deep/er/c 1,é.png")
    hospital.rows(*ROWS, '"deep/er/c 1,é.png",Pneumonia,2')
    images = hospital.obtain("data.columns.patient=patient")
    assert [(row.image, row.label, row.patient, row.subtype, row.rejected) for row in images.values()] == [
        ("a.png", 1, "1", "unknown", ""),
        ("b.png", 0, "2", "normal", ""),
        ("deep/er/c 1,é.png", 1, "2", "unknown", ""),
    ]
    assert contents(hospital.raw) == {name: f"film {name}".encode() for name in images}
    assert sorted(path.name for path in hospital.raw.iterdir()) == ["images.csv", "images.zip", "left_out.csv"]


def test_rare_combinations_of_labels_share_a_reason(hospital, monkeypatch, capsys):
    monkeypatch.setattr(sources.table, "REASONS", 1)
    hospital.film(*(f"{number}.png" for number in range(4)))
    hospital.rows(*ROWS, "0.png,x,1", "1.png,x,1", "2.png,y,1", "3.png,z,1")
    hospital.obtain()
    assert [reason for _, reason in hospital.left_out()] == ["label is 'x'"] * 2 + ["one of 2 rarer labels"] * 2
    assert "left out: 2 images, label is 'x'" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["images.csv", "left_out.csv"])
def test_an_image_with_the_name_of_a_table_is_rejected_and_not_written_into(hospital, name):
    hospital.film(name)
    hospital.rows(*ROWS, f"{name},Pneumonia,3")
    assert hospital.obtain()[name].rejected == "named like a table of data/raw"
    assert (hospital.images / name).read_text() == f"film {name}"


def test_a_name_with_a_line_break_stops_the_run(hospital):
    hospital.film("c\n.png")
    hospital.rows(*ROWS, '"c\n.png",Pneumonia,3')
    with pytest.raises(SourceError, match=r"'c\\n\.png' is not UTF-8 or has control characters: rename it"):
        hospital.obtain()


def test_suffix_and_patterns(hospital):
    hospital.film("s1/p007/x.dcm")
    hospital.rows("image,label", "export/a.png,Pneumonia", "export/b.png,No Finding", "export/s1/p007/x,Pneumonia")
    (hospital.images / "a.png").rename(hospital.images / "a.png.dcm")
    (hospital.images / "b.png").rename(hospital.images / "b.png.dcm")
    images = hospital.obtain("data.suffix=.dcm", "data.patterns.image='export/(.+)'")
    assert list(images) == ["a.png.dcm", "b.png.dcm", "s1/p007/x.dcm"]
    with pytest.raises(
        SourceError, match=r"2 cells of the column 'image' do not match data\.patterns\.patient, such as"
    ):
        hospital.obtain(
            "data.suffix=.dcm",
            "data.patterns.image='export/(.+)'",
            "data.columns.patient=image",
            "data.patterns.patient='p\\d+'",
        )


def test_files_that_no_row_names_are_left_out_and_said(hospital, capsys):
    hospital.film("c.png", ".DS_Store", "x/._a.png")
    hospital.obtain()
    assert hospital.left_out() == [("c.png", "not in the table")]
    assert "left out: 1 files that the table does not list, such as 'c.png'" in capsys.readouterr().out


def test_without_patients_each_image_is_one_and_that_is_said(hospital, capsys):
    images = hospital.obtain()
    assert [row.patient for row in images.values()] == ["image:a.png", "image:b.png"]
    assert "PATIENTS ARE UNKNOWN" in capsys.readouterr().out
    hospital.rows("image,label,patient", "a.png,Pneumonia,", "b.png,No Finding,2")
    images = hospital.obtain("data.columns.patient=patient")
    assert images["a.png"].patient.startswith(listing.UNKNOWN), "counts towards split.max_unknown_patients"
    assert "PATIENTS" not in capsys.readouterr().out


def test_subtype_view_and_kept_columns(hospital):
    hospital.rows("image,label,cause,v,Patient Age", "a.png,Pneumonia,viral,AP,7", "b.png,No Finding,,PA, 8 ")
    images = hospital.obtain(
        "data.columns.subtype=cause", "data.columns.view=v", "data.columns.keep={age: Patient Age}"
    )
    assert [(row.subtype, row.details) for row in images.values()] == [
        ("viral", {"view": "AP", "age": "7"}),
        ("normal", {"view": "PA", "age": "8"}),
    ]


@pytest.mark.parametrize(
    ("rows", "overrides", "words"),
    [
        (
            ["image,label,patient,part", "a.png,Pneumonia,1,train", "b.png,No Finding,1,test"],
            ("data.columns.split=part", "data.columns.patient=patient"),
            [
                "1 patients are in the test part and outside it, such as '1' with 'b.png' and 'a.png'",
                "data.columns.split=null",
            ],
        ),
        (ROWS, ("data.columns.keep=[label]",), ["'label' is the name of a column", "{table_label: label}"]),
        (
            ["image,label", "x.png,Pneumonia", "y.png,No Finding"],
            (),
            ["found none that can be used", "'x.png'", "'a.png'"],
        ),
        (["image,label", ",Pneumonia", "b.png,No Finding"], (), ["1 cells of the column 'image' are empty"]),
    ],
)
def test_an_error_names_what_is_wrong_and_the_parameter(hospital, rows, overrides, words):
    message = hospital.refusal(rows, *overrides)
    assert [word for word in words if word not in message] == []
    assert not hospital.raw.exists()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("data.labels.normal=null",), "data.labels.normal is None; name its values: -S 'data.labels.normal=[…]'"),
        (("data.labels.normal=Normal",), "data.labels.normal is 'Normal'; expected a list of values"),
        (("data.columns.label=null",), "which is null: -S data.columns.label=…"),
        (("data.table=null",), "data.table is None and data.tables None; expected one of them"),
        (("data.tables={train: a.csv}",), "expected one of them: -S data.table=FILE -S data.tables=null"),
        (("data.splits={train: [a]}",), "data.splits needs the column whose values it lists: -S data.columns.split=…"),
        (("data.columns.split=x", "data.lists={test: a}"), "data.columns.split and data.lists both say which part"),
        (("data.lists={tset: a}",), "data.lists.tset is 'tset'; expected 'train', 'val' or 'test'"),
        (("data.delimiter=:",), "data.delimiter is ':'; expected ',', ';', '|' or 'tab'"),
        (("data.duplicates=first",), "data.duplicates is 'first'; expected 'reject' or 'majority'"),
        (('data.patterns.image="(a"',), "data.patterns.image is '(a'; expected a regular expression"),
        (("split.leave_out=nih",), "split.leave_out is 'nih'; expected COLUMN:VALUE, such as site:nih"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused_before_anything_is_read(hospital, overrides, says):
    with pytest.raises(ParamsError) as caught:
        hospital.source(*overrides)
    assert says in str(caught.value)


def test_a_folder_that_overlaps_raw_is_refused(hospital):
    hospital.raw = hospital.images / "raw"
    with pytest.raises(SourceError, match="overlaps"):
        hospital.obtain()
