"""A record made by the stages' own functions, and ways to spoil it in one place."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import elsewhere
import numpy as np
import pandas as pd
import pytest
import yaml

from pneumo import files
from pneumo.audit import features
from pneumo.evaluation import decision
from pneumo.evaluation.evaluate import measure
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.params import Threshold
from pneumo.params.replicates import replicates
from pneumo.preprocessing import counts
from pneumo.record.record import Model
from pneumo.record.tree import Folder
from pneumo.scoring import scores, stress
from pneumo.verification import tables, verify
from stages import calibrate, select_best
from stages import ensemble as ensemble_stage

ROOT = Path(__file__).parent.parent
BACKBONES = {"cnn": 0.8, "vgg16": 0.9, "resnet50": 2.5}
RESAMPLES = 200
PAGE = """# Results

<!-- pneumo table: . -->
old
<!-- /pneumo table -->

Words.

<!-- pneumo table: . columns=model,oracle.accuracy,n,recall:ci without=shortcut models=best,resnet50 -->
<!-- /pneumo table -->

| where | what |
| --- | --- |
| `metrics/` | figures |
"""


def make(
    root: Path,
    *,
    top: int | str = 2,
    source: str = "archive",
    n: int = 90,
    n_val: int = 70,
    selection_scores: str = "plain",
    backbones: Mapping[str, float] = MappingProxyType(BACKBONES),
    ensembles: Sequence[str] = ("ensemble",),
    external: Sequence[str] = (),
) -> Path:
    """params.yaml, metrics/ and scores/ of backbones, ensembles and the baseline, with a README of tables. `external`:
    data sets of other hospitals.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["model"] = {name: params["model"][name] for name in backbones}
    params["ensembles"] = {name: {"top": top} for name in ensembles}
    params["replicates"], params["ensemble_replicates"] = (replicates(of, [0]) for of in (backbones, ensembles))
    there = {key: value for key, value in params["data"].items() if key != "site"}
    params["external"] = dict.fromkeys(external, there)
    params["bootstrap"]["resamples"] = RESAMPLES
    params["threshold"]["scores"] = params["select"]["scores"] = selection_scores
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    logits = {name: {"val": outputs("train", n_val, noise), "test": outputs("test", n, 1.5 * noise)}
              for name, noise in {**backbones, "shortcut": 4.0}.items()}  # fmt: skip
    model_jsons = _models(root, params, logits)
    for name, model_json in model_jsons.items():
        _evaluate(root, name, model_json, logits[name]["test"], params)
    selected = json.loads((root / "models/best/choice.json").read_text())["model"]
    best = json.loads((root / f"metrics/{selected}.json").read_text())
    files.write_json(root / "metrics/best.json", {"model": selected, **best})
    scored = {split: counts.of_split(logits["cnn"][split]) for split in ("val", "test")}
    data = {"source": source, "rejected": 0, "splits": {"train": {"images": 300, "patients": 150}, **scored}}
    files.write_json(root / "metrics/data.json", data)
    if external:
        _elsewhere(root, external, model_jsons["shortcut"])
    shutil.rmtree(root / "models")
    shutil.rmtree(root / "outputs")
    page = PAGE if "resnet50" in backbones else PAGE.replace("models=best,resnet50", "models=best")
    (root / "README.md").write_text(page)
    tables.write(root / "README.md", root)
    return root


