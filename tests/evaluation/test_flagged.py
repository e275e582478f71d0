"""Shares that the guard flags, from their distances."""

import io

import pandas as pd
import pytest

from pneumo.errors import ManifestError
from pneumo.evaluation import flagged

TABLE = pd.DataFrame(
    [("validation", "a", 1.0), ("validation", "b", 3.0), ("test", "a", 3.00001), ("noise", "noise 0", 4.5)],
    columns=list(flagged.COLUMNS),
)


def test_what_lies_beyond_the_limit_is_flagged():
    assert flagged.measure(TABLE, 3.0) == {
        "limit": 3.0,
        "groups": {
            "validation": {"n": 2, "flagged": 0.0},
            "test": {"n": 1, "flagged": 1.0},
            "noise": {"n": 1, "flagged": 1.0},
        },
    }


def test_a_table_is_read_as_it_was_written(tmp_path):
    flagged.write(TABLE, tmp_path / "guard.csv")
    pd.testing.assert_frame_equal(flagged.read(tmp_path / "guard.csv"), TABLE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("group,image\ntest,a\n", "distance"),
        ("group,image,distance\ncats,a,1\n", "a is of a group that is none of validation"),
        ("group,image,distance\ntest,a,1\ntest,a,2\n", "a is listed twice"),
        ("group,image,distance\ntest,a,far\n", "a has a distance"),
        ("group,image,distance\ntest,a,-1\n", "a has a distance"),
    ],
)
def test_a_broken_table_is_refused(text, words):
    with pytest.raises(ManifestError, match=f"guard.csv.*{words}"):
        flagged.parse(io.StringIO(text), "guard.csv")
