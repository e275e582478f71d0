import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from pneumo import params
from pneumo.errors import ParamsError, WeightsError
from pneumo.models import backbones
from pneumo.verification import gate

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NAMES = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml") if path.stem != "all")


def create(architecture, weights="none", input_size=64, seed=0, **parts):
    return backbones.create(architecture, input_size=input_size, dropout=0.2, weights=weights, seed=seed, **parts)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_conf_model_makes_a_network_that_gives_one_logit_an_image(name):
    backbone = params.check(gate.compose(ROOT, f"model={name}"), "conf/").model[name]
    size = backbone.input_size
    network, digest = create(backbone.architecture, input_size=size)
    with torch.inference_mode():
        logits = network.eval()(torch.rand(3, 1, size, size))
    assert logits.shape == (3,)
    assert logits.isfinite().all()
    assert digest == ""


def test_cnn_is_five_blocks_of_convolution_relu_and_pooling():
    body = create("cnn")[0].body
    kinds = [type(layer).__name__ for layer in body]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 5 + ["Flatten", "Dropout", "Linear", "ReLU"]


def test_cnn10_is_five_blocks_of_two_convolutions_and_a_global_mean():
    network, _ = create("cnn10")
    kinds = [type(layer).__name__ for layer in network.body]
    block = [*["Conv2d", "BatchNorm2d", "ReLU"] * 2, "MaxPool2d"]
    assert kinds == [*block * 5, "AdaptiveAvgPool2d", "Flatten"]
    assert backbones.parameters(network) == backbones.parameters(create("cnn10", input_size=96)[0])


def test_vgg_is_pooled_and_has_no_hundred_million_weights():
    network, _ = create("vgg16.tv_in1k", input_size=48)
    assert backbones.parameters(network) < 15_000_000
    assert network.head[1].in_features == 512


@pytest.mark.parametrize("architecture", ["cnn10", "resnet18.a1_in1k", "vgg11.tv_in1k", "tf_efficientnet_lite0.in1k"])
def test_the_head_gets_a_mean_for_each_part_of_the_last_map(architecture):
    whole, parts = (create(architecture, input_size=128, pool=pool)[0].eval() for pool in (1, 2))
    parts.body.load_state_dict(whole.body.state_dict())
    pixels = torch.rand(2, 1, 128, 128)
    with torch.inference_mode():
        quarters, mean = parts.features(pixels), whole.features(pixels)
        assert parts(pixels).shape == (2,)
    assert quarters.shape == (2, 4 * mean.shape[1])
    assert torch.allclose(quarters.view(2, -1, 4).mean(2), mean, atol=1e-5)
    assert parts.head[1].in_features == quarters.shape[1]


@pytest.mark.parametrize(
    ("architecture", "stages", "features"),
    [("tf_efficientnet_lite0.in1k", 4, 112), ("resnet18.a1_in1k", 3, 128), ("vgg11.tv_in1k", 2, 128)],
)
def test_the_first_stages_alone_are_those_of_the_whole_network(architecture, stages, features, tmp_path):
    """Published weights fit, although the file has those of the stages that are not used."""
    whole = timm.create_model(architecture).eval()
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    weights = str(tmp_path / "whole.safetensors")
    part = create(architecture, weights, input_size=128, stages=stages, pool=2)[0].eval()
    pixels = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        expected = whole.forward_intermediates(pixels, indices=[stages - 1], intermediates_only=True)[0]
        assert torch.allclose(part.body(pixels), expected, atol=1e-5)
    assert part.head[1].in_features == 4 * features
    assert backbones.parameters(part) < sum(weight.numel() for weight in whole.parameters()) / 2
    contiguous = {key: value.contiguous() for key, value in part.state_dict().items()}
    save_file(contiguous, tmp_path / "part.safetensors")  # a trained bundle
    again = create(architecture, str(tmp_path / "part.safetensors"), input_size=128, stages=stages, pool=2)[0]
    assert all(torch.equal(again.state_dict()[key], value) for key, value in part.state_dict().items())


@pytest.mark.parametrize(
    ("architecture", "stages", "reason"),
    [
        ("cnn10", 3, "model.NAME.stages is 3, and cnn10 is used whole"),
        ("resnet18.a1_in1k", 6, "stages is 6, and resnet18.a1_in1k has 5"),
    ],
)
def test_stages_that_are_not_there_are_refused(architecture, stages, reason):
    with pytest.raises(ParamsError, match=reason):
        create(architecture, stages=stages)


@pytest.mark.parametrize(
    ("architecture", "input_size", "reason"),
    [
        ("cnn", 64, "cnn ends in no map of which 3 x 3 parts could be taken: set model.NAME.pool to 1"),
        ("vit_small_patch16_224.augreg_in21k_ft_in1k", 224, "ends in no map"),
        ("cnn10", 64, "the last map of cnn10 has 2 places a side for an input of 64 pixels, too few for 3 parts"),
        ("resnet18.a1_in1k", 64, "has 2 places a side"),
    ],
)
def test_parts_that_cannot_be_taken_are_refused(architecture, input_size, reason):
    with pytest.raises(ParamsError, match=reason):
        create(architecture, input_size=input_size, pool=3)


