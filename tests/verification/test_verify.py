"""A record made by the stages' own functions, and then spoilt in one place after another."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import git
from records import (
    cell,
    drop,
    everywhere,
    first_cell,
    make,
    more,
    put,
    run,
    text,
)

from pneumo.errors import PneumoError, VerifyError
from pneumo.models.perturbations import NAMES
from pneumo.record.tree import Folder
from pneumo.verification import recompute, verify
from pneumo.verification.left_over import removal
from pneumo.verification.run import read_run

pytestmark = pytest.mark.slow


def test_a_good_record_is_verified_and_what_cannot_be_is_counted(made: Path) -> None:
    tally = run(made)
    assert tally.files == 5 * 3 + 4 + 2 + 1 + 1 + 2
    assert tally.recomputed["scores"] == 5 * (70 + 90) + 4 * 70 * len(NAMES)
    assert tally.recomputed["tables"] == 2
    of_a_model = verify.numbers(json.loads((made / "metrics/cnn.json").read_text()))
    assert tally.recomputed["figures"] > 5 * (of_a_model - 3)
    taken = {what: count for what, count in tally.unverified.items() if count}
    assert {what.split(":")[0]: count for what, count in taken.items()} == {
        "parameters of a network": 3,
        "flops of a network": 3,
        "figures of metrics/data.json": 3,
        "probabilities of suspected labels": 4,
        "distances of the input guard, and its limit": 70 + 90 + 2 + 1,
    }


def test_thresholds_and_selection_can_rest_on_scores_under_stress(tmp_path: Path, made: Path) -> None:
    root = make(tmp_path / "stress", selection_scores="stress")
    run(root)
    thresholds = [json.loads((folder / "metrics/cnn.json").read_text())["threshold"] for folder in (root, made)]
    assert thresholds[0] != thresholds[1]
    (root / "scores/stress/cnn.csv").unlink()
    with pytest.raises(VerifyError, match=r"scores/stress/cnn.csv is missing, but threshold.scores is stress"):
        run(root)


def test_an_old_record_without_stress_validation_is_verified(copy: Path) -> None:
    shutil.rmtree(copy / "scores/stress")
    for path in (copy / "metrics").glob("*.json"):
        content = json.loads(path.read_text())
        content.pop("stress", None)
        path.write_text(json.dumps(content, indent=2) + "\n")
    params = yaml.safe_load((copy / "params.yaml").read_text())
    del params["threshold"]["scores"], params["select"]["scores"]
    (copy / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert run(copy).files == 5 * 3 + 2 + 1 + 1 + 2


def test_intervals_of_an_old_record_take_the_threshold_for_given(tmp_path: Path) -> None:
    """It has no bootstrap.threshold."""
    for threshold in ("fixed", "redrawn"):
        root = make(tmp_path / threshold, backbones={"cnn": 0.8}, ensembles=(), threshold=threshold)
        run(root)
        params = yaml.safe_load((root / "params.yaml").read_text())
        del params["bootstrap"]["threshold"]
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        if threshold == "fixed":
            run(root)
        else:
            with pytest.raises(VerifyError, match=r"metrics/cnn.json: ci95.accuracy\[0\] is"):
                run(root)


@pytest.mark.parametrize("top", ["all", 2])
def test_the_members_of_an_ensemble_are_those_that_validation_selects(tmp_path: Path, top: int | str) -> None:
    root = make(tmp_path, top=top)
    run(root)
    put("params.yaml", "ensembles.ensemble.top", 2 if top == "all" else "all")(root)
    with pytest.raises(VerifyError, match=r"metrics/ensemble.json: members is"):
        run(root)


SPOILT = {
    "a metric": (put("metrics/cnn.json", "accuracy", 0.999), ["metrics/cnn.json", "accuracy is 0.999", "test/cnn.csv"]),
    "a last digit": (put("metrics/vgg16.json", "roc_auc", more(1e-6)), ["metrics/vgg16.json", "roc_auc is"]),
    "a count": (put("metrics/cnn.json", "tp", more(1)), ["metrics/cnn.json", "tp is"]),
    "n": (put("metrics/cnn.json", "n", 624), ["metrics/cnn.json", "n is 624; recomputed 90"]),
    "a number as text": (put("metrics/cnn.json", "n", "90"), ["metrics/cnn.json", "n is '90'; recomputed 90"]),
    "a null": (put("metrics/cnn.json", "brier", None), ["metrics/cnn.json", "brier is None"]),
    "not a number": (put("metrics/cnn.json", "brier", float("nan")), ["metrics/cnn.json", "brier is nan"]),
    "true for 1": (put("metrics/cnn.json", "ci95.precision.1", True), ["cnn.json", "ci95.precision[1] is True"]),
    "a low end": (put("metrics/cnn.json", "ci95.f1.0", more(3e-6)), ["metrics/cnn.json", "ci95.f1[0] is"]),
    "an interval": (put("metrics/ensemble.json", "ci95.recall", [0.9]), ["metrics/ensemble.json", "ci95.recall is"]),
    "ece": (put("metrics/cnn.json", "ece", 0.0), ["metrics/cnn.json", "ece is 0.0"]),
    "slope": (put("metrics/cnn.json", "calibration_slope", more(1e-5)), ["metrics/cnn.json", "calibration_slope is"]),
    "at half": (put("metrics/cnn.json", "at_half.recall", 1.0), ["metrics/cnn.json", "at_half.recall is 1.0"]),
    "oracle": (put("metrics/cnn.json", "oracle.f1_threshold", 0.5), ["cnn.json", "oracle.f1_threshold is 0.5"]),
    "a note": (put("metrics/cnn.json", "oracle.note", "achievable"), ["cnn.json", "oracle.note is 'achievable'"]),
    "uncalibrated": (put("metrics/cnn.json", "uncalibrated.ece", 0.5), ["cnn.json", "uncalibrated.ece is 0.5"]),
    "prevalence": (put("metrics/cnn.json", "prevalence", 0.2), ["cnn.json", "prevalence is 0.2; recomputed 0.1"]),
    "threshold": (put("metrics/cnn.json", "threshold", more(1e-6)), ["cnn.json", "threshold is", "val/cnn.csv"]),
    "temperature": (put("metrics/cnn.json", "temperature", more(1e-4)), ["cnn.json", "temperature is", "val/cnn.csv"]),
    "no threshold": (drop("metrics/cnn.json", "threshold"), ["metrics/cnn.json", "threshold is missing"]),
    "a key less": (drop("metrics/cnn.json", "specificity"), ["metrics/cnn.json", "specificity is missing"]),
    "a nested key less": (drop("metrics/cnn.json", "ci95.brier"), ["metrics/cnn.json", "ci95.brier is missing"]),
    "no parameters": (drop("metrics/cnn.json", "parameters"), ["metrics/cnn.json", "parameters"]),
    "no weights": (drop("metrics/cnn.json", "weights"), ["metrics/cnn.json", "weights is missing"]),
    "a key more": (put("metrics/cnn.json", "kappa", 0.9), ["metrics/cnn.json", "kappa is 0.9", "cannot be verified"]),
    "a nested key more": (put("metrics/cnn.json", "at_half.kappa", 0.9), ["cnn.json", "at_half.kappa is 0.9"]),
    "a key twice": (
        text("metrics/cnn.json", lambda old: old.replace('"accuracy"', '"accuracy": 1.0, "accuracy"', 1)),
        ["metrics/cnn.json", "the key 'accuracy' twice"],
    ),
    "weights": (put("metrics/cnn.json", "weights", "imagenet"), ["cnn.json", "weights is 'imagenet'"]),
    "input": (put("metrics/cnn.json", "input_size", 299), ["cnn.json", "input_size is 299; recomputed 64"]),
    "members": (put("metrics/ensemble.json", "members", ["cnn", "resnet50"]), ["ensemble.json", "members[1] is 'r"]),
    "no members": (drop("metrics/ensemble.json", "members"), ["metrics/ensemble.json", "members is missing"]),
    "one member": (put("metrics/ensemble.json", "members", ["cnn"]), ["metrics/ensemble.json", "members is ['cnn']"]),
    "members' parameters": (put("metrics/ensemble.json", "parameters", 7), ["ensemble.json", "parameters is 7"]),
    "the baseline": (put("metrics/shortcut.json", "roc_auc", 0.5), ["metrics/shortcut.json", "roc_auc is 0.5"]),
    "a test score": (cell("scores/test/cnn.csv", 5, "score", "0.9"), ["test/cnn.csv", "score of test/0003.jpeg"]),
    "a val score": (cell("scores/val/cnn.csv", 5, "score", "0.9"), ["scores/val/cnn.csv", "score of train/0003.jpeg"]),
    "a score's digits": (
        cell("scores/val/cnn.csv", 5, "score", "0.5000001"),
        ["scores/val/cnn.csv", "score of train/0003.jpeg is '0.5000001'"],
    ),
    "a val logit": (cell("scores/val/cnn.csv", 5, "logit", "9"), ["metrics/cnn.json", "temperature is", "val/cnn.csv"]),
    "a test logit": (cell("scores/test/cnn.csv", 5, "logit", "9"), ["scores/test/cnn.csv", "score of test/0003.jpeg"]),
    "an ensemble's logit": (
        cell("scores/test/ensemble.csv", 5, "logit", "9"),
        ["scores/test/ensemble.csv", "logit of test/0003.jpeg is '9'", "scores/test/cnn.csv, "],
    ),
    "no number": (cell("scores/test/cnn.csv", 5, "logit", "high"), ["scores/test/cnn.csv", "test/0003.jpeg"]),
    "a label": (cell("scores/test/vgg16.csv", 5, "label", "1"), ["vgg16.csv", "label of test/0003.jpeg is 1"]),
    "a label of all": (everywhere("test", 5, "label", "1"), ["metrics/cnn.json", "accuracy is"]),
    "a val label of all": (everywhere("val", 5, "label", "1"), ["stress/cnn.csv and", "differ in images"]),
    "a figure under stress": (put("metrics/cnn.json", "stress.all.recall", 1), ["cnn.json", "stress.all.recall is 1"]),
    "a logit under stress": (cell("scores/stress/resnet50.csv", 5, "zoom 0.8", "99"), ["resnet50.json", "stress."]),
    "digits under stress": (
        cell("scores/stress/cnn.csv", 5, "blur 0.01", "0.10000001"),
        ["scores/stress/cnn.csv", "blur 0.01 of train/0003.jpeg"],
    ),
    "an ensemble's logit under stress": (
        cell("scores/stress/ensemble.csv", 5, "zoom 0.8", "9"),
        ["scores/stress/ensemble.csv", "zoom 0.8 of train/0003.jpeg is '9'", "scores/stress/cnn.csv"],
    ),
    "no stress scores": (lambda root: (root / "scores/stress/cnn.csv").unlink(), ["scores/stress/cnn.csv is missing"]),
    "a subtype of all": (everywhere("test", 60, "subtype", "unknown"), ["metrics/cnn.json", "recall_"]),
    "a patient of all": (everywhere("test", 5, "patient", "test-0"), ["metrics/cnn.json", "ci95."]),
    "a subtype": (cell("scores/val/cnn.csv", 60, "subtype", "unknown"), ["val/vgg16.csv", "of train/0058.jpeg"]),
    "a shared patient": (everywhere("test", 5, "patient", "train-0"), ["test/cnn.csv", "patient train-0 is also in"]),
    "a shared image": (everywhere("test", 5, "image", "train/0000.jpeg"), ["test/cnn.csv", "image train/0000.jpeg"]),
    "an image less": (
        text("scores/test/vgg16.csv", lambda old: old.rsplit("\n", 2)[0] + "\n"),
        ["scores/test/vgg16.csv has 89 images", "scores/test/cnn.csv has 90"],
    ),
    "an order": (
        text("scores/test/ensemble.csv", lambda old: "\n".join([*old.split("\n")[:1], *old.split("\n")[-2:0:-1], ""])),
        ["scores/test/ensemble.csv", "image of"],
    ),
    "a column more": (
        text("scores/test/cnn.csv", lambda old: old.replace("\n", ",1\n").replace("logit,1", "logit,better")),
        ["scores/test/cnn.csv", "line 1"],
    ),
    "another model": (put("metrics/best.json", "model", "resnet50"), ["best.json", "model is 'resnet50'", "val/cnn"]),
    "its figures": (put("metrics/best.json", "recall", 0.98), ["metrics/best.json", "recall is 0.98"]),
    "a key too many": (put("metrics/best.json", "kappa", 0.98), ["metrics/best.json", "kappa is 0.98"]),
    "no selected model": (drop("metrics/best.json", "model"), ["metrics/best.json", "model is missing"]),
    "images": (put("metrics/data.json", "splits.test.images", 624), ["data.json", "splits.test.images is 624"]),
    "normals": (put("metrics/data.json", "splits.val.normal", 9), ["data.json", "splits.val.normal is 9", "val/"]),
    "no count": (drop("metrics/data.json", "splits.test.viral"), ["data.json", "splits.test.viral is missing"]),
    "no split": (drop("metrics/data.json", "splits.val"), ["data.json", "splits.val"]),
    "a prevalence": (put("params.yaml", "evaluate.prevalence", 0.2), ["metrics/", "ppv is 0.", "recomputed 0."]),
    "a policy": (put("params.yaml", "threshold.policy", "f1"), [".json", "threshold is"]),
    "a broken policy": (put("params.yaml", "threshold.policy", "best"), ["params.yaml", "threshold.policy"]),
    "a cell of a table": (text("README.md", first_cell), ["README.md, line ", "is: ", "should: ", "pneumo tables"]),
    "a row less": (
        text("README.md", lambda old: "\n".join(line for line in old.split("\n") if "| resnet50" not in line)),
        ["README.md, line", "resnet50"],
    ),
    "no metrics": (lambda root: (root / "metrics/vgg16.json").unlink(), ["metrics/vgg16.json is missing", "git"]),
    "no val scores": (lambda root: (root / "scores/val/vgg16.csv").unlink(), ["scores/val/vgg16.csv is missing"]),
    "no test scores": (lambda root: (root / "scores/shortcut/test.csv").unlink(), ["shortcut/test.csv is missing"]),
    "no metrics of the baseline": (
        lambda root: (root / "metrics/shortcut.json").unlink(),
        ["metrics/shortcut.json is missing", "scores/shortcut/val.csv exists"],
    ),
    "the baseline's score": (
        cell("scores/shortcut/test.csv", 5, "score", "0.9"),
        ["scores/shortcut/test.csv", "score of test/0003.jpeg"],
    ),
    "broken JSON": (text("metrics/cnn.json", lambda old: old[:50]), ["metrics/cnn.json is not JSON", "git checkout"]),
    "a list": (lambda root: (root / "metrics/best.json").write_text("[]"), ["metrics/best.json holds a list"]),
    "no best": (lambda root: (root / "metrics/best.json").unlink(), ["metrics/best.json is missing"]),
    "no data": (lambda root: (root / "metrics/data.json").unlink(), ["metrics/data.json is missing"]),
    "no params": (lambda root: (root / "params.yaml").unlink(), ["params.yaml is missing"]),
    "empty scores": (lambda root: (root / "scores/val/cnn.csv").write_text(""), ["scores/val/cnn.csv"]),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_whatever_is_spoilt_is_found_and_named(copy: Path, what: str) -> None:
    spoil, words = SPOILT[what]
    spoil(copy)
    with pytest.raises(PneumoError) as caught:
        run(copy)
    assert all(word in str(caught.value) for word in words), str(caught.value)


LEFT_OVER = {
    "scores alone": "scores/val/mine.csv",
    "metrics alone": "metrics/mine.json",
    "another kind of file": "metrics/more.yaml",
    "another folder": "scores/more/cnn.csv",
    "a name for a shell": "metrics/a b; touch 'made'.json",
}


@pytest.mark.parametrize("path", LEFT_OVER.values(), ids=LEFT_OVER)
@pytest.mark.parametrize("tracked", [True, False])
def test_a_file_of_no_model_counts_for_nothing_and_the_command_removes_it(copy: Path, path: str, tracked: bool) -> None:
    (copy / path).parent.mkdir(exist_ok=True)
    (copy / path).write_text("accuracy: 1")
    git(copy, "init", "-q")
    if tracked:
        git(copy, "add", "-A")
    tally = run(copy)
    assert tally.left_over == [str(copy / path)]
    assert tally.recomputed["tables"] == 2
    command = removal(copy, [path])
    assert command.startswith("git rm" if tracked else "rm")
    subprocess.run(command, shell=True, cwd=copy, check=True)
    assert run(copy).left_over == []
    assert not (copy / "made'.json").exists()
    assert (copy / "scores/val/cnn.csv").exists()


def test_files_of_dropped_backbones_with_other_images_are_left_over(made: Path, tmp_path: Path) -> None:
    """The line-up is one network with another split, and the files of the old line-up are still there."""
    root = make(tmp_path / "dropped", backbones={"cnn": 0.8}, ensembles={}, n_val=50)
    for kind in ("metrics", "scores"):
        shutil.copytree(made / kind, root / kind, dirs_exist_ok=True, copy_function=copy_if_absent)
    tally = run(root)
    dropped = ("vgg16", "resnet50", "ensemble")
    expected = {f"metrics/{name}.json" for name in dropped}
    expected |= {f"scores/{kind}/{name}.csv" for name in dropped for kind in ("val", "test", "stress")}
    assert {str(Path(path).relative_to(root)) for path in tally.left_over} == expected
    assert tally.files == 2 * 3 + 1 + 2 + 1 + 1 + 2


def copy_if_absent(source: str, target: str) -> None:
    if not Path(target).exists():
        shutil.copy(source, target)


def leaves(content: Any, *place: str | int) -> Iterator[tuple[str | int, ...]]:
    """Places of all values in `content` that hold no others."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else None
    if pairs is None:
        yield place
    else:
        for key, value in pairs:
            yield from leaves(value, *place, key)


