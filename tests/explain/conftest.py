import numpy as np
import pandas as pd
import pytest
import torch
from untrained import SIZE, score, write_backbone

from pneumo.data import manifest, packed


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Networks this small are slowed down by a second thread, greatly so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def processed(tmp_path_factory):
    """16 test images of noise round a bright square, and one of training."""
    folder = tmp_path_factory.mktemp("processed")
    rng = np.random.default_rng(0)
    with packed.Writer(folder / "images.npy", SIZE) as writer:
        for _ in range(17):
            pixels = rng.normal(100, 25, (SIZE, SIZE))
            top, left = rng.integers(0, 26, 2)
            pixels[top : top + 14, left : left + 14] += 70
            writer.append(pixels.clip(0, 255).astype(np.uint8))
    rows = pd.DataFrame({"image": [f"test/{k:02}.png" for k in range(16)] + ["train/00.png"]})
    rows = rows.assign(label=[0, 1] * 8 + [0], split=["test"] * 16 + ["train"], patient=rows["image"])
    same = {"subtype": "unknown", "source_split": "train", "width": SIZE, "height": SIZE, "sha256": "0"}
    manifest.write(rows.assign(**same), folder / "manifest.csv")
    return folder


@pytest.fixture(scope="session")
def best(processed, tmp_path_factory):
    """The folder of a backbone, whose weights have seed 3, and its scores on the test set."""
    folder = tmp_path_factory.mktemp("backbone")
    write_backbone(folder, "best", 3)
    return folder, score(folder, processed)
