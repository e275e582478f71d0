import pytest
from bundles import write_backbone, write_processed
from served import started

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


@pytest.fixture(scope="session")
def address(exported):
    """Of a server without a token."""
    with started(exported) as (_, url):
        yield url
