import pytest
from bundles import write_exported


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An exported model; copy it before you change it."""
    return write_exported(tmp_path_factory.mktemp("exported"))
