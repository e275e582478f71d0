"""`pneumo review` of careless and dishonest pull requests: each is refused or seen (docs/threat-model.md)."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from project import Project, review, table
from rendered import rendered

from pneumo import cli
from pneumo.review import page
from pneumo.review.page import LIMIT
from pneumo.scoring import scores

pytestmark = pytest.mark.slow
RULES = {"metric": "roc_auc", "margin": 0.0, "alpha": 0.05}
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} [{', '.join([f'*{chr(97 + place)}'] * 9)}]\n" for place in range(9)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} {{<<: [{', '.join([f'*{chr(97 + place)}'] * 9)}]}}\n" for place in range(9)
)


@pytest.fixture
def honest(tmp_path: Path) -> Project:
    """Two models and a pipeline of two stages, cnn selected, one commit."""
    project = Project(tmp_path / "project")
    stages = {
        "train": {"foreach": "${model}", "do": {"cmd": "python -m stages.train ${key}", "deps": ["pneumo/training"]}},
        "evaluate": {"foreach": "${model}", "do": {"cmd": "python -m stages.evaluate ${key}"}},
    }
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    project.write_params()
    lock(project)
    project.commit()
    return project


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


# Text that means something to Markdown, HTML, GitHub or a terminal, in place of a name or a value.
TAGS = set(re.findall(r"\w+", "h2 h3 p strong ul li code pre details summary table thead tbody tr th td"))
MARKUP = [
    "<img src=x onerror=alert(1)>",
    "</details><b>",
    "@team/owners",
    "a | b | c",
    "**bold** [link](http://example.org) ![image](http://example.org/x.png)",
    "`code` and `more",
    "```\n# heading\n\n- item",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egpj.exe",
    "www.example.org #1 ~~x~~ \\",
]


@pytest.mark.parametrize("text", MARKUP)
def test_names_and_values_mean_nothing_to_markdown_github_or_a_terminal(honest, text, monkeypatch, capsys):
    for noise in (1.0, 2.0):  # in what is scored, in parameters, data, code, libraries and commands, on both sides
        one_line = text.replace("\n", " ").replace("/", "")
        name = one_line.replace("`", "").strip()
        honest.params["model"][name] = {text: str(noise) + text}
        honest.params["threshold"] = {text: str(noise) + text}
        honest.params["audit"] = {"exclude": [text + str(noise)]}
        honest.data["splits"] = {text: text + str(noise)}
        test = table(noise, seed=3)
        marked = test.assign(image=[f"{image} {one_line}" for image in test["image"]], subtype=one_line)
        marked["patient"] = [f"{one_line} {patient}" for patient in marked["patient"]]
        honest.score(name, marked)
        honest.score("cnn", marked)
        honest.select(name)
        stage = {"cmd": f"python {text} {noise}", "deps": [text + str(noise)]}
        (honest.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {text: stage}}))
        (honest.root / f"pneumo/{name}.py").write_text(str(noise))
        (honest.root / f"metrics/left {name}.json").write_text("{}")
        honest.commit()
    monkeypatch.chdir(honest.root)
    assert cli.main(["review", "main~1", "main"]) in (0, 1)
    out, _ = capsys.readouterr()
    html = rendered(out)
    assert html.open == []
    assert not html.seen - {
        *[
            "h2",
            "h3",
            "p",
            "strong",
            "ul",
            "li",
            "code",
            "pre",
            "details",
            "summary",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        ]
    }
    assert all(len({len(row) for row in rows}) == 1 for rows in html.tables)
    assert not any(sign in html.words for sign in ("@", "http", "www.", "#1", "bold", "~~"))
    assert all(letter.isprintable() or letter == "\n" for letter in out)


@pytest.mark.parametrize("text", MARKUP)
def test_reasons_and_errors_mean_nothing_either(honest, text, monkeypatch, capsys):
    honest.write("metrics/best.json", {"model": text})
    honest.commit_all()
    monkeypatch.chdir(honest.root)
    assert cli.main(["review", "main~1", "main"]) == 3
    out, _ = capsys.readouterr()
    html = rendered(out)
    assert html.open == []
    assert not any(sign in html.words for sign in ("@", "http", "www.", "#1", "**", "~~"))
    assert all(letter.isprintable() or letter == "\n" for letter in out)


def test_a_comment_never_exceeds_the_limit_and_stays_whole(tmp_path):
    """Of everything that a pull request can make long: models, images, parameters, data, code, libraries, stages."""
    project = Project(tmp_path / "p", {"cnn": 1.0})
    long = "x" * 150
    for noise in (1.0, 3.0):
        project.params["model"] = {"cnn": {}} | {f"{place:03}{long}": {} for place in range(250)}
        project.params["threshold"] = {f"{place:03}{long}": f"{noise}{long}" for place in range(300)}
        project.data["splits"] = {f"{place:03}{long}": f"{noise}{long}" for place in range(300)}
        libraries = "".join(f"l{place:03}{long}=={noise}{long}\n" for place in range(300))
        (project.root / "requirements.lock").write_text(libraries)
        stages = {f"{place:03}{long}": {"cmd": f"{noise}{long}"} for place in range(300)}
        (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        for place in range(300):
            (project.root / f"pneumo/{place:03}{long}.py").write_text(f"{noise}")
        test = table(noise, seed=3)
        project.score("cnn", test.assign(image=[f"{image}{long}" for image in test["image"]]))
        project.select("cnn")
        project.commit()
    text = page.markdown(review(project), {"dvc params diff": "\n".join([f"| {long} |"] * 3000)})
    assert len(text) <= LIMIT < 65_536
    assert rendered(text).open == []
    assert "`--format json` has all" in text


def test_a_hundred_thousand_images_are_reviewed(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        label = np.arange(100_000) // 2 % 2
        logit = scores.six_digits(3.0 * label - 1.5 + rng.normal(0, 1, len(label)))
        rows = {
            "image": [f"test/{place:06}.jpeg" for place in range(len(label))],
            "patient": [f"test-{place // 2}" for place in range(len(label))],
            "label": label,
            "subtype": np.where(label == 1, "bacterial", "normal"),
            "logit": logit,
            "score": scores.six_digits(1 / (1 + np.exp(-logit))),
        }
        project.score("cnn", pd.DataFrame(rows))
        project.select("cnn")
        project.commit()
    outcome = review(project)
    assert (outcome.verdict, outcome.selected.n, outcome.selected.patients) == ("within noise", 100_000, 50_000)
    assert len(page.markdown(outcome, {})) <= LIMIT
