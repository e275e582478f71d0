"""A SLURM of two nodes on this machine, started once."""

import tempfile
from pathlib import Path

import pytest
import slurm


@pytest.fixture(scope="session")
def cluster():
    """SLURM's commands find it; a test that asks for it is skipped where SLURM is not installed."""
    if slurm.missing():
        pytest.skip(slurm.missing())
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(slurm.start(Path(folder))))
            yield
        slurm.stop(Path(folder))
