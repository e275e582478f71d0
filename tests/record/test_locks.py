"""Code and libraries of a run, from its locks."""

import pytest
import yaml

from pneumo.errors import RecordError
from pneumo.record.locks import library_versions, stage_code
from pneumo.record.record import Record


def test_stages_depend_on_code_and_those_of_former_candidates_are_left_out(read_tree, project):
    def deps(*paths):
        return {"cmd": "x", "deps": [{"path": path} for path in paths]}

    stages = {
        "audit": deps("data/raw", "pneumo/audit", "stages/audit.py"),
        "train@cnn": deps("pneumo/training"),
        "train@former": deps("pneumo/training"),
        "download": {"cmd": "x"},
    }
    (project.root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    assert stage_code(Record(read_tree())) == {
        "audit": ["pneumo/audit", "stages/audit.py"],
        "train@cnn": ["pneumo/training"],
        "download": [],
    }


@pytest.mark.parametrize(
    "content",
    [
        "stages: [1]",
        "stages: {a: [1]}",
        "stages: {a: {deps: [null]}}",
        "stages: {a: {deps: [{path: 5}]}}",
        "stages: {1: {}}",
    ],
)
def test_a_lock_that_dvc_did_not_write_is_named(read_tree, project, content):
    (project.root / "dvc.lock").write_text(content)
    with pytest.raises(RecordError, match=r"dvc.lock was not written by DVC \(.*\): r"):
        stage_code(Record(read_tree()))


def test_a_library_may_have_a_version_for_each_system(read_tree, project):
    pins = "torch==2.13.0+cpu ; sys_platform == 'linux' \\\n    --hash=sha256:1\ntorch==2.13.0\nnumpy==2.1.0\n# x==1\n"
    (project.root / "requirements.lock").write_text(pins)
    assert library_versions(Record(read_tree())) == {"torch": "2.13.0, 2.13.0+cpu", "numpy": "2.1.0"}


def test_a_lenient_record_may_have_no_libraries(read_tree, project):
    (project.root / "requirements.lock").unlink()
    tree = read_tree()
    assert library_versions(Record(tree, lenient=True)) == {}
    with pytest.raises(RecordError, match=r"requirements.lock is missing"):
        library_versions(Record(tree))
