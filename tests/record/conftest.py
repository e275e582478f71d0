from pathlib import Path

import pytest
from project import Project

from pneumo.record.tree import Folder, Tree
from pneumo.review import snapshot


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two models, cnn selected, one commit."""
    made = Project(tmp_path / "project")
    made.commit()
    return made


@pytest.fixture(params=["folder", "commit"])
def read_tree(request, project):
    """The project as a folder and, committed anew, as a commit: what reads a record must not know the difference."""

    def tree() -> Tree:
        if request.param == "folder":
            return Folder(project.root)
        project.commit_all()
        return snapshot.commit(project.root, "main")

    return tree