@pytest.mark.parametrize(
    ("architecture", "mean", "std"),
    [
        ("resnet50.a1_in1k", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("inception_v3.tv_in1k", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_each_network_normalises_as_it_was_pretrained(architecture, mean, std):
    network, _ = create(architecture, input_size=75)
    seen = []
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network.eval()(torch.full((1, 1, 75, 75), 0.7))
    expected = [(0.7 - m) / s for m, s in zip(mean, std, strict=True)]
    torch.testing.assert_close(seen[0][0, :, 3, 3], torch.tensor(expected))


def test_the_seed_decides_the_start():
    first, again, other = (create("cnn", seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["body.0.weight"], other["body.0.weight"])


@pytest.mark.parametrize("architecture", ["vgg16.tv_in1k", "resnet50.a1_in1k"])
def test_weights_of_a_timm_model_are_loaded_from_a_file(tmp_path, architecture):
    torch.manual_seed(7)
    published = timm.create_model(architecture, num_classes=10).state_dict()
    save_file(published, tmp_path / "weights.safetensors")
    network, digest = create(architecture, str(tmp_path / "weights.safetensors"))
    loaded = network.body.state_dict()
    assert len(digest) == 64
    assert set(loaded) < set(published)
    assert all(torch.equal(loaded[key], published[key]) for key in loaded)


def test_weights_of_a_trained_bundle_are_loaded_with_the_head(tmp_path):
    trained, _ = create("cnn", seed=3)
    save_file({name: one.contiguous() for name, one in trained.state_dict().items()}, tmp_path / "model.safetensors")
    network, _ = create("cnn", str(tmp_path / "model.safetensors"))
    assert torch.equal(network.head[1].weight, trained.head[1].weight)


def _other_network(path):
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), path)


def _larger_network(path):
    save_file(timm.create_model("resnet101").state_dict(), path)


def _wrong_shape(path):
    state = timm.create_model("resnet50").state_dict()
    save_file(state | {"conv1.weight": torch.zeros(64, 1, 7, 7)}, path)


def _parallel(path):
    save_file({f"module.{key}": tensor for key, tensor in timm.create_model("resnet50").state_dict().items()}, path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.write_bytes(b"no weights"), "is not a safetensors file"),
        (_other_network, "which resnet50.a1_in1k needs: are these weights of another network"),
        (_larger_network, r"has layer3\.\d+\..*, which resnet50.a1_in1k lacks"),
        (lambda path: path.write_bytes(LFS_POINTER), "is a Git LFS pointer, not the weights: run `git lfs pull`"),
        (
            _parallel,
            r"every name begins with 'module\.', as torch\.nn\.DataParallel saves them\. Take it off: python -c",
        ),
        (_wrong_shape, r"conv1.weight is \(64, 1, 7, 7\); resnet50.a1_in1k needs \(64, 3, 7, 7\)"),
    ],
)
def test_a_bad_weights_file_is_refused(tmp_path, make, says):
    make(tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match=says):
        create("resnet50.a1_in1k", str(tmp_path / "weights.safetensors"))


def test_the_remedy_for_names_of_parallel_training_works_when_pasted(tmp_path):
    path = tmp_path / "my weights.safetensors"
    _parallel(path)
    with pytest.raises(WeightsError) as refused:
        create("resnet50.a1_in1k", str(path))
    command = shlex.split(str(refused.value).partition("Take it off: ")[2])
    subprocess.run([sys.executable, *command[1:]], check=True)
    network, _ = create("resnet50.a1_in1k", str(path))
    assert torch.equal(network.body.state_dict()["conv1.weight"], load_file(path)["conv1.weight"])


@pytest.mark.parametrize("architecture", ["cnn", "resnet50.a1_in1k"])
def test_without_published_weights_there_are_none_to_start_from(architecture):
    with pytest.raises(WeightsError, match=f"no published weights are named for {architecture}"):
        create(architecture, "imagenet")


@pytest.mark.parametrize(
    ("architecture", "near"),
    [("resnet51", "resnet50"), ("resnet50.a9_in1k", r"resnet50\.a1_in1k"), ("zzz", "none")],
)
def test_an_unknown_architecture_names_what_is_near(architecture, near):
    with pytest.raises(ParamsError, match=rf"neither cnn nor cnn10 nor a timm model; near it: .*{near}"):
        create(architecture)


def test_an_input_that_is_too_small_is_refused():
    with pytest.raises(ParamsError, match="cannot take an input of 40 pixels"):
        create("inception_v3.tv_in1k", input_size=40)
