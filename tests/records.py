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
from pneumo.evaluation import decision, flagged, suspected
from pneumo.evaluation.evaluate import Scored
from pneumo.evaluation.over_seeds import in_best
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.params import Bootstrap, Threshold, replicates
from pneumo.preprocessing import counts
from pneumo.record.record import GUARD, GUARD_METRICS, SUSPECTED_LABELS, Record
from pneumo.record.tree import Folder
from pneumo.scoring import scores, stress
from pneumo.verification import tables, verify
from stages import calibrate, evaluate, evaluate_ensemble, score, select_best
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
    seeds: int = 1,
    replicate: str = "median",
    threshold: str = "redrawn",
    suspects: Sequence[str] = ("test/0010.jpeg", "test/0080.jpeg", "train/0005.jpeg", "train/0900.jpeg"),
) -> Path:
    """params.yaml, metrics/ and scores/ of backbones, ensembles and the baseline, with a README of tables. `external`:
    data sets of other hospitals. `seeds`: networks of each backbone. `replicate`: which models/best is.
    `threshold`: of the section bootstrap. `suspects`: images with suspected labels; those without scores are of train.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["model"] = {name: params["model"][name] for name in backbones}
    params["ensembles"] = {name: {"top": top} for name in ensembles}
    there = {key: value for key, value in params["data"].items() if key != "site"}
    params["external"] = dict.fromkeys(external, there)
    params["train"]["seeds"] = list(range(seeds))
    for section, candidates in (("replicates", backbones), ("ensemble_replicates", ensembles)):
        params[section] = {name: each.model_dump() for name, each in replicates(candidates, seeds).items()}
    params["select"]["replicate"] = replicate
    params["bootstrap"] |= {"resamples": RESAMPLES, "threshold": threshold}
    params["threshold"]["scores"] = params["select"]["scores"] = selection_scores
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    noises = {name: backbones[each["candidate"]] + 0.3 * each["seed"] for name, each in params["replicates"].items()}
    logits = {name: {"val": outputs("train", n_val, noise), "test": outputs("test", n, 1.5 * noise)}
              for name, noise in {**noises, "shortcut": 4.0}.items()}  # fmt: skip
    first = next(iter(backbones))
    listed = _suspects(logits[first], suspects)
    suspected.write(listed, root / SUSPECTED_LABELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        decided = _models(params, logits)
        winner(Path(), params)
    scored = {split: counts.of_split(logits[first][split]) for split in ("val", "test")}
    data = {"source": source, "rejected": 0, "splits": {"train": {"images": 300, "patients": 150}, **scored}}
    data |= {"audit": {"suspected_labels": suspected.summary(listed)}}
    _guard(root, {split: logits[first][split]["image"] for split in ("val", "test")})
    files.write_json(root / "metrics/data.json", data)
    if external:
        _elsewhere(root, external, decided)
    shutil.rmtree(root / "models")
    shutil.rmtree(root / "outputs")
    page = PAGE if "resnet50" in backbones else PAGE.replace("models=best,resnet50", "models=best")
    (root / "README.md").write_text(page)
    tables.write(root / "README.md", root)
    return root


def _guard(root: Path, images: Mapping[str, Sequence[str]]) -> None:
    """What stage guard writes. `images`: of validation and test."""
    groups = {flagged.VALIDATION: images["val"], flagged.TEST: images["test"], "noise": ["noise 0", "noise 1"]}
    rows = [(group, image, 10.0 + at) for group, names in groups.items() for at, image in enumerate(names)]
    table = pd.DataFrame(rows, columns=list(flagged.COLUMNS))
    flagged.write(table, root / GUARD)
    files.write_json(root / GUARD_METRICS, flagged.measure(table, 78.5))


def suspected_images(root: Path) -> list[str]:
    return suspected.read(root / SUSPECTED_LABELS)["image"].tolist()


def _suspects(logits: dict[str, pd.DataFrame], images: Sequence[str]) -> pd.DataFrame:
    """suspected.COLUMNS of `images`, the first of them the least probable labels. `logits`: by split."""
    known = pd.concat([logits[split].assign(split=split) for split in ("val", "test")]).set_index("image")
    rows = [
        {"image": image, "probability": 0.01 * (place + 1)}
        | (
            known.loc[image, ["patient", "label", "split"]].to_dict()
            if image in known.index
            else {"patient": f"other-{place}", "label": 0, "split": "train"}
        )
        for place, image in enumerate(images)
    ]
    return pd.DataFrame(rows, columns=list(suspected.COLUMNS))


def _models(params: dict[str, Any], logits: dict[str, dict[str, pd.DataFrame]]) -> dict[str, Any]:
    """Run the stages from calibrate to select_best in the current folder, and evaluate the baseline; returns what that
    has in place of model.json.
    """
    for name, replicate in params["replicates"].items():
        about = {"name": name, "kind": "backbone", "weights": "none", "labels": ["n", "p"]}
        about |= {"input_size": params["model"][replicate["candidate"]]["input_size"]}
        about |= {"parameters": 1000 + len(replicate["candidate"]), "flops": 5}
        about |= {"sha256": {"weights": name, "manifest": ""}}
        folder = Path("models/trained", replicate["folder"])
        files.write_json(folder / "training.json", dict.fromkeys(bundle.TRAINING_KEYS, 1) | about)
        paths = scores.paths(Path("outputs"), replicate["candidate"], name)
        scores.write(logits[name]["val"], paths["val"])
        scores.write(logits[name]["test"], paths["test"])
        stress.write(under_stress(logits[name]["val"]), paths["stress"])
    stages = [(calibrate, "replicates"), (ensemble_stage, "ensemble_replicates")]
    stages += [(evaluate, "model"), (evaluate_ensemble, "ensembles")]
    for stage, section in stages:
        for name in params[section]:
            stage.main(name)
    score.main()
    select_best.main()
    shutil.copytree("models/selected", "models/best", dirs_exist_ok=True)  # export does it, and takes seconds
    return _baseline(params, logits["shortcut"])


def _baseline(params: dict[str, Any], logits: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Scores and metrics of the shortcut baseline; returns what it decides by."""
    plain = Threshold(**params["threshold"] | {"scores": "plain"})
    val_scores, decided = decision.decide(logits["val"], None, plain)
    scores.write(val_scores, Path("scores/shortcut/val.csv"))
    scores.write(decision.calibrated(logits["test"], decided["temperature"]), Path("scores/shortcut/test.csv"))
    model = Record(Folder(Path())).model("shortcut")
    bootstrap = Bootstrap(**params["bootstrap"])
    drawn = decision.redrawn_thresholds(model.val_scores, None, decided["temperature"], plain, bootstrap)
    both = (decided["temperature"], decided["threshold"])
    suspects = suspected_images(Path())
    scored = Scored(
        model.test_scores,
        model.val_scores,
        None,
        *both,
        drawn,
        suspected_images=suspects,
        error_rates=plain.error_rates,
    )
    values = scored.measure(params["evaluate"]["prevalence"])
    files.write_json(Path("metrics/shortcut.json"), values)
    return decided


