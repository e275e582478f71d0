import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from tiny import scored
from torch import nn

from pneumo import files
from pneumo.data import manifest, packed
from pneumo.errors import BundleError, ManifestError
from pneumo.explain import explain, grad_cam
from pneumo.models import backbones, bundle
from pneumo.models.backbones import Network, Normalisation
from pneumo.scoring import inference, scores

CPU = torch.device("cpu")
SIZE = 40  # of the packed pixels
DRAWN_FROM = {"cnn": 3, "other": 4, "best": 3}  # seed of each bundle's weights


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks this small are slowed down by a second thread, greatly so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def part_of(pixels):
    rows = pd.DataFrame({"image": [f"{k}.png" for k in range(len(pixels))], "label": 0})
    return packed.Split(rows, np.asarray(pixels, dtype=np.uint8), np.arange(len(pixels)))


def member(network, input_size):
    network = network.requires_grad_(False).eval()
    return grad_cam.Member(network, {"input_size": input_size}, *grad_cam.last_map(network, input_size))


def drawn(name, seed):
    return backbones.create("cnn", input_size=32, dropout=0.2, weights="none", seed=seed)[0]


def write_bundle(folder, name, seed):
    trained = dict.fromkeys(bundle.TRAINING_KEYS) | {
        "name": name,
        "kind": "backbone",
        "architecture": "cnn",
        "image_size": SIZE,
        "input_size": 32,
        "normalisation": {"mean": [0.5], "std": [0.25]},
        "dropout": 0.2,
        "sha256": {"manifest": "0"},
    }
    bundle.write_trained(folder, drawn(name, seed).state_dict(), trained)
    decided = {"temperature": 1.5, "threshold": 0.5, "threshold_policy": {"policy": "fixed", "value": 0.5}}
    views = {"views": {"flip": False, "zooms": [1.0]}}
    files.write_json(folder / "model.json", bundle.training_json(folder) | views | decided)


def with_both_decisions(folder, processed):
    """Scores of the test part, and the threshold moved to their median, so that all four kinds occur."""
    table = scored(folder, processed, "test")
    model_json = bundle.model_json(folder)
    files.write_json(folder / "model.json", model_json | {"threshold": float(table["score"].median())})
    return table


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """16 test images of noise round a bright square, and one of training."""
    folder = tmp_path_factory.mktemp("processed")
    chance = np.random.default_rng(0)
    with packed.Writer(folder / "images.npy", SIZE) as writer:
        for _ in range(17):
            pixels = chance.normal(100, 25, (SIZE, SIZE))
            top, left = chance.integers(0, 26, 2)
            pixels[top : top + 14, left : left + 14] += 70
            writer.append(pixels.clip(0, 255).astype(np.uint8))
    rows = pd.DataFrame({"image": [f"test/{k:02}.png" for k in range(16)] + ["train/00.png"]})
    rows = rows.assign(label=[0, 1] * 8 + [0], split=["test"] * 16 + ["train"], patient=rows["image"])
    fixed = {"subtype": "unknown", "source_split": "train", "width": SIZE, "height": SIZE, "sha256": "0"}
    manifest.write(rows.assign(**fixed), folder / "manifest.csv")
    return folder


@pytest.fixture(scope="module")
def best(processed, tmp_path_factory):
    """A bundle and its scores. Nothing here depends on whether the weights are trained."""
    folder = tmp_path_factory.mktemp("backbone")
    write_bundle(folder, "best", DRAWN_FROM["best"])
    return folder, with_both_decisions(folder, processed)


