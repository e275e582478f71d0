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


def csv(before: bytes = b"", after: bytes = b"") -> bytes:
    return table().to_csv(index=False).encode().replace(before, after)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the manifest of head is no manifest: "),
        (b"\xff\xfe\x00", "the manifest of head"),
        (b"image,label\na,1\n", "the manifest of head has no column 'subtype'"),
        (csv(b"a.png,0", b"a.png,NaN"), "is no manifest: invalid literal for int"),
        (csv(b"a.png,0", b"a.png,2"), "label is 2; expected one of (0, 1)"),
        (csv(b"a.png,0", b"a.png," + b"9" * 30), "is no manifest: "),
        (csv(b"test/NORMAL/a.png", b"train/NORMAL/b.png"), "images must be unique and sorted"),
        (csv(b",test,10", b",exam,10"), "split is 'exam'"),
    ],
)
def test_malformed_content_is_refused_and_named(tmp_path, content, message):
    with pytest.raises(ManifestError) as caught:
        manifest.parse(content, "the manifest of head")
    assert message in str(caught.value)
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=f"{tmp_path}/manifest.csv"):
        manifest.read_manifest(tmp_path / "manifest.csv")
