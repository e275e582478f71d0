"""What is predicted from image files with ONNX Runtime is what the pipeline computes from packed pixels with torch."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from bundles import draw, write_backbone, write_ensemble, write_processed
from torch import nn

from pneumo import files
from pneumo.data import manifest, packed
from pneumo.errors import BundleError, ExportError
from pneumo.evaluation import decision
from pneumo.explain import grad_cam
from pneumo.export import export as exporting
from pneumo.export import network
from pneumo.export.export import export
from pneumo.models import bundle, own
from pneumo.preprocessing import images
from pneumo.scoring import outputs
from pneumo.serving import contract, model
from pneumo.serving.predict import predictions

pytestmark = pytest.mark.slow

VIEWS = {"flip": True, "zooms": (1.0, 0.9)}
MODELS = {
    "cnn": {"architecture": "cnn"},
    "cnn10 enlarged": {"architecture": "cnn10", "packed": 30, "size": 32},
    "cnn10 as packed, views": {"architecture": "cnn10", "packed": 32, "size": 32, **VIEWS},
    "cnn10 padded, views": {"architecture": "cnn10", "packed": 50, "fit": "pad", **VIEWS},
    "vgg16": {"architecture": "vgg16.tv_in1k"},
    "vgg19": {"architecture": "vgg19.tv_in1k"},
    "resnet50": {"architecture": "resnet50.a1_in1k", **VIEWS},
    "inceptionv3": {"architecture": "inception_v3.tv_in1k", "packed": 90, "size": 75},
    "efficientnet_lite0": {"architecture": "tf_efficientnet_lite0.in1k", **VIEWS},
    "vit": {"architecture": "vit_tiny_patch16_224.augreg_in21k", "size": 64, "packed": 70},
}


def trained_on(selected, tmp_path):
    """Packed images of the size that the model is for."""
    folder = tmp_path / "trained on"
    return folder if folder.exists() else write_processed(folder, contract.packed_size(selected))


def store(paths, folder, size, fit):
    """The files as preprocess packs them, all in the test part."""
    rows = []
    with packed.Writer(folder / "images.npy", size) as writer:
        for path in paths:
            radiograph = images.read_image(path, size, fit=fit)
            writer.append(radiograph.pixels)
            rows.append({"image": str(path), "label": len(rows) % 2, "patient": path.stem, "sha256": radiograph.sha256})
    fixed = {"split": "test", "subtype": "unknown", "source_split": "test", "width": 60, "height": 50}
    manifest.write(pd.DataFrame(rows).assign(**fixed), folder / "manifest.csv")
    return folder


def assert_the_same(selected, tmp_path):
    export(selected, trained_on(selected, tmp_path), tmp_path / "best", film_views=None)
    loaded = model.load(tmp_path / "best")
    paths = draw(tmp_path / "films", 11) + draw(tmp_path / "photographs", 3, suffix=".jpeg", sides=(200, 170))
    processed = store(
        paths, files.fresh(tmp_path / "processed/x").parent, loaded.contract.image_size, loaded.contract.fit
    )
    logits = outputs.logits(selected, processed, "test", accelerator="cpu")
    expected = decision.calibrated(logits, loaded.contract.temperature).set_index("image")["score"]
    found = {one.image: one.probability for one in predictions(loaded, paths)}
    assert list(found) == [str(path) for path in paths]
    np.testing.assert_allclose(
        [found[image] for image in expected.index], expected, atol=5e-5
    )  # float32, and a head that untrained features make steep
    assert np.ptp(expected) > 1e-4, "or all images look alike to this network, and this shows nothing"
    assert_the_same_heat(selected, loaded, packed.read_split(processed, "test").pixels(slice(None)))


def assert_the_same_heat(selected, loaded, pixels):
    """As pneumo.explain computes it with torch's gradients."""
    cpu = torch.device("cpu")
    members = [grad_cam.load_member(folder, cpu) for folder in network.folders(selected)]
    expected = grad_cam.mean_map([grad_cam.maps_of(member, pixels, cpu) for member in members])
    found = loaded.heat(pixels)
    assert found.shape == pixels.shape
    assert found.dtype == np.float32
    assert expected.any(axis=(1, 2)).sum() >= 4, "or there is nothing to compare"
    for one, other in zip(found, expected, strict=True):
        if not other.any():
            assert not one.any()
            continue
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] >= 0.995
        # Untrained, InceptionV3's slopes are so steep that where two places of a pooling window are nearly as large,
        # rounding moves some of its map: torch in float32 and in float64 differ as much.
        assert np.abs(one - other).max() < 0.06
    close = [np.abs(one - other).max() < 0.005 for one, other in zip(found, expected, strict=True)]
    assert np.mean(close) > 0.7
    logits, _ = loaded.session.with_heat(pixels)
    np.testing.assert_array_equal(logits, loaded.session.logits(pixels))


