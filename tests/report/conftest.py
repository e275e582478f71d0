"""The made-up project, made and reported on once for all tests here."""

import shutil
from pathlib import Path

import made_report
import pytest


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project before its report is written. Tests copy it."""
    return made_report.make(tmp_path_factory.mktemp("inputs") / "project")


@pytest.fixture(scope="session")
def reported(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its report. Tests only read it."""
    root = shutil.copytree(inputs, tmp_path_factory.mktemp("reported") / "project")
    made_report.write(root)
    return root


@pytest.fixture
def copied(inputs: Path, tmp_path: Path) -> Path:
    """The project before its report is written, to be spoilt."""
    return shutil.copytree(inputs, tmp_path / "project", ignore=shutil.ignore_patterns("raw"))
