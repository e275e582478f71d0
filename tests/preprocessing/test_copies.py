import shlex

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from phantoms import rows

from pneumo.errors import AuditError
from pneumo.preprocessing import copies


def pictures(*kinds: int) -> np.ndarray:
    """One picture per number; the same number is the same picture."""
    return np.array([np.random.default_rng(kind).integers(0, 256, (8, 8), dtype=np.uint8) for kind in kinds])


TABLE = rows(
    ("test/NORMAL/a", 0, "A", "test"),
    ("train/NORMAL/b", 0, "B", "train"),
    ("train/NORMAL/c", 0, "C", "train"),
    ("train/PNEUMONIA/d", 1, "D", "train"),
    ("train/PNEUMONIA/e", 1, "D", "train"),
)


def test_copies_are_grouped_by_bytes_and_by_pixels():
    table = TABLE.assign(sha256=["x", "x", "y", "z", "w"])
    groups = copies.find(table, pictures(1, 1, 1, 2, 2))
    assert groups[["group", "image", "kind"]].values.tolist() == [
        [1, "test/NORMAL/a", "bytes"],
        [1, "train/NORMAL/b", "bytes"],
        [1, "train/NORMAL/c", "pixels"],
        [2, "train/PNEUMONIA/d", "pixels"],
        [2, "train/PNEUMONIA/e", "pixels"],
    ]
    assert copies.summary(groups) == {
        "groups": 2,
        "images": 5,
        "groups_across_splits": 1,
        "groups_across_classes": 0,
        "groups_across_patients": 1,
    }


def test_without_copies_there_is_a_table_without_rows():
    groups = copies.find(TABLE, pictures(1, 2, 3, 4, 5))
    assert list(groups.columns) == list(copies.COLUMNS)
    assert set(copies.summary(groups).values()) == {0}
    copies.refuse_across_splits(groups, [])


@given(st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_whoever_shares_a_picture_is_in_one_group_and_nobody_else(kinds):
    groups = copies.find(TABLE, pictures(*kinds)).set_index("image")["group"]
    for i, image in enumerate(TABLE["image"]):
        for j, other in enumerate(TABLE["image"][:i]):
            same = image in groups and other in groups and groups[image] == groups[other]
            assert same == (kinds[i] == kinds[j])


@pytest.mark.parametrize(
    ("splits", "allow", "refused"),
    [
        (["test", "train"], [], True),
        (["val", "train"], [], True),
        (["train", "train"], [], False),
        (["test", "train"], ["a"], False),
        (["test", "train"], ["b"], False),
        (["test", "train", "val"], ["a"], True),  # b and c still meet
        (["test", "train", "val"], ["a", "b"], False),
        (["test", "train", "train"], ["a"], False),
        (["test", "train", "train"], ["b"], True),  # a and c still meet
    ],
)
def test_each_pair_across_splits_needs_an_exception(splits, allow, refused):
    groups = pd.DataFrame({"group": 1, "image": list("abc")[: len(splits)], "split": splits})
    if not refused:
        copies.refuse_across_splits(groups, allow)
        return
    with pytest.raises(AuditError, match=r"(?s)audit.exclude=\[.*audit.allow=\["):
        copies.refuse_across_splits(groups, allow)


def test_of_many_groups_the_first_are_named():
    groups = pd.DataFrame({"group": [k // 2 for k in range(16)], "image": [f"i{k:02}" for k in range(16)]})
    with pytest.raises(AuditError, match="8 images have copies in another split") as caught:
        copies.refuse_across_splits(groups.assign(split=["train", "test"] * 8), [])
    listed = str(caught.value).partition("Look at them")[0]
    assert "i00 (train) = i01 (test)" in listed
    assert "and 3 more" in listed
    assert "i12" not in listed


ODD = "train/NORMAL/IM-0117-0001 (1), a.jpeg"
SPLITS = {ODD: "train", "test/NORMAL/IM-0117-0001 (1).jpeg": "test", "x": "train", "y": "val", "z": "val", "w": "val"}


@pytest.mark.parametrize(
    ("groups", "allow", "exclude", "extra"),
    [
        ([["test/NORMAL/IM-0117-0001 (1).jpeg", ODD]], [], [], [ODD]),
        ([["test/NORMAL/IM-0117-0001 (1).jpeg", "x", "y"]], [], ["gone"], ["x", "y"]),
        ([["x", "y", "z"]], ["w"], [], ["y", "z"]),
        ([["test/NORMAL/IM-0117-0001 (1).jpeg", ODD], ["x", "y"], ["z", "w"]], [], [], [ODD, "y"]),
    ],
)
def test_either_remedy_mends_all_of_it_adds_to_what_was_set_and_leaves_the_test_set_whole(
    groups, allow, exclude, extra
):
    rows = [(place, image, SPLITS[image]) for place, images in enumerate(groups) for image in images]
    table = pd.DataFrame(rows, columns=["group", "image", "split"])
    with pytest.raises(AuditError) as caught:
        copies.refuse_across_splits(table, allow, exclude)
    values = {}
    for line in str(caught.value).splitlines()[-2:]:
        _, word = shlex.split(line)
        (parsed,) = OverridesParser.create().parse_overrides([word])
        values[parsed.key_or_group] = parsed.value()
    assert values == {"audit.exclude": exclude + extra, "audit.allow": allow + extra}
    copies.refuse_across_splits(table[~table["image"].isin(values["audit.exclude"])], allow)
    copies.refuse_across_splits(table, values["audit.allow"])
