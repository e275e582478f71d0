"""How long the augmentation of a batch takes, ours against the same changes by kornia: `python benchmarks/augment.py`.

Kornia samples the pixels once for the rotation and once for the crop, ours once for both. 64 images of 299 pixels to
224, two threads, defaults of conf/config.yaml; local contrast, erasing and mixup are off. The best of twenty of each.
"""

import time
from collections.abc import Callable
from pathlib import Path

import kornia.augmentation as K
import torch
import yaml
from torch import Tensor, nn

from pneumo.params import Augment
from pneumo.training.augment import Augmentation, resize

BATCH, PACKED, SIZE, ROUNDS = 64, 299, 224, 20


class Gamma(nn.Module):
    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, grey: Tensor) -> Tensor:
        exponent = self.gamma ** torch.empty(len(grey), 1, 1, 1).uniform_(-1, 1)
        return grey.clamp(0, 1).pow(exponent)


def main() -> None:
    torch.set_num_threads(2)
    values = yaml.safe_load(Path("conf/config.yaml").read_text())["augment"]
    ours = Augmentation(SIZE, Augment(**values))
    tones = {key: (1 - values[key], 1 + values[key]) for key in ("brightness", "contrast")}
    by_kornia = nn.Sequential(
        K.RandomAffine(values["rotate"]),
        K.RandomResizedCrop(
            (SIZE, SIZE),
            scale=values["area"],
            ratio=(1 / values["aspect"], values["aspect"]),
            cropping_mode="resample",
        ),
        K.RandomHorizontalFlip(values["flip"]),
        K.RandomBrightness(tones["brightness"]),
        K.RandomContrast(tones["contrast"]),
        Gamma(values["gamma"]),
        K.RandomGaussianBlur((5, 5), (0.1, 2.0), p=values["blur"]),
        K.RandomGaussianNoise(std=0.05, p=values["noise"]),
    )
    pixels = torch.randint(0, 256, (BATCH, PACKED, PACKED), dtype=torch.uint8)
    ways = {"pneumo": lambda: ours(pixels), "kornia": lambda: by_kornia(resize(pixels, min(ours.between, PACKED)))}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way))
    print(f"pneumo {1000 * best['pneumo']:.0f} ms, kornia {1000 * best['kornia']:.0f} ms a batch of {BATCH}: "
          f"{best['kornia'] / best['pneumo']:.1f} times")  # fmt: skip


@torch.no_grad()
def seconds(way: Callable[[], Tensor]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
