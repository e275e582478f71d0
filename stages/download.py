"""data/raw from the source that `data` names."""

from pathlib import Path

from pneumo import params
from pneumo.params import Section, Source
from pneumo.sources import archive, kaggle, phantom
from stages import run

RAW = Path("data/raw")
DOWNLOADS = Path(".downloads")  # outlives the stage, so that an interrupted download can be resumed


class Params(Section):
    data: Source


def from_phantom(data: Source) -> dict[str, int]:
    assert data.phantom
    return phantom.draw(RAW, seed=data.phantom.seed, images=data.phantom.images, size=data.phantom.size)


def from_archive(data: Source) -> dict[str, int]:
    assert data.path
    return archive.unpack(Path(data.path), RAW, sha256=data.sha256, expected=data.expected)


def from_kaggle(data: Source) -> dict[str, int]:
    assert data.dataset
    assert data.version
    zipped = kaggle.fetch(data.dataset, data.version, DOWNLOADS / "kaggle" / data.dataset / str(data.version))
    return archive.unpack(zipped, RAW, sha256=data.sha256, expected=data.expected)


SOURCES = {"phantom": from_phantom, "archive": from_archive, "kaggle": from_kaggle}


def main() -> None:
    data = params.load(Params).data
    for folder, count in SOURCES[data.source](data).items():
        print(f"{folder:<16} {count:>6}")


if __name__ == "__main__":
    run(main)