def winner(root: Path, params: dict[str, Any]) -> None:
    """Write metrics/best.json as the stage report does."""
    chosen = json.loads((root / "models/best/choice.json").read_text())
    figures, name = json.loads((root / f"metrics/{chosen['model']}.json").read_text()), chosen["replicate"]
    content = {"model": chosen["model"], **figures}
    if "replicates" in figures:
        content |= in_best(figures, name, None if name in figures["replicates"] else _ensemble(root, params))
    files.write_json(root / "metrics/best.json", content)


def _ensemble(root: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Metrics of the ensemble over seeds in models/best."""
    model_json = bundle.model_json(root / "models/best")
    temperatures = {
        name: bundle.model_json(root / "models/best/members" / name)["temperature"] for name in model_json["members"]
    }
    plain = {
        split: scores.mean_logit(
            {name: scores.read_scores(root / f"scores/{split}/{name}.csv") for name in temperatures}, temperatures
        )
        for split in ("val", "test")
    }
    under = {name: stress.read_stress(root / f"scores/stress/{name}.csv") for name in temperatures}
    logits = {**plain, "stress": stress.mean_logit(under, temperatures)}
    sections = Threshold(**params["threshold"]), Bootstrap(**params["bootstrap"])
    return Scored.of(model_json, logits, *sections, suspected_images(root)).measure(params["evaluate"]["prevalence"])


def _elsewhere(root: Path, names: Sequence[str], decided: Mapping[str, Any]) -> None:
    """What evaluate_external writes. `decided`: temperature and threshold of the baseline."""
    elsewhere.store(root / "data/processed", outputs("test", 8, 1.0)[list(scores.KEY_COLUMNS)])
    weights = [{"feature": name, "mean": 100, "scale": 50, "coefficient": 0.1} for name in features.FEATURES]
    fitted = {"features": weights, "intercept": 0.0, **decided}
    files.write_json(root / "data/audit/shortcut.json", fitted)
    for name in names:
        elsewhere.add(root, name)
    shutil.rmtree(root / "data")


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
