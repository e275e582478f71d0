import pandas as pd
import pytest

from pneumo.data import manifest
from pneumo.errors import ManifestError


def table(**changes) -> pd.DataFrame:
    rows = {
        "image": ["test/NORMAL/a.png", "train/NORMAL/b.png"],
        "label": [0, 1],
        "subtype": ["normal", "viral"],
        "patient": ["NA", "12"],
        "source_split": ["test", "train"],
        "split": ["test", "train"],
        "width": [10, 10],
        "height": [20, 20],
        "sha256": ["0e1", "00"],
    }
    return pd.DataFrame(rows | changes)


def test_reading_gives_what_was_written(tmp_path):
    manifest.write(table(), tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(manifest.read_manifest(tmp_path / "manifest.csv"), table(), check_dtype=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [0, 2]}, "label is 2"),
        ({"subtype": ["normal", "fungal"]}, "subtype is 'fungal'"),
        ({"split": ["test", "valid"]}, "split is 'valid'"),
        ({"image": ["b", "a"]}, "sorted"),
        ({"image": ["a", "a"]}, "unique"),
        ({"patient": ["12", "12"]}, "patient 12 is in more than one split"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path, changes, message):
    with pytest.raises(ManifestError, match=message):
        manifest.write(table(**changes), tmp_path / "manifest.csv")


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,label\na,0\n")
    with pytest.raises(ManifestError, match="no column 'subtype'"):
        manifest.read_manifest(tmp_path / "manifest.csv")
