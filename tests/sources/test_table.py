"""A table and a folder: which images are taken, which are rejected or left out, and what stops with which remedy."""

import os
import stat
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from composed import source
from pyarrow import parquet

from pneumo import sources
from pneumo.data import listing
from pneumo.errors import ParamsError, SourceError
from pneumo.params import Inputs, Source
from pneumo.sources import folder

ROWS = ["image,label,patient", "a.png,Pneumonia,1", "b.png,No Finding,2"]
RULES = ("data.labels.pneumonia=[Pneumonia]", "data.labels.normal=[No Finding]")


class Hospital:
    """A folder of images and a table beside it, and what `data=table` makes of them."""

    def __init__(self, top: Path) -> None:
        self.images, self.table, self.raw = top / "images", top / "labels.csv", top / "raw"
        self.images.mkdir()
        self.film("a.png", "b.png")
        self.rows(*ROWS)

    def film(self, *names: str) -> None:
        for name in names:
            (self.images / name).parent.mkdir(parents=True, exist_ok=True)
            (self.images / name).write_text(f"film {name}")

    def rows(self, *lines: str, encoding: str = "utf-8") -> None:
        self.table.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))

    def obtain(self, *overrides: str) -> dict[str, Any]:
        """Image -> its row of images.csv."""
        sources.obtain(self.source(*overrides), self.raw, self.raw)
        return {image.image: image for image in listing.read(self.raw)}

    def source(self, *overrides: str) -> Source:
        given = [override.partition("=")[0] for override in overrides]
        rules = [rule for rule in RULES if rule.partition("=")[0] not in given]
        composed = source("data=table", "data.path=tests", "data.table=pyproject.toml", *rules, *overrides)
        return composed.model_copy(update={"inputs": Inputs(images=str(self.images), table=str(self.table))})

    def left_out(self) -> list[tuple[str, str]]:
        lines = (self.raw / "left_out.csv").read_text().splitlines()[1:]
        return [tuple(line.split(",", 1)) for line in lines]


@pytest.fixture
def hospital(tmp_path) -> Hospital:
    return Hospital(tmp_path)


def test_every_row_becomes_an_image_with_its_file_at_the_same_path(hospital):
    hospital.film("deep/er/c 1,é.png")
    hospital.rows(*ROWS, '"deep/er/c 1,é.png",Pneumonia,2')
    images = hospital.obtain("data.columns.patient=patient")
    assert [(row.image, row.label, row.patient, row.subtype, row.rejected) for row in images.values()] == [
        ("a.png", 1, "1", "unknown", ""),
        ("b.png", 0, "2", "normal", ""),
        ("deep/er/c 1,é.png", 1, "2", "unknown", ""),
    ]
    assert (hospital.raw / "deep/er/c 1,é.png").read_text() == "film deep/er/c 1,é.png"
    assert sorted(path.name for path in hospital.raw.iterdir()) == [
        "a.png",
        "b.png",
        "deep",
        "images.csv",
        "left_out.csv",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(("delimiter", "sign"), [(",", ","), (";", ";"), ("tab", "\t"), ("|", "|")])
def test_csv_with_any_delimiter_and_with_or_without_a_byte_order_mark(hospital, encoding, delimiter, sign):
    hospital.rows(*(line.replace(",", sign) for line in ROWS), encoding=encoding)
    assert list(hospital.obtain(f"data.delimiter='{delimiter}'")) == ["a.png", "b.png"]


def test_parquet(hospital):
    rows = {"image": ["a.png", "b.png"], "pneumonia": [1.0, None], "normal": [0, 1], "patient": [7.0, 8.0]}
    parquet.write_table(pyarrow.table(rows), hospital.table)
    rules = ("data.columns.label=null", "data.labels.pneumonia={pneumonia: [1]}", "data.labels.normal={normal: [1.0]}")
    images = hospital.obtain(*rules, "data.columns.patient=patient")
    assert {name: (row.label, row.patient) for name, row in images.items()} == {"a.png": (1, "7"), "b.png": (0, "8")}
    hospital.table.write_bytes(hospital.table.read_bytes()[:-9])
    with pytest.raises(SourceError, match=r"labels\.csv: .*damaged or cut short"):
        hospital.obtain(*rules)


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


def test_rare_combinations_of_labels_share_a_reason(hospital, monkeypatch, capsys):
    monkeypatch.setattr(sources.table, "REASONS", 1)
    hospital.film(*(f"{number}.png" for number in range(4)))
    hospital.rows(*ROWS, "0.png,x,1", "1.png,x,1", "2.png,y,1", "3.png,z,1")
    hospital.obtain()
    assert [reason for _, reason in hospital.left_out()] == ["label is 'x'"] * 2 + ["one of 2 rarer labels"] * 2
    assert "left out: 2 images, label is 'x'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "way", "ends"),
    [
        (["Pneumonia", "Pneumonia"], "reject", 1),
        (["Pneumonia", "No Finding"], "reject", "listed 2 times, with different labels"),
        (["Pneumonia", "Mass"], "reject", "listed 2 times, with different labels"),
        (["Pneumonia", "Pneumonia", "No Finding"], "majority", 1),
        (["No Finding", "No Finding", "Mass"], "majority", 0),
        (["Pneumonia", "No Finding", "Mass"], "majority", "left out: no majority among its 3 rows"),
        (["Pneumonia", "No Finding"], "majority", "left out: no majority among its 2 rows"),
        (["Mass", "Mass", "Pneumonia"], "majority", "left out: neither label in most of its 3 rows"),
        (["Mass", "Mass"], "reject", "left out: label is 'Mass'"),
    ],
)
def test_several_rows_of_one_image(hospital, labels, way, ends):
    hospital.film("c.png")
    hospital.rows(*ROWS, *(f"c.png,{label},3" for label in labels))
    images = hospital.obtain(f"data.duplicates={way}")
    if str(ends).startswith("left out: "):
        assert hospital.left_out() == [("c.png", ends.removeprefix("left out: "))]
    else:
        assert (images["c.png"].rejected or images["c.png"].label) == ends


