from pathlib import Path

import pytest
from project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two models, cnn selected, one commit."""
    made = Project(tmp_path / "project")
    made.commit()
    return made
