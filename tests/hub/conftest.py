import json
import shutil
from pathlib import Path

import made_report
import pytest
from bundles import write_backbone, write_ensemble, write_processed

from pneumo import files
from pneumo.export.export import export
from pneumo.hub.export import export as hub

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A project whose report is of the exported model in its models/best; copy it before you change it."""
    root = made_report.make(tmp_path_factory.mktemp("project") / "project")
    made = json.loads((root / "models/best/model.json").read_text())
    with_model(root, write_backbone(tmp_path_factory.mktemp("selected") / "selected", made["name"]))
    made_report.write(root)
    for name in ("LICENSE", "CITATION.cff"):
        shutil.copyfile(ROOT / name, root / name)
    return root


def with_model(root, selected):
    """Export `selected` to models/best, decided as the metrics of `root` have it."""
    best = root / "models/best"
    made, choice = json.loads((best / "model.json").read_text()), (best / "choice.json").read_text()
    data = json.loads((root / "metrics/data.json").read_text())
    about = json.loads((selected / "model.json").read_text())
    about |= {key: made[key] for key in ("name", "temperature", "threshold", "threshold_policy")}
    about["sha256"]["manifest"] = data["manifest_sha256"]
    files.write_json(selected / "model.json", about)
    export(selected, write_processed(selected.parent / "processed", 40), best, film_views=None)
    (best / "choice.json").write_text(choice)


@pytest.fixture(scope="session")
def of_an_ensemble(project, tmp_path_factory):
    """The same, of an ensemble, and the line that its card should have but has not."""
    ignored = shutil.ignore_patterns("raw", "processed", "dvclive")
    root = shutil.copytree(project, tmp_path_factory.mktemp("ensemble") / "project", ignore=ignored)
    with_model(root, write_ensemble(tmp_path_factory.mktemp("members") / "selected", a={"seed": 1}, b={"seed": 2}))
    members = json.loads((root / "models/best/model.json").read_text())["members"]
    return root, f"Weights of the members: {', '.join(f'{name} `{sha256}`' for name, sha256 in members.items())}."


@pytest.fixture(scope="session")
def exported(project, tmp_path_factory):
    """Tests only read it."""
    to = tmp_path_factory.mktemp("hub") / "model"
    hub(project / "models/best", to, project, source="https://example.org/pneumo")
    return to


@pytest.fixture
def copied(project, tmp_path):
    """The project, to be spoilt."""
    ignored = shutil.ignore_patterns("raw", "processed", "dvclive")
    return shutil.copytree(project, tmp_path / "project", ignore=ignored)
