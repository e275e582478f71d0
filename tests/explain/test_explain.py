"""The cases, the files that are written, and what is refused."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from untrained import SIZE, member, network, score, write_ensemble

from pneumo import files
from pneumo.data import packed
from pneumo.errors import BundleError, ManifestError
from pneumo.evaluation import decision
from pneumo.explain import explain, grad_cam
from pneumo.models import bundle
from pneumo.scoring import outputs, scores

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def write(model, processed, out, *, table=None, count=1, seed=7):
    folder, own = model
    name = bundle.model_json(folder)["name"]
    scores.write(own if table is None else table, out.parent / "scores" / f"{name}.csv")
    return explain.write(folder, processed, out.parent / "scores", out, count=count, seed=seed, accelerator="cpu")


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.fixture(scope="module")
def written(best, processed, tmp_path_factory):
    """The folder that explains two cases of each kind, and what explain.json says. Tests only read it."""
    out = tmp_path_factory.mktemp("written") / "out"
    return out, write(best, processed, out, count=2)


def row(image, label, score):
    return {
        "image": image,
        "patient": image,
        "label": label,
        "subtype": "unknown",
        "score": score,
        "logit": 2 * np.log(score / (1 - score)),
    }


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", 1, 0.9), ("b", 1, 0.95), ("c", 1, 0.8)], {"true_positive": ["b", "a"]}),
        ([("a", 0, 0.1), ("b", 0, 0.05), ("c", 0, 0.2)], {"true_negative": ["b", "a"]}),
        ([("a", 0, 0.9), ("b", 1, 0.1)], {"false_positive": ["a"], "false_negative": ["b"]}),
        ([("c", 1, 0.9), ("a", 1, 0.9), ("b", 1, 0.9)], {"true_positive": ["a", "b"]}),
        ([("a", 1, 0.3), ("b", 1, 0.29)], {"true_positive": ["a"], "false_negative": ["b"]}),
        ([("a", 1, 0.2), ("b", 1, 0.01), ("c", 1, 0.1)], {"false_negative": ["b", "c"]}),
    ],
    ids=["highest", "lowest", "wrong", "ties by name", "the threshold is pneumonia", "most wrong first"],
)
def test_the_most_confident_of_each_kind(rows, expected):
    cases = explain.most_confident(pd.DataFrame([row(*values) for values in rows]), 0.3, 2)
    assert tuple(cases.columns) == explain.CASE_COLUMNS
    assert cases.groupby("kind")["image"].apply(list).to_dict() == expected


def test_scores_that_are_both_one_are_told_apart_by_their_logit():
    table = pd.DataFrame([row("a", 1, 0.9), row("b", 1, 0.9)]).assign(score=1.0, logit=[20.0, 30.0])
    assert list(explain.most_confident(table, 0.5, 1)["image"]) == ["b"]


def test_what_is_written(written):
    out, content = written
    assert json.loads((out / "explain.json").read_text()) == content
    assert list(content) == [
        "model",
        "input_size",
        "layers",
        "image_size",
        "seed",
        "mean_correlation",
        "defined_correlations",
        "cases",
    ]
    assert content["layers"] == {"best": {"layer": "body.14", "side": 4}}
    assert list(content["cases"][0]) == [*explain.CASE_COLUMNS, "file", "correlation"]
    names = [case["file"] for case in content["cases"]]
    assert names == [f"{kind}-{number}.png" for kind in explain.KINDS for number in (1, 2)]
    assert {path.name for path in out.iterdir()} == {*names, "explain.json"}
    for path in out.glob("*.png"):
        assert Image.open(path).size == (3 * explain.PANEL + 2 * explain.GAP, explain.PANEL)
        assert path.stat().st_size < 150_000


def test_the_correlation_is_spearmans_with_newly_drawn_weights(written, processed):
    _, content = written
    test = packed.read_split(processed, "test")
    own, other = (grad_cam.maps(member(network(seed)), test, CPU) for seed in (3, 7))
    position = list(test.rows["image"])
    for case in content["cases"]:
        k = position.index(case["image"])
        constant = own[k].max() == 0 or other[k].max() == 0
        expected = None if constant else spearmanr(own[k].ravel(), other[k].ravel()).statistic
        assert case["correlation"] == (None if constant else pytest.approx(expected, abs=1e-4))
    defined = [case["correlation"] for case in content["cases"] if case["correlation"] is not None]
    assert content["mean_correlation"] == pytest.approx(np.mean(defined), abs=1e-4)
    assert max(defined) < 0.99
    assert content["defined_correlations"] == len(defined) > 0


def test_a_model_with_the_very_weights_of_the_check_is_caught(best, processed, tmp_path):
    assert write(best, processed, tmp_path / "out", seed=3)["mean_correlation"] == 1


def test_again_gives_the_same_bytes_and_old_files_are_replaced(written, best, processed, tmp_path):
    first, _ = written
    out = tmp_path / "out"
    out.mkdir()
    for path in first.iterdir():
        os.link(path, out / path.name)  # as DVC links them to its cache
    before, old = pictures(first), (first / "explain.json").read_bytes()
    write(best, processed, out, count=1)
    assert pictures(out) == {f"{kind}-1.png": before[f"{kind}-1.png"] for kind in explain.KINDS}
    assert pictures(first) == before
    assert (first / "explain.json").read_bytes() == old != (out / "explain.json").read_bytes()


def test_the_map_of_an_ensemble_is_the_mean_of_its_members(processed, tmp_path):
    write_ensemble(tmp_path / "ensemble", {"cnn": 3, "other": 4})
    model = tmp_path / "ensemble", score(tmp_path / "ensemble", processed)
    for name in ("cnn", "other"):  # an ensemble's scores follow from those of its members
        own = outputs.logits(tmp_path / "ensemble/members" / name, processed, "test", accelerator="cpu")
        scores.write(decision.calibrated(own, 1.0), tmp_path / f"scores/{name}.csv")
    content = write(model, processed, tmp_path / "out")
    assert list(content["layers"]) == ["cnn", "other"]
    test = packed.read_split(processed, "test")
    first, second, random = (grad_cam.maps(member(network(seed)), test, CPU) for seed in (3, 4, 7))
    for case in content["cases"]:
        k = list(test.rows["image"]).index(case["image"])
        mean = (first[k] + second[k]) / 2
        explain.strip(test.pixels([k])[0], mean / mean.max(), random[k]).save(tmp_path / "by-hand.png", optimize=True)
        assert (tmp_path / "out" / case["file"]).read_bytes() == (tmp_path / "by-hand.png").read_bytes()
    assert np.abs(first - second).max() > 0.1, "or the mean shows nothing"


def test_the_image_stays_as_it_is_where_there_is_no_evidence():
    pixels = np.tile(np.arange(0, 240, 6, dtype=np.uint8), (SIZE, 1))
    half = np.zeros((SIZE, SIZE))
    half[:, SIZE // 2 :] = 1
    picture = np.asarray(explain.strip(pixels, half, np.zeros_like(half)).convert("RGB")).astype(int)
    image, learnt, random = (picture[:, k * (explain.PANEL + explain.GAP) :][:, : explain.PANEL] for k in range(3))
    np.testing.assert_array_equal(image, random)
    np.testing.assert_array_equal(image[:, :100], learnt[:, :100])
    strongest = image[:, 124:] * (1 - explain.OPACITY) + explain.OPACITY * np.array([240, 249, 33])  # plasma's yellow
    np.testing.assert_allclose(learnt[:, 124:], strongest, atol=8)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": "test/99.png"}, ManifestError, "list test/99.png, which is not in the test set of the manifest"),
        ({"image": "train/00.png"}, ManifestError, "list train/00.png, which is not in the test set of the manifest"),
        ({"patient": "somebody"}, ManifestError, "the patient of test/.* differs between scores and manifest"),
        ({"logit": 40.0}, BundleError, "gives test/.* a logit that is not the one in its scores"),
    ],
    ids=["unknown", "not of the test set", "other patient", "other model"],
)
def test_scores_that_do_not_fit_are_refused(best, processed, tmp_path, change, error, message):
    table = best[1].copy()
    for column, value in change.items():
        table.loc[table["score"].idxmax(), column] = value
    with pytest.raises(error, match=message):
        write(best, processed, tmp_path / "out", table=table)
    assert not (tmp_path / "out").exists()


def test_scores_without_a_logit_are_refused(best, processed, tmp_path):
    with pytest.raises(ManifestError, match="no column 'logit'"):
        write(best, processed, tmp_path / "out", table=best[1].drop(columns="logit"))


def test_pixels_of_another_size_are_refused(best, processed, tmp_path):
    folder, table = best
    os.link(folder / "model.safetensors", tmp_path / "model.safetensors")
    files.write_json(tmp_path / "model.json", bundle.model_json(folder) | {"image_size": 99})
    with pytest.raises(BundleError, match=r"trained on images packed at 99 pixels, and .* holds 40"):
        write((tmp_path, table), processed, tmp_path / "out")
