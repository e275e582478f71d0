from pathlib import Path

import pytest
import yaml
from project import Project, lock


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two models, cnn selected, one commit."""
    made = Project(tmp_path / "project")
    made.commit()
    return made


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
