"""In what order images come, how processes share them, and where their pixels are kept."""

import numpy as np
import pandas as pd
import pytest
import torch

from pneumo.data import packed
from pneumo.training import balance, batches


def order(sampler: batches.Shuffled, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_epoch_has_an_order_of_its_own_that_comes_back():
    sampler = batches.Shuffled(50, seed=1)
    assert sorted(order(sampler, 0)) == list(range(50))
    assert order(sampler, 0) == order(batches.Shuffled(50, seed=1), 0)
    assert order(sampler, 0) != order(sampler, 1)
    assert order(sampler, 0) != order(batches.Shuffled(50, seed=2), 0)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_processes_share_the_batches_that_one_would_have(monkeypatch, processes, weighted):
    weights = torch.arange(1.0, 61.0) if weighted else None
    alone, size = order(batches.Shuffled(60, 0, weights), 2), 5
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(batches, "_processes", lambda rank=rank: (rank, processes))
        sampler = batches.Shuffled(60, 0, weights)
        shares.append(order(sampler, 2))
        assert len(shares[-1]) == len(sampler) == 60 // processes
    for step in range(60 // (processes * size)):
        together = sorted(row for share in shares for row in share[step * size : (step + 1) * size])
        assert together == sorted(alone[step * processes * size : (step + 1) * processes * size])


def test_sampling_draws_both_classes_equally_often():
    labels = np.array([0] * 20 + [1] * 180)
    shares = balance.shares(pd.DataFrame({"label": labels}), "sampling")
    sampler = batches.Shuffled(200, 0, torch.from_numpy(shares))
    drawn = np.concatenate([labels[order(sampler, epoch)] for epoch in range(50)])
    assert abs(drawn.mean() - 0.5) < 0.02


@pytest.mark.parametrize("resident", [False, True])
def test_batches_have_the_pixels_labels_and_rows_that_were_asked_for(processed, monkeypatch, resident):
    """On a GPU the pixels stay there; the same path is taken here with the CPU in its place."""
    part = packed.read_split(processed, "train")
    dataset = batches.Batches(part, "cpu")
    if resident:
        dataset.resident, dataset.started = torch.from_numpy(part.pixels(slice(None))), True
    pixels, labels, rows = dataset.__getitems__([5, 2, 9])
    np.testing.assert_array_equal(pixels, part.pixels([5, 2, 9]))
    assert labels.tolist() == part.labels[[5, 2, 9]].tolist()
    assert rows.tolist() == [5, 2, 9]
    assert pixels.dtype == torch.uint8
