"""What is covered, with what, and what a model that reads lungs or the border is found to do."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from untrained import SIZE, write_backbone, write_ensemble

from benchmarks.lungs import draw
from pneumo.data import manifest, packed
from pneumo.evaluation import decision, metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.explain import ablation
from pneumo.models import bundle
from pneumo.scoring import outputs, scores

FILMS = 18


@pytest.fixture(scope="module")
def val(tmp_path_factory):
    """FILMS phantoms as validation images, and one of noise, the first."""
    folder = tmp_path_factory.mktemp("ablation")
    pixels, _, findings = draw(FILMS, seed=2, size=SIZE)
    with packed.Writer(folder / "images.npy", SIZE) as writer:
        writer.append(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)).astype(np.uint8))
        for film in pixels:
            writer.append(film)
    rows = pd.DataFrame({"image": ["train/00.png", *(f"train/{k:02}.png" for k in range(1, FILMS + 1))]})
    rows = rows.assign(subtype=["viral", *findings], split="val", patient=rows["image"])
    same = {"source_split": "train", "width": SIZE, "height": SIZE, "sha256": "0"}
    manifest.write(rows.assign(label=(rows["subtype"] != "normal").astype(int), **same), folder / "manifest.csv")
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbone")
    write_backbone(folder, "best", 3)
    return folder


def write(model, processed, out):
    return ablation.write(model, processed, out, seed=0, accelerator="cpu")


def square(top, left, side, size=8):
    mask = np.zeros((1, size, size), dtype=bool)
    mask[0, top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    ("hidden", "grey"),
    [(square(2, 2, 3), 50), (square(0, 0, 3), 50), (square(0, 0, 8), 0)],
    ids=["inside", "in the corner", "everything"],
)
def test_a_cover_is_the_mean_grey_of_what_surrounds_it(hidden, grey):
    film = np.where(hidden, 200, 50).astype(np.uint8)
    before = film.copy()
    covered = ablation.cover(film, hidden)
    assert (covered[hidden] == grey).all()
    assert (covered[~hidden] == 50).all()
    assert (film == before).all(), "the pixels of others are left alone"


def test_a_cover_takes_its_grey_from_its_neighbours_alone():
    hidden = square(4, 4, 4, size=32)
    film = np.full((1, 32, 32), 10, dtype=np.uint8)
    film[square(2, 2, 8, size=32)] = 90
    assert (ablation.cover(film, hidden)[hidden] == 90).all()


def test_where_nothing_is_covered_nothing_changes():
    film = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    assert (ablation.cover(film, np.zeros_like(film, dtype=bool)) == film).all()


def test_the_places():
    own = np.concatenate([square(0, 0, 2, 16), square(0, 0, 3, 16), square(0, 0, 4, 16), square(9, 9, 4, 16)])
    patients = pd.Series(["a", "a", "b", "c"])
    places = ablation.places_of(own, patients, seed=0)
    assert (places.common == square(0, 0, 3, 16)).all(), "of half of the films or more"
    assert (~places.border).sum(axis=(1, 2)).tolist() == [12 * 12] * 4
    for seed in range(10):
        another = ablation.places_of(own, patients, seed).another
        sources = [int(np.flatnonzero((own == mask).all(axis=(1, 2)))[0]) for mask in another]
        assert all(patients[source] != patient for source, patient in zip(sources, patients, strict=True))


def _made():
    """40 films of noise with lungs in one of two places; pneumonia is a bright spot in the lungs and in the corner."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"image": [f"{k:02}" for k in range(40)], "label": [0, 1] * 20, "subtype": "unknown"})
    rows["patient"] = rows["image"]
    pixels = rng.integers(90, 110, (40, 32, 32)).astype(np.uint8)
    own = np.concatenate([square(8 + 2 * (k % 4 > 1), 8, 12, 32) for k in range(40)])
    bright = rows["label"].to_numpy(bool)
    pixels[bright, 12:18, 10:18] += 100
    pixels[bright, :3, :3] += 100
    return rows, pixels, ablation.places_of(own, rows["patient"], seed=0)


