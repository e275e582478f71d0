"""data/sites/NAME from the source that `sites.NAME` describes."""

from pathlib import Path

from pneumo import params, sources
from pneumo.params import Section, Site
from stages import run


class Params(Section):
    sites: Site


def main(name: str) -> None:
    data, raw = params.load(Params, name).sites, Path("data/sites", name)
    for part, count in sources.obtain(data, raw, sources.DOWNLOADS, f"sites.{name}").items():
        print(f"{part:<16} {count:>6}")


if __name__ == "__main__":
    run(main)
