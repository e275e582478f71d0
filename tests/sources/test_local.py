"""Where the user's files are, as DVC and every stage find them."""

import os
import subprocess
from pathlib import Path

import pytest

from pneumo.errors import PneumoError, SourceError
from pneumo.sources import local
from pneumo.verification import gate


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("home", "project/data", "films (1)=é, b"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("home/a.zip", "project/data/a.zip", "project/data/own.zip", "films (1)=é, b/x.jpeg"):
        (tmp_path / file).write_text("x")
    (tmp_path / "project/data/a.zip.dvc").write_text("outs: []")
    subprocess.run(["git", "init", "-q", tmp_path / "project"], check=True)
    monkeypatch.chdir(tmp_path / "home")  # a path is relative to the project wherever the command runs
    return tmp_path / "project"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~/a.zip", "{}/home/a.zip"),
        ("data/a.zip", "data/a.zip"),
        ("./data/../data/a.zip", "data/a.zip"),
        ("{}/project/data/a.zip", "data/a.zip"),
        ("../films (1)=é, b", "{}/films (1)=é, b"),
        ("{}/films (1)=é, b", "{}/films (1)=é, b"),
        ("data", "{}/project/data"),
        ("data/own.zip", "{}/project/data/own.zip"),
    ],
)
def test_a_path_is_relative_where_a_copy_of_the_project_has_the_file(project, given, expected, capsys):
    top = str(project.parent)
    assert local.path(given.replace("{}", top), "data.path", project=project) == expected.replace("{}", top)
    assert capsys.readouterr().err == ""


def test_a_home_of_nobody_is_refused_by_name(project):
    with pytest.raises(SourceError, match=r"data\.path is '~nobody-here/a\.zip': .*; give the path without '~'"):
        local.path("~nobody-here/a.zip", "data.path", project=project)


def test_a_file_that_is_elsewhere_is_said_and_does_not_stop(project, capsys):
    assert local.path("/nowhere/a.zip", "data.path", project=project) == "/nowhere/a.zip"
    assert "nothing is at /nowhere/a.zip" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_dvc_would_wait_for_or_follow_is_refused_by_name(project, kind):
    entry = project / "data" / kind
    os.mkfifo(entry) if kind == "pipe" else entry.symlink_to(project)
    with pytest.raises(SourceError, match=f"data/{kind}: found "):
        local.path("data", "data.path", project=project)
    if kind == "pipe":
        with pytest.raises(SourceError, match=r"neither a file nor a folder; correct data\.path"):
            local.path("data/pipe", "data.path", project=project)


def test_conf_composes_the_path_that_dvc_watches(root):
    data = gate.compose(root, "data=archive", "data.path='/films (1)=é, b/x.zip'")["data"]
    assert data["inputs"] == {"images": "/films (1)=é, b/x.zip", "table": "stages/download.py"}
    with pytest.raises(PneumoError, match=r"data\.path is null: name a file or folder with -S data\.path=VALUE"):
        gate.compose(root, "data=archive")


def test_table_and_folder_are_both_watched_and_the_folder_alone_where_the_tables_are_in_it(root):
    images, table = "/films (1)=é, b", "/tables/a b.csv"
    overrides = (f"data.path='{images}'", "data.labels.pneumonia=[1]", "data.labels.normal=[0]")
    inputs = gate.compose(root, "data=table", f"data.table='{table}'", *overrides)["data"]["inputs"]
    assert inputs == {"images": images, "table": table}
    assert gate.compose(root, "data=chexpert", f"data.path='{images}'")["data"]["inputs"]["table"] == images
    assert gate.compose(root, "data=nih", f"data.path='{images}'")["data"]["inputs"] == {
        "images": images,
        "table": f"{images}/Data_Entry_2017_v2020.csv",
    }


def test_a_source_without_files_of_the_user_names_code(root):
    for source in ("phantom", "kaggle"):
        inputs = gate.compose(root, f"data={source}")["data"]["inputs"]
        assert [Path(root, inputs[key]).is_file() for key in ("images", "table")] == [True, True]