@pytest.mark.parametrize("wanted", MODELS.values(), ids=MODELS)
def test_files_have_the_scores_of_the_pipeline(tmp_path, wanted):
    assert_the_same(write_backbone(tmp_path / "selected", "network", **wanted), tmp_path)


def test_so_they_have_by_an_ensemble_of_networks_with_inputs_of_several_sizes(tmp_path):
    members = {"small": {"size": 32, "seed": 1}, "large": {"size": 48, "seed": 2, **VIEWS}}
    assert_the_same(write_ensemble(tmp_path / "selected", **members), tmp_path)


ADDED = ("format", "image_size", "fit", "film_views", "phantoms", "onnx", "guard")  # by the export


def test_the_folder_has_all_of_the_model_and_the_contract(tmp_path):
    selected = write_ensemble(tmp_path / "selected", a={"seed": 1}, b={"seed": 2})
    export(selected, trained_on(selected, tmp_path), tmp_path / "best", film_views=None)
    before, after = (json.loads((tmp_path / name / "model.json").read_text()) for name in ("selected", "best"))
    assert after == before | {key: after[key] for key in ADDED}
    assert (after["format"], after["image_size"], after["fit"]) == (contract.FORMAT, 40, "stretch")
    assert after["onnx"]["heat"] is True
    assert bundle.model_json(tmp_path / "best") == after
    for name in ("a", "b"):
        member = bundle.model_json(tmp_path / "best/members" / name)
        assert bundle.weights(tmp_path / "best/members" / name, member).is_file()


def test_an_export_gives_the_same_bytes_wherever_it_is_made(tmp_path):
    selected = write_backbone(tmp_path / "selected", "network")
    for name in ("one", "two/deeper"):
        export(selected, trained_on(selected, tmp_path), tmp_path / name, film_views=None)
    one, two = ((tmp_path / name / "model.onnx").read_bytes() for name in ("one", "two/deeper"))
    assert one == two
    for place in (str(tmp_path), "site-packages", "pneumo/"):
        assert place.encode() not in one


def test_members_for_pixels_of_two_sizes_are_refused(tmp_path):
    selected = write_ensemble(tmp_path / "selected", a={"packed": 40}, b={"packed": 48})
    processed = write_processed(tmp_path / "processed", 40)
    with pytest.raises(BundleError, match=r"image_size \[40, 48\]"):
        export(selected, processed, tmp_path / "best", film_views=None)


def test_a_network_that_onnx_computes_otherwise_is_not_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.contract, "TOLERANCE", 0.0)
    selected = write_backbone(tmp_path / "selected", "network", architecture="resnet18.a1_in1k")
    with pytest.raises(ExportError, match="differ from torch's"):
        export(selected, trained_on(selected, tmp_path), tmp_path / "best", film_views=None)


def test_the_logit_has_the_same_bits_as_in_a_graph_without_heat(tmp_path):
    selected = write_backbone(tmp_path / "selected", "network", architecture="tf_efficientnet_lite0.in1k", **VIEWS)
    export(selected, trained_on(selected, tmp_path), tmp_path / "best", film_views=None)
    exporting._write(network.load(selected), 40, tmp_path / "plain.onnx", heat=False)
    inputs = contract.reference_inputs(40, 8)
    plain, both = (model.Session(path) for path in (tmp_path / "plain.onnx", tmp_path / "best/model.onnx"))
    np.testing.assert_array_equal(both.logits(inputs), plain.logits(inputs))


def test_a_network_without_a_map_is_exported_without_heat_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(
        own.NETWORKS, "cnn10", (lambda size, dropout: nn.Sequential(nn.Flatten(), nn.Linear(size**2, 256)), 256)
    )
    selected = write_backbone(tmp_path / "selected", "network", size=40)
    exported = export(selected, trained_on(selected, tmp_path), tmp_path / "best", film_views=None)
    assert "no feature map" in exported.without_heat
    loaded = model.load(tmp_path / "best")
    assert loaded.contract.onnx.heat is False
    with pytest.raises(BundleError, match="gives no heat map"):
        model.load(tmp_path / "best", heat=True)
