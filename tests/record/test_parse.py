"""Files of a record: what they hold, and what is wrong with those that cannot be read."""

import pandas as pd
import pytest

from pneumo.errors import RecordError
from pneumo.record.parse import read_json, read_scores, read_stress, read_yaml
from pneumo.scoring import scores

HEADER = "image,patient,label,subtype,score,logit\n"


def test_what_is_written_is_read_back(read_tree, project):
    tree = read_tree()
    assert read_yaml(tree, "params.yaml") == project.params
    assert read_json(tree, "metrics/data.json") == project.data
    expected = scores.read_scores(project.root / "scores/test/cnn.csv")
    pd.testing.assert_frame_equal(read_scores(tree, "scores/test/cnn.csv"), expected)
    assert list(read_scores(tree, "scores/test/cnn.csv", ("image", "label", "score"))) == ["image", "label", "score"]


@pytest.mark.parametrize(
    ("read_file", "path", "content", "message"),
    [
        (read_json, "metrics/cnn.json", "{", "is not JSON (Expecting property name"),
        (read_json, "metrics/cnn.json", "[" * 100_000, "is not JSON"),
        (read_json, "metrics/cnn.json", '{"a": {"b": 1, "b": 2}}', "is not JSON (it has the key 'b' twice)"),
        (read_json, "metrics/cnn.json", "[1]", "holds a list, not a mapping"),
        (read_yaml, "params.yaml", "<<<<<<< HEAD\na: 1\n=======\n", "is not YAML"),
        (read_yaml, "params.yaml", "", "holds a NoneType, not a mapping"),
        (read_scores, "scores/val/cnn.csv", "", "is not a table (No columns to parse"),
        (read_scores, "scores/val/cnn.csv", HEADER, "has no rows"),
        (read_scores, "scores/val/cnn.csv", HEADER + "a,b,1,viral,0.5,0\na,b,c,d,e,f,g,h\n", "is not a table"),
        (read_scores, "scores/val/cnn.csv", "image,patient\n", "has no column 'label'"),
        (read_scores, "scores/val/cnn.csv", HEADER + "a,p,1,viral,1.5,0\n", "is not a probability in [0, 1]"),
        (read_stress, "scores/val/cnn.csv", HEADER + "a,p,1,viral,0.5,0\n", "has no column 'zoom"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong_and_a_remedy(read_tree, project, read_file, path, content, message):
    (project.root / path).write_text(content)
    tree = read_tree()
    with pytest.raises(RecordError) as caught:
        read_file(tree, path)
    error = str(caught.value)
    assert error.startswith(tree.where(path))
    assert message in error
    assert error.endswith(tree.remedy(path))
    assert "\n" not in error


def test_aliases_are_fine_as_long_as_they_stand_for_little(read_tree, project):
    (project.root / "dvc.yaml").write_text("a: &a {x: 1, y: [1, 2]}\nb: *a\nc: {<<: *a, x: 2}\n")
    assert read_yaml(read_tree(), "dvc.yaml")["c"] == {"x": 2, "y": [1, 2]}


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}", "[[{}]]"])
def test_aliases_that_stand_for_very_much_are_named_before_they_are_written_out(read_tree, project, item):
    lines = ["a: &a {k: 1}"]
    for before, after in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{after}: &{after} {item.format(', '.join([f'*{before}'] * 9))}")
    (project.root / "params.yaml").write_text("\n".join(lines))
    with pytest.raises(RecordError, match=r"its aliases expand it to more than 1,000,000 values"):
        read_yaml(read_tree(), "params.yaml")


def test_an_alias_inside_of_what_it_stands_for_is_named(read_tree, project):
    (project.root / "params.yaml").write_text("a: &a {b: [*a]}")
    with pytest.raises(RecordError, match="aliases expand it"):
        read_yaml(read_tree(), "params.yaml")
