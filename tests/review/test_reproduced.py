"""`pneumo review --reproduced`: what a second run of the pipeline gave, against what is committed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import Project, table
from records import cell, make, put

from pneumo import cli
from pneumo.errors import ReviewError
from pneumo.record.record import Record
from pneumo.record.tree import Folder
from pneumo.review import reproduced
from pneumo.review.result import NOT_REPRODUCED

pytestmark = pytest.mark.slow
LIST = "scores/suspected_labels.csv"
Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole record: backbones, an ensemble and the baseline. Tests only read it."""
    return make(tmp_path_factory.mktemp("committed"))


@pytest.fixture
def made(committed: Path, tmp_path: Path) -> Path:
    """The same, as another run would have given it."""
    return Path(shutil.copytree(committed, tmp_path / "made"))


def rows(committed: Path, made: Path) -> dict[str, reproduced.Row]:
    compared = reproduced.compare(Record(Folder(committed)), Record(Folder(made)))
    assert len({row.path for row in compared}) == len(compared)
    return {row.path: row for row in compared}


def scale(file: str, column: str, line: int, by: float) -> Spoil:
    """Multiply a number in a table."""

    def spoil(root: Path) -> None:
        lines = (root / file).read_text().split("\n")
        value = float(lines[line - 1].split(",")[lines[0].split(",").index(column)])
        cell(file, line, column, f"{value * by:.9g}")(root)

    return spoil


def test_every_file_of_scores_and_metrics_is_compared(committed, made):
    compared = rows(committed, made)
    names = ("cnn", "vgg16", "resnet50", "ensemble")
    expected = {f"scores/{kind}/{name}.csv" for kind in ("val", "test", "stress") for name in names}
    expected |= {f"metrics/{name}.json" for name in (*names, "shortcut", "best")}
    expected |= {f"scores/{name}.csv" for name in ("shortcut/val", "shortcut/test", "suspected_labels")}
    assert set(compared) == expected
    assert all(row.equal and row.largest == 0 and row.values for row in compared.values())


# How a file of the second run differs, and whether that counts as equal: one unit in the sixth digit does.
TABLES: dict[str, tuple[str, Spoil, bool]] = {
    "a unit": ("scores/test/cnn.csv", scale("scores/test/cnn.csv", "score", 3, 1 + 1e-6), True),
    "two digits": ("scores/test/cnn.csv", scale("scores/test/cnn.csv", "score", 3, 1 + 1e-4), False),
    "validation": ("scores/val/vgg16.csv", scale("scores/val/vgg16.csv", "score", 3, 1.01), False),
    "under stress": ("scores/stress/cnn.csv", scale("scores/stress/cnn.csv", "zoom 0.8", 3, 1.01), False),
    "the baseline": ("scores/shortcut/test.csv", scale("scores/shortcut/test.csv", "score", 3, 1.01), False),
    "another label": ("scores/test/cnn.csv", cell("scores/test/cnn.csv", 2, "label", "1"), False),
    "another patient": ("scores/test/cnn.csv", cell("scores/test/cnn.csv", 2, "patient", "x"), False),
    "no number": ("scores/test/cnn.csv", cell("scores/test/cnn.csv", 2, "score", "nan"), False),
    "no file": ("scores/val/cnn.csv", lambda root: (root / "scores/val/cnn.csv").unlink(), False),
    "no stress": ("scores/stress/cnn.csv", lambda root: (root / "scores/stress/cnn.csv").unlink(), False),
    "no metrics": ("metrics/cnn.json", lambda root: (root / "metrics/cnn.json").unlink(), False),
    "no list": (LIST, lambda root: (root / LIST).unlink(), False),
    "a suspect": (LIST, cell(LIST, 2, "image", "test/0002.jpeg"), False),
    "a probability": (LIST, scale(LIST, "probability", 2, 1.01), False),
    "a unit of it": (LIST, scale(LIST, "probability", 2, 1 + 1e-6), True),
    "a figure": ("metrics/cnn.json", put("metrics/cnn.json", "recall", 0.5), False),
    "a last digit": ("metrics/cnn.json", put("metrics/cnn.json", "recall", lambda old: old + 1e-6), True),
    "a threshold": ("metrics/cnn.json", put("metrics/cnn.json", "threshold", 0.4), False),
    "another best": ("metrics/best.json", put("metrics/best.json", "model", "resnet50"), False),
}


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize("side", ["committed", "made"])
def test_what_differs_is_named_whichever_side_it_is_on(committed, made, what, side):
    path, spoil, equal = TABLES[what]
    spoil(made)
    compared = rows(committed, made) if side == "made" else rows(made, committed)
    assert {row.path for row in compared.values() if not row.equal} == (set() if equal else {path})


