"""A disk that is full while a stage writes."""

import sys
from collections import namedtuple
from pathlib import Path

import pytest

import stages

Usage = namedtuple("Usage", "total used free")


def _written():
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")


def _by_torch():
    raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file data/0")


@pytest.fixture(autouse=True)
def _command_line(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["x"])
    monkeypatch.chdir(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_folder_and_the_bytes_are_named(tmp_path):
    with pytest.raises(
        SystemExit, match=rf"the disk of {tmp_path} is full, with [\d,]+ bytes free .*No space left on device"
    ):
        stages.run(_written)


@pytest.mark.parametrize(("free", "error"), [(10, SystemExit), (10**9, RuntimeError)])
def test_an_error_of_torch_is_the_disk_only_where_that_is_full(monkeypatch, free, error):
    monkeypatch.setattr(stages.shutil, "disk_usage", lambda path: Usage(10**9, 0, free))
    with pytest.raises(error, match="failed writing file"):
        stages.run(_by_torch)
