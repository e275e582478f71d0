import threading
from pathlib import Path

import kagglesdk.kaggle_env
import pytest
from hospital import Hospital
from kaggle_server import Kaggle

from pneumo.sources import resuming


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A running Kaggle that pneumo takes for the real one, and a home without credentials."""
    for name in ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR", "API_ENVIRONMENT", "KERNEL_RUN_TYPE"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(resuming, "TIMEOUT_S", (5.0, 5.0))
    with Kaggle() as running:
        endpoints = kagglesdk.kaggle_env._env_to_endpoint
        monkeypatch.setitem(endpoints, kagglesdk.kaggle_env.KaggleEnv.PROD, running.url)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def into(tmp_path) -> Path:
    return tmp_path / "downloads"


@pytest.fixture
def hospital(tmp_path) -> Hospital:
    return Hospital(tmp_path)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw"
