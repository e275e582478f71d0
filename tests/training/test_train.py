import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CPU, THRESHOLD, VIEWS, run, scored

from pneumo.data import manifest, packed
from pneumo.errors import BundleError, TrainingError, WeightsError
from pneumo.evaluation import metrics, thresholds
from pneumo.models import backbones, bundle
from pneumo.scoring import inference, scores

pytestmark = pytest.mark.slow


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_learns_what_can_be_seen(trained, processed):
    table = scored(trained / "model", processed, "test")
    assert metrics.ranking(table["label"], table["score"])["roc_auc"] > 0.9


def test_shuffled_labels_teach_nothing(processed, tmp_path):
    """With the labels of all images dealt out anew, those of the test part can only be guessed: ROC AUC near 0.5.

    Whoever gets more has seen them. With 10 images of each class the mean of six has a standard error of 0.055.
    """
    shuffled = tmp_path / "shuffled"
    shutil.copytree(processed, shuffled)
    table = manifest.read_manifest(shuffled / "manifest.csv")
    areas = []
    for seed in range(6):
        dealt = table.copy()
        rng = np.random.default_rng(seed)
        for _, rows in table.groupby("split"):
            dealt.loc[rows.index, "label"] = rng.permutation(rows["label"])
        manifest.write(dealt, shuffled / "manifest.csv")
        run(shuffled, tmp_path / str(seed), backbone={"epochs": 2})
        test = scored(tmp_path / str(seed) / "model", shuffled, "test")
        assert test["label"].tolist() == dealt.loc[dealt["split"] == "test", "label"].tolist()
        areas.append(metrics.ranking(test["label"], test["score"])["roc_auc"])
    assert 0.33 < np.mean(areas) < 0.67, areas


def test_two_runs_give_the_same_bytes(trained, processed, tmp_path):
    again = contents(run(processed, tmp_path))
    assert again == contents(trained)
    assert len(again) >= 6


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_mixed_precision_trains_with_every_optimiser(processed, tmp_path, optimizer):
    """bfloat16 is what a GPU takes by default; gradients are clipped in it, too."""
    run(processed, tmp_path, training={"precision": "bf16-mixed"}, backbone={"optimizer": optimizer, "epochs": 1})
    assert bundle.training_json(tmp_path / "model")["name"] == "cnn"


def test_gradients_are_clipped(processed, tmp_path):
    start, _ = backbones.create("cnn", input_size=32, dropout=0.2, weights="none", seed=0)
    moved = {}
    for clip in (1e-6, 1.0):
        backbone = {"optimizer": "sgd", "lr": 0.01, "epochs": 1}
        run(processed, tmp_path / str(clip), training={"gradient_clip": clip}, backbone=backbone)
        state = load_file(tmp_path / str(clip) / "model/model.safetensors")
        moved[clip] = float((state["head.1.weight"] - start.state_dict()["head.1.weight"]).abs().max())
    assert moved[1e-6] < 1e-6 < moved[1.0]


def test_the_running_mean_of_the_weights_is_what_is_kept(processed, tmp_path):
    """With a decay near 1 the mean of few steps, weighted by (1 + n) / (10 + n), is not the last weights."""
    run(processed, tmp_path / "last", backbone={"epochs": 2})
    run(processed, tmp_path / "mean", backbone={"epochs": 2}, training={"ema": 0.999})
    last, mean = (load_file(tmp_path / name / "model/model.safetensors") for name in ("last", "mean"))
    assert last.keys() == mean.keys()
    assert float((last["head.1.weight"] - mean["head.1.weight"]).abs().max()) > 1e-4


