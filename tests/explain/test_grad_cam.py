"""Maps, the layer that they are taken from, and their correlation."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from untrained import member

from pneumo.data import packed
from pneumo.errors import BundleError
from pneumo.explain import grad_cam
from pneumo.models import backbones, bundle
from pneumo.models.backbones import Network, Normalisation
from pneumo.scoring import inference

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
PLAIN = Normalisation((0.0,), (1.0,))


def split_of(pixels):
    rows = pd.DataFrame({"image": [f"{k}.png" for k in range(len(pixels))], "label": 0})
    return packed.Split(rows, np.asarray(pixels, dtype=np.uint8), np.arange(len(pixels)))


def stripes(looks_for, inplace=False):
    """Two maps, of vertical and of horizontal stripes, and a logit that is the mean of one of them."""
    body = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    network = Network(body, 2, 0.0, PLAIN)
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
    (heat,) = grad_cam.maps(member(stripes(looks_for, inplace)), split_of([striped()]), CPU)
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    assert all(corner.start <= at < corner.stop for at in hottest)
    assert heat.max() == 1
    assert heat[corner, corner].sum() > 0.8 * heat.sum(), "the ends of the other stripes have a little"


def test_without_evidence_the_map_is_zero_and_has_no_correlation():
    (nothing,) = grad_cam.maps(member(stripes(0)), split_of([np.zeros((32, 32))]), CPU)
    assert not nothing.any()
    assert grad_cam.correlation(nothing, np.eye(32)) is None


def test_evidence_against_pneumonia_is_not_shown():
    network = stripes(0)
    with torch.no_grad():
        network.head[1].weight.neg_()
    assert not grad_cam.maps(member(network), split_of([striped()]), CPU).any()


@pytest.mark.parametrize("slope", [-0.5, 0, 0.5])
def test_the_correlation_is_spearmans(slope):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(20, 20)).clip(0).round(1)  # with ties, as where there is no evidence
    second = (rng.normal(size=(20, 20)) + slope * first).clip(0)
    assert grad_cam.correlation(first, second) == round(spearmanr(first, second, axis=None).statistic, 4)


class Shrinking(nn.Module):
    """A residual block whose first layer still has a large map, which the skip connection bypasses."""

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
    network = Network(nn.Sequential(*body, nn.Flatten()), 4, 0.0, PLAIN)
    assert grad_cam.last_map(network.requires_grad_(False).eval(), 8) == layer


def test_a_network_without_feature_maps_is_refused():
    network = Network(nn.Flatten(), 64, 0.0, PLAIN)
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
    explained = member(network, input_size)
    assert (explained.layer, explained.side) == layer
    heat = grad_cam.maps(explained, split_of([np.random.default_rng(0).integers(0, 256, (96, 96))]), CPU)
    assert heat.shape == (1, 96, 96)
    assert np.isfinite(heat).all()
    assert heat.max() == 1, "nothing to see"
    assert heat.min() >= 0


def test_the_map_of_an_image_does_not_depend_on_its_batch(processed, best):
    folder, _ = best
    explained = member(inference.load(folder, bundle.model_json(folder)))
    test = packed.read_split(processed, "test")
    alone = packed.Split(test.rows.iloc[[9]], test.images, test.where[[9]])
    np.testing.assert_allclose(
        grad_cam.maps(explained, test, CPU)[9], grad_cam.maps(explained, alone, CPU)[0], atol=1e-4
    )


def test_of_several_views_each_map_is_brought_back_to_where_it_was_seen():
    """A mirrored view sees the stripes in the other corner, and a zoomed one enlarges them."""
    plain, several = member(stripes(0)), member(stripes(0))
    several.model_json["views"] = {"flip": True, "zooms": [1.0, 0.8]}
    (one,), (mean,) = (grad_cam.maps(each, split_of([striped()]), CPU) for each in (plain, several))
    assert mean.max() == 1
    assert np.corrcoef(one.ravel(), mean.ravel())[0, 1] > 0.8
    assert mean[:12, :12].sum() > 0.8 * mean.sum()


@pytest.mark.parametrize(("zoom", "width"), [(1.0, 16), (0.5, 8)])
def test_a_map_of_a_zoomed_view_covers_what_the_view_saw(zoom, width):
    (spread,) = grad_cam.spread(torch.ones(1, 1, 4, 4), 16, zoom)
    assert int((spread > 0.9).sum()) == pytest.approx(width**2, abs=1)
    assert float(spread[0, 8, 8]) == pytest.approx(1)
    assert float(spread[0, 0, 0]) == (1 if zoom == 1 else 0)
