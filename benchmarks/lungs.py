"""How well are lungs found? Phantoms know theirs; real films are drawn with the outlines, to be judged by eye.

    python -m benchmarks.lungs phantoms                    # Dice score and share of the lungs covered, by finding
    python -m benchmarks.lungs films FOLDER sheet.png      # 50 of the films below FOLDER, drawn by lot

The true lungs of a phantom are what its drawing fills with air before any illness, without heart and mediastinum.
"""

import argparse
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pneumo.explain import lungs
from pneumo.explain.ablation import outlined
from pneumo.sources import anatomy, phantom
from pneumo.sources.anatomy import View

SIDE, COLUMNS, FILMS = 200, 10, 50  # pixels and films of the sheet


def draw(images: int, *, seed: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    """Phantoms, a third of each finding: pixels and true lungs, [n, size, size], and the findings."""
    counts: dict[str, dict[str, int]] = {"train": dict.fromkeys(phantom.FINDINGS, images // 3)}
    films = [film for finding in phantom.FINDINGS for film in phantom._films(seed, finding, counts)]
    with tempfile.TemporaryDirectory() as folder:
        phantom.draw(Path(folder) / "raw", seed=seed, images=counts, size=160, processes=1)
        pixels = [packed(Image.open(Path(folder) / "raw" / film.path), size) for film in films]
    masks = [packed(Image.fromarray(true_lungs(seed, film).astype(np.uint8) * 255), size) > 127 for film in films]
    return np.stack(pixels), np.stack(masks), [film.finding for film in films]


def packed(image: Image.Image, size: int) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L").resize((size, size), Image.Resampling.LANCZOS))


def true_lungs(seed: int, film: phantom.Film) -> NDArray[np.bool_]:
    """As `phantom` poses this film and `anatomy.attenuation` fills the lungs."""
    exposure, pose = film.exposure, phantom._generator(seed, 3, *film.patient, film.view)
    height = round(160 * exposure["height"])
    shape = height, round(height * exposure["aspect"])
    view = View.sample(pose, shape, exposure["extent"], exposure["span"], raised=exposure["arms"] < 0.4)
    patient = phantom._patient(seed, film.patient, film.finding)
    x, y = view.grid()
    turn = 0.035 * view.rotation
    half = np.where(x > 0, patient.width - turn, patient.width + turn)
    dome = np.where(x > 0, 0.675, 0.65) + view.breath
    below = y - dome - 0.3 * ((np.abs(x) - 0.45 * half) / half) ** 2
    solid = np.maximum(anatomy._heart(patient, x - 0.5 * turn, y), anatomy._mediastinum(patient, x - turn, y))
    return anatomy._lung(np.abs(x), y, anatomy._wall(half, y), below) * (1 - solid) > 0.3


def measure(pixels: NDArray[np.uint8], truths: NDArray[np.bool_], findings: list[str]) -> pd.DataFrame:
    """finding, dice, covered (share of the true lungs) and plausible of each film."""
    answer = lungs.find(pixels)
    both, true, answered = (part.sum(axis=(1, 2)) for part in (answer.masks & truths, truths, answer.masks))
    scores = {"dice": 2 * both / (true + answered), "covered": both / true}
    return pd.DataFrame({"finding": findings, **scores, "plausible": answer.plausible})


def sheet(folder: Path, out: Path, seed: int) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
    drawn = sorted(np.random.default_rng(seed).choice(len(paths), min(FILMS, len(paths)), replace=False))
    films = np.stack([packed(Image.open(paths[at]), 224) for at in drawn])
    answer = lungs.find(films)
    picture = Image.new("RGB", (COLUMNS * SIDE, -(-len(films) // COLUMNS) * SIDE))
    for at, (film, mask) in enumerate(zip(films, answer.masks, strict=True)):
        picture.paste(outlined(film, mask, SIDE), (at % COLUMNS * SIDE, at // COLUMNS * SIDE))
    picture.save(out)
    print(f"{len(films)} films in {out}; no plausible lungs on {(~answer.plausible).sum()}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Where pneumo.explain.lungs finds the lungs.")
    parser.add_argument("--seed", type=int, default=1)
    what = parser.add_subparsers(dest="what", required=True)
    drawn = what.add_parser("phantoms")
    drawn.add_argument("--images", type=int, default=300)
    drawn.add_argument("--size", type=int, default=96, help="pixels a side, as packed")
    films = what.add_parser("films")
    films.add_argument("folder", type=Path, metavar="FOLDER")
    films.add_argument("out", type=Path, metavar="SHEET.png")
    arguments = parser.parse_args()
    if arguments.what == "films":
        sheet(arguments.folder, arguments.out, arguments.seed)
        return
    phantoms = draw(arguments.images, seed=arguments.seed, size=arguments.size)
    started = process_time()
    table = measure(*phantoms)
    seconds = process_time() - started
    print("               films    Dice: mean    lowest   covered: mean    lowest   plausible")
    for finding, rows in [("all", table), *table.groupby("finding", sort=False)]:
        dice, covered = rows["dice"], rows["covered"]
        numbers = f"{dice.mean():14.3f}{dice.min():10.3f}{covered.mean():16.3f}{covered.min():10.3f}"
        print(f"{finding:14}{len(rows):6}{numbers}{rows['plausible'].mean():12.3f}")
    print(f"{1000 * seconds / len(table):.0f} ms of processor time a film, the bank of shapes included")


if __name__ == "__main__":
    main()