def test_rows_of_one_image_with_different_patients_are_rejected_and_other_columns_joined(hospital):
    hospital.film("c.png")
    hospital.rows("image,label,patient,reader", "a.png,Pneumonia,1,x", "a.png,Pneumonia,1,y", "b.png,No Finding,2,x")
    images = hospital.obtain("data.columns.patient=patient", "data.columns.keep=[reader]")
    assert images["a.png"].details == {"reader": "x|y"}
    hospital.rows("image,label,patient", "a.png,Pneumonia,1", "a.png,Pneumonia,2", "b.png,No Finding,2")
    assert (
        hospital.obtain("data.columns.patient=patient")["a.png"].rejected == "listed 2 times, with a different patient"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "no such file below data.path"),
        ("../secret.png", "outside data.path"),
        ("x/../../secret.png", "outside data.path"),
        ("/etc/hostname", "outside data.path"),
    ],
)
def test_what_is_not_below_the_folder_is_rejected_and_never_read(hospital, name, reason, capsys):
    (hospital.images.parent / "secret.png").write_text("secret")
    hospital.rows(*ROWS, f"{name},Pneumonia,3")
    assert hospital.obtain()[name].rejected == reason
    assert f"rejected: 1 images, {reason}, such as {name!r}" in capsys.readouterr().out
    assert not [path for path in hospital.raw.rglob("*.png") if "secret" in path.read_text()]


@pytest.mark.parametrize("name", ["images.csv", "left_out.csv"])
def test_an_image_with_the_name_of_a_table_is_rejected_and_not_written_into(hospital, name):
    hospital.film(name)
    hospital.rows(*ROWS, f"{name},Pneumonia,3")
    assert hospital.obtain()[name].rejected == "named like a table of data/raw"
    assert (hospital.images / name).read_text() == f"film {name}"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_device_among_the_images_stops_the_run(hospital, kind):
    data = hospital.source()
    entry = hospital.images / "c.png"
    os.mkfifo(entry) if kind == "pipe" else entry.symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match=r"c\.png: found "):
        sources.obtain(data, hospital.raw, hospital.raw)
    assert not hospital.raw.exists()


def test_a_name_with_a_line_break_stops_the_run(hospital):
    hospital.film("c\n.png")
    hospital.rows(*ROWS, '"c\n.png",Pneumonia,3')
    with pytest.raises(SourceError, match=r"'c\\n\.png' is not UTF-8 or has control characters: rename it"):
        hospital.obtain()


def test_an_image_is_found_by_the_last_part_of_its_path_unless_two_have_it(hospital):
    hospital.film("images_001/c.png")
    hospital.rows(*ROWS, "c.png,Pneumonia,3")
    assert "images_001/c.png" in hospital.obtain()
    hospital.film("images_002/c.png")
    with pytest.raises(SourceError, match=r"'c\.png' may be 'images_001/c\.png' or 'images_002/c\.png'"):
        hospital.obtain()
    hospital.rows(*ROWS, "images_002/c.png,Pneumonia,3")
    assert "images_002/c.png" in hospital.obtain()


def test_accents_that_stand_apart_in_the_file_name_are_found(hospital):
    hospital.film("Ro\u0308ntgen.png")  # as macOS writes it
    hospital.rows(*ROWS, "R\u00f6ntgen.png,Pneumonia,3")
    assert "Ro\u0308ntgen.png" in hospital.obtain()


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


def test_subtype_view_and_kept_columns(hospital):
    hospital.rows("image,label,cause,v,Patient Age", "a.png,Pneumonia,viral,AP,7", "b.png,No Finding,,PA, 8 ")
    images = hospital.obtain(
        "data.columns.subtype=cause", "data.columns.view=v", "data.columns.keep={age: Patient Age}"
    )
    assert [(row.subtype, row.details) for row in images.values()] == [
        ("viral", {"view": "AP", "age": "7"}),
        ("normal", {"view": "PA", "age": "8"}),
    ]


