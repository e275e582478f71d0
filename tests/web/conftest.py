import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from bundles import write_backbone, write_processed

from pneumo.export.export import export
from pneumo.serving import model


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An exported model."""
    folder = tmp_path_factory.mktemp("exported")
    processed = write_processed(folder / "processed", 40)
    export(write_backbone(folder / "selected", "tiny"), processed, folder / "best", film_views=["PA", "AP"])
    return folder / "best"


@pytest.fixture(scope="session")
def loaded(exported):
    return model.load(exported)


@contextmanager
def started(exported, *words, **environment):
    """`pneumo serve` on a free port -> its process and address."""
    command = [sys.executable, "-m", "pneumo.cli", "serve", "--model", str(exported), "--port", "0", *words]
    environment = {name: value for name, value in (os.environ | environment).items() if value is not None}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, line.split()[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def address(exported):
    """Of a server without a token."""
    with started(exported) as (_, url):
        yield url
