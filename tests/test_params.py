import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pneumo import params
from pneumo.errors import ParamsError
from pneumo.verification import gate
from stages import train

BACKBONES = sorted(path.stem for path in Path(__file__).parent.parent.glob("conf/model/*.yaml") if path.stem != "all")

PACKAGED = "efficientnet_lite0"


def composed(root: Path, *overrides: str) -> dict[str, Any]:
    return gate.compose(root, *overrides)


def test_params_yaml_is_what_conf_composes_to(root):
    committed = yaml.safe_load((root / "params.yaml").read_text())
    assert committed == composed(root), "run `dvc exp run`, which composes conf/ into params.yaml"


@pytest.mark.parametrize("data", ["phantom", "archive", "kaggle"])
@pytest.mark.parametrize("model", [*BACKBONES, "all"])
def test_every_choice_composes_to_valid_parameters(root, data, model):
    chosen = params.check(composed(root, f"data={data}", f"model={model}", "data.path=x.zip"), "conf")
    assert chosen.data.source == data
    if model != "all":
        assert list(chosen.model) == [model]


def test_real_data_starts_from_imagenet_and_phantoms_from_scratch_but_for_the_packaged_weights(root):
    for data, weights in (("phantom", "none"), ("archive", "imagenet"), ("kaggle", "imagenet")):
        chosen = params.check(composed(root, f"data={data}", "data.path=x"), "conf")
        assert {one.weights for name, one in chosen.model.items() if name not in ("cnn", PACKAGED)} == {weights}
        assert chosen.model[PACKAGED].weights == "imagenet"
        assert chosen.model[PACKAGED].probe


@pytest.mark.parametrize("data", ["phantom", "archive"])
@pytest.mark.parametrize("recipe", ["fine_tune", "from_scratch"])
def test_a_backbone_is_trained_alone_as_in_the_line_up(root, data, recipe):
    """Else -S model=NAME compares another training, and workers leave nothing in the run cache."""
    given = (f"data={data}", "data.path=x", f"recipe={recipe}")
    together = composed(root, *given)
    for name, backbone in together["model"].items():
        alone = composed(root, *given, f"model={name}")
        assert alone["model"] == {name: backbone}
        assert {key: alone[key] for key in ("augment", "preprocess", "runtime", "train")} == {
            key: together[key] for key in ("augment", "preprocess", "runtime", "train")
        }


def test_a_shared_value_reaches_every_backbone_and_an_own_value_only_one(root):
    chosen = params.check(composed(root, "train.epochs=3", "model.resnet50.lr=1e-5", "model.cnn.epochs=4"), "conf")
    assert {name: one.epochs for name, one in chosen.model.items()} == {
        "cnn": 4,
        "vgg16": 3,
        "vgg19": 3,
        "inceptionv3": 3,
        "resnet50": 3,
        PACKAGED: 3,
    }
    assert chosen.model["resnet50"].lr == 1e-5


HUB = "hf-hub:microsoft/rad-dino/backbone.safetensors"
SHA256 = "5" * 64


def test_weights_of_the_hub_are_named_with_their_hash(root):
    raw = composed(root)
    raw["model"]["vgg16"]["weights"] = f"{HUB}#sha256={SHA256}"
    source = params.check(raw, "conf").model["vgg16"].source
    assert (source.origin, source.sha256) == (HUB, SHA256)
    assert source.file == "microsoft-rad-dino-backbone.safetensors"


def test_weights_of_the_hub_are_named_as_the_page_says(root):
    written = f'model.vit_base_dino.weights="{HUB}#sha256={SHA256}"'  # Hydra takes # and = between quotes
    chosen = params.check(composed(root, "model=vit_base_dino", written), "conf")
    assert chosen.model["vit_base_dino"].source.sha256 == SHA256


def test_weights_of_a_repository_of_the_hub_are_its_model_file(root):
    raw = composed(root)
    raw["model"]["vgg16"]["weights"] = f"hf-hub:timm/vgg16.tv_in1k#sha256={SHA256}"
    assert params.check(raw, "conf").model["vgg16"].source.origin == "hf-hub:timm/vgg16.tv_in1k/model.safetensors"


