"""Clean phantoms, drawn and packed once; a test that plants a defect works on a copy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from listed import draw
from phantoms import AUDITED, IMAGES, PREPARED

from pneumo.audit import audit
from pneumo.data import manifest
from pneumo.data.listing import Raw
from pneumo.preprocessing.preprocess import preprocess


@pytest.fixture(scope="session")
def clean(tmp_path_factory) -> Path:
    """A folder with raw/ and processed/. Read only."""
    folder = tmp_path_factory.mktemp("clean")
    draw(folder / "raw", seed=0, images=IMAGES, size=160)
    preprocess(Raw(folder / "raw"), folder / "processed", **PREPARED)
    return folder


@pytest.fixture(scope="session")
def audited(clean) -> audit.Audit:
    """The audit of the clean phantoms; its tables are in clean/audit."""
    return audit.audit(Raw(clean / "raw"), clean / "processed", clean / "audit", **AUDITED)


@pytest.fixture(scope="session")
def table(clean) -> pd.DataFrame:
    return manifest.read_manifest(clean / "processed/manifest.csv")


@pytest.fixture(scope="session")
def pixels(clean) -> np.ndarray:
    return np.load(clean / "processed/images.npy", mmap_mode="r")
