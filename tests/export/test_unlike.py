"""What the guard of an exported model is tried on, and how far away that lies."""

import numpy as np
import pytest
from bundles import write_backbone, write_processed

from pneumo.evaluation import flagged
from pneumo.export import unlike
from pneumo.export.export import export

SIZE = 40


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The folder of an exported model and that of the images it was made of."""
    folder = tmp_path_factory.mktemp("unlike")
    processed = write_processed(folder / "processed", SIZE)
    export(write_backbone(folder / "selected", "tiny"), processed, folder / "best", film_views=None)
    return folder / "best", processed


def test_every_group_has_named_images_of_the_packed_size(tried):
    made = {group: (names, pixels) for group, names, pixels in unlike.groups(tried[1])}
    assert list(made) == list(flagged.GROUPS)
    for names, pixels in made.values():
        assert pixels.shape == (len(names), SIZE, SIZE)
        assert pixels.dtype == np.uint8
        assert len(set(names)) == len(names)
    assert len(made["photographs"][0]) == 20
    np.testing.assert_array_equal(made["upside_down"][1][0], made["test"][1][0][::-1])
    np.testing.assert_array_equal(made["inverted"][1][0], 255 - made["test"][1][0])


def test_distances_are_those_of_the_exported_guard_and_say_what_is_no_film(tried):
    table, limit = unlike.distances(*tried)
    measured = flagged.measure(table, limit)
    assert measured["groups"]["noise"]["flagged"] == 1
    assert measured["groups"]["text"]["flagged"] == 1
    assert measured["groups"]["validation"]["flagged"] < 0.2
    again, _ = unlike.distances(*tried)
    assert flagged.to_text(again) == flagged.to_text(table)
