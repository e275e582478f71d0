"""Which official part, train, val or test, an image of a table is in: by a column, by lists of names, or by none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pneumo.errors import SourceError, override
from pneumo.sources.folder import Folder
from pneumo.sources.rules import plain

if TYPE_CHECKING:
    from pneumo.params import Part, Source

PARTS: tuple[Part, ...] = ("train", "val", "test")


class Parts:
    """data.columns.split with data.splits, or data.lists. Without either there are no official parts."""

    def __init__(self, data: Source, folder: Folder) -> None:
        assert data.columns
        self._column = data.columns.split
        self.columns = {self._column: "data.columns.split"} if self._column else {}
        splits = data.splits or {part: [part] for part in PARTS}
        self._splits = {part: [plain(value) for value in values] for part, values in splits.items()}
        self._part_of_value = {value: part for part, values in self._splits.items() for value in values}
        self._listed = _listed(data, folder)
        # Where train is on no list of its own, it is all that the other lists do not name.
        self._unlisted = "" if data.lists is None or "train" in data.lists else "train"
        self._by_list, self._met = data.lists is not None, 0
        self._uncovered: Counter[str] = Counter()

    def of(self, row: Mapping[str, str], name: str) -> str:
        """The part of the image `name`, or an empty text."""
        if self._column:
            value = plain(row[self._column])
            if value not in self._part_of_value:
                self._uncovered[value] += 1
            return self._part_of_value.get(value, "")
        part = self._listed.get(name, self._unlisted)
        self._met += name in self._listed
        if self._by_list and not part:
            self._uncovered[name] += 1
        return part

    def refuse_unmet(self) -> None:
        """Raise SourceError for rows that no part covers, and for lists that name no row."""
        if self._uncovered and self._column:
            (value, count), *others = self._uncovered.most_common()
            splits: dict[str, list[str]] = {part: list(self._splits.get(part, [])) for part in PARTS}
            splits["train"].append(value)
            raise SourceError(
                f"data.columns.split: {count} rows have {value!r} in the column {self._column!r}"
                + (f", others {', '.join(repr(other) for other, _ in others[:9])}" if others else "")
                + f", which no part of data.splits has; say which it is, for example {override('data.splits', splits)}"
            )
        if self._uncovered:
            raise SourceError(
                f"data.lists: {self._uncovered.total()} rows are on no list, such as {next(iter(self._uncovered))!r}; "
                "correct the lists, or remove data.lists.train: then all that is on no other list is train"
            )
        if self._by_list and not self._met:
            example = next(iter(self._listed), "nothing")
            raise SourceError(
                f"data.lists: the lists name {example!r} and {len(self._listed)} in all, and no row of the table is on "
                "one; correct data.lists, or the names in them"
            )
        absent = len(self._listed) - self._met
        if self._by_list and absent > 0:
            print(f"data.lists: {absent} of {len(self._listed)} names are not in the table")


def _listed(data: Source, folder: Folder) -> dict[str, str]:
    """Image -> part, of all lists: text files with one name a line."""
    listed: dict[str, str] = {}
    for part, name in (data.lists or {}).items():
        path = folder.open_name(name, f"data.lists.{part}")
        for line in filter(None, map(str.strip, path.read_text(encoding="utf-8-sig").splitlines())):
            image = line if not data.suffix or line.endswith(data.suffix) else line + data.suffix
            if listed.setdefault(image, part) != part:
                raise SourceError(f"{path}: {line!r} is also on the list of {listed[image]}; remove one")
    return listed