SAYS = [
    # rows, overrides, all that the error says
    (ROWS, ("data.columns.image=file",), ["data.columns.image is 'file', which no column has", "'label'"]),
    (ROWS, ("data.columns.keep=[age]",), ["data.columns.keep is 'age', which no column has"]),
    (["a,a", "1,2"], ("data.columns.image=a",), ["data.columns.image is 'a', which 2 columns have"]),
    ([line.replace(",", ";") for line in ROWS], (), ["""-S "data.delimiter=';'\""""]),
    (ROWS, ("data.labels.normal=[normal]",), ["no row has 'normal' in the column 'label'", "'No Finding' (1)"]),
    (
        [*ROWS, "a.png,pneumonia,1"],
        (),
        ["1 rows have 'pneumonia'", """-S 'data.labels.pneumonia=[Pneumonia,pneumonia]'"""],
    ),
    (
        [*PARTS[:2], "b.png,No Finding,2,dev 1"],
        ("data.columns.split=part", 'data.splits={train: ["{}"]}'),
        [
            "1 rows have 'dev 1' in the column 'part'",
            """-S 'data.splits={train: ["{}", "dev 1"], val: [], test: []}'""",
        ],
    ),
    (
        ["image,label,patient,part", "a.png,Pneumonia,1,train", "b.png,No Finding,1,test"],
        ("data.columns.split=part", "data.columns.patient=patient"),
        [
            "1 patients are in the test part and outside it, such as '1' with 'b.png' and 'a.png'",
            "data.columns.split=null",
        ],
    ),
    (
        ["image,label,cause", "a.png,Pneumonia,fungal", "b.png,No Finding,"],
        ("data.columns.subtype=cause",),
        ["'fungal' (1) in the column 'cause'", "-S 'data.columns.keep={cause: cause}'"],
    ),
    (ROWS, ("data.columns.keep=[label]",), ["'label' is the name of a column", "{table_label: label}"]),
    (["image,label", "x.png,Pneumonia", "y.png,No Finding"], (), ["found none that can be used", "'x.png'", "'a.png'"]),
    (["image,label", ",Pneumonia", "b.png,No Finding"], (), ["1 cells of the column 'image' are empty"]),
    ([*ROWS, "c.png,Pneumonia"], (), ["line 4: expected 3 cells as in the first line, found 2"]),
    ([*ROWS, '"c.png,Pneumonia,1'], (), ["line 4", "correct the quotes"]),
    (ROWS, ("data.lists={test: none.txt}",), ["expected the file 'none.txt' of data.lists.test", "found none"]),
    (ROWS, ("data.lists={test: ../labels.csv}",), ["expected the file '../labels.csv'"]),
    (ROWS, ("data.lists={test: list.txt}",), ["the lists name 'z.png' and 1 in all, and no row"]),
    (ROWS, ("data.lists={train: list.txt}",), ["2 rows are on no list, such as 'a.png'"]),
]


@pytest.mark.parametrize(("rows", "overrides", "words"), SAYS)
def test_an_error_names_what_is_wrong_and_the_parameter(hospital, rows, overrides, words):
    hospital.film("list.txt")
    (hospital.images / "list.txt").write_text("z.png\n")
    hospital.rows(*rows)
    with pytest.raises(SourceError) as caught:
        hospital.obtain(*overrides)
    for word in words:
        assert word in str(caught.value)
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


@pytest.mark.parametrize(
    ("encoding", "says"), [("latin-1", "found the byte 0xe9"), ("utf-16", "iconv -f UTF-16 -t UTF-8")]
)
def test_another_encoding_is_refused_with_the_command_that_mends_it(hospital, encoding, says):
    hospital.rows(*ROWS, "caf\u00e9.png,Pneumonia,3", encoding=encoding)
    with pytest.raises(SourceError, match=says):
        hospital.obtain()


@pytest.mark.parametrize("supported", ["hard link", "copy"])
def test_files_are_linked_where_they_can_be_and_the_original_stays_as_it_is(hospital, supported, monkeypatch):
    """No reflink here or there; DVC then puts a copy from its cache in place of the link."""
    monkeypatch.setattr("dvc_objects.fs.system.reflink", refused)
    if supported == "copy":
        monkeypatch.setattr(os, "link", refused)
    hospital.obtain()
    original, film = hospital.images / "a.png", hospital.raw / "a.png"
    assert film.samefile(original) == (supported == "hard link")
    assert film.read_text() == "film a.png"
    hospital.obtain()  # replaces the links
    assert original.read_text() == "film a.png"
    assert stat.S_IMODE(original.stat().st_mode) & stat.S_IWUSR


def refused(*_: object, **__: object) -> None:
    raise OSError("not supported")


def test_reflinks_come_first(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x")
    monkeypatch.setattr("dvc_objects.fs.system.reflink", lambda source, target: Path(target).write_text("reflink"))
    folder.link(["a"], tmp_path, tmp_path / "new")
    assert (tmp_path / "new/a").read_text() == "reflink"


def test_a_folder_that_overlaps_raw_is_refused(hospital):
    hospital.raw = hospital.images / "raw"
    with pytest.raises(SourceError, match="overlaps"):
        hospital.obtain()