def test_a_run_with_other_parameters_is_no_reproduction(committed, made):
    put("params.yaml", "train.epochs", 99)(made)
    with pytest.raises(ReviewError, match=r"params.yaml: train.epochs is 99, but 3 in what is committed"):
        rows(committed, made)


@pytest.fixture
def pull_request(tmp_path: Path) -> Project:
    """Scores of cnn that were typed in: they say better."""
    project = Project(tmp_path / "p", {"cnn": 1.2})
    project.commit()
    project.score("cnn", table(0.6, seed=1))
    project.select("cnn")
    project.commit()
    return project


def second_run(project: Project, folder: Path, noise: float, seed: int) -> Path:
    again = Project(folder, {"cnn": 1.2})
    again.score("cnn", table(noise, seed=seed))
    again.select("cnn")
    again.write("metrics/data.json", project.data)
    again.write_params()
    return folder


def test_scores_that_the_pipeline_gives_are_reproduced(pull_request, tmp_path, monkeypatch, capsys):
    folder = second_run(pull_request, tmp_path / "again", 0.6, 1)
    monkeypatch.chdir(pull_request.root)
    assert cli.main(["review", "main~1", "main", "--reproduced", str(folder)]) == 0
    out, _ = capsys.readouterr()
    n = len(table(1.0)) + len(table(1.0, "val"))
    assert f"**Reproduced here**: {n} scores and logits and " in out
    assert "figures of 4 files are what the pipeline gave, to six digits." in out


def test_scores_that_it_does_not_give_are_not_and_the_verdict_of_the_second_run_is_said(
    pull_request, tmp_path, monkeypatch, capsys
):
    folder = second_run(pull_request, tmp_path / "again", 1.2, 0)
    monkeypatch.chdir(pull_request.root)
    assert cli.main(["review", "main~1", "main", "--reproduced", str(folder)]) == NOT_REPRODUCED
    out, _ = capsys.readouterr()
    assert out.startswith("## pneumo review: better")
    assert "**Not reproduced here**: 3 of 4 files differ" in out
    assert "what it gave is within noise (ROC AUC 0.000000)" in out
    assert "| `scores/test/cnn.csv`" in out
    assert cli.main(["review", "main~1", "main", "--format", "json", "--reproduced", str(folder)]) == NOT_REPRODUCED
    content = json.loads(capsys.readouterr().out)
    assert content["exit_code"] == NOT_REPRODUCED
    assert (content["reproduced"]["equal"], content["reproduced"]["verdict"]) == (False, "within noise")


AMD, INTEL = ({"processor": {"vendor": vendor, "family": 6, "model": 1}} for vendor in ("AuthenticAMD", "GenuineIntel"))


