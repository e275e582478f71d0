import json
import shutil
from pathlib import Path

import made_report
import pytest
from bundles import write_backbone, write_processed

from pneumo import files
from pneumo.export.export import export
from pneumo.hub.export import export as hub

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A project whose report is of the exported model in its models/best; copy it before you change it."""
    root = made_report.make(tmp_path_factory.mktemp("project") / "project")
    best = root / "models/best"
    made, choice = json.loads((best / "model.json").read_text()), (best / "choice.json").read_text()
    data = json.loads((root / "metrics/data.json").read_text())
    folder = tmp_path_factory.mktemp("selected")
    selected = write_backbone(folder / "selected", made["name"])
    about = json.loads((selected / "model.json").read_text())
    about |= {key: made[key] for key in ("temperature", "threshold", "threshold_policy")}
    about["sha256"]["manifest"] = data["manifest_sha256"]
    files.write_json(selected / "model.json", about)
    export(selected, write_processed(folder / "processed", 40), best, film_views=None)
    (best / "choice.json").write_text(choice)
    made_report.write(root)
    for name in ("LICENSE", "CITATION.cff"):
        shutil.copyfile(ROOT / name, root / name)
    return root


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
