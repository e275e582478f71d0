"""data/external/NAME/raw from the source that `external.NAME` describes."""

from pathlib import Path

from pneumo import params, sources
from pneumo.params import External, Section
from stages import run


class Params(Section):
    external: External


def main(name: str) -> None:
    data, raw = params.load(Params, name).external, Path("data/external", name, "raw")
    for part, count in sources.obtain(data, raw, sources.DOWNLOADS, f"external.{name}").items():
        print(f"{part:<16} {count:>6}")


if __name__ == "__main__":
    run(main)
