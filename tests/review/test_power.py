"""`pneumo power`: plans from the candidates of two commits, or of one."""

import json
from itertools import pairwise

import pytest
from project import Project, git, table

from pneumo import cli
from pneumo.errors import ReviewError
from pneumo.review import power, snapshot


@pytest.fixture
def project(tmp_path) -> Project:
    """cnn with three seeds, another cnn with three more, two commits."""
    made = Project(tmp_path / "project", {"cnn": 1.0})
    for first in (0, 20):
        made.recipe("cnn", [table(1.2 + 0.2 * seed, seed=first + seed) for seed in range(3)])
        made.select("cnn")
        made.commit()
    return made


def plan(project: Project, difference: float = 0.05, metric: str | None = None) -> power.Power:
    commits = (snapshot.commit(project.root, name) for name in ("main~1", "main"))
    return power.power(*commits, difference, metric)


def test_more_patients_and_more_seeds_show_less(project):
    result = plan(project)
    assert result.seeds == (3, 3)
    table_ = list(result.smallest.values())
    assert 120 in result.smallest
    assert all(row[1] > row[2] > row[3] for row in table_), "3, 5 and 10 seeds"
    assert all(before[2] > after[2] for before, after in pairwise(table_))
    needed = [count for count in result.needed if count is not None]
    assert needed == sorted(needed, reverse=True)


def test_it_fits_a_terminal_and_states_what_it_assumes(project):
    text = power.markdown(plan(project, 0.02, "accuracy"))
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "variance from patients falls as 1 / their number" in " ".join(text.split())
    assert "accuracy" in text


def test_without_training_noise_nothing_is_planned(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0, "vgg16": 1.3})
    project.commit()
    result = power.power(snapshot.working_tree(project.root), None, 0.01)
    assert (result.base, result.head) == ("cnn of working tree", "vgg16 of working tree")
    assert result.plan is None
    assert "training noise is unknown" in " ".join(power.markdown(result).split())
    with pytest.raises(ReviewError, match="--metric speed: expected one of roc_auc, "):
        power.power(snapshot.working_tree(project.root), None, 0.01, "speed")


def test_a_single_candidate_needs_a_commit_to_compare_with(project):
    with pytest.raises(ReviewError, match="cnn is the only candidate here"):
        power.power(snapshot.working_tree(project.root), None, 0.01)


def test_as_it_is_typed(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    assert cli.main(["power", "main~1", "--difference", "0.05", "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["difference"] == 0.05
    assert content["seeds_planned"] == [1, 3, 5, 10]
    assert cli.main(["power", "main~1", "main", "--difference", "0.05"]) == 0
    assert capsys.readouterr().out.startswith("## pneumo power: ROC AUC\n")
    assert cli.main(["power", "nowhere", "--difference", "0.05"]) == 1
    assert "git knows no commit" in capsys.readouterr().err
    for words in (["power"], ["power", "--difference", "2"], ["power", "--difference", "x"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(words)
        assert stopped.value.code == 2
    assert git(project.root, "status", "--porcelain") == ""
