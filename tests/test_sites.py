"""Several hospitals in one run: two sets of phantoms."""

import json

import pandas as pd
import pytest
from clones import IMAGES, clone_to, experiment, ran, run

SECOND = (
    "+data@sites.second=drawn",
    "sites.second.phantom.seed=1",
    "sites.second.phantom.size=96",
    f"sites.second.phantom.images={IMAGES}",
    "data.site=first",
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