@pytest.mark.parametrize(
    ("model", "weights", "says"),
    [
        ("vgg16", HUB, "add #sha256=… to it"),
        ("vgg16", "hf-hub:rad-dino", "expected hf-hub:OWNER/NAME#sha256=…"),
        ("vgg16", f"{HUB}#sha256=abc", "expected hf-hub:OWNER/NAME#sha256=…"),
        ("cnn", "imagenet", "there are no published weights of cnn in conf/model/: set weights to none"),
        ("densenet121_xray", "imagenet", "its published weights are of chest X-rays: set weights to published"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(root, model, weights, says):
    raw = composed(root, f"model={model}")
    raw["model"][model]["weights"] = weights
    with pytest.raises(ParamsError, match=re.escape(says)):
        params.check(raw, "params.yaml")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("train.epochs", "three", "train.epochs is 'three'; expected a valid integer"),
        ("train.epochs", -1, "train.epochs is -1; expected greater than or equal to 0"),
        ("model.cnn.epochs", 0, "model.cnn.epochs is 0, which leaves the linear probe alone, and there is none"),
        ("train.epochs", 2.5, "train.epochs is 2.5; expected a valid integer"),
        ("train.gradient_clip", "1.0", "train.gradient_clip is '1.0'; expected a valid number"),
        ("model.cnn.lr", float("inf"), "model.cnn.lr is inf; expected a finite number"),
        ("train.weights", "imagnet", "train.weights is 'imagnet'; expected 'imagenet', 'published', 'none', a"),
        ("model.vgg16.weights", "no.safetensors", "model.vgg16.weights is 'no.safetensors'; there is no such file"),
        ("augment.area", [0, 1], "augment.area.0 is 0; expected greater than 0"),
        (
            "data.expected",
            {"train/NORML": 3},
            "data.expected.train/NORML is 'train/NORML'; String should match",
        ),
        ("train.epoch", 3, "train.epoch is not a parameter; expected one of accelerator, batch_size"),
        ("train.precision", "16", "train.precision is '16'; expected 'auto', '32-true', 'bf16-mixed' or '16-mixed'"),
        ("augment.area", [0.9, 0.2], "augment.area is [0.9, 0.2]; the lower bound comes first"),
        ("data.source", "kagle", "data.source is 'kagle'; expected 'phantom', 'archive', 'kaggle' or 'table'"),
        (
            "data.source",
            "archive",
            "data.source is 'archive', and conf/data/drawn.yaml is read by 'phantom': choose another file, as in -S",
        ),
        ("data.phantom.size", 8, "data.phantom.size is 8; expected greater than or equal to 64"),
        ("data.phantom.colour", 8, "data.phantom.colour is not a parameter; expected one of images, seed, size"),
        (
            "model.resnet50.weights",
            "imagnet",
            "model.resnet50.weights is 'imagnet'; expected 'imagenet', 'published', 'none', a",
        ),
        ("model.resnet50.lr", -1, "model.resnet50.lr is -1; expected greater than 0"),
        ("model.cnn.layers", 5, "model.cnn.layers is not a parameter; expected one of architecture, batch_size"),
        ("model", {}, "model is {}"),
        ("preprocess.fit", "crop", "preprocess.fit is 'crop'; expected 'stretch' or 'pad'"),
        ("preprocess.views", ["PA", "LAT"], "preprocess.views.1 is 'LAT'; expected 'PA', 'AP', 'FRONTAL', 'LATERAL'"),
        ("preprocess.views", [], "preprocess.views is []; List should have at least 1 item"),
        ("split.val_fraction", 1, "split.val_fraction is 1; expected less than 1"),
        ("threshold.policy", "sensitivity", "policy sensitivity needs a value in [0, 1]"),
        ("threshold.value", 0.4, "policy youden takes no value in [0, 1]"),
        ("select.metric", "auc", "select.metric is 'auc'; expected 'roc_auc', 'average_precision'"),
        ("extra", 1, "extra is not a parameter; expected one of audit, augment, bootstrap, data"),
    ],
)
def test_a_bad_parameter_is_one_readable_line(root, key, value, says):
    raw = copy.deepcopy(composed(root))
    *sections, last = key.split(".")
    place = raw
    for section in sections:
        place = place[section]
    place[last] = value
    with pytest.raises(ParamsError) as caught:
        params.check(raw, "params.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("params.yaml: ")
    assert says in lines[0]
    assert len(lines) == 2


RENAMED = {"model": "Rename its file in conf/model/", "ensembles": "Rename it below `ensembles`"}


@pytest.mark.parametrize("section", RENAMED)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("best", "metrics/best.json is not about a model"),
        ("Best", "metrics/best.json is not about a model"),
        ("data", "metrics/data.json is not about a model"),
        ("shortcut", "metrics/shortcut.json is not about a model"),
        *((name, "a letter of a-z first") for name in ("", "a/b", "../a", "-a", ".a", "a.b", "a b", "a@b", "ü", "3d")),
    ],
)
def test_a_name_that_files_stages_or_overrides_cannot_take_is_refused_with_the_place_to_rename_it(
    root, section, name, reason
):
    raw = composed(root)
    raw[section][name] = raw[section].popitem()[1]
    with pytest.raises(ParamsError) as caught:
        params.check(raw, "params.yaml")
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"params.yaml: {section}.{name} cannot have this name: ")
    assert reason in first
    assert RENAMED[section] in first


