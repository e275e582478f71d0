"""Does it help to cut every film to the chest first? The experiment behind "did not help" in results/README.md.

    python -m benchmarks.framing frame RAW OUT      # RAW as in data/raw; OUT: the same images, cut, for data=archive
    python -m benchmarks.framing score RAW MODEL    # MODEL: a network trained on OUT, with data/processed of that run

No network looks for the chest: of each film, the box is taken whose content correlates best with the mean chest. That
is the mean of 1,200 films outside the test set, aligned with each other in the same way; no labels are needed.
`score` perturbs the validation films of RAW before they are cut, as if they came from another hospital.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor

from pneumo.data import listing, manifest
from pneumo.data.listing import Raw
from pneumo.models import bundle, perturb
from pneumo.models.perturbations import NAMES, PERTURBATIONS
from pneumo.models.pixels import resize
from pneumo.scoring import inference
from pneumo.shards import Films

FILM, FIELD, FACE = 224, 48, 32  # pixels a side: of a film, of that in which the chest is sought, of the mean chest
OUT_SIZE, MARGIN = 160, 1.06  # pixels; of the box on each side
SMALLEST = 0.5  # box, of the film's side
START = (0.85, 0.85, 0.0, 0.0)  # width, height and middle of the box; a film reaches from -1 to 1
MEAN_SIDE, ALIGNED, ROUNDS = 0.78, 1200, 6
COARSE, FINE = (0.12, 0.06, 0.03), (0.12, 0.12, 0.06, 0.06, 0.03, 0.03)  # steps of the search


def read_films(raw: Path, names: list[str]) -> Tensor:
    """uint8 [N, FILM, FILM]."""
    shards, films = Films(Raw(raw)), []
    for name in names:
        with Image.open(shards.open(name)) as image:
            films.append(np.asarray(image.convert("L").resize((FILM, FILM), Image.Resampling.BILINEAR)))
    return torch.from_numpy(np.stack(films))


def fields(films: Tensor) -> Tensor:
    """[N, FILM, FILM] in [0, 1] -> [N, 1, FIELD, FIELD], each place relative to its surroundings."""

    def around(values: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(values, (12,) * 4, mode="replicate"), 25, 1)

    grey = F.interpolate(films.unsqueeze(1), (FIELD, FIELD), mode="bilinear", antialias=True)
    grey = grey - around(grey)
    return grey / (around(grey * grey).sqrt() + 0.03)


def faces(grey: Tensor, boxes: Tensor) -> Tensor:
    """What the boxes [N, 4] hold, with mean 0 and length 1: [N, FACE * FACE]."""
    zero = torch.zeros(len(boxes))
    theta = torch.stack([boxes[:, 0], zero, boxes[:, 2], zero, boxes[:, 1], boxes[:, 3]], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(boxes), 1, FACE, FACE], align_corners=False)
    flat = F.grid_sample(grey, grid, padding_mode="border", align_corners=False).flatten(1)
    return F.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)


def inside(boxes: Tensor) -> Tensor:
    sides = boxes[:, :2].clamp(SMALLEST, 1.0)
    return torch.cat([sides, boxes[:, 2:].clamp(min=sides - 1, max=1 - sides)], dim=1)


def search(grey: Tensor, chest: Tensor, steps: tuple[float, ...]) -> Tensor:
    """Boxes [N, 4]: from START on, at each step the best of all neighbours."""
    best = torch.tensor([START]).repeat(len(grey), 1)
    score = faces(grey, best) @ chest
    for step in steps:
        base = best.clone()
        for move in itertools.product((-1, 0, 1), repeat=4):
            tried = inside(base + step * torch.tensor(move))
            value = faces(grey, tried) @ chest
            better = value > score + 1e-6
            best[better], score = tried[better], torch.where(better, value, score)
    return best


def mean_chest(grey: Tensor) -> Tensor:
    boxes = torch.tensor([START]).repeat(len(grey), 1)
    for _ in range(ROUNDS):
        chest = F.normalize(faces(grey, boxes).mean(dim=0), dim=0)
        boxes = search(grey, chest, COARSE)
        middle = boxes.mean(dim=0)  # the mean box stays what it is, or all would shrink together
        boxes = inside(torch.cat([boxes[:, :2] * MEAN_SIDE / middle[:2], boxes[:, 2:] - middle[2:]], dim=1))
    return F.normalize(faces(grey, boxes).mean(dim=0), dim=0)


def cut(films: Tensor, chest: Tensor, size: int) -> NDArray[np.uint8]:
    """uint8 [N, size, size]: each of `films`, [N, FILM, FILM] in [0, 1], cut to its chest."""
    pictures = []
    for film, box in zip((films * 255).round().byte().numpy(), search(fields(films), chest, FINE).numpy(), strict=True):
        sides, middle = box[:2] * MARGIN, box[2:]
        low, high = ((middle - sides + 1) / 2 * FILM).clip(0), ((middle + sides + 1) / 2 * FILM).clip(max=FILM)
        place = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        pictures.append(np.asarray(Image.fromarray(film).resize((size, size), Image.Resampling.LANCZOS, box=place)))
    return np.stack(pictures)


def names_in(raw: Path) -> list[str]:
    return [image.image for image in listing.read(raw) if not image.rejected]


def chest_of(raw: Path) -> Tensor:
    names = [name for name in names_in(raw) if not name.startswith("test/")]
    sampled = np.random.default_rng(0).choice(len(names), min(ALIGNED, len(names)), replace=False)
    return mean_chest(fields(read_films(raw, [names[at] for at in sorted(sampled)]).float() / 255))


def frame(raw: Path, out: Path) -> None:
    chest, names = chest_of(raw), names_in(raw)
    for start in range(0, len(names), 256):
        block = names[start : start + 256]
        for name, picture in zip(block, cut(read_films(raw, block).float() / 255, chest, OUT_SIZE), strict=True):
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path, "JPEG", quality=98)


@torch.inference_mode()
def score(raw: Path, model: Path, processed: Path = Path("data/processed")) -> None:
    chest, model_json = chest_of(raw), bundle.training_json(model)
    network = inference.load(model, model_json)
    rows = manifest.read_manifest(processed / "manifest.csv").query("split == 'val'")
    films, labels = read_films(raw, list(rows["image"])), rows["label"].to_numpy()

    def logits(seen: Tensor) -> NDArray[np.float32]:
        pixels = torch.from_numpy(cut(seen, chest, model_json["image_size"]))
        return network(resize(pixels, model_json["input_size"])).numpy()

    outputs: list[list[NDArray[np.float32]]] = [[] for _ in PERTURBATIONS]
    for start in range(0, len(films), 128):
        numbers = range(start, min(start + 128, len(films)))
        for column, seen in zip(outputs, perturb.each(films[numbers.start : numbers.stop], numbers, FILM), strict=True):
            column.append(logits(seen[:, 0]))
    joined = [np.concatenate(column) for column in outputs]
    for name, values in zip(NAMES, joined, strict=True):
        print(f"{name:<14}{roc_auc_score(labels, values):8.4f}")
    print(f"{'all together':<14}{roc_auc_score(np.tile(labels, len(joined)), np.concatenate(joined)):8.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Films cut to the chest, and networks trained on them.")
    parser.add_argument("what", choices=["frame", "score"])
    parser.add_argument("raw", type=Path, metavar="RAW", help="a folder like data/raw, as the stage download leaves it")
    parser.add_argument("other", type=Path, metavar="OUT or MODEL", help="a new folder, or models/trained/NAME")
    arguments = parser.parse_args()
    if arguments.what == "frame":
        frame(arguments.raw, arguments.other)
    else:
        score(arguments.raw, arguments.other)


if __name__ == "__main__":
    main()
