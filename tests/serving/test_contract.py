"""An exported model's folder: what is in it, and what is refused before anything is computed with it."""

import json
import shutil

import numpy as np
import pytest

from pneumo.errors import BundleError, ServingError
from pneumo.serving import contract, model


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


def rewrite(folder, name="model.json", **changes):
    content = json.loads((folder / name).read_text()) | changes
    (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def test_an_exported_model_loads_and_says_what_it_is(exported):
    loaded = model.load(exported)
    about = json.loads((exported / "model.json").read_text())
    assert (loaded.contract.name, loaded.contract.threshold) == ("tiny", 0.5)
    assert loaded.weights == about["sha256"]["weights"]
    assert loaded.session.device == "cpu"


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "reference.json", "guard.npz"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        model.load(copy)


def test_a_truncated_or_changed_file_is_refused_by_its_hash(copy):
    for name in ("model.onnx", "guard.npz"):
        whole = (copy / name).read_bytes()
        for broken in (whole[:-1], whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], b""):
            (copy / name).write_bytes(broken)
            with pytest.raises(BundleError, match=rf"{name} is damaged .* SHA-256"):
                model.load(copy)
        (copy / name).write_bytes(whole)


def test_a_network_that_gives_other_logits_than_when_it_was_exported_is_refused(copy):
    logits = json.loads((copy / "reference.json").read_text())["logits"]
    rewrite(copy, "reference.json", logits=[logits[0] + 0.1, *logits[1:]])
    with pytest.raises(BundleError, match=r"differ by up to 0\.1"):
        model.load(copy)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": ...}, "has not been exported"),
        ({"format": 2}, "upgrade pneumo"),
        ({"format": 0}, "export the model again"),
        ({"temperature": 0}, "temperature"),
        ({"threshold": float("nan")}, "threshold"),
        ({"image_size": "40"}, None),
        ({"image_size": 0}, "image_size"),
        ({"fit": "crop"}, "fit"),
        ({"labels": ["pneumonia", "normal"]}, "labels"),
        ({"onnx": ...}, "onnx"),
        ({"guard": ...}, "guard"),
        ({"unknown": 1}, None),
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused_and_one_that_says_more_is_not(copy, changes, says):
    rewrite(copy, **changes)
    if says is None:
        model.load(copy)
        return
    with pytest.raises(BundleError, match=says):
        model.load(copy)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1', "\x00"])
def test_what_is_no_model_json_is_refused(copy, text):
    (copy / "model.json").write_text(text)
    with pytest.raises(BundleError, match=r"model\.json"):
        model.load(copy)


def test_a_gpu_that_is_not_there_is_not_replaced_by_the_cpu(exported, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ServingError, match="onnxruntime-gpu"):
        model.load(exported, device="gpu")


def test_reference_inputs_are_the_same_on_every_machine():
    inputs = contract.reference_inputs(21, 4)
    assert inputs.shape == (4, 21, 21)
    assert inputs.dtype == np.uint8
    assert int(inputs.astype(int).sum()) == 211382
    assert all(image.std() > 20 for image in inputs)


def test_the_published_schema_is_that_of_the_code(root):
    assert json.loads((root / "docs/model.schema.json").read_text()) == contract.schema(), (
        "write it anew: python -c 'import json; from pneumo.serving import contract; "
        "print(json.dumps(contract.schema(), indent=2))' > docs/model.schema.json"
    )


def test_the_published_schema_accepts_an_exported_model_and_no_other(exported):
    import jsonschema

    about = json.loads((exported / "model.json").read_text())
    jsonschema.validate(about, contract.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(about | {"threshold": "high"}, contract.schema())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"count": 10**9}, "count: Input should be less than or equal to 8"),
        ({"count": 0}, "count"),
        ({"count": 1}, "4 logits for 1 inputs"),
        ({"seed": -1}, "seed"),
        ({"seed": ...}, "seed: Field required"),
        ({"logits": None}, "logits"),
        ({"logits": [0, 0, 0, float("nan")]}, "logits"),
    ],
)
def test_a_broken_reference_is_refused_before_it_takes_memory(copy, changes, says):
    rewrite(copy, "reference.json", **changes)
    with pytest.raises(BundleError, match=rf"reference\.json.*{says}.*again"):
        model.load(copy)


def test_a_size_that_is_not_that_of_the_network_is_refused_before_it_takes_memory(copy):
    rewrite(copy, image_size=100_000)
    with pytest.raises(BundleError, match=r"takes images of \d+ pixels a side, and image_size .* is 100000"):
        model.load(copy)


def test_an_error_names_the_value(copy):
    rewrite(copy, temperature="warm")
    with pytest.raises(BundleError, match=r"temperature: .*it is 'warm'"):
        model.load(copy)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "1" * 5000 + "}"])
def test_json_that_python_cannot_read_is_refused(copy, text):
    (copy / "model.json").write_text(text)
    with pytest.raises(BundleError, match="cannot be read"):
        model.load(copy)


def test_a_file_in_place_of_the_folder_is_said_to_be_one(exported):
    with pytest.raises(BundleError, match=r"model\.json is a file: name the folder"):
        model.load(exported / "model.json")


def test_a_network_that_may_not_be_read_is_named(copy, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pneumo.files.sha256", refuse)
    with pytest.raises(BundleError, match=r"model\.onnx cannot be read: Permission denied"):
        model.load(copy)