def test_weights_that_are_elsewhere_are_named_with_their_whole_path(root, tmp_path, monkeypatch):
    (tmp_path / "w.safetensors").touch()
    for variable, written in (("HOME", "~/w.safetensors"), ("DVC_ROOT", "w.safetensors")):
        monkeypatch.setenv(variable, str(tmp_path))
        raw = composed(root, "model=vgg16")
        raw["model"]["vgg16"]["weights"] = written
        with pytest.raises(ParamsError, match=rf"no such file here; give the whole path, {tmp_path}/w.safetensors"):
            params.check(raw, "params.yaml")


def test_all_bad_parameters_are_listed_at_once(root):
    raw = composed(root)
    raw["train"]["epochs"], raw["split"]["seed"] = -1, "x"
    with pytest.raises(ParamsError, match=r"(?s)split\.seed.*train\.epochs"):
        params.check(raw, "params.yaml")


def test_an_unknown_backbone_names_the_known_ones(root):
    with pytest.raises(ParamsError, match=r"no replicates\.vgg61; it has cnn, cnn-1, cnn-2, vgg16, .*resnet50-2, "):
        params.load(train.Params, "vgg61", root / "params.yaml")


def test_a_stage_is_given_the_parameters_that_it_declares_and_no_others(root):
    config = params.load(train.Params, "cnn", root / "params.yaml")
    assert {*type(config).model_fields} == {"augment", "model", "preprocess", "replicates", "runtime", "train"}
    assert not hasattr(config.train, "recipe"), "hashed into training.json, it would change without DVC noticing"
    assert not hasattr(config.model, "lrs")
    assert params.declared(train.Params)[1] == "model.${item.candidate}.architecture"


def test_checked_parameters_are_what_the_file_says(root):
    """So params.py is no dependency of a stage: DVC tracks the very values that a stage is given."""
    raw = yaml.safe_load((root / "params.yaml").read_text())
    assert params.check(raw, "params.yaml").model_dump(mode="json") == raw


@pytest.mark.parametrize(("seeds", "names"), [(2, ["cnn", "cnn-1"]), ([5, 3], ["cnn", "cnn-3"]), ([4], ["cnn"])])
def test_replicates_follow_from_seeds_and_the_first_has_the_name_of_the_candidate(root, seeds, names):
    chosen = params.check(composed(root, "model=cnn", f"train.seeds={seeds}".replace(" ", "")), "conf")
    assert list(chosen.replicates) == names
    assert chosen.replicates[names[-1]].seed == (seeds - 1 if isinstance(seeds, int) else seeds[-1])
    assert {each.candidate for each in chosen.replicates.values()} == {"cnn"}


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        *(
            (seeds, r"train.seeds is .*; expected how many \(1 or more\), or different seeds such as \[0, 1, 2\]")
            for seeds in ([1, 1], 0, [], -1, "abc", [0.5], True)
        ),
        ([0, 1], "replicates is not what follows from train.seeds and the candidates: it is composed by"),
    ],
)
def test_seeds_that_make_no_replicates_are_refused(root, seeds, says):
    raw = copy.deepcopy(composed(root))
    raw["train"]["seeds"] = seeds
    with pytest.raises(ParamsError, match=says):
        params.check(raw, "params.yaml")


def test_a_candidate_with_the_name_of_a_replicate_is_refused(root):
    raw = copy.deepcopy(composed(root))
    raw["model"]["cnn-1"] = raw["model"]["cnn"]
    raw["train"]["seeds"] = 2
    with pytest.raises(
        ParamsError, match=r"makes cnn-1 the name of a replicate, and there is a candidate of this name"
    ):
        params.check(raw, "params.yaml")


def test_a_stage_of_a_replicate_gets_the_backbone_and_the_seed(root, tmp_path):
    raw = composed(root, "train.seeds=[2,7]")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    config = params.load(train.Params, "vgg16-7", tmp_path / "params.yaml")
    assert config.model.architecture == "vgg16.tv_in1k"
    assert (config.replicates.seed, config.replicates.folder) == (7, "vgg16/seed-7")


def test_a_missing_file_says_where_to_stand(tmp_path):
    with pytest.raises(ParamsError, match="top folder"):
        params.read(tmp_path / "params.yaml")
