"""What 377,110 full-size films would take, from measured figures: python -m benchmarks.many_films FOLDER

FOLDER: some full-size JPEGs, which stand for all. Measured are seconds of the processor to pack them into shards, to
take them out again, check, decode and resize them, and to hash them as DVC does; and the peak memory of the process
that does the same with tiny images, at COUNTS of them, from which the memory of each further image follows. The number
of shards is that of as many films and patients as MIMIC-CXR-JPG has, of its mean size, drawn by lot.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pneumo import shards
from pneumo.data import listing
from pneumo.data.listing import Listed, Raw
from pneumo.params import Split
from pneumo.preprocessing.preprocess import preprocess

# Johnson et al., MIMIC-CXR-JPG 2.1.0, doi:10.13026/jsn5-t979
FILMS, PATIENTS, GIGABYTES = 377_110, 65_379, 570.3
COUNTS = (10_000, 40_000)
SIZE = 299  # pixels a side, as packed
REPEATS = 20  # of each film
SPLIT = Split(seed=0, val_fraction=0.2, test_fraction=0.2, test_seed=0, max_unknown_patients=1.0, leave_out=None)


def prepare(folder: Path, size: int) -> dict[str, float]:
    """Seconds of the processor to pack the loose images of `folder` / "loose", and to preprocess them."""
    raw, loose = folder / "raw", folder / "loose"
    raw.mkdir()
    names = sorted(path.name for path in loose.iterdir())
    images = [Listed(name, place % 2, "unknown", f"patient {place // 2 // 2}", "") for place, name in enumerate(names)]
    began = time.process_time()
    shards.pack(images, loose, raw, remove=True)
    listing.write(images, (), raw)
    packed = time.process_time()
    preprocess(Raw(raw), folder / "processed", image_size=size, allow=names, threads=2, split=SPLIT, max_rejected=0.0)
    return {"packed": packed - began, "preprocessed": time.process_time() - packed}


def full_size(films: Path) -> None:
    originals = [path.read_bytes() for path in sorted(films.iterdir()) if path.is_file()]
    with tempfile.TemporaryDirectory() as name:
        loose = Path(name, "loose")
        loose.mkdir()
        for place in range(REPEATS * len(originals)):
            (loose / f"{place:05}.jpeg").write_bytes(originals[place % len(originals)])
        count = REPEATS * len(originals)
        seconds = prepare(Path(name), SIZE)
    megabytes = sum(map(len, originals)) * REPEATS / 1e6
    began = time.process_time()
    for data in originals * REPEATS:
        hashlib.md5(data)
    hashed = (time.process_time() - began) / megabytes
    each = {
        "packed": seconds["packed"] / megabytes,
        "hashed": hashed,
        "preprocessed": seconds["preprocessed"] / megabytes,
    }
    print(f"{count} films of {megabytes / count:.2f} MB, {seconds['preprocessed'] / count * 1e3:.0f} ms each: "
          + ", ".join(f"{what} at {1 / value:,.0f} MB/s" for what, value in each.items())
          + f"; {GIGABYTES} GB: "
          + ", ".join(f"{what} in {value * GIGABYTES * 1e3 / 3600:.1f} h" for what, value in each.items())
          + f" of one core; images.npy of {FILMS * SIZE * SIZE / 1e9:.1f} GB")  # fmt: skip


def memory() -> None:
    peaks = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            words = [sys.executable, "-m", "benchmarks.many_films", "--tiny", str(count), name]
            peaks.append(int(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout) / 1024)
    each = (peaks[1] - peaks[0]) / (COUNTS[1] - COUNTS[0])
    print(" and ".join(f"{peak:,.0f} MiB with {count:,} tiny images" for peak, count in zip(peaks, COUNTS, strict=True))
          + f": {each * 1024:.1f} KiB for each more, {(peaks[0] + each * FILMS) / 1024:.1f} GiB with {FILMS:,}"
          )  # fmt: skip


def tiny(folder: Path, count: int) -> None:
    (folder / "loose").mkdir()
    for place in range(count):
        encoded, grey = io.BytesIO(), np.random.default_rng(place).integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(grey).save(encoded, "JPEG")
        (folder / "loose" / f"{place:06}.jpeg").write_bytes(encoded.getvalue())
    prepare(folder, 32)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(status["VmHWM"].split()[0])  # KiB; of getrusage the peak would have this process's as it was forked


def objects() -> None:
    rng = np.random.default_rng(0)
    patient = np.concatenate([np.arange(PATIENTS), rng.integers(0, PATIENTS, FILMS - PATIENTS)])
    size = round(GIGABYTES * 1e9 / FILMS)
    films = [shards._Film(str(place), shards._bits(str(which)), size) for place, which in enumerate(patient)]
    sizes = [len(members) * size for _, members in shards._divided(films, "", shards.LIMIT)]
    print(f"{FILMS:,} films of {PATIENTS:,} patients, {GIGABYTES} GB: {len(sizes):,} shards of "
          f"{np.median(sizes) / 1e6:.0f} MB, at most {max(sizes) / 1e6:.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--tiny", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.tiny:
        tiny(arguments.folder, arguments.tiny)
        return
    objects()
    memory()
    full_size(arguments.folder)


if __name__ == "__main__":
    main()
