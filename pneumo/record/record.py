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
SUSPECTED_LABELS = "scores/suspected_labels.csv"  # early records have none
GUARD, GUARD_METRICS = "scores/guard.csv", "metrics/guard.json"  # nor these
OTHER_FILES = ("metrics/best.json", "metrics/data.json", SUSPECTED_LABELS, GUARD, GUARD_METRICS)


@dataclass(frozen=True)
class Model:
    """The files of one model: metrics, scores on validation and test, and logits on validation under stress.

    A model is one network or one ensemble of networks. Where `candidate` has several, one for each seed, metrics/ has
    one file of them all.
    """

    tree: Tree
    name: str
    candidate: str

    def path(self, kind: Kind) -> str:
        if kind == "metrics":
            return f"metrics/{self.candidate}.json"
        return f"scores/{BASELINE}/{kind}.csv" if self.name == BASELINE else f"scores/{kind}/{self.name}.csv"

    def where(self, kind: Kind) -> str:
        """A file as errors name it."""
        return self.tree.where(self.path(kind))

    def scores(self, split: Literal["val", "test"]) -> pd.DataFrame:
        return self.val_scores if split == "val" else self.test_scores

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Of this model alone. Raises RecordError where the file of its candidate is of other replicates."""
        content = read_json(self.tree, self.path("metrics"))
        if "replicates" not in content:
            return content
        if not isinstance(content["replicates"], dict) or not isinstance(content["replicates"].get(self.name), dict):
            where, remedy = self.where("metrics"), self.tree.remedy(self.path("metrics"))
            raise RecordError(f"{where} has no figures of replicate {self.name}: {remedy}")
        return content["replicates"][self.name]

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
        models = [*(model for name in self.candidates for model in self.replicates(name)), self.model(BASELINE)]
        expected = {*OTHER_FILES, *(model.path(kind) for model in models for kind in KINDS)}
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
        """The model `name`: a candidate of one seed, a replicate, or the baseline."""
        return Model(self.tree, name, self._candidate_of.get(name, name))

    def replicates(self, candidate: str) -> list[Model]:
        """The models of a candidate, one for each seed, in the order of train.seeds."""
        names = [name for name, of in self._candidate_of.items() if of == candidate]
        return [self.model(name) for name in names or [candidate]]

    def seeds(self, candidate: str) -> list[int]:
        """Of its models; empty for records from before there were replicates."""
        entries = {**self.section("replicates"), **self.section("ensemble_replicates")}
        return [entry["seed"] for entry in entries.values() if entry.get("candidate") == candidate]

    def figures(self, candidate: str) -> dict[str, Any]:
        """metrics/NAME.json of a candidate: of its one model, or the mean over all."""
        return read_json(self.tree, f"metrics/{candidate}.json")

    @cached_property
    def _candidate_of(self) -> dict[str, str]:
        """Replicate -> its candidate; empty for records from before there were any."""
        entries = {**self.section("replicates"), **self.section("ensemble_replicates")}
        of = {name: entry.get("candidate") if isinstance(entry, dict) else None for name, entry in entries.items()}
        if not all(isinstance(candidate, str) for candidate in of.values()):
            raise RecordError(f"{self.tree.where('params.yaml')}: expected the candidate of each of the replicates")
        return of  # type: ignore[return-value]

    def _mapping(self, path: str) -> dict[str, Any]:
        if self.lenient and not self.tree.has(path):
            return {}
        return read_json(self.tree, path) if path.endswith(".json") else read_yaml(self.tree, path)
