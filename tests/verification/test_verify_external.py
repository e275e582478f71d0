"""A record with another hospital's data set, and then spoilt in one place after another."""

import json
import shutil
from pathlib import Path

import pytest
from records import cell, drop, make, more, put

from pneumo.errors import PneumoError
from pneumo.verification import verify

pytestmark = pytest.mark.slow

METRICS, SCORES, SHORTCUT, EXPOSURE = (
    "metrics/external/there.json",
    "scores/external/there.csv",
    "scores/external/shortcut/there.csv",
    "scores/external/exposure/there.csv",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good record of one network. Tests only read it."""
    top = tmp_path_factory.mktemp("made")
    return make(top, backbones={"cnn": 0.8}, ensembles=(), external=("there",))


def verified(root: Path) -> verify.Tally:
    tally = verify.Tally()
    verify.verify_record(verify.Folder(root), tally)
    return tally


def test_a_good_record_is_verified_with_the_baseline(made: Path) -> None:
    tally = verified(made)
    assert tally.left_over == []
    assert tally.files == 2 * 3 + 1 + 4 + 1 + 2 + 2
    of_baseline = verify.numbers(json.loads((made / METRICS).read_text())["shortcut"])
    assert tally.recomputed["figures"] > of_baseline > 40
    assert {what for what, count in tally.unverified.items() if "external" in what and count} == {
        "image_shift of an external data set",
        "manifest_sha256 of an external data set",
    }


@pytest.mark.parametrize(("key", "path"), [("shortcut", SHORTCUT), ("readable_without_lungs", EXPOSURE)])
def test_an_early_record_without_the_baseline_there_is_verified(made: Path, copy: Path, key: str, path: str) -> None:
    (copy / path).unlink()
    drop(METRICS, key)(copy)
    tally = verified(copy)
    assert tally.files == verified(made).files - 1
    assert tally.recomputed["scores"] == verified(made).recomputed["scores"] - 100


def without_baseline(root: Path) -> None:
    shutil.rmtree(root / "scores/shortcut")
    (root / "metrics/shortcut.json").unlink()


SPOILT = {
    "a metric": (put(METRICS, "roc_auc", 0.99), ["external/there.json", "roc_auc is 0.99", SCORES]),
    "the baseline's": (put(METRICS, "shortcut.roc_auc", 0.99), ["there.json", "shortcut.roc_auc is 0.99", SHORTCUT]),
    "its threshold": (put(METRICS, "shortcut.threshold", more(1e-6)), ["there.json", "shortcut.threshold is"]),
    "its interval": (put(METRICS, "shortcut.ci95.recall.0", 0.9), ["there.json", "shortcut.ci95.recall[0] is 0.9"]),
    "a key more": (put(METRICS, "shortcut.kappa", 0.9), ["there.json", "shortcut.kappa is 0.9", "cannot be verified"]),
    "a key less": (drop(METRICS, "shortcut.f1"), ["there.json", "shortcut.f1 is missing"]),
    "no metrics of it": (drop(METRICS, "shortcut"), ["there.json", "shortcut is missing"]),
    "no scores of it": (lambda root: (root / SHORTCUT).unlink(), [SHORTCUT, "is missing"]),
    "a score": (cell(SHORTCUT, 5, "score", "0.9"), [SHORTCUT, "score of 5-0003", "'0.9'"]),
    "a logit": (cell(SHORTCUT, 5, "logit", "9"), [SHORTCUT, "score of 5-0003"]),
    "a label": (cell(SHORTCUT, 5, "label", "0"), [SHORTCUT, SCORES, "differ in images, patients, labels"]),
    "an image": (cell(SHORTCUT, 5, "image", "x"), [SHORTCUT, SCORES, "differ in images"]),
    "no baseline here": (without_baseline, ["metrics/shortcut.json is missing", f"{SHORTCUT} exists"]),
    "what exposure reads": (put(METRICS, "readable_without_lungs.roc_auc", 0.5), [EXPOSURE, "roc_auc is 0.5"]),
    "no figure of it": (drop(METRICS, "readable_without_lungs"), ["there.json", "readable_without_lungs is missing"]),
    "no scores of exposure": (lambda root: (root / EXPOSURE).unlink(), [EXPOSURE, "is missing"]),
    "a score of exposure": (cell(EXPOSURE, 5, "score", "0.9"), [EXPOSURE, "score of 5-0003", "'0.9'"]),
    "an image of exposure": (cell(EXPOSURE, 5, "image", "x"), [EXPOSURE, SCORES, "differ in images"]),
    "the model's score": (cell(SCORES, 5, "score", "0.9"), [SCORES, "score of 5-0003"]),
    "another model": (put(METRICS, "model", "vgg16"), ["there.json", "model is 'vgg16'"]),
}


@pytest.mark.parametrize("what", SPOILT)
def test_whatever_is_spoilt_is_found_and_named(copy: Path, what: str) -> None:
    spoil, words = SPOILT[what]
    spoil(copy)
    with pytest.raises(PneumoError) as caught:
        verified(copy)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
