"""Files of a record -> mappings and tables. Every RecordError names the file, what is wrong with it and what to do."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import pandas as pd
import yaml

from pneumo.errors import ManifestError, RecordError
from pneumo.record.tree import Tree
from pneumo.scoring import scores, stress

MOST_VALUES = 1_000_000  # of a YAML file whose aliases are written out


def read_yaml(tree: Tree, path: str) -> dict[str, Any]:
    """The mapping in a YAML file. Raises RecordError where it is missing, broken, something else, or small only because
    its aliases stand for very much.
    """
    return _mapping(tree, path, "YAML", _load)


def _load(text: str) -> Any:
    loader = yaml.CSafeLoader(text)  # in pure Python it takes 2 s
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_VALUES:
            raise ValueError(f"its aliases expand it to more than {MOST_VALUES:,} values")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values `node` has when aliases are written out. `sizes`: of nodes already met, so that each is counted
    once; infinite inside of itself.
    """
    if id(node) not in sizes:
        sizes[id(node)] = MOST_VALUES + 1  # an alias inside of its own anchor has no end
        inside = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for item in inside for part in (item if isinstance(item, tuple) else (item,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]


def read_json(tree: Tree, path: str) -> dict[str, Any]:
    """The object in a JSON file. Raises RecordError where it is missing, broken, something else or has a key twice."""
    return _mapping(tree, path, "JSON", lambda text: json.loads(text, object_pairs_hook=_without_duplicates))


def read_scores(tree: Tree, path: str, columns: Sequence[str] = scores.COLUMNS) -> pd.DataFrame:
    """`columns` of a scores table. Raises RecordError where it is missing, broken or empty."""
    return read_table(tree, path, lambda text, where: scores.parse(text, where, columns))


def read_stress(tree: Tree, path: str) -> pd.DataFrame:
    """stress.COLUMNS of a table of logits under stress. Raises RecordError like `read_scores`."""
    return read_table(tree, path, stress.parse)


def read_table(
    tree: Tree, path: str, parse: Callable[[TextIO, str], pd.DataFrame], *, may_be_empty: bool = False
) -> pd.DataFrame:
    """A table as `parse` makes it of the file's text and name. Raises RecordError where it is missing or broken, or has
    no rows unless it `may_be_empty`.
    """
    text = tree.text(path)
    try:
        table = parse(io.StringIO(text), tree.where(path))
    except ManifestError as error:
        raise RecordError(f"{error}: {tree.remedy(path)}") from None
    except ValueError as error:  # pandas' ParserError among them
        raise RecordError(f"{tree.where(path)} is not a table ({_one_line(error)}): {tree.remedy(path)}") from None
    if table.empty and not may_be_empty:
        raise RecordError(f"{tree.where(path)} has no rows: {tree.remedy(path)}")
    return table


def _mapping(tree: Tree, path: str, form: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    text = tree.text(path)
    try:
        content = parse(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise RecordError(f"{tree.where(path)} is not {form} ({_one_line(error)}): {tree.remedy(path)}") from None
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise RecordError(f"{tree.where(path)} holds a {kind}, not a mapping: {tree.remedy(path)}")
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values of one key, json keeps the last, while a reader sees the first."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return content


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
