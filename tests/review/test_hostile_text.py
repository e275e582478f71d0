"""What a comment of `pneumo review` can be made to hold: markup in names and values, long names, many images."""

import re

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
    assert not html.seen - TAGS
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
