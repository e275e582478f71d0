"""`pneumo status`: how the results that lie here differ from HEAD's."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import Project, git, table

from pneumo import cli
from pneumo.review.status import status

pytestmark = pytest.mark.slow
AMD = {"processor": {"vendor": "AuthenticAMD", "family": 25, "model": 1}}
INTEL = {"processor": {"vendor": "GenuineIntel", "family": 6, "model": 143}}


def said(project: Project) -> str:
    return "\n".join(status(project.root))


def train_again(project: Project, noise: float, machine: Any = INTEL) -> None:
    """Other results of the selected model, of another processor."""
    project.score("cnn", table(noise, seed=0))
    project.select("cnn")
    project.write("machine.json", machine)


@pytest.fixture
def by_amd(project: Project) -> Project:
    project.write("machine.json", AMD)
    project.commit()
    return project


def test_results_of_head_are_one_line(by_amd):
    assert said(by_amd) == f"The results are those of HEAD ({git(by_amd.root, 'rev-parse', 'HEAD')[:10]})."


@pytest.mark.parametrize(("noise", "verdict"), [(1.01, "within noise"), (3.0, "worse")])
def test_another_processor_is_named_with_the_verdict_and_what_to_do(by_amd, noise, verdict):
    train_again(by_amd, noise)
    text = said(by_amd)
    assert len(text.splitlines()) == 1
    assert "in 3 files (2 in metrics/, 1 in scores/)" in text or "in 3 files (1 in scores/, 2 in metrics/)" in text
    assert f"The selected model, cnn, is {verdict} (ROC AUC " in text
    assert "HEAD's were made on AuthenticAMD, family 25, model 1, these on GenuineIntel, family 6, model 143" in text
    assert "`git add params.yaml dvc.lock machine.json metrics scores reports/plots && git commit`" in text
    assert text.endswith("Discard them: `make restore`.")


def test_the_same_processor_is_no_cause(by_amd):
    train_again(by_amd, 1.01, AMD)
    assert "By machine.json both are from AuthenticAMD, family 25, model 1, so libraries" in said(by_amd)


@pytest.mark.parametrize("machine", [{}, {"processor": None}, {"processor": {"vendor": 3}}, {"processor": []}])
def test_a_processor_that_nobody_noted_is_unknown(by_amd, machine):
    train_again(by_amd, 1.01, machine)
    assert "these on an unknown processor" in said(by_amd)


def test_other_parameters_are_a_cause_before_any_processor(by_amd):
    train_again(by_amd, 3.0)
    by_amd.params["model"]["cnn"]["lr"] = 0.1
    by_amd.write_params()
    assert "So do parameters: `pneumo review HEAD` has the details." in said(by_amd)
    assert "AuthenticAMD" not in said(by_amd)


def test_a_lock_alone_changes_no_figure(by_amd):
    (by_amd.root / "dvc.lock").write_text((by_amd.root / "dvc.lock").read_text().replace("1" * 32, "2" * 32))
    assert "in 1 file (dvc.lock); every score and figure is the same." in said(by_amd)


def test_a_new_file_counts(by_amd):
    by_amd.score("vgg19", table(1.0))
    assert "3 files" in said(by_amd)


def test_outputs_that_are_not_here_are_named_with_the_way_to_get_them(by_amd):
    outs = [{"path": f"models/{name}", "md5": "1" * 32} for name in ("a", "b", "c", "d", "e")]
    lock = yaml.safe_load((by_amd.root / "dvc.lock").read_text())
    lock["stages"]["train@cnn"]["outs"] = outs
    (by_amd.root / "dvc.lock").write_text(yaml.safe_dump(lock))
    by_amd.commit()
    (by_amd.root / "models").mkdir()
    (by_amd.root / "models/a").touch()
    first, second = status(by_amd.root)
    assert first.startswith("The results are those of HEAD")
    assert second.startswith(
        "4 of 5 outputs of dvc.lock are not here: models/b, models/c, models/d and 1 more. `dvc pull`"
    )


def test_a_difference_is_no_failure_and_a_broken_file_is(by_amd, monkeypatch, capsys):
    monkeypatch.chdir(by_amd.root)
    train_again(by_amd, 3.0)
    assert cli.main(["status"]) == 0
    assert "Results differ from HEAD" in capsys.readouterr().out
    (by_amd.root / "machine.json").write_text("{")
    assert cli.main(["status"]) == 1
    assert "machine.json" in capsys.readouterr().err


def test_without_a_commit_there_is_nothing_to_compare_with(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    assert cli.main(["status"]) == 1
    assert "git knows no commit 'HEAD'" in capsys.readouterr().err


def test_make_repro_says_it_and_make_restore_takes_the_machine_back(root: Path):
    makefile = (root / "Makefile").read_text()
    assert "\tdvc repro\n\tpneumo status || true\n" in makefile
    assert "machine.json" in makefile.partition("git stash push")[2].partition("\n")[0]
    assert "\tdvc checkout --allow-missing\n\tpneumo status\n" in makefile
    assert json.loads((root / "machine.json").read_text())
