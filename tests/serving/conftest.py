import pytest
from bundles import write_backbone, write_processed

from pneumo.export.export import export


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An exported model; copy it before you change it."""
    folder = tmp_path_factory.mktemp("exported")
    processed = write_processed(folder / "processed", 40)
    export(write_backbone(folder / "selected", "tiny"), processed, folder / "best", film_views=["PA", "AP"])
    return folder / "best"