def reviewed(project: Project, folder: Path, machines: tuple[object, object], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status where the committed results name one machine and the second run another; None: no such file."""
    if machines[0] is not None:
        project.write("machine.json", machines[0])
    project.commit()
    if machines[1] is not None:
        (folder / "machine.json").write_text(json.dumps(machines[1]))
    monkeypatch.chdir(project.root)
    return cli.main(["review", "HEAD~2", "HEAD", "--reproduced", str(folder)])


@pytest.mark.parametrize(
    ("machines", "code"),
    [
        ((AMD, INTEL), 0),
        ((AMD, None), 0),
        ((None, INTEL), 0),
        ((AMD, AMD), NOT_REPRODUCED),
        ((AMD, {"processor": {"vendor": "AuthenticAMD", "family": 26, "model": 2}}), NOT_REPRODUCED),
    ],
)
def test_other_digits_of_another_make_are_no_failure(pull_request, tmp_path, monkeypatch, capsys, machines, code):
    folder = second_run(pull_request, tmp_path / "again", 0.61, 1)
    assert reviewed(pull_request, folder, machines, monkeypatch) == code
    out, _ = capsys.readouterr()
    assert out.startswith("## pneumo review: better")
    assert ("**Not reproduced here to the digit**: " in out) == (code == 0)
    if machines == (AMD, INTEL):
        assert "made on AuthenticAMD, family 6, model 1, run again on GenuineIntel, family 6, model 1" in out
        assert "what the second run selected is within noise" in out
        assert "which anybody can edit" in out


@pytest.mark.parametrize(
    ("noise", "spoil"),
    [
        (2.5, None),  # more than noise apart
        (0.61, cell("scores/test/cnn.csv", 2, "patient", "x")),  # other images
        (0.61, lambda root: (root / "scores/val/cnn.csv").unlink()),
    ],
)
def test_what_another_make_cannot_explain_is_not_reproduced(pull_request, tmp_path, monkeypatch, capsys, noise, spoil):
    folder = second_run(pull_request, tmp_path / "again", noise, 1)
    if spoil:
        spoil(folder)
    assert reviewed(pull_request, folder, (AMD, INTEL), monkeypatch) == NOT_REPRODUCED
    assert "**Not reproduced here**" in capsys.readouterr().out


def test_a_second_run_that_is_worse_than_base_is_red_on_any_processor(tmp_path, monkeypatch, capsys):
    """What is committed lies within noise of both, so that it could have been chosen for its verdict."""
    project = Project(tmp_path / "p", {"cnn": 0.6})
    project.commit()
    project.score("cnn", table(1.0, seed=0))
    project.select("cnn")
    project.commit()
    folder = second_run(project, tmp_path / "again", 1.2, 0)
    assert reviewed(project, folder, (AMD, INTEL), monkeypatch) in (1, NOT_REPRODUCED)


def test_the_rules_of_base_say_whether_two_runs_are_apart(pull_request, tmp_path, monkeypatch, capsys):
    """A head that tolerates any loss does not thereby reproduce."""
    pull_request.params["review"]["margin"] = 0.9
    pull_request.commit()
    folder = second_run(pull_request, tmp_path / "again", 2.5, 1)
    (folder / "params.yaml").write_text((pull_request.root / "params.yaml").read_text())
    monkeypatch.chdir(pull_request.root)
    pull_request.write("machine.json", AMD)
    pull_request.commit()
    (folder / "machine.json").write_text(json.dumps(INTEL))
    assert cli.main(["review", "HEAD~3", "HEAD", "--reproduced", str(folder)]) == NOT_REPRODUCED


@pytest.mark.parametrize("path", ["scores/test/cnn.csv", "metrics", "params.yaml", "machine.json"])
def test_a_link_in_a_second_run_is_refused(pull_request, tmp_path, monkeypatch, capsys, path):
    folder = second_run(pull_request, tmp_path / "again", 0.6, 1)
    (folder / "machine.json").write_text("{}")
    (folder / path).rename(tmp_path / "elsewhere")
    (folder / path).symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(pull_request.root)
    assert cli.main(["review", "main~1", "main", "--reproduced", str(folder)]) == 2
    assert "is a symbolic link" in capsys.readouterr().err


def test_no_file_of_the_reviewed_folder_is_imported(pull_request, tmp_path, monkeypatch):
    """`python -m dvc` would take a dvc.py of the working folder."""
    for name in ("dvc", "yaml", "pandas"):
        (pull_request.root / f"{name}.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(pull_request.root)
    assert cli.main(["review", "main~1", "main"]) == 0
    assert not (pull_request.root / "imported").exists()