def _reads(part):
    """A model that is sure of pneumonia where `part` of the film is bright."""

    def score(rows, pixels):
        logits = pixels[(slice(None), *part)].mean(axis=(1, 2)) - 150
        return scores.table(rows, logits).assign(score=1 / (1 + np.exp(-logits / 50)))

    return score


@pytest.mark.parametrize(
    ("part", "fooled_by"),
    [
        ((slice(12, 18), slice(10, 18)), {"lungs", "lungs_of_another", "lungs_of_most"}),
        (
            (slice(0, 3), slice(0, 3)),
            {"all_but_lungs", "all_but_lungs_of_another", "all_but_lungs_of_most", "border"},
        ),
    ],
    ids=["lungs", "corner"],
)
def test_a_model_falls_to_chance_where_what_it_reads_is_covered(part, fooled_by):
    rows, pixels, places = _made()
    about = {"threshold": 0.5, "temperature": 1.0}
    covers = ablation.measure(_reads(part), rows, pixels, places, about)
    assert list(covers) == list(ablation.COVERS)
    for name, measured in covers.items():
        if name in fooled_by:
            low, high = measured["ci95"]["roc_auc"]
            assert measured["recall"] == 0, "nothing is bright any more"
            assert low <= 0.5 <= high, name
        else:
            assert measured["roc_auc"] == measured["recall"] == measured["specificity"] == 1, name
    assert covers["lungs"]["of_lungs"] == 1
    assert covers["all_but_lungs"]["of_lungs"] == covers["nothing"]["of_picture"] == 0
    assert covers["border"]["of_picture"] == pytest.approx(1 - 0.75**2)
    assert covers["lungs"]["of_picture"] + covers["all_but_lungs"]["of_picture"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["backbone", "ensemble"])
def test_uncovered_films_have_the_scores_of_the_model(kind, backbone, val, tmp_path):
    best = backbone
    if kind == "ensemble":
        best = tmp_path / "ensemble"
        write_ensemble(best, {"cnn": 3, "other": 4})
    content = write(best, val, tmp_path / "out")
    model_json = bundle.model_json(best)
    table = decision.calibrated(outputs.logits(best, val, "val", accelerator="cpu"), model_json["temperature"])
    table = table[table["image"] != "train/00.png"]
    expected = metrics.values(Drawn.of(table, model_json["threshold"]), "ranking", "decision")
    assert {key: content["covers"]["nothing"][key] for key in ablation.KEYS} == {
        key: pytest.approx(expected[key], abs=1e-6) for key in ablation.KEYS
    }


def test_a_film_without_lungs_is_named_and_left_out(backbone, val, tmp_path):
    content = write(backbone, val, tmp_path / "out")
    assert content["left_out"] == [{"image": "train/00.png", "label": 1}]
    assert (content["n"], content["patients"]) == (FILMS, FILMS)


def test_again_gives_the_same_bytes_and_old_files_are_replaced(backbone, val, tmp_path):
    write(backbone, val, tmp_path / "first")
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert len(first) == 1 + 2 * ablation.EXAMPLES
    out = tmp_path / "out"
    out.mkdir()
    for name in first:
        os.link(tmp_path / "first" / name, out / name)  # as DVC links them to its cache
    (out / "example-99.png").write_bytes(b"stale")
    write(backbone, val, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert all((out / name).stat().st_nlink == 1 for name in first)


def test_images_without_lungs_give_no_figures(backbone, val, tmp_path):
    rows = manifest.read_manifest(val / "manifest.csv")
    manifest.write(rows, tmp_path / "manifest.csv")
    with packed.Writer(tmp_path / "images.npy", SIZE) as writer:
        for _ in range(len(rows)):
            writer.append(np.full((SIZE, SIZE), 100, dtype=np.uint8))
    content = write(backbone, tmp_path, tmp_path / "out")
    assert (content["n"], len(content["left_out"]), content["covers"]) == (0, FILMS + 1, {})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ablation.json"]
    assert json.loads((tmp_path / "out/ablation.json").read_text()) == content
