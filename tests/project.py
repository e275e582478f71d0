"""Projects in real git repositories: parameters, metrics, scores and locks made by hand, as small as they can be."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pneumo.evaluation import metrics
from pneumo.params.replicates import replicates
from pneumo.review import result, snapshot
from pneumo.scoring import scores

PATIENTS = 120
RESAMPLES = 200
SETTINGS = ("user.name=a", "user.email=a@b.example", "commit.gpgsign=false", "init.defaultBranch=main")


def git(root: Path, *words: str) -> str:
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    done = subprocess.run(["git", *settings, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def table(noise: float, split: str = "test", seed: int = 0) -> pd.DataFrame:
    """Scores of a model that errs more with more `noise`; the images of a split are always the same."""
    rng = np.random.default_rng(7 if split == "test" else 8)
    patient = np.repeat(np.arange(PATIENTS), rng.choice([1, 2], PATIENTS))
    label = patient % 2
    logit = 3.0 * label - 1.5 + noise * np.random.default_rng(seed).normal(0, 1, len(patient))
    rows = {
        "image": [f"{split}/{('NORMAL', 'PNEUMONIA')[y]}/{place:03}.jpeg" for place, y in enumerate(label)],
        "patient": [f"{split}-{number}" for number in patient],
        "label": label,
        "subtype": np.where(label == 1, "bacterial", "normal"),
        "logit": scores.six_digits(logit),
    }
    return pd.DataFrame(rows).assign(score=scores.six_digits(1 / (1 + np.exp(-logit))))


def figures(test: pd.DataFrame, threshold: float = 0.5) -> dict[str, Any]:
    y, s, subtypes = test["label"], test["score"], test["subtype"]
    return {
        "n": len(test),
        **metrics.decisions(y, s, threshold, subtypes),
        **metrics.ranking(y, s),
        "threshold": threshold,
    }


def mean_figures(of_networks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """metrics/NAME.json of several seeds. `of_networks`: replicate -> its figures."""
    first = next(iter(of_networks.values()))
    values = {key: [figures_[key] for figures_ in of_networks.values()] for key in first if first[key] is not None}
    return {
        **{key: metrics.rounded(np.mean(of)) for key, of in values.items()},
        "sd": {key: metrics.rounded(np.std(of, ddof=1)) for key, of in values.items()},
        "seeds": list(range(len(of_networks))),
        "replicates": {name: {"seed": seed, **of} for seed, (name, of) in enumerate(of_networks.items())},
    }


class Project:
    """`models`: name -> noise. What a test spoils, it spoils in `root` and commits again. `seeds`: of each model."""

    def __init__(self, root: Path, models: dict[str, float] | None = None, best: str = "cnn", seed: int = 0) -> None:
        self.root, self.seeds = root, 1
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "-q")
        models = models or {"cnn": 1.0, "vgg16": 1.3}
        self.params: dict[str, Any] = {
            "model": {name: {"lr": 0.001, "architecture": name} for name in models},
            "ensembles": {},
            "bootstrap": {"resamples": RESAMPLES, "seed": 0},
            "review": {"metric": "roc_auc", "margin": 0.0, "alpha": 0.05},
        }
        self.data: dict[str, Any] = {
            "source": "phantom",
            "splits": {"train": {"images": 300}},
            "manifest_sha256": "0" * 64,
            "parts_sha256": {"train": "1" * 64, "val": "2" * 64, "test": "3" * 64},
        }
        dep = {"path": "pneumo/training", "hash": "md5", "md5": "1" * 32 + ".dir", "size": 1}
        lock = {"schema": "2.0", "stages": {"train@cnn": {"cmd": "x", "deps": [dep]}}}
        (root / "dvc.lock").write_text(yaml.safe_dump(lock))
        for path in ("pneumo/training/augment.py", "pneumo/cli.py"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("# as in base\n")
        (root / "requirements.lock").write_text("torch==2.13.0 \\\n    --hash=sha256:1\n    # via timm\n")
        for place, (name, noise) in enumerate(models.items()):
            self.score(name, table(noise, seed=seed + place))
        self.select(best)

    def score(self, name: str, test: pd.DataFrame, val: pd.DataFrame | None = None) -> None:
        """Write the scores of a model and the metrics that follow from them."""
        scores.write(test, self.root / f"scores/test/{name}.csv")
        scores.write(table(1.0, "val") if val is None else val, self.root / f"scores/val/{name}.csv")
        self.write(f"metrics/{name}.json", figures(test))

    def recipe(self, name: str, tests: Sequence[pd.DataFrame], thresholds: Sequence[float] = ()) -> None:
        """Write the scores of the networks of a model, one for each seed, and the metrics that follow from them."""
        self.seeds = len(tests)
        names = [name, *(f"{name}-{seed}" for seed in range(1, self.seeds))]
        of_networks = {}
        for replicate, test, threshold in zip(names, tests, thresholds or [0.5] * self.seeds, strict=True):
            scores.write(test, self.root / f"scores/test/{replicate}.csv")
            scores.write(table(1.0, "val"), self.root / f"scores/val/{replicate}.csv")
            of_networks[replicate] = figures(test, threshold)
        self.write(f"metrics/{name}.json", mean_figures(of_networks))

    def select(self, name: str) -> None:
        self.write("metrics/best.json", {"model": name, **json.loads((self.root / f"metrics/{name}.json").read_text())})

    def write(self, path: str, content: Any) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(json.dumps(content, indent=2) + "\n")

    def write_params(self) -> None:
        if self.seeds > 1:
            made = replicates(self.params["model"], self.seeds)
            self.params["replicates"] = {name: each.model_dump() for name, each in made.items()}
        (self.root / "params.yaml").write_text(yaml.safe_dump(self.params))

    def commit(self, message: str = "results") -> str:
        self.write("metrics/data.json", self.data)
        self.write_params()
        return self.commit_all(message)

    def commit_all(self, message: str = "results") -> str:
        """Commit the files as they are."""
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", message, "--allow-empty")
        return git(self.root, "rev-parse", "HEAD")


def review(project: Project, base: str = "main~1", head: str = "main") -> result.Result:
    """As the command compares two commits."""
    return result.review(snapshot.commit(project.root, base), snapshot.commit(project.root, head))


def lock(project: Project) -> None:
    """Write a dvc.lock whose hashes fit the files as they are."""
    stages: dict[str, Any] = {"train@cnn": {"cmd": "x", "deps": [{"path": "pneumo/training", "md5": "1" * 32}]}}
    for name in project.params["model"]:
        outs = [f"metrics/{name}.json", f"scores/test/{name}.csv"]
        stages[f"evaluate@{name}"] = {
            "cmd": f"python -m stages.evaluate {name}",
            "deps": [{"path": f"outputs/test/{name}.csv", "md5": "2" * 32}],
            "params": {"params.yaml": {"bootstrap": project.params["bootstrap"]}},
            "outs": [
                {"path": path, "md5": hashlib.md5((project.root / path).read_bytes()).hexdigest()} for path in outs
            ],
        }
    (project.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
