"""Training that was interrupted, by real signals to real processes, ends with the same bytes as if nothing had been."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from tiny import AUGMENT, BACKBONE, TRAINING, changed

pytestmark = pytest.mark.slow

EPOCHS = 16
# Early stopping and a best epoch that is not the last are part of what must be the same.
BASE = changed(BACKBONE, epochs=EPOCHS, dropout=0.3)
AUGMENTATION = changed(AUGMENT, blur=0.3, noise=0.3)


def work(store: Path, out: Path, changes: dict) -> None:
    """The body of a process of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background deaf to it
    from pneumo.training.train import train

    train(
        "cnn",
        store,
        model=out / "model",
        curves=out / "curves",
        resume_from=out / "checkpoints",
        features=out / "features",
        backbone=changed(BASE, **changes),
        augment=AUGMENTATION,
        training=changed(TRAINING, patience=6),
        seed=0,
        film_fit="stretch",
    )


@pytest.fixture(scope="module")
def start():
    """Starts `work` in a process that has imported what it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pneumo.training.train"])

    def started(store: Path, out: Path, **changes):
        process = context.Process(target=work, args=(store, out, changes))
        process.start()
        return process

    return started


def finish(process) -> int:
    process.join(240)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def written(out: Path) -> dict[str, bytes]:
    """All that a finished run leaves, without the checkpoints."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "checkpoints" not in path.parts
    }


def epochs(out: Path) -> int:
    """Epochs whose values were written."""
    path = out / "curves/plots/metrics/val/loss.tsv"
    try:
        return max(0, len(path.read_text().splitlines()) - 1)
    except FileNotFoundError:  # not begun, or just being written anew
        return 0


@pytest.fixture(scope="module")
def whole(start, processed, tmp_path_factory):
    """What a run leaves that nobody interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert finish(start(processed, out)) == 0
    assert not (out / "checkpoints").exists()
    assert epochs(out) < EPOCHS, "it stops early"
    return written(out)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(start, processed, tmp_path, whole, how):
    chance = random.Random(how)
    killed = 0
    for _ in range(60):
        more = epochs(tmp_path) + chance.choice([1, 2])
        process = start(processed, tmp_path)
        while process.exitcode is None and epochs(tmp_path) < more:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        if process.is_alive():
            os.kill(process.pid, getattr(signal, how))
        code = finish(process)
        if code == 0:
            break
        killed += 1
    assert code == 0
    assert killed >= 2, "each time with another exit status than 0, which would look finished"
    assert written(tmp_path) == whole
    assert not (tmp_path / "checkpoints").exists()


def interrupted(start, store: Path, out: Path, **changes) -> None:
    process = start(store, out, **changes)
    while process.exitcode is None and not list(out.glob("checkpoints/*/last.ckpt")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)


def test_a_checkpoint_of_other_parameters_is_not_picked_up(start, processed, tmp_path, whole):
    interrupted(start, processed, tmp_path, lr=1e-3)
    (other,) = (tmp_path / "checkpoints").iterdir()
    assert finish(start(processed, tmp_path)) == 0
    assert written(tmp_path) == whole
    assert not other.exists()


def test_half_a_checkpoint_is_none(start, processed, tmp_path, whole):
    interrupted(start, processed, tmp_path)
    (last,) = tmp_path.glob("checkpoints/*/last.ckpt")
    last.rename(last.with_name("last.ckpt.part"))
    assert finish(start(processed, tmp_path)) == 0
    assert written(tmp_path) == whole


@pytest.mark.parametrize("damage", ["empty", "cut"])
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_damaged_checkpoint_is_put_aside_and_the_run_starts_over(start, processed, tmp_path, whole, name, damage):
    interrupted(start, processed, tmp_path)
    (path,) = tmp_path.glob(f"checkpoints/*/{name}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 if damage == "cut" else 0])
    assert finish(start(processed, tmp_path)) == 0
    assert written(tmp_path) == whole
    (aside,) = (tmp_path / "checkpoints").iterdir()
    assert aside.name.startswith("damaged-")
    assert (aside / name).is_file()
