"""A record and the models in it. Files are read when they are first asked for, and need not agree with one another."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import pandas as pd

from pneumo.errors import RecordError
from pneumo.record.parse import read_json, read_scores, read_stress, read_yaml
from pneumo.record.tree import FOLDERS, Tree

BASELINE = "shortcut"  # a logistic regression on the frame of the image: no candidate; scores/shortcut/ is its own
Kind = Literal["metrics", "val", "test", "stress"]
KINDS: tuple[Kind, ...] = ("metrics", "val", "test", "stress")
OTHER_METRICS = ("metrics/best.json", "metrics/data.json")


@dataclass(frozen=True)
class Model:
    """The files of one model: metrics, scores on validation and test, and logits on validation under stress."""

    tree: Tree
    name: str

    def path(self, kind: Kind) -> str:
        if kind == "metrics":
            return f"metrics/{self.name}.json"
        return f"scores/{BASELINE}/{kind}.csv" if self.name == BASELINE else f"scores/{kind}/{self.name}.csv"

    def where(self, kind: Kind) -> str:
        """A file as errors name it."""
        return self.tree.where(self.path(kind))

    def scores(self, split: Literal["val", "test"]) -> pd.DataFrame:
        return self.val_scores if split == "val" else self.test_scores

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return read_json(self.tree, self.path("metrics"))

    @cached_property
    def val_scores(self) -> pd.DataFrame:
        """scores.COLUMNS"""
        return read_scores(self.tree, self.path("val"))

    @cached_property
    def test_scores(self) -> pd.DataFrame:
        """scores.COLUMNS"""
        return read_scores(self.tree, self.path("test"))

    @cached_property
    def stress_logits(self) -> pd.DataFrame | None:
        """stress.COLUMNS; the baseline and early records have none."""
        path = self.path("stress")
        return read_stress(self.tree, path) if self.tree.has(path) else None


class ExternalPaths(NamedTuple):
    """The files of another hospital's data set: metrics, and scores of the selected model, of the baseline, and of
    exposure and borders alone.
    """

    metrics: str
    scores: str
    shortcut: str  # early records have neither this nor the next
    exposure: str


@dataclass(frozen=True)
class Record:
    """`lenient`: whether params.yaml, metrics/data.json and the locks count as empty where they are missing, as in a
    commit from before they existed.
    """

    tree: Tree
    lenient: bool = False

    @cached_property
    def params(self) -> dict[str, Any]:
        return self._mapping("params.yaml")

    @cached_property
    def data(self) -> dict[str, Any]:
        return self._mapping("metrics/data.json")

    @cached_property
    def lock(self) -> dict[str, Any]:
        return self._mapping("dvc.lock")

    @cached_property
    def machine(self) -> dict[str, Any]:
        """The processor, libraries and settings that gave the results; empty where nobody noted them."""
        return read_json(self.tree, "machine.json") if self.tree.has("machine.json") else {}

    @cached_property
    def best(self) -> dict[str, Any]:
        """The name of the selected model, `model`, and its metrics."""
        return read_json(self.tree, "metrics/best.json")

    def section(self, name: str) -> dict[str, Any]:
        """A section of params.yaml that has an entry for each name; empty where it is missing or null."""
        named = self.params.get(name) or {}
        if not isinstance(named, dict) or not all(isinstance(key, str) for key in named):
            raise RecordError(f"{self.tree.where('params.yaml')}: expected names in {name}, not {named!r}")
        return named

    @property
    def candidates(self) -> list[str]:
        """Names of the backbones, then of the ensembles. Files of other models may lie about and count for nothing."""
        return [*self.section("model"), *self.section("ensembles")]

    @property
    def left_over(self) -> list[str]:
        """Files in metrics/ and scores/ that belong to no candidate and not to the baseline, so that nothing verifies
        them: those of a backbone that was dropped, as a rule.
        """
        names = [*self.candidates, BASELINE]
        expected = {*OTHER_METRICS, *(self.model(name).path(kind) for name in names for kind in KINDS)}
        expected |= {path for name in self.external for path in self.external_paths(name)}
        paths = [PurePosixPath(path) for path in self.tree.paths()]
        results = [path for path in paths if path.parts[0] in FOLDERS and not path.name.startswith(".")]
        return [str(path) for path in results if str(path) not in expected]

    @property
    def external(self) -> list[str]:
        """Names of the other hospitals' data sets on which the selected model was scored."""
        return list(self.section("external"))

    @staticmethod
    def external_paths(name: str) -> ExternalPaths:
        """Those of one of these data sets."""
        return ExternalPaths(
            f"metrics/external/{name}.json",
            f"scores/external/{name}.csv",
            f"scores/external/{BASELINE}/{name}.csv",
            f"scores/external/exposure/{name}.csv",
        )

    def model(self, name: str) -> Model:
        return Model(self.tree, name)

    def _mapping(self, path: str) -> dict[str, Any]:
        if self.lenient and not self.tree.has(path):
            return {}
        return read_json(self.tree, path) if path.endswith(".json") else read_yaml(self.tree, path)
