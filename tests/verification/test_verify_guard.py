"""What the guard flags follows from its distances; how many films are left to a reader from the scores."""

import json
from pathlib import Path

import pytest
import yaml
from records import cell, drop, put, run, text

from pneumo.errors import PneumoError
from pneumo.record.record import GUARD, GUARD_METRICS

pytestmark = pytest.mark.slow


def test_a_record_from_before_the_guard_and_abstention_is_verified(copy: Path) -> None:
    files = run(copy).files
    for path in (GUARD, GUARD_METRICS):
        (copy / path).unlink()
    params = yaml.safe_load((copy / "params.yaml").read_text())
    del params["threshold"]["error_rates"]
    (copy / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for path in (copy / "metrics").glob("*.json"):
        content = json.loads(path.read_text())
        content.pop("abstention", None)
        path.write_text(json.dumps(content, indent=2) + "\n")
    assert run(copy).files == files - 2


SPOILT = {
    "a share": (put(GUARD_METRICS, "groups.noise.flagged", 0.5), [GUARD_METRICS, "is 0.5; recomputed 0.0"]),
    "a number": (put(GUARD_METRICS, "groups.test.n", 91), [GUARD_METRICS, "test.n is 91; recomputed 90", GUARD]),
    "the limit": (put(GUARD_METRICS, "limit", 70.0), [GUARD_METRICS, "is 0.014286; recomputed 0.128571"]),
    "no limit": (drop(GUARD_METRICS, "limit"), [GUARD_METRICS, "limit is None"]),
    "no distances": (lambda root: (root / GUARD).unlink(), [f"{GUARD} is missing", GUARD_METRICS]),
    "no shares": (lambda root: (root / GUARD_METRICS).unlink(), [f"{GUARD_METRICS} is missing", GUARD]),
    "a distance": (cell(GUARD, 72, "distance", "99"), [GUARD_METRICS, "test.flagged is"]),
    "digits of a distance": (cell(GUARD, 72, "distance", "10.00"), [GUARD, "line 72"]),
    "an image without score": (text(GUARD, lambda old: old.replace("test/0010", "test/9")), [GUARD, "images of test"]),
    "an unknown group": (text(GUARD, lambda old: old.replace("noise,", "cats,")), [GUARD, "group that is none of"]),
    "errors after abstention": (
        put("metrics/cnn.json", "abstention.5%.test.errors", 0),
        ["metrics/cnn.json", "abstention.5%.test.errors is 0; recomputed", "scores/val/cnn.csv"],
    ),
    "a margin": (put("metrics/ensemble.json", "abstention.1%.margin", 0.0), ["ensemble.json", "abstention.1%.margin"]),
    "no abstention": (drop("metrics/cnn.json", "abstention"), ["metrics/cnn.json", "abstention is missing"]),
    "error rates of params.yaml": (
        text("params.yaml", lambda old: old.replace("- 0.02\n", "- 0.03\n")),
        ["abstention.3% is missing"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_whatever_is_spoilt_about_guard_and_abstention_is_found_and_named(copy: Path, what: str) -> None:
    spoil, words = SPOILT[what]
    spoil(copy)
    with pytest.raises(PneumoError) as caught:
        run(copy)
    assert all(word in str(caught.value) for word in words), str(caught.value)
