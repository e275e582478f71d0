"""The folder for the Hugging Face Hub: what it says, that it works alone, and what is refused."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bundles import write_exported
from hub_contents import contents
from huggingface_hub import ModelCard, ModelCardData, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from PIL import Image

from pneumo import cli
from pneumo.errors import HubError
from pneumo.hub import figures, usage
from pneumo.hub.export import export
from pneumo.serving import contract

FILES = """
.gitattributes CITATION.cff LICENSE README.md SHA256SUMS choice.json config.json guard.npz model.json model.onnx
model.safetensors preprocessor_config.json reference.json
"""


def test_the_folder_has_all_files_and_their_hashes(exported):
    found = contents(exported)
    assert sorted(found) == FILES.split()
    sums = dict(reversed(line.split("  ")) for line in found.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def test_the_hub_s_own_classes_read_the_metadata_back(exported, project):
    card = ModelCard.load(exported / "README.md")
    assert (card.data.license, card.data.language, card.data.library_name) == ("mit", "en", "pneumo")
    assert card.data.pipeline_tag == "image-classification"
    assert "phantom" in card.data.tags
    name, results = model_index_to_eval_results(metadata_load(exported / "README.md")["model-index"])
    best = json.loads((project / "metrics/best.json").read_text())
    assert name == best["model"]
    assert {one.metric_type: one.metric_value for one in results} == {
        {"brier": "brier_score"}.get(key, key): best[key] for key in figures.KEYS
    }
    assert {one.metric_type: one.metric_args["ci95"] for one in results}["recall"] == best["ci95"]["recall"]
    assert {one.source_url for one in results} == {"https://example.org/pneumo"}
    again = ModelCardData(**{**card.data.to_dict(), "model_name": name, "eval_results": results, "model-index": None})
    assert again.to_dict()["model-index"] == card.data.to_dict()["model-index"]


def test_the_card_says_that_it_is_of_phantoms_and_no_medical_device(exported):
    text = ModelCard.load(exported / "README.md").text
    assert "Trained and tested on phantoms" in text
    assert "Not a medical device" in text
    assert "**Not for diagnosis.**" in text
    assert "index.html" not in text, "it is not in the folder"
    headings = re.findall("^## (.+)$", text, flags=re.MULTILINE)
    assert headings[:2] == ["Use", "When not to believe it"]
    assert headings[2:6] == ["Model", "Intended use", "Data", "Results on the test set"]
    assert headings[6:] == ["Left to a reader", "What is unknown", "Provenance"]


def draw(path, mode="L", sides=(300, 170), exif=None, format="JPEG"):
    bands = len(Image.new(mode, (1, 1)).getbands())
    coarse = np.random.default_rng(0).integers(0, 256, (6, 5, bands), dtype=np.uint8).squeeze()
    image = Image.fromarray(coarse, mode).resize(sides, Image.Resampling.BICUBIC)
    options = {"format": format}
    if exif:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = exif  # orientation
    image.save(path, **options)


FILMS = {
    "grey JPEG": ("JPEG", {}),
    "coloured JPEG": ("JPEG", {"mode": "RGB"}),
    "JPEG on its side": ("JPEG", {"exif": 6}),
    "small JPEG": ("JPEG", {"sides": (33, 50)}),
    "grey PNG": ("PNG", {}),
    "coloured PNG": ("PNG", {"mode": "RGB"}),
}


@pytest.fixture(scope="module")
def padding(tmp_path_factory):
    """An exported model that pads films instead of stretching them."""
    return write_exported(tmp_path_factory.mktemp("padding"), fit="pad")


@pytest.mark.filterwarnings("ignore:'mode' parameter")
@pytest.mark.parametrize(("kind", "drawn"), FILMS.values(), ids=FILMS)
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_the_code_of_the_card_gives_the_probability_of_pneumo_predict(
    exported, padding, tmp_path, capsys, fit, kind, drawn
):
    folder = exported if fit == "stretch" else padding
    code = usage.python(contract.read(folder))
    assert fit == "pad" or f"```python\n{code}```" in (folder / "README.md").read_text()
    draw(tmp_path / "film.jpeg", format=kind, **drawn)
    shutil.copyfile(folder / "model.onnx", tmp_path / "model.onnx")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    probability, decision = done.stdout.split()
    assert cli.main(["predict", "--model", str(folder), "--format", "json", str(tmp_path / "film.jpeg")]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert float(probability) == pytest.approx(row["probability"], abs=2e-6)
    assert decision == row["decision"]


def test_pneumo_predicts_with_the_folder_alone(exported, tmp_path, capsys):
    draw(tmp_path / "film.jpeg")
    moved = shutil.copytree(exported, tmp_path / "cloned")
    assert cli.main(["predict", "--model", str(moved), str(tmp_path / "film.jpeg")]) == 0
    assert "densenet121, weights" in capsys.readouterr().out


def test_config_says_what_the_contract_says(exported):
    about = json.loads((exported / "model.json").read_text())
    config = json.loads((exported / "config.json").read_text())
    assert (config["architecture"], config["num_classes"], config["input_size"]) == ("cnn10", 1, [1, 40, 40])
    assert (config["backbone"]["mean"], config["backbone"]["std"]) == ([0.5], [0.25])
    assert (config["temperature"], config["threshold"]) == (about["temperature"], about["threshold"])
    preprocessor = json.loads((exported / "preprocessor_config.json").read_text())
    assert (preprocessor["size"], preprocessor["do_normalize"]) == ({"height": 40, "width": 40}, False)


def test_an_ensemble_is_exported_with_its_members_whose_weights_the_card_must_name(of_an_ensemble, tmp_path, capsys):
    project, line = of_an_ensemble
    with pytest.raises(HubError, match="does not name the weights of a, b"):
        export(project / "models/best", tmp_path / "hub", project)
    card = project / "reports/MODEL_CARD.md"
    card.write_text(f"{card.read_text()}\n{line}\n")
    names = export(project / "models/best", tmp_path / "hub", project)
    assert [name for name in names if name.startswith("members/")] == [
        f"members/{member}/{name}" for member in "ab" for name in ("model.json", "model.safetensors")
    ]
    config = json.loads((tmp_path / "hub/config.json").read_text())
    assert (config["architecture"], list(config["backbones"])) == ("ensemble", ["a", "b"])
    draw(tmp_path / "film.jpeg")
    assert cli.main(["predict", "--model", str(tmp_path / "hub"), str(tmp_path / "film.jpeg")]) == 0
    assert "densenet121, weights" in capsys.readouterr().out


@pytest.mark.slow
def test_timm_refuses_the_folder_rather_than_give_other_numbers(exported):
    import timm

    with pytest.raises((TypeError, RuntimeError)):
        timm.create_model(f"local-dir:{exported}", pretrained=True)


def test_the_same_model_gives_the_same_bytes_in_place_of_the_earlier_ones(project, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    for to in (first, second):
        export(project / "models/best", to, project)
    before = contents(first)
    assert before == contents(second)
    export(project / "models/best", first, project)
    assert contents(first) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_the_command_says_what_is_next_and_imports_no_torch(project, tmp_path):
    script = "import sys; from pneumo import cli; print(cli.main(sys.argv[1:]), 'torch' in sys.modules)"
    command = [sys.executable, "-c", script, "export", "--to", tmp_path / "my hub"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    said, codes = done.stdout.splitlines()
    assert re.fullmatch(
        rf".*: 13 files, \d+\.\d MB\. Read README\.md, then: hf upload USER/NAME '{tmp_path}/my hub'", said
    )
    assert codes == "0 False"


def test_an_address_of_the_figures_is_one(capsys):
    with pytest.raises(SystemExit):
        cli.main(["export", "--to", "x", "--source", "metrics/best.json"])
    assert "expected an address that starts with https://" in capsys.readouterr().err