def _models(root: Path, params: dict[str, Any], logits: dict[str, dict[str, pd.DataFrame]]) -> dict[str, Any]:
    """Calibrate backbones, ensemble and baseline, and select the best; model.json of each. Adds the ensembles' test
    logits to `logits`.
    """
    for name in params["model"]:
        about = {"name": name, "kind": "backbone", "weights": "none", "labels": ["n", "p"]}
        about |= {"input_size": params["model"][name]["input_size"], "parameters": 1000 + len(name), "flops": 5}
        about |= {"sha256": {"weights": name, "manifest": ""}}
        files.write_json(root / f"models/trained/{name}/training.json", dict.fromkeys(bundle.TRAINING_KEYS, 1) | about)
        scores.write(logits[name]["val"], root / f"outputs/val/{name}.csv")
        stress.write(under_stress(logits[name]["val"]), root / f"outputs/stress/{name}.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in params["model"]:
            calibrate.main(name)
        for name in params["ensembles"]:
            ensemble_stage.main(name)
        select_best.main()
    model_jsons = {name: bundle.model_json(root / "models/trained" / name) for name in params["model"]}
    for name in params["ensembles"]:
        model_jsons[name] = bundle.model_json(root / "models/ensembles" / name)
        members = model_jsons[name]["members"]
        temperatures = {member: model_jsons[member]["temperature"] for member in members}
        mean = scores.mean_logit({member: logits[member]["test"] for member in members}, temperatures)
        logits[name] = {"test": mean}
    plain = Threshold(**params["threshold"] | {"scores": "plain"})
    val_scores, model_jsons["shortcut"] = decision.decide(logits["shortcut"]["val"], None, plain)
    scores.write(val_scores, root / "scores/shortcut/val.csv")
    return model_jsons


def _elsewhere(root: Path, names: Sequence[str], decided: Mapping[str, Any]) -> None:
    """What evaluate_external writes. `decided`: temperature and threshold of the baseline."""
    elsewhere.store(root / "data/processed", outputs("test", 8, 1.0)[list(scores.KEY_COLUMNS)])
    weights = [{"feature": name, "mean": 100, "scale": 50, "coefficient": 0.1} for name in features.FEATURES]
    fitted = {"features": weights, "intercept": 0.0, **decided}
    files.write_json(root / "data/audit/shortcut.json", fitted)
    for name in names:
        elsewhere.add(root, name)
    shutil.rmtree(root / "data")


def _evaluate(root: Path, name: str, model_json: dict[str, Any], logits: pd.DataFrame, params: dict[str, Any]) -> None:
    """Write test scores and metrics of a calibrated model."""
    model = Model(Folder(root), name, name)
    scores.write(decision.calibrated(logits, model_json["temperature"]), root / model.path("test"))
    values = measure(
        model.test_scores,
        model_json["threshold"],
        validation=model.val_scores,
        stress_logits=model.stress_logits,
        temperature=model_json["temperature"],
        prevalence=params["evaluate"]["prevalence"],
    )
    values |= {key: model_json[key] for key in ("weights", "parameters", "flops", "input_size") if key in model_json}
    values |= {"members": list(model_json["members"])} if "members" in model_json else {}
    files.write_json(root / model.path("metrics"), values)


def under_stress(table: pd.DataFrame) -> pd.DataFrame:
    """Logits under stress: noisier ones."""
    noise = np.random.default_rng(3).normal(0, 0.5, (len(table), len(NAMES)))
    return stress.table(table, table["logit"].to_numpy()[:, None] + noise)


def outputs(folder: str, n: int, noise: float) -> pd.DataFrame:
    """Logits of `n` images, two of each patient."""
    rng = np.random.default_rng(int(10 * noise))
    label = (np.arange(n) >= 0.4 * n).astype(int)
    subtype = np.where(label == 0, "normal", np.where(np.arange(n) % 3 == 0, "viral", "bacterial"))
    rows = {
        "image": [f"{folder}/{i:04}.jpeg" for i in range(n)],
        "patient": [f"{folder}-{i // 2}" for i in range(n)],
        "label": label,
        "subtype": subtype,
    }
    return scores.table(pd.DataFrame(rows), 2.0 * label - 1 + rng.normal(0, noise, n))


def run(root: Path) -> verify.Tally:
    return verify.verify([root], [root / "README.md"], root)


def put(file: str, key: str, value: Any) -> Callable[[Path], None]:
    """Set a key like ci95.accuracy.0 in a JSON or YAML file; `value` may be a function of the old one."""

    def spoil(root: Path) -> None:
        path = root / file
        text = path.read_text()
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        place = content
        *outer, last = (int(word) if word.isdigit() else word for word in key.split("."))
        for word in outer:
            place = place[word]
        place[last] = value(place[last]) if callable(value) else value
        path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))

    return spoil


def drop(file: str, key: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        content = json.loads((root / file).read_text())
        *outer, last = key.split(".")
        place = content
        for word in outer:
            place = place[word]
        del place[last]
        (root / file).write_text(json.dumps(content))

    return spoil


def cell(file: str, line: int, column: str, value: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        lines = (root / file).read_text().split("\n")
        cells = lines[line - 1].split(",")
        cells[lines[0].split(",").index(column)] = value
        lines[line - 1] = ",".join(cells)
        (root / file).write_text("\n".join(lines))

    return spoil


def text(file: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda root: (root / file).write_text(change((root / file).read_text())) and None


def everywhere(split: str, line: int, column: str, value: str) -> Callable[[Path], None]:
    """The same cell in the scores of all models."""

    def spoil(root: Path) -> None:
        for path in [*(root / "scores" / split).iterdir(), root / f"scores/shortcut/{split}.csv"]:
            cell(str(path.relative_to(root)), line, column, value)(root)

    return spoil


def more(by: float) -> Callable[[float], float]:
    return lambda old: old + by


def first_cell(page: str) -> str:
    """The page with one digit of its first ROC AUC changed."""
    head, dot, rest = page.partition("0.")
    return head + dot + ("1" if rest[0] != "1" else "2") + rest[1:]
