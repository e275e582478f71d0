"""data/raw from the source that `data` names."""

from pathlib import Path

from pneumo import params, sources
from pneumo.params import Section, Source
from stages import run

RAW = Path("data/raw")


class Params(Section):
    data: Source


def main() -> None:
    data = params.load(Params).data
    for folder, count in sources.obtain(data, RAW, sources.DOWNLOADS).items():
        print(f"{folder:<16} {count:>6}")


if __name__ == "__main__":
    run(main)
