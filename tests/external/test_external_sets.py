"""conf/external/: each data set composes, and its source is read."""

import shlex
from pathlib import Path

import pytest
from PIL import Image

from pneumo import params, sources
from pneumo.data import listing
from pneumo.errors import ParamsError
from pneumo.verification import gate

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf/external").glob("*.yaml"))


def composed(root, *overrides):
    return params.check(gate.compose(root, *overrides), "params.yaml")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "source"])
def test_every_data_set_composes_with_the_keys_of_data(root, name):
    external = composed(root, f"external={name}", f"external.{name}.path=/x", f"external.{name}.table=/x.csv").external
    assert list(external) == [name]
    assert external[name].inputs.images == "/x"


def test_several_at_once(root):
    words = ["external=[archive,nih_adults]", "external.archive.path=/x"]
    words += ["external.nih_adults.path=/x", "external.nih_adults.table=/x.csv"]
    assert sorted(composed(root, *words).external) == ["archive", "nih_adults"]


def test_the_command_of_the_page_composes_and_its_source_is_read(root, tmp_path):
    page = (root / "docs/another-hospital.md").read_text().replace("\\\n", "")
    command = next(line for line in page.splitlines() if line.strip().startswith("dvc exp run -S external"))
    words = [word for word in shlex.split(command)[3:] if word != "-S"]
    films = tmp_path / "films"
    films.mkdir()
    for place, there in (("/where/images", films), ("/where/labels.csv", tmp_path / "a.csv")):
        words = [word.replace(place, str(there)) for word in words]
    for name, spread in (("1.jpg", 50), ("2.jpg", 60)):
        Image.effect_noise((64, 64), spread).save(films / name)
    rows = ["image,finding,patient,view,age,sex", "1.jpg,Pneumonia,a,PA,60,F", "2.jpg,No Finding,b,AP,61,M"]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    data = composed(root, *words).external["nih_adults"]
    assert sources.obtain(data, tmp_path / "out/raw", tmp_path / "downloads") == {"NORMAL": 1, "PNEUMONIA": 1}
    assert listing.read(tmp_path / "out/raw")[0].details == {"view": "PA", "age": "60", "sex": "F"}


def test_an_error_names_the_section_of_the_data_set(root):
    with pytest.raises(ParamsError, match=r"external\.nih_adults\.labels\.normal is None"):
        composed(
            root,
            "external=nih_adults",
            "external.nih_adults.path=/x",
            "external.nih_adults.table=/x.csv",
            "external.nih_adults.labels.normal=null",
        )


@pytest.mark.parametrize(("name", "reason"), [("best", "cannot have this name"), ("Ä", "cannot have this name")])
def test_a_name_that_cannot_be_a_file_is_refused(root, name, reason):
    raw = gate.compose(root, "external=archive", "external.archive.path=/x")
    raw["external"] = {name: raw["external"]["archive"]}
    with pytest.raises(ParamsError, match=reason):
        params.check(raw, "params.yaml")
