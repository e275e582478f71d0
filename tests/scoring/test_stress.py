"""Stress validation: the same perturbations for every model, and a planted shortcut that they bring to light."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pneumo.data import packed
from pneumo.errors import ManifestError
from pneumo.evaluation import metrics
from pneumo.models import perturb
from pneumo.models.perturbations import NAMES, PERTURBATIONS, STRENGTHS
from pneumo.models.pixels import resize
from pneumo.scoring import scores, stress

COUNT, SIDE, SIZE = 40, 64, 32


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    """Smooth pictures, so that a shift of a pixel does not change everything."""
    noise = torch.rand(COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return (smooth.squeeze(1) * 255).to(torch.uint8)


def all_of(pixels: torch.Tensor, rows: range) -> list[torch.Tensor]:
    return list(perturb.each(pixels[rows.start : rows.stop], rows, SIZE))


def test_every_perturbation_changes_the_image_and_more_strength_changes_more(pixels):
    plain = resize(pixels, SIZE)
    changed = dict(zip(PERTURBATIONS, all_of(pixels, range(COUNT)), strict=True))
    for kind, strengths in STRENGTHS.items():
        distances = [float((changed[kind, one] - plain).abs().mean()) for one in strengths]
        assert distances[0] > 1e-4, kind
        assert distances == sorted(distances), kind


def test_values_stay_grey_values(pixels):
    for changed in all_of(pixels, range(COUNT)):
        assert changed.shape == (COUNT, 1, SIZE, SIZE)
        assert 0 <= changed.min() <= changed.max() <= 1


def test_a_row_is_perturbed_alike_in_every_batch(pixels):
    whole = torch.stack(all_of(pixels, range(COUNT)))
    parts = [torch.stack(all_of(pixels, rows)) for rows in (range(7), range(7, COUNT))]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-6, rtol=0)


def test_the_pixels_given_are_not_changed(pixels):
    before = pixels.clone()
    all_of(pixels, range(COUNT))
    perturb.mixed(pixels, range(COUNT), SIZE)
    assert torch.equal(before, pixels)


def test_the_mixed_pass_has_each_perturbation_equally_often(pixels):
    mixed = perturb.mixed(pixels, range(COUNT), SIZE)
    whole = torch.stack(all_of(pixels, range(COUNT)))
    which = ((whole - mixed).abs().amax(dim=(2, 3, 4)) < 1e-6).float()
    assert which.sum(dim=0).min() >= 1, "each image is under one of them"
    times = which.sum(dim=1)
    assert times.min() >= COUNT // len(PERTURBATIONS)
    assert times.max() <= COUNT // len(PERTURBATIONS) + 1


def test_zoom_shows_the_middle(pixels):
    position = NAMES.index("zoom 0.7")
    zoomed = all_of(pixels, range(COUNT))[position]
    margin = round(SIDE * 0.15)
    middle = pixels[:, margin:-margin, margin:-margin].contiguous()
    expected = torch.nn.functional.interpolate(middle[:, None] / 255, (SIZE, SIZE), mode="bilinear", antialias=True)
    assert float((zoomed - expected).abs().mean()) < 0.02


def rows(n: int) -> pd.DataFrame:
    label = np.arange(n) % 2
    columns = {"image": [f"val/{k:03}" for k in range(n)], "patient": [f"p{k // 2}" for k in range(n)], "label": label}
    return pd.DataFrame(columns).assign(subtype=np.where(label == 1, "viral", "normal"))


def test_what_is_written_is_read_back(tmp_path):
    table = stress.table(rows(6), np.random.default_rng(0).normal(0, 3, (6, len(NAMES))))
    stress.write(table, tmp_path / "stress.csv")
    pd.testing.assert_frame_equal(stress.read_stress(tmp_path / "stress.csv"), table)


def test_a_broken_file_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="is missing: run `dvc repro`"):
        stress.read_stress(tmp_path / "stress.csv")
    stress.write(stress.table(rows(6), np.zeros((6, len(NAMES)))), tmp_path / "stress.csv")
    text = (tmp_path / "stress.csv").read_text()
    (tmp_path / "stress.csv").write_text(text.replace("normal,0", "normal,nan", 1))
    with pytest.raises(ManifestError, match=r"zoom 0\.9 of val/000 is not a number"):
        stress.read_stress(tmp_path / "stress.csv")
    (tmp_path / "stress.csv").write_text(text.replace("blur 0.01", "blur 0.02x"))
    with pytest.raises(ManifestError, match=r"blur 0\.01"):
        stress.read_stress(tmp_path / "stress.csv")


def test_pooled_has_every_image_once_for_each_perturbation():
    table = stress.table(rows(6), np.arange(6 * len(NAMES)).reshape(6, -1))
    pooled = stress.pooled(table)
    assert list(pooled.columns) == list(scores.RAW_COLUMNS)
    assert (pooled["image"].value_counts() == len(NAMES)).all()
    assert sorted(pooled["logit"]) == list(range(6 * len(NAMES)))
    assert pooled.groupby("image")["label"].nunique().max() == 1


def test_the_table_has_the_figures_of_each_perturbation():
    rng = np.random.default_rng(1)
    plain = scores.table(rows(40), 3.0 * (np.arange(40) % 2) - 1.5 + rng.normal(0, 1, 40))
    plain["score"] = scores.six_digits(1 / (1 + np.exp(-plain["logit"] / 2)))
    stress_logits = stress.table(rows(40), plain["logit"].to_numpy()[:, None] + rng.normal(0, 1, (40, len(NAMES))))
    found = metrics.stress_table(plain, stress_logits, 2.0, 0.5)
    assert list(found) == ["plain", "all", *STRENGTHS]
    logit, label = stress_logits["zoom 0.8"], stress_logits["label"]
    assert found["zoom"]["0.8"] == {
        "recall": round(float((logit[label == 1] >= 0).mean()), 6),
        "specificity": round(float((logit[label == 0] < 0).mean()), 6),
        "roc_auc": round(roc_auc_score(label, logit), 6),
    }
    assert found["plain"]["roc_auc"] == round(roc_auc_score(plain["label"], plain["logit"]), 6)


def framed(folder, count: int, seed: int):
    """Chests in miniature, packed: pneumonia is a bright spot of faint contrast; and, the shortcut, the frame: normal
    ones show a bright border, as of arms and neck, in training and validation, and none in the test part.
    """
    from pneumo.data import manifest

    rng = np.random.default_rng(seed)
    table = []
    with packed.Writer(folder / "images.npy", 48) as writer:
        for split in ("test", "train", "val"):
            for k in range(count):
                label = k % 2
                picture = rng.normal(90, 22, (48, 48))
                if label:
                    top, left = rng.integers(14, 24, 2)
                    picture[top : top + 10, left : left + 10] += 32
                elif split != "test":
                    picture[:4] += 60
                    picture[:, :4] += 60
                    picture[:, -4:] += 60
                writer.append(picture.clip(0, 255).astype(np.uint8))
                table.append({"image": f"{split}/{k:03}", "label": label, "split": split, "patient": f"{split}-{k}"})
    fixed = {"subtype": "unknown", "source_split": "train", "width": 48, "height": 48, "sha256": "0"}
    manifest.write(pd.DataFrame(table).assign(**fixed), folder / "manifest.csv")


@pytest.mark.slow
def test_a_planted_framing_shortcut_is_seen_under_stress_and_not_by_ordinary_validation(tmp_path):
    """Two trainings, mild and strong augmentation. Ordinary validation prefers the one that leans on the frame; zoom
    tells that it does, as the test part without the frame then does, too.
    """
    from tiny import run, scored

    (tmp_path / "processed").mkdir()
    framed(tmp_path / "processed", 160, seed=5)
    mild = {"area": (0.95, 1.0), "aspect": 1.0, "rotate": 0.0}
    strong = {"area": (0.3, 0.6), "aspect": 1.2, "rotate": 5.0}
    found = {}
    for name, changes in {"mild": mild, "strong": strong}.items():
        backbone = {"epochs": 16, "batch_size": 16, "input_size": 48, "architecture": "cnn10"}
        run(tmp_path / "processed", tmp_path / name, augment=changes, backbone=backbone)
        plain = scores.read_logits(tmp_path / name / "outputs/val/cnn/cnn.csv")
        stress_logits = stress.read_stress(tmp_path / name / "outputs/stress/cnn/cnn.csv")
        test = scored(tmp_path / name / "model", tmp_path / "processed", "test")
        found[name] = {
            "plain": roc_auc_score(plain["label"], plain["logit"]),
            "zoomed": roc_auc_score(stress_logits["label"], stress_logits["zoom 0.7"]),
            "test": roc_auc_score(test["label"], test["logit"]),
        }
    mild, strong = found["mild"], found["strong"]
    assert mild["plain"] >= strong["plain"] - 0.01, found
    assert mild["test"] < strong["test"] - 0.1, found
    assert mild["zoomed"] < strong["zoomed"] - 0.1, found