@pytest.mark.parametrize("name", ["cnn", "ensemble", "shortcut"])
def test_no_value_of_a_metrics_file_can_be_changed_or_left_out_unseen(made: Path, name: str) -> None:
    path = f"metrics/{name}.json"
    expected = recompute.metrics(read_run(Folder(made)), name)
    places = list(leaves(expected))
    assert len(places) > 70
    for change in (lambda outer, key: outer.update({key: 0.123}), lambda outer, key: outer.pop(key)):
        for place in places:
            changed = json.loads(json.dumps(expected))
            outer = changed
            for key in place[:-1]:
                outer = outer[key]
            if isinstance(outer, dict):
                change(outer, place[-1])
            else:
                outer[place[-1]] = 0.123
            with pytest.raises(VerifyError, match=str(place[0])):
                verify.same(changed, expected, path, [path])


def test_one_unit_in_the_sixth_digit_is_allowed_where_numbers_are_found_by_iteration(copy: Path) -> None:
    put("metrics/resnet50.json", "calibration_slope", more(1e-6))(copy)
    put("metrics/resnet50.json", "ci95.accuracy.0", more(-1e-6))(copy)
    run(copy)


def test_parameters_that_no_figure_rests_on_may_be_of_another_version(copy: Path) -> None:
    put("params.yaml", "train", {"of": "old"})(copy)
    put("params.yaml", "model.cnn.weights", "none")(copy)
    run(copy)
