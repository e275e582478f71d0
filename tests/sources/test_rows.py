"""CSV and Parquet: which files are read, and what is said of others."""

import pyarrow
import pytest
from hospital import ROWS
from pyarrow import parquet

from pneumo.errors import SourceError


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
    ("encoding", "says"), [("latin-1", "found the byte 0xe9"), ("utf-16", "iconv -f UTF-16 -t UTF-8")]
)
def test_another_encoding_is_refused_with_the_command_that_mends_it(hospital, encoding, says):
    hospital.rows(*ROWS, "caf\u00e9.png,Pneumonia,3", encoding=encoding)
    with pytest.raises(SourceError, match=says):
        hospital.obtain()


@pytest.mark.parametrize(
    ("rows", "overrides", "words"),
    [
        (ROWS, ("data.columns.image=file",), ["data.columns.image is 'file', which no column has", "'label'"]),
        (ROWS, ("data.columns.keep=[age]",), ["data.columns.keep is 'age', which no column has"]),
        (["a,a", "1,2"], ("data.columns.image=a",), ["data.columns.image is 'a', which 2 columns have"]),
        ([line.replace(",", ";") for line in ROWS], (), ["""-S 'data.delimiter=";"'"""]),
        ([*ROWS, "c.png,Pneumonia"], (), ["line 4: expected 3 cells as in the first line, found 2"]),
        ([*ROWS, '"c.png,Pneumonia,1'], (), ["line 4", "correct the quotes"]),
    ],
)
def test_an_error_names_what_is_wrong_and_the_parameter(hospital, rows, overrides, words):
    message = hospital.refusal(rows, *overrides)
    assert [word for word in words if word not in message] == []
    assert not hospital.raw.exists()
