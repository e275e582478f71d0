import pytest
from bundles import write_backbone

from pneumo.export.export import export


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An exported model; copy it before you change it."""
    folder = tmp_path_factory.mktemp("exported")
    export(write_backbone(folder / "selected", "tiny"), folder / "best", film_views=["PA", "AP"])
    return folder / "best"