@pytest.fixture(scope="module")
def ensemble(processed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    for name in ("cnn", "other"):
        write_bundle(folder / "members" / name, name, DRAWN_FROM[name])
    hashes = {name: bundle.model_json(folder / "members" / name)["sha256"]["weights"] for name in ("cnn", "other")}
    model_json = dict.fromkeys(bundle.ENSEMBLE_KEYS) | {"name": "ensemble", "kind": "ensemble", "members": hashes}
    files.write_json(folder / "model.json", model_json | {"temperature": 1.0, "threshold": 0.5})
    return folder, with_both_decisions(folder, processed)


def write(model, processed, out, *, table=None, count=2, seed=0):
    folder, own = model
    name = bundle.model_json(folder)["name"]
    scores.write(own if table is None else table, out.parent / "scores" / f"{name}.csv")
    return explain.write(folder, processed, out.parent / "scores", out, count=count, seed=seed, accelerator="cpu")


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
    found = explain.cases(pd.DataFrame([row(*one) for one in rows]), 0.3, 2)
    assert tuple(found.columns) == explain.CASE_COLUMNS
    assert found.groupby("kind")["image"].apply(list).to_dict() == expected


def test_scores_that_are_both_one_are_told_apart_by_their_logit():
    table = pd.DataFrame([row("a", 1, 0.9), row("b", 1, 0.9)]).assign(score=1.0, logit=[20.0, 30.0])
    assert list(explain.cases(table, 0.5, 1)["image"]) == ["b"]


def stripes(looks_for, inplace=False):
    """Two maps, of vertical and of horizontal stripes, and a logit that is the mean of one of them."""
    body = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    network = Network(body, 2, 0.0, Normalisation((0.0,), (1.0,)))
    vertical = torch.tensor([[-1.0, 2.0, -1.0]] * 3)
    with torch.no_grad():
        body[0].weight.copy_(torch.stack([vertical, vertical.T]).unsqueeze(1))
        network.head[1].weight.copy_(torch.eye(2)[[looks_for]])
        network.head[1].bias.zero_()
    return network


def striped():
    """Vertical stripes in the upper left corner, horizontal ones in the lower right, equally bright."""
    pixels = np.zeros((32, 32), dtype=np.uint8)
    pixels[2:10, 2:10:2] = 255
    pixels[22:30:2, 22:30] = 255
    return pixels


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(("looks_for", "corner"), [(0, slice(0, 12)), (1, slice(20, 32))], ids=["vertical", "other"])
def test_the_map_is_hottest_where_the_evidence_is(looks_for, corner, inplace):
    found = grad_cam.maps(member(stripes(looks_for, inplace), 32), part_of([striped()]), CPU)[0]
    hottest = np.unravel_index(found.argmax(), found.shape)
    assert all(corner.start <= at < corner.stop for at in hottest)
    assert found.max() == 1
    assert found[corner, corner].sum() > 0.8 * found.sum(), "the ends of the other stripes have a little"


def test_without_evidence_the_map_is_zero_and_has_no_correlation():
    nothing = grad_cam.maps(member(stripes(0), 32), part_of([np.zeros((32, 32))]), CPU)[0]
    assert not nothing.any()
    assert grad_cam.correlation(nothing, np.eye(32)) is None


def test_evidence_against_pneumonia_is_not_shown():
    network = stripes(0)
    with torch.no_grad():
        network.head[1].weight.neg_()
    assert not grad_cam.maps(member(network, 32), part_of([striped()]), CPU).any()


class Shrinking(nn.Module):
    """A residual block whose first layer still has a large map, which the shortcut goes round."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, stride=4, padding=1)

    def forward(self, x):
        return self.outer(self.inner(x)) + nn.functional.avg_pool2d(x, 4)


@pytest.mark.parametrize(
    ("body", "layer"),
    [
        ([nn.ReLU(), Shrinking()], ("body.0", 8)),
        ([nn.AvgPool2d(2), nn.ReLU(), nn.AvgPool2d(2)], ("body.1", 4)),
        ([nn.AvgPool2d(4), nn.ReLU()], ("body.1", 2)),
        ([Shrinking()], ("body.0", 2)),
        ([nn.AvgPool2d(2), nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU())), nn.AvgPool2d(2)], ("body.1", 4)),
    ],
    ids=["not inside a block", "large enough", "else the last", "else the whole block", "the outermost"],
)
def test_the_layer_is_the_deepest_that_all_evidence_passes(body, layer):
    network = Network(nn.Sequential(*body, nn.Flatten()), 4, 0.0, Normalisation((0.0,), (1.0,)))
    assert grad_cam.last_map(network.requires_grad_(False).eval(), 8) == layer


def test_a_network_without_feature_maps_is_refused():
    network = Network(nn.Flatten(), 64, 0.0, Normalisation((0.0,), (1.0,)))
    with pytest.raises(BundleError, match="no feature map"):
        grad_cam.last_map(network.requires_grad_(False), 8)


@pytest.mark.parametrize(
    ("architecture", "input_size", "layer"),
    [
        ("cnn", 64, ("body.18", 4)),
        ("vgg16.tv_in1k", 48, ("body.features.22", 6)),
        ("inception_v3.tv_in1k", 75, ("body.Mixed_5d", 7)),
        ("resnet50.a1_in1k", 64, ("body.layer3", 4)),
    ],
)
def test_every_architecture_gives_a_map_of_the_size_of_the_image(architecture, input_size, layer):
    network, _ = backbones.create(architecture, input_size=input_size, dropout=0.0, weights="none", seed=0)
    one = member(network, input_size)
    assert (one.layer, one.side) == layer
    found = grad_cam.maps(one, part_of([np.random.default_rng(0).integers(0, 256, (96, 96))]), CPU)
    assert found.shape == (1, 96, 96)
    assert np.isfinite(found).all()
    assert found.max() == 1, "nothing to see"
    assert found.min() >= 0


def test_the_map_is_of_the_part_and_not_of_the_batch(processed, best):
    model_json = bundle.model_json(best[0])
    network = inference.load(best[0], model_json)
    one, test = member(network, model_json["input_size"]), packed.read_split(processed, "test")
    alone = grad_cam.maps(one, packed.Split(test.rows.iloc[[9]], test.images, test.where[[9]]), CPU)[0]
    np.testing.assert_allclose(grad_cam.maps(one, test, CPU)[9], alone, atol=1e-4)


def test_the_correlation_is_spearmans_with_newly_drawn_weights(best, processed, tmp_path):
    content = write(best, processed, tmp_path, seed=7)
    test = packed.read_split(processed, "test")
    own, other = (grad_cam.maps(member(drawn("best", seed), 32), test, CPU) for seed in (DRAWN_FROM["best"], 7))
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
    assert write(best, processed, tmp_path, seed=DRAWN_FROM["best"])["mean_correlation"] == 1


def test_what_is_written(best, processed, tmp_path):
    content = write(best, processed, tmp_path)
    assert json.loads((tmp_path / "explain.json").read_text()) == content
    assert list(content) == [
        "model",
        "layers",
        "image_size",
        "seed",
        "mean_correlation",
        "defined_correlations",
        "cases",
    ]
    assert content["layers"] == {"best": {"layer": "body.14", "side": 4}}
    assert list(content["cases"][0]) == [*explain.CASE_COLUMNS, "file", "correlation"]
    files = [case["file"] for case in content["cases"]]
    assert files == [f"{kind}-{number}.png" for kind in explain.KINDS for number in (1, 2)]
    assert {path.name for path in tmp_path.iterdir()} == {*files, "explain.json"}
    for path in tmp_path.glob("*.png"):
        assert Image.open(path).size == (3 * explain.PANEL + 2 * explain.GAP, explain.PANEL)
        assert path.stat().st_size < 150_000


def test_twice_gives_the_same_bytes_and_old_files_are_replaced(best, processed, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    write(best, processed, out, count=2)
    cache.mkdir()
    for path in out.iterdir():
        os.link(path, cache / path.name)
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    write(best, processed, out, count=1, seed=5)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before
    assert {path.name for path in out.glob("*.png")} == {f"{kind}-1.png" for kind in explain.KINDS}
    write(best, processed, out, count=2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_map_of_an_ensemble_is_the_mean_of_its_members(ensemble, processed, tmp_path):
    content = write(ensemble, processed, tmp_path, seed=7)
    assert list(content["layers"]) == ["cnn", "other"]
    test = packed.read_split(processed, "test")
    one, other, random = (grad_cam.maps(member(drawn("", seed), 32), test, CPU) for seed in (3, 4, 7))
    for case in content["cases"]:
        k = list(test.rows["image"]).index(case["image"])
        mean = (one[k] + other[k]) / 2
        explain.strip(test.pixels([k])[0], mean / mean.max(), random[k]).save(tmp_path / "by-hand.png", optimize=True)
        assert (tmp_path / case["file"]).read_bytes() == (tmp_path / "by-hand.png").read_bytes()
    assert np.abs(one - other).max() > 0.1, "or the mean shows nothing"


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
        ({"image": "test/99.png"}, ManifestError, "test/99.png, which the manifest's test part lacks"),
        ({"image": "train/00.png"}, ManifestError, "train/00.png, which the manifest's test part lacks"),
        ({"patient": "somebody"}, ManifestError, "the patient of test/.* differs"),
        ({"logit": 40.0}, BundleError, "gives test/.* another logit than the scores have"),
    ],
    ids=["unknown", "not of the test part", "other patient", "other model"],
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
        write(best, processed, tmp_path, table=best[1].drop(columns="logit"))


def test_pixels_of_another_size_are_refused(best, processed, tmp_path):
    folder, table = best
    for name in ("model.json", "model.safetensors"):
        os.link(folder / name, tmp_path / name)
    files.write_json(tmp_path / "model.json", bundle.model_json(folder) | {"image_size": 99})
    with pytest.raises(BundleError, match="trained on pixels of 99, and the packed images have 40"):
        write((tmp_path, table), processed, tmp_path / "out")
