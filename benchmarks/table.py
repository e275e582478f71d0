"""The source `table`: the same images as from an archive, and how long a large table takes.

    python -m benchmarks.table same ARCHIVE [--image-size 224]
    python -m benchmarks.table rows [--rows 112120]

same: unpacks ARCHIVE (a zip as conf/data/archive.yaml takes it), writes a table of what its file names say, prepares
the images once from the archive and once from the table, and compares manifest.csv, rejected.csv and images.npy.

rows: as many tiny files and rows as NIH ChestX-ray14 has, from there into data/raw, linked. In seconds of processor
time, user and system, which other work on the machine does not stretch much.
"""

import argparse
import csv
import resource
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pneumo import files, params, sources
from pneumo.data import listing
from pneumo.data.listing import Raw
from pneumo.params import Params, Source
from pneumo.preprocessing.preprocess import preprocess
from pneumo.sources import kermany
from pneumo.verification import gate

TOP = Path(__file__).parent.parent
COMPARED = ("manifest.csv", "rejected.csv", "images.npy")


def composed(*overrides: str) -> Params:
    return params.check(gate.compose(TOP, *overrides), "conf/")


def download(config: Params, raw: Path) -> None:
    source = Source(**{key: getattr(config.data, key) for key in Source.model_fields})
    print(sources.obtain(source, raw, raw.parent / "downloads"))


def prepare(config: Params, folder: Path) -> Path:
    download(config, folder / "raw")
    preprocess(
        Raw(folder / "raw"),
        folder / "processed",
        image_size=config.preprocess.image_size,
        max_rejected=config.preprocess.max_rejected,
        split=config.split,
    )
    return folder / "processed"


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def same(archive: Path, image_size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        size = f"preprocess.image_size={image_size}"
        by_archive = prepare(
            composed("data=archive", f"data.path='{archive.resolve()}'", "data.expected=null", size), top / "archive"
        )
        with zipfile.ZipFile(archive) as file:
            file.extractall(top / "images")
        (tree,) = {
            path.parent.parent.parent for path in (top / "images").rglob("*.jpeg") if "__MACOSX" not in path.parts
        }
        named = [kermany.identify(path.relative_to(tree).as_posix()) for path in sorted(tree.rglob("*.jpeg"))]
        table = write_table(
            top / "labels.csv",
            ("image", "label", "patient", "subtype", "split"),
            ([one.image, listing.LABELS[one.label], one.patient, one.subtype, one.source_split] for one in named),
        )
        by_table = prepare(
            composed(
                "data=table",
                f"data.path='{tree}'",
                f"data.table='{table}'",
                "data.columns.patient=patient",
                "data.columns.subtype=subtype",
                "data.columns.split=split",
                "data.labels.pneumonia=[PNEUMONIA]",
                "data.labels.normal=[NORMAL]",
                size,
            ),
            top / "table",
        )
        for name in COMPARED:
            first, second = (files.sha256(folder / name) for folder in (by_archive, by_table))
            print(f"{name:<14} {'the same bytes' if first == second else 'DIFFERS'}  {first}")


def rows(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        names = [f"images_{number % 12 + 1:03}/images/{number:08}_000.png" for number in range(count)]
        for place, image in enumerate(names):
            path = top / "nih" / image
            if place < 12:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"film")
        labels = ("No Finding", "Pneumonia", "Effusion|Pneumonia", "Effusion", "Mass|Nodule")
        header = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")
        cells = (
            (Path(image).name, labels[place % len(labels)], place // 4, 40, "F", "PA")
            for place, image in enumerate(names)
        )
        write_table(top / "nih/Data_Entry_2017_v2020.csv", header, cells)
        (top / "nih/test_list.txt").write_text(
            "".join(f"{Path(image).name}\n" for image in names[: count // 5 // 4 * 4])
        )
        start = time.process_time()
        config = composed("data=nih", f"data.path='{top / 'nih'}'")
        print(f"composing looks at every file: {time.process_time() - start:.1f} s")
        before, start = peak(), time.process_time()
        download(config, top / "raw")
        print(f"{count:,} rows: {time.process_time() - start:.1f} s, at most {peak() - before} MiB more than before")


def peak() -> int:
    """MiB, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("same")
    comparing.add_argument("archive", type=Path)
    comparing.add_argument("--image-size", type=int, default=224)
    counting = commands.add_parser("rows")
    counting.add_argument("--rows", type=int, default=112_120)
    arguments = parser.parse_args()
    if arguments.command == "same":
        same(arguments.archive, arguments.image_size)
    else:
        rows(arguments.rows)


if __name__ == "__main__":
    main()
