"""Several hospitals in one run: two sets of phantoms."""

import json
import shlex
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from clones import IMAGES, clone_to, experiment, ran, run

from pneumo import params
from pneumo.errors import ParamsError
from pneumo.verification import gate

SETS = ("archive", "chexpert", "drawn", "kaggle", "nih", "nih_adults", "rsna", "vindr")

SECOND = (
    "+data@sites.second=drawn",
    "sites.second.phantom.seed=1",
    "sites.second.phantom.size=96",
    f"sites.second.phantom.images={IMAGES}",
    "data.site=first",
)


def composed(root, *overrides):
    return params.check(gate.compose(root, *overrides), "params.yaml")


def test_the_command_of_the_page_composes(root):
    page = (root / "docs/real-data.md").read_text().replace("\\\n", "")
    command = next(line for line in page.splitlines() if "+data@sites.nih=nih" in line)
    done = composed(root, *(word for word in shlex.split(command)[3:] if word != "-S"))
    assert (done.data.source, done.data.site, list(done.sites)) == ("archive", "kermany", ["nih"])
    assert done.sites["nih"].inputs.table == "/where/nih/Data_Entry_2017_v2020.csv"
    assert done.preprocess.sites.names == ["nih"]
    assert done.train.imbalance == "sites"


@pytest.mark.parametrize("section", ["sites", "external"])
@pytest.mark.parametrize("name", SETS)
def test_one_description_serves_every_section(root, section, name):
    there = () if name in ("drawn", "kaggle") else (f"{section}.one.path=/x",)
    there += (f"{section}.one.table=/x.csv",) if name == "nih_adults" else ()
    described = getattr(composed(root, f"+data@{section}.one={name}", *there), section)["one"]
    alone = composed(root, f"data={name}", *(word.replace(f"{section}.one", "data") for word in there)).data
    assert described.model_dump() == {key: value for key, value in alone.model_dump().items() if key != "site"}


def test_every_data_set_is_tried(root):
    assert sorted(SETS) == sorted(
        {path.stem for path in (root / "conf/data").glob("*")} - {"phantom", "source", "table"}
    )


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            ["data=[archive,nih]", "data.path=/x"],
            r"data is composed of archive, nih; .*-S data=archive .*@sites\.nih=nih",
        ),
        (["data=[nih,archive]", "data.path=/x"], r"data is composed of nih, archive; further sites are added"),
        (["data=[nih,rsna]", "data.path=/x"], r"data is composed of nih, rsna"),
        (["data=[archive,table]", "data.path=/x", "data.table=/x"], r"data is composed of archive, table"),
        (["+data@sites.main=drawn"], r"data\.site and one of sites are both 'main'.*data\.site=NAME"),
        (
            ["+data@sites.two=drawn", "sites.two.subset=100"],
            r"sites\.two\.subset is 100; the section `data` has the one",
        ),
        (["+data@sites.two=drawn", "sites.two.phantom=null"], r"sites\.two\.phantom is null"),
        (["+data@sites.two=drawn", "+sites.two.phantom.tall=1"], r"sites\.two\.phantom\.tall is not a parameter"),
        (["+data@sites._2=drawn"], r"sites\._2 cannot have this name: .*sites\.NAME"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(root, overrides, reason):
    with pytest.raises(ParamsError, match=reason):
        composed(root, *overrides)


def test_an_error_of_a_source_names_the_section(root, tmp_path):
    """And not `data`, although the path has that word in it."""
    overrides = ("+data@sites.nih=nih", f"sites.nih.path={tmp_path}/data.path")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(gate.compose(root, *overrides)))
    command = [sys.executable, "-m", "stages.download_site", "nih"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert done.stderr.strip() == (
        f"error: {tmp_path}/data.path: expected the folder of the images, found nothing; correct sites.nih.path"
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    clone = clone_to(tmp_path_factory.mktemp("sites") / "pneumo")
    return clone, experiment(clone, "model=cnn", *SECOND)


def manifest(clone):
    return pd.read_csv(clone / "data/processed/manifest.csv", dtype=str, keep_default_na=False)


@pytest.mark.slow
def test_two_sites_are_trained_on_and_tested_together(both):
    clone, output = both
    assert {"download", "download_site@second", "preprocess", "train@cnn", "report"} <= set(ran(output))
    table = manifest(clone)
    counts = table.groupby(["site", "split"]).size().unstack()
    assert counts["test"].to_dict() == {"first": 20, "second": 20}
    assert counts.loc["first"].sum() == counts.loc["second"].sum()
    second = table[table["site"] == "second"]
    assert second["image"].str.startswith("second/").all()
    assert not set(second["patient"]) & set(table.loc[table["site"] == "first", "patient"])
    assert "imbalance: sites" in (clone / "params.yaml").read_text()
    measured = json.loads((clone / "metrics/data.json").read_text())
    assert measured["images"] == len(table)
    assert ran(run(clone, "dvc", "repro").stdout) == []


@pytest.mark.slow
def test_one_more_image_at_a_site_runs_that_site_alone(both):
    """And what follows from its images."""
    clone, _ = both
    more = f"sites.second.phantom.images={IMAGES.replace('normal:24', 'normal:25')}"
    done = experiment(clone, "model=cnn", *SECOND, more, target="preprocess")
    assert ran(done) == ["download_site@second", "preprocess"]


@pytest.mark.slow
def test_leaving_one_site_out_makes_it_the_test_part(both):
    clone, _ = both
    experiment(clone, "model=cnn", *SECOND, "split.leave_out=site:second", target="preprocess")
    table = manifest(clone)
    assert table.groupby("split")["site"].unique().map(list).to_dict() == {
        "test": ["second"],
        "train": ["first"],
        "val": ["first"],
    }


@pytest.mark.slow
def test_without_the_further_site_its_images_are_gone(both):
    """Although its folder is still there: DVC leaves the outputs of a stage that is no more."""
    clone, _ = both
    experiment(clone, "model=cnn", target="preprocess")
    assert (clone / "data/sites/second").is_dir()
    assert "site" not in manifest(clone)
