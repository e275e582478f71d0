"""Packed pixels -> batches for training: in what order, in which process, from where."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pneumo.data import packed
from pneumo.training.classifier import Batch, of_epoch

SHARE = 0.25  # of the free memory of a GPU that pixels may take


class Batches(Dataset):
    """A part of the packed store that hands out whole batches: uint8 [B, S, S], float labels [B] and int rows [B].

    On a GPU (`device`) all pixels stay in its memory where they take at most SHARE of what is free; otherwise, and on
    the CPU, they are mapped from the file and read as they are needed.
    """

    def __init__(self, part: packed.Split, device: str) -> None:
        self.part, self.labels = part, torch.from_numpy(part.labels)
        self.device, self.started = torch.device(device), False
        self.resident: Tensor | None = None

    def __len__(self) -> int:
        return len(self.part)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        self._start()
        rows = torch.tensor(indices)
        if self.resident is None:
            return torch.from_numpy(self.part.pixels(indices)), self.labels[rows], rows
        return self.resident[rows.to(self.resident.device)], self.labels[rows], rows

    def _start(self) -> None:
        """When the first batch is asked for, each process knows which GPU is its own."""
        if self.started:
            return
        self.started = True
        if self.device.type == "cuda" and _fits(self.part):
            self.resident = torch.from_numpy(self.part.pixels(slice(None))).to(self.device)


class Shuffled(Sampler):
    """An order of rows that follows from seed and epoch alone, so that a resumed run has the same one.

    weights: chance of each row to be drawn, with replacement; without them each row comes once. With several processes
    each takes its turn in the same order, so that they share the batches that one process would have had.
    """

    def __init__(self, count: int, seed: int, weights: Tensor | None = None) -> None:
        self.count, self.seed, self.weights, self.epoch = count, seed, weights, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // _processes()[1]

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(of_epoch(self.seed, self.epoch))
        if self.weights is None:
            order = torch.randperm(self.count, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.count, replacement=True, generator=generator)
        rank, processes = _processes()
        yield from order[rank::processes][: len(self)].tolist()


def loader(part: packed.Split, batch_size: int, device: str, order: Shuffled | None = None) -> DataLoader:
    """Batches of `part`, in `order` and without a smaller last one, or else as they come."""
    return DataLoader(
        Batches(part, device),
        batch_size=batch_size,
        sampler=order,
        drop_last=order is not None,
        collate_fn=_as_it_is,
        # A generator of its own: a loader that starts would else draw from the one that augmentation draws from.
        generator=torch.Generator(),
    )


def _processes() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _fits(part: packed.Split) -> bool:
    free, _ = torch.cuda.mem_get_info()
    return len(part) * int(np.prod(part.images.shape[1:])) <= SHARE * free


def _as_it_is(batch: Any) -> Any:
    return batch
