"""Which damage of JPEG files is seen: share refused by plain Pillow and by `images.decode`, on a folder of X-rays.

    python -m benchmarks.damage FOLDER [--limit 1000]

Each file is damaged at a random place behind its first 700 bytes, where the header is, and before its last quarter.
`off by`: how far the picture of a file that passes is from the undamaged one, in grey levels (0 to 255), on average.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pneumo.errors import ImageRejected
from pneumo.preprocessing import images

SIZE, HEADER = 224, 700
Damage = Callable[[bytearray, int, np.random.Generator], None]


def _zeros(data: bytearray, start: int, length: int) -> None:
    data[start : start + length] = bytes(length)


def _noise(data: bytearray, start: int, rng: np.random.Generator) -> None:
    length = len(data) // 10
    data[start : start + length] = rng.bytes(length)


def _cut(data: bytearray, start: int, rng: np.random.Generator) -> None:
    del data[start : start + len(data) // 10]


def _flip(data: bytearray, start: int, rng: np.random.Generator) -> None:
    data[start] ^= 1 << int(rng.integers(8))


DAMAGES: dict[str, Damage] = {
    "a fifth set to zero": lambda data, start, rng: _zeros(data, start, len(data) // 5),
    "a tenth cut out": _cut,
    "a tenth overwritten by noise": _noise,
    "16 bytes set to zero": lambda data, start, rng: _zeros(data, start, 16),
    "one bit flipped": _flip,
}


def plain(data: bytes) -> np.ndarray | None:
    """Grey levels [S, S] as Pillow decodes them, or None where it refuses."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", (SIZE, SIZE))
            return np.asarray(image.convert("L").resize((SIZE, SIZE)), dtype=float)
    except (OSError, SyntaxError, ValueError):
        return None


def accepted(data: bytes) -> bool:
    try:
        images.decode(data, SIZE)
    except ImageRejected:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=1000, help="files taken, evenly from the sorted names")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.jp*g"))
    if not files:
        parser.error(f"{arguments.folder}: no .jpeg or .jpg file in this folder")
    rng, rows, refused = np.random.default_rng(0), [], 0
    for path in files[:: max(1, len(files) // arguments.limit)]:
        whole = path.read_bytes()
        before = plain(whole)
        if before is None or not accepted(whole):
            refused += 1
            continue
        for name, damage in DAMAGES.items():
            data = bytearray(whole)
            damage(data, int(rng.integers(HEADER, max(HEADER + 1, len(data) * 3 // 4))), rng)
            after, passes = plain(bytes(data)), accepted(bytes(data))
            off = np.abs(after - before).mean() if passes and after is not None else np.nan
            rows.append({"damage": name, "Pillow": after is None, "pneumo": not passes, "off": off})
    print(f"{len(rows) // len(DAMAGES)} files; {refused} undamaged ones refused")
    print(f"{'damage':<30} {'refused by Pillow':>17} {'by pneumo':>9}   off by: median, most")
    for kind, group in pd.DataFrame(rows).groupby("damage", sort=False):
        passed = group["off"].dropna()
        shown = f"{passed.median():7.2f} {passed.max():7.1f}" if len(passed) else "none passes"
        print(f"{kind:<30} {group['Pillow'].mean():>17.1%} {group['pneumo'].mean():>9.1%}   {shown}")


if __name__ == "__main__":
    main()
