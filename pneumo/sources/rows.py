"""Rows of a CSV or Parquet file, of which only the columns that are asked for are kept."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pneumo.errors import SourceError, override

_PARQUET = b"PAR1"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}  # data.delimiter -> between the cells


def read(path: Path, columns: Mapping[str, str], delimiter: str) -> Iterator[dict[str, str]]:
    """The cells of `columns` in each row, as text; nothing, as an empty text. Whole numbers have no decimal point.

    columns: name in the file -> the parameter that names it, for errors. delimiter: as data.delimiter, of a CSV file;
    that is UTF-8, with or without a byte order mark. Raises SourceError for a file that is missing, damaged, in
    another encoding or without one of the columns.
    """
    if not path.is_file():
        raise SourceError(f"{path}: expected a CSV or Parquet file, found nothing; correct data.table or data.tables")
    with path.open("rb") as file:
        begins = file.read(4)
    yield from _parquet(path, columns) if begins == _PARQUET else _csv(path, columns, delimiter, begins)


def _csv(path: Path, columns: Mapping[str, str], delimiter: str, begins: bytes) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=_DELIMITERS[delimiter], strict=True)
            header = next(lines, [])
            places = _places(header, columns, path)
            for cells in lines:
                if len(cells) == len(header):
                    yield {name: cells[place] for name, place in places.items()}
                elif cells:
                    raise SourceError(
                        f"{path}, line {lines.line_num}: expected {len(header)} cells as in the first line, found "
                        f"{len(cells)}; correct this line: a text with {delimiter!r} in it needs quotes"
                    )
    except UnicodeDecodeError as error:
        encoding = "UTF-16" if begins.startswith(_UTF_16) else "WINDOWS-1252"
        raise SourceError(
            f"{path}: expected UTF-8, found the byte 0x{error.object[error.start]:02x}; save it as UTF-8, for example "
            f"with `iconv -f {encoding} -t UTF-8 '{path}' > utf8.csv`, and set data.table to that"
        ) from None
    except csv.Error as error:
        raise SourceError(f"{path}, line {lines.line_num}: {error}; correct the quotes there") from None


def _places(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    """Where in a row each column is."""
    counts = Counter(header)
    wrong = [
        f"{key} is {name!r}, which {counts[name] or 'no'} column{'s have' if counts[name] > 1 else ' has'}"
        for name, key in columns.items()
        if counts[name] != 1
    ]
    if wrong:
        other = next((word for word, sign in _DELIMITERS.items() if len(header) == 1 and sign in header[0]), None)
        hint = f" They look as if {override('data.delimiter', other)} were needed." if other else ""
        raise SourceError(f"{path}: {'; '.join(wrong)}. The columns are: {', '.join(map(repr, header))}.{hint}")
    return {name: header.index(name) for name in columns}


def _parquet(path: Path, columns: Mapping[str, str]) -> Iterator[dict[str, str]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise SourceError(
            f"{path} is Parquet, which needs the extra pneumo[parquet]: pip install -e '.[parquet]', or save it as CSV"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            _places(file.schema_arrow.names, columns, path)
            for batch in file.iter_batches(columns=list(columns)):
                for row in batch.to_pylist():
                    yield {name: _text(row[name]) for name in columns}
    except pyarrow.ArrowException as error:
        raise SourceError(f"{path}: {error}; it is damaged or cut short: write it again") from None


def _text(cell: Any) -> str:
    if cell is None or cell != cell:  # NaN is not equal to itself
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
