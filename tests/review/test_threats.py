"""`pneumo review` of careless and dishonest pull requests: each is refused or seen (docs/threat-model.md)."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from project import Project, lock, table

from pneumo import cli

pytestmark = pytest.mark.slow
RULES = {"metric": "roc_auc", "margin": 0.0, "alpha": 0.05}
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} [{', '.join([f'*{chr(97 + place)}'] * 9)}]\n" for place in range(9)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} {{<<: [{', '.join([f'*{chr(97 + place)}'] * 9)}]}}\n" for place in range(9)
)


def score(project: Project, test: pd.DataFrame) -> None:
    """Scores and metrics of cnn and best.json that agree with one another, and a lock that agrees with them."""
    project.score("cnn", test)
    project.select("cnn")
    lock(project)


def typed_in(project: Project) -> None:
    score(project, table(0.6, seed=1))


def dropped(project: Project) -> None:
    test = table(1.0)
    wrong = (test["score"] >= 0.5) != test["label"]
    score(project, test[~wrong])


def relabelled(project: Project) -> None:
    test = table(1.0)
    score(project, test.assign(label=(test["score"] >= 0.5).astype(int)))


def regrouped(project: Project) -> None:
    score(project, table(1.0).assign(patient=[f"p{place}" for place in range(len(table(1.0)))]))


def best(name: str) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        content = json.loads((project.root / "metrics/best.json").read_text())
        project.write("metrics/best.json", content | {"model": name})

    return spoil


def removed(project: Project) -> None:
    del project.params["model"]["vgg16"]


def renamed(project: Project) -> None:
    project.params["model"]["mine"] = project.params["model"].pop("cnn")
    project.score("mine", table(1.0))
    project.select("mine")


def params(**sections: Any) -> Callable[[Project], None]:
    return lambda project: project.params.update(sections)


def cell(column: int, value: str) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        path = project.root / "scores/test/cnn.csv"
        first, line, *others = path.read_text().split("\n")
        cells = line.split(",")
        path.write_text("\n".join([first, ",".join([*cells[:column], value, *cells[column + 1 :]]), *others]))

    return spoil


def written(path: str, content: str) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        (project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (project.root / path).write_text(content)

    return spoil


def command(before: str, after: str) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        path = project.root / "dvc.yaml"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    return spoil


def linked(path: str) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        place = project.root / path
        place.rename(project.root / "elsewhere")
        place.symlink_to(project.root / "elsewhere")

    return spoil


# What the pull request does, the exit code of the review, and what it says.
THREATS: dict[str, tuple[Callable[[Project], None], int, list[str]]] = {
    "scores typed in, metrics and lock fit": (typed_in, 0, ["Same inputs, other outputs: `evaluate@cnn`."]),
    "rows dropped": (dropped, 3, ["only in base", "in common: **within noise**"]),
    "rows relabelled": (relabelled, 3, ["have another label"]),
    "patients split up": (regrouped, 3, ["test images (", "have another patient"]),
    "best.json of another model": (best("vgg16"), 3, ["names vgg16, but", "differs from metrics/vgg16.json"]),
    "best.json of no model": (best("mine"), 3, ["best.json names mine, which is no model of"]),
    "a model removed": (removed, 0, ["Only in base: vgg16.", "Files of no model", "`metrics/vgg16.json`"]),
    "a model renamed": (renamed, 0, ["**cnn → mine**"]),
    "alpha": (params(review=RULES | {"alpha": 0.5}), 0, ["but base's applies", "(alpha 0.05,"]),
    "margin": (params(review=RULES | {"margin": 0.5}), 0, ["head changes `review`", "margin: 0.5"]),
    "metric": (params(review=RULES | {"metric": "recall"}), 0, ["but base's applies", "ROC AUC decides"]),
    "resamples": (params(bootstrap={"resamples": 1, "seed": 3}), 0, ["head changes `bootstrap`", "but base's applies"]),
    "threshold policy": (
        params(threshold={"policy": "fixed", "value": 0.1}),
        0,
        ["Rules by which head's results were made changed: `threshold`"],
    ),
    "images excluded": (params(audit={"exclude": ["test/NORMAL/000.jpeg"]}), 0, ["results were made changed: `audit`"]),
    "any parameter": (params(train={"epochs": 1}), 0, ["| `train`"]),
    **{
        f"{name} {value or 'empty'}": (cell(column, value), 3, [f"the {name} of test/NORMAL/000.jpeg is not a number"])
        for column, name in ((4, "score"), (5, "logit"))
        for value in ("nan", "inf", "-inf", "1e999", "", "high")
    },
    "a score of 2": (cell(4, "2"), 3, ["is not a probability in [0, 1]"]),
    "no scores": (written("scores/test/cnn.csv", ""), 3, ["scores/test/cnn.csv is not a table"]),
    "another command": (
        command("stages.evaluate ${key}", "stages.evaluate ${key} && ./better.sh"),
        0,
        ["The pipeline's commands changed: `evaluate` `python -m stages.evaluate ${key}` → ", "&& ./better.sh`"],
    ),
    "another dependency": (command("- pneumo/training", "- pneumo/cli.py"), 0, ["`stages.train.do.deps`"]),
    "a stage frozen": (
        command("cmd: python -m stages.e", "frozen: true\n      cmd: python -m stages.e"),
        0,
        ["`stages.evaluate.do.frozen`"],
    ),
    "a module in front of a library": (written("timm.py", ""), 0, ["| `timm.py`"]),
    "a workflow": (written(".github/workflows/review.yml", ""), 0, ["| `.github/workflows/review.yml`"]),
    "code that DVC ignores": (written(".dvcignore", "pneumo\n"), 0, ["| `.dvcignore`"]),
    "a file of no model": (written("metrics/mine.json", "{}"), 0, ["Files of no model", "`metrics/mine.json`"]),
    "a link for scores": (linked("scores/test/cnn.csv"), 2, ["scores/test/cnn.csv is a symbolic link"]),
    "a link for a folder": (linked("scores/test"), 2, ["scores/test is a symbolic link"]),
    "a link for the pipeline": (linked("dvc.yaml"), 2, ["dvc.yaml is a symbolic link"]),
    **{
        f"{kind} in {path}": (written(path, text), 2, [f"{path} is not YAML (its aliases expand it to more than"])
        for kind, text in (("aliases", BOMB), ("merges", MERGES), ("an endless alias", "a: &a [*a]\n"))
        for path in ("params.yaml", "dvc.lock", "dvc.yaml")
    },
}  # fmt: skip


@pytest.mark.parametrize("what", THREATS)
def test_it_is_refused_or_seen(honest, what, monkeypatch, capsys):
    spoil, code, words = THREATS[what]
    spoil(honest)
    if not what.endswith("params.yaml"):
        honest.write_params()
    honest.commit_all()
    monkeypatch.chdir(honest.root)
    assert cli.main(["review", "main~1", "main"]) == code
    out, err = capsys.readouterr()
    assert all(word in (err if code == 2 else out) for word in words), out + err
    assert "Traceback" not in err
