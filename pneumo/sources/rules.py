"""Which rows of a table mean pneumonia and which mean normal, by the values of one or several columns."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pneumo.errors import SourceError, override

if TYPE_CHECKING:
    from pneumo.params import Labels, Rule, Value

Label = Literal["pneumonia", "normal", "both", "neither"]
LABEL = "data.columns.label"
SHOWN = 12  # values that an error lists
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def plain(value: Value) -> str:
    """`value` as it is compared: 1, '1.0' and ' 1 ' are the same."""
    text = str(value).strip()
    match = _WHOLE.fullmatch(text)
    return match[1] if match else text


class Rules:
    """data.labels, and what it has met so far. label_column: of rules that are a list of values."""

    def __init__(self, labels: Labels, label_column: str | None) -> None:
        assert labels.pneumonia  # params.Data demands both
        assert labels.normal
        self._separator = labels.separator
        self._rules = {
            "pneumonia": _by_column(labels.pneumonia, label_column),
            "normal": _by_column(labels.normal, label_column),
        }
        self.columns = {column: f"data.labels.{name}" for name, rule in self._rules.items() for column in rule}
        if label_column in self.columns:
            self.columns[label_column] = LABEL
        self._met: dict[str, Counter[str]] = defaultdict(Counter)

    def label(self, row: Mapping[str, str]) -> Label:
        """What `row`, the cells by column, means."""
        values = {column: self._values(row[column]) for column in self.columns}
        for column, present in values.items():
            self._met[column].update(present)
        pneumonia, normal = (
            any(values[column] & wanted for column, wanted in rule.items()) for rule in self._rules.values()
        )
        if pneumonia and normal:
            return "both"
        return "pneumonia" if pneumonia else "normal" if normal else "neither"

    def said(self, row: Mapping[str, str]) -> str:
        """The cells by which `row` was judged."""
        return ", ".join(f"{column} is {row[column].strip()!r}" for column in self.columns)

    def refuse_unmet(self) -> None:
        """Raise SourceError for a value of the rules that no row has, and for values that differ by case alone."""
        wrong = []
        for name, rule in self._rules.items():
            for column, wanted in rule.items():
                met = self._met[column]
                wrong += [
                    f"data.labels.{name}: no row has {value!r} in the column {column!r}, {_listed(met)}"
                    for value in sorted(wanted)
                    if value not in met
                ]
                folded = {value.casefold() for value in wanted}
                alike = [value for value in met if value.casefold() in folded and not self._covers(column, value)]
                if alike:
                    values = [*sorted(wanted), *alike]
                    rule_with_these = values if self.columns[column] == LABEL else {column: values}
                    wrong.append(
                        f"data.labels.{name}: {met[alike[0]]} rows have {alike[0]!r} in the column {column!r}, which "
                        f"differs by case alone: {override(f'data.labels.{name}', rule_with_these)}"
                    )
        if wrong:
            raise SourceError("\n".join(wrong))

    def _covers(self, column: str, value: str) -> bool:
        return any(value in rule.get(column, ()) for rule in self._rules.values())

    def _values(self, cell: str) -> frozenset[str]:
        return frozenset(map(plain, cell.split(self._separator) if self._separator else [cell]))


def _by_column(rule: Rule, label_column: str | None) -> dict[str, frozenset[str]]:
    if isinstance(rule, list):
        assert label_column  # params.Data demands it
        rule = {label_column: rule}
    return {column: frozenset(map(plain, values)) for column, values in rule.items()}


def _listed(met: Counter[str]) -> str:
    """The most frequent values."""
    values = ", ".join(f"{value!r} ({count})" for value, count in met.most_common(SHOWN))
    return f"which has {values}" + (f" and {len(met) - SHOWN} others" if len(met) > SHOWN else "")