def test_lower_layers_learn_more_slowly(processed, tmp_path):
    from pneumo.training.classifier import _groups

    network, _ = backbones.create("resnet18", input_size=32, dropout=0.2, weights="none", seed=0)
    groups = _groups(network, 1e-3, 0.05, 0.5)
    rate = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    decay = {id(weight): group["weight_decay"] for group in groups for weight in group["params"]}
    assert len(rate) == len(list(network.parameters()))
    stem, last = network.body.conv1.weight, network.body.layer4[1].conv2.weight
    assert rate[id(stem)] < rate[id(last)] <= rate[id(network.head[1].weight)] == 1e-3
    assert decay[id(stem)] == 0.05
    assert decay[id(network.body.bn1.weight)] == 0.0


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_of_batch_normalisation_stay_where_they_are_frozen(processed, tmp_path, frozen):
    """With them in training mode the head of the probe no longer fits, and fine-tuning begins by unlearning."""
    start, _ = backbones.create("cnn", input_size=32, dropout=0.2, weights="none", seed=0)
    norms = [name for name, module in start.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    trained = load_file(
        run(processed, tmp_path, backbone={"freeze_norm": frozen, "epochs": 2}) / "model/model.safetensors"
    )
    before = start.state_dict()
    for name in norms:
        for statistic in ("running_mean", "running_var"):
            assert torch.equal(trained[f"{name}.{statistic}"], before[f"{name}.{statistic}"]) == frozen
        assert not torch.equal(trained[f"{name}.weight"], before[f"{name}.weight"])  # still learnt
    assert norms


def test_mixed_images_have_mixed_labels():
    from pneumo.training.classifier import _mixed

    torch.manual_seed(0)
    labels = torch.tensor([0.0, 1.0] * 8)
    grey = labels.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    images, targets = _mixed(grey, labels, 0.4)
    torch.testing.assert_close(images.mean(dim=(1, 2, 3)), targets)
    assert ((targets > 0.05) & (targets < 0.95)).any()


def test_views_are_averaged(processed, tmp_path):
    """The output over mirrored and enlarged views is the mean of the outputs of each."""
    run(processed, tmp_path, backbone={"epochs": 1})
    network = inference.load(tmp_path / "model", bundle.training_json(tmp_path / "model"))
    part = packed.read_split(processed, "val")
    mirrored = packed.Split(part.rows, part.images[:, :, ::-1], part.where)
    common = {"input_size": 32, "device": CPU}
    plain, other = (
        inference.Scorer(network, views=VIEWS.model_dump(), **common).logits(one) for one in (part, mirrored)
    )
    both = inference.Scorer(network, views={"flip": True, "zooms": [1.0]}, **common).logits(part)
    np.testing.assert_allclose(both, (plain + other) / 2, atol=1e-5)
    zoomed = inference.Scorer(network, views={"flip": False, "zooms": [0.8]}, **common).logits(part)
    three = inference.Scorer(network, views={"flip": False, "zooms": [1.0, 0.8]}, **common).logits(part)
    assert np.abs(zoomed - plain).max() > 1e-3
    np.testing.assert_allclose(three, (plain + zoomed) / 2, atol=1e-5)


def test_another_seed_gives_other_weights(trained, processed, tmp_path):
    run(processed, tmp_path, seed=1)
    assert (tmp_path / "model/model.safetensors").read_bytes() != (trained / "model/model.safetensors").read_bytes()


def test_training_cannot_see_the_test_set(trained, processed, tmp_path):
    blinded = tmp_path / "blinded"
    shutil.copytree(processed, blinded)
    pixels = np.load(blinded / "images.npy")
    pixels[manifest.read_manifest(blinded / "manifest.csv")["split"] == "test"] = 0
    np.save(blinded / "images.npy", pixels)
    seeing, blind = contents(trained), contents(run(blinded, tmp_path / "out"))
    assert seeing.keys() == blind.keys()
    assert [str(file) for file in seeing if seeing[file] != blind[file]] == ["outputs/test/cnn/cnn.csv"]


def test_scores_and_threshold_can_be_recomputed_from_what_is_written(trained):
    written = scores.read_scores(trained / "scores/val.csv")
    model_json = bundle.model_json(trained / "model")
    assert model_json["threshold"] == thresholds.find(written["label"], written["score"], "youden")
    assert model_json["threshold_policy"] == THRESHOLD.model_dump()
    again = 1 / (1 + np.exp(-written["logit"] / model_json["temperature"]))
    np.testing.assert_allclose(written["score"], again, rtol=1e-5)


def test_the_bundle_alone_gives_the_validation_scores_back(trained, processed, tmp_path):
    scores.write(scored(trained / "model", processed, "val"), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (trained / "scores/val.csv").read_bytes()


def test_scoring_twice_gives_the_same_bytes(trained, processed):
    model_json = bundle.model_json(trained / "model")
    network, part = inference.load(trained / "model", model_json), packed.read_split(processed, "test")
    first, again = (
        inference.Scorer(network, input_size=model_json["input_size"], views=VIEWS.model_dump(), device=CPU).logits(
            part
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_an_image_is_scored_alone_as_in_a_batch(trained, processed):
    model_json = bundle.model_json(trained / "model")
    network, part = inference.load(trained / "model", model_json), packed.read_split(processed, "test")
    size = model_json["input_size"]
    batches = [
        inference.Scorer(network, input_size=size, views=VIEWS.model_dump(), device=CPU, batch_size=batch).logits(part)
        for batch in (1, 20)
    ]
    np.testing.assert_allclose(*batches, atol=1e-4)


def test_no_checkpoint_is_left_and_every_epoch_has_a_point(trained):
    assert not (trained / "checkpoints").exists()
    curve = pd.read_csv(trained / "curves/plots/metrics/val/roc_auc.tsv", sep="\t")
    assert list(curve["step"]) == [0, 1, 2, 3]


def test_the_best_epoch_is_kept(processed, tmp_path):
    rising = {"monitor": "loss", "warmup": 0.95}  # so high at the end that the last epoch is a bad one
    run(processed, tmp_path, seed=1, training=rising, backbone={"lr": 0.02, "epochs": 4, "dropout": 0.8})
    losses = pd.read_csv(tmp_path / "curves/plots/metrics/val/loss.tsv", sep="\t")["loss"]
    written = scores.read_scores(tmp_path / "scores/val.csv")
    loss = np.mean(np.logaddexp(0, written["logit"]) - written["label"] * written["logit"])
    assert loss == pytest.approx(losses.min(), abs=1e-4)
    assert losses.iloc[-1] > losses.min() + 1e-4, "or the last epoch is the best, and this test shows nothing"


def test_early_stopping_waits_for_its_patience(processed, tmp_path):
    run(processed, tmp_path, training={"patience": 2, "monitor": "loss"}, backbone={"lr": 1e-12, "epochs": 20})
    losses = pd.read_csv(tmp_path / "curves/plots/metrics/val/loss.tsv", sep="\t")["loss"]
    assert len(losses) == losses.idxmin() + 1 + 2 < 20


def test_a_loss_that_is_not_finite_stops_with_epoch_step_and_remedy(processed, tmp_path):
    with pytest.raises(TrainingError, match=r"in epoch \d, step \d+: lower the learning rate \(it peaks at 1e\+18\)"):
        run(processed, tmp_path, backbone={"optimizer": "sgd", "lr": 1e18})
    assert not (tmp_path / "model").exists()


def test_a_schedule_of_ten_steps_does_not_divide_by_zero(processed, tmp_path):
    run(processed, tmp_path, training={"warmup": 0.1}, backbone={"batch_size": 24, "epochs": 5})
    assert (tmp_path / "model/model.safetensors").is_file()


@pytest.mark.parametrize(("batch_size", "epochs"), [(40, 1), (24, 1), (16, 1)], ids=["one", "two", "three"])
def test_a_schedule_of_few_steps_does_not_divide_by_zero_either(processed, tmp_path, batch_size, epochs):
    run(processed, tmp_path, backbone={"batch_size": batch_size, "epochs": epochs})
    assert (tmp_path / "model/model.safetensors").is_file()


def test_weights_that_changed_are_not_used(trained, processed, tmp_path):
    """One flipped bit, which no format notices."""
    folder = tmp_path / "model"
    shutil.copytree(trained / "model", folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.safetensors is damaged or of another model: its SHA-256 is"):
        scored(folder, processed, "test")


def test_weights_that_are_not_numbers_are_named(trained, tmp_path):
    state = load_file(trained / "model/model.safetensors")
    state["head.1.weight"][0, 3] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"head\.1\.weight holds NaN or infinite weights"):
        backbones.create("cnn", input_size=32, dropout=0.2, weights=str(tmp_path / "nan.safetensors"), seed=0)


@pytest.mark.parametrize(
    ("key", "value"), [("threshold", float("nan")), ("threshold", 7), ("temperature", 0), ("flops", float("inf"))]
)
def test_numbers_of_model_json_are_checked(trained, tmp_path, key, value):
    model_json = json.loads((trained / "model/model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(model_json | {key: value}))
    with pytest.raises(BundleError, match=rf"model\.json: {key} is {value}"):
        bundle.model_json(tmp_path)


def test_validation_auc_is_that_of_all_images_together(trained):
    """Batches of 8, the last of 4: the AUC that chose the epoch is the one of the written scores."""
    curve = pd.read_csv(trained / "curves/plots/metrics/val/roc_auc.tsv", sep="\t")["roc_auc"]
    written = scores.read_scores(trained / "scores/val.csv")
    assert metrics.ranking(written["label"], written["score"])["roc_auc"] == pytest.approx(curve.max(), abs=1e-5)


def test_several_devices_without_a_gpu_are_refused(processed, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match="devices is 4, and torch finds no GPU"):
        run(processed, tmp_path, training={"devices": 4, "accelerator": "auto"})


def test_a_gpu_that_is_not_there_is_not_replaced_by_the_cpu(processed, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match="accelerator is gpu, and torch finds none"):
        run(processed, tmp_path, training={"accelerator": "gpu"})


def test_fewer_images_than_a_batch_are_refused(processed, tmp_path):
    with pytest.raises(TrainingError, match="48 training images do not fill one batch of 64 on each of 1"):
        run(processed, tmp_path, backbone={"batch_size": 64})


def test_a_bundle_says_what_it_lacks(trained, processed, tmp_path):
    with pytest.raises(BundleError, match="missing or not JSON"):
        bundle.model_json(tmp_path)
    model_json = bundle.model_json(trained / "model")
    del model_json["threshold"]
    (tmp_path / "model.json").write_text(json.dumps(model_json))
    with pytest.raises(BundleError, match="lacks 'threshold'"):
        bundle.model_json(tmp_path)


def test_a_model_is_not_used_on_pixels_of_another_size(trained, processed, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained / "model", folder)
    model_json = bundle.model_json(folder)
    (folder / "model.json").write_text(json.dumps(model_json | {"image_size": 99}))
    with pytest.raises(BundleError, match="packed at 99 pixels"):
        scored(folder, processed, "test")
