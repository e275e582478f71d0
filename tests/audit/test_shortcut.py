"""The baseline is kept as a file from which anybody gets its scores again."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from phantoms import rows

from pneumo.audit import features, shortcut
from pneumo.data import packed
from pneumo.data.listing import Raw
from pneumo.errors import AuditError
from pneumo.evaluation import decision
from pneumo.scoring import scores

DECIDED = {"temperature": 1.0, "threshold": 0.5}


def made(images: int = 200) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A manifest and features of which the mean tells the classes apart; all images are 64 pixels high."""
    rng = np.random.default_rng(0)
    names = [f"{k:03}" for k in range(images)]
    table = rows(*((name, k % 2, name, ("train", "train", "test", "test")[k % 4]) for k, name in enumerate(names)))
    measured = pd.DataFrame({name: rng.normal(100, 20, images).clip(1) for name in features.FEATURES})
    measured["mean"] += 30 * table["label"]
    return table, measured.assign(image=names, height=64)


@pytest.fixture
def fitted():
    return shortcut.fit(*made())


@pytest.mark.slow
def test_the_scores_of_the_audit_follow_from_the_file_alone(audited, clean):
    fitted = shortcut.read(clean / "audit/shortcut.json")
    images = packed.read(clean / "processed")
    outputs = scores.table(images.rows, shortcut.logits(fitted, features.measure(images, Raw(clean / "raw"))))
    scored = decision.calibrated(outputs, fitted["temperature"])
    for split, table in (("val", audited.val_scores), ("test", audited.test_scores)):
        pd.testing.assert_frame_equal(scored[images.rows["split"] == split], table, check_exact=True)
    assert {key: audited.shortcut[key] for key in DECIDED} == {key: fitted[key] for key in DECIDED}


def test_what_is_rounded_away_is_below_the_digits_of_a_score(fitted):
    table, measured = made()
    x, train = shortcut.design(measured), (table["split"] == "train").to_numpy()
    exact = shortcut.classifier().fit(x[train], table["label"][train]).decision_function(x)
    assert shortcut.logits(fitted, measured) == pytest.approx(exact, abs=1e-8)
    numbers = [value for feature in fitted["features"] for value in list(feature.values())[1:]]
    assert all(len(f"{abs(number):.15g}".replace(".", "").lstrip("0")) <= 11 for number in numbers)


def test_a_file_that_was_written_and_read_is_the_same(fitted, tmp_path):
    (tmp_path / "shortcut.json").write_text(json.dumps(fitted | DECIDED))
    assert shortcut.read(tmp_path / "shortcut.json") == fitted | DECIDED


def test_a_feature_that_never_varied_has_no_say_elsewhere(fitted):
    _, measured = made()
    assert [each["coefficient"] for each in fitted["features"] if each["feature"] == "height"] == [0.0]
    taller = shortcut.logits(fitted, measured.assign(height=640))
    assert (taller == shortcut.logits(fitted, measured)).all()


def test_coefficients_are_listed_the_largest_first(fitted):
    table = shortcut.coefficients(fitted)
    assert tuple(table.columns) == shortcut.COEFFICIENT_COLUMNS
    assert table["feature"][0] == "mean"
    assert table["coefficient"].abs().is_monotonic_decreasing
    assert set(table["feature"]) == set(features.FEATURES)


@pytest.mark.parametrize(
    ("feature", "value", "says"),
    [
        ("file_size", 0, "001: file_size is 0; expected a number above 0"),
        ("contrast", math.nan, "001: contrast is nan; expected a number: "),
    ],
)
def test_an_image_without_a_feature_is_named(fitted, feature, value, says):
    _, measured = made()
    measured[feature] = measured[feature].where(measured["image"] != "001", value)
    with pytest.raises(AuditError) as caught:
        shortcut.logits(fitted, measured)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: content.pop("temperature"), "KeyError('temperature')"),
        (lambda content: content.pop("features"), "KeyError('features')"),
        (lambda content: content.update(features=3), "TypeError"),
        (lambda content: content["features"].pop(), "expected the features width, height"),
        (lambda content: content["features"].reverse(), "found border_contrast"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_to_run(fitted, tmp_path, spoil, says):
    content = json.loads(json.dumps(fitted | DECIDED))
    spoil(content)
    (tmp_path / "shortcut.json").write_text(json.dumps(content))
    with pytest.raises(AuditError) as caught:
        shortcut.read(tmp_path / "shortcut.json")
    assert says in str(caught.value)
    assert str(caught.value).endswith("run `dvc repro audit`")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_file_that_is_missing_or_broken_is_refused_with_what_to_run(tmp_path, content):
    path = tmp_path / "shortcut.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AuditError, match=r"shortcut\.json is missing or broken .*run `dvc repro audit`"):
        shortcut.read(path)
