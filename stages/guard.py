"""What the input guard of the exported model flags -> scores/guard.csv, metrics/guard.json."""

from pathlib import Path

from pneumo import files
from pneumo.evaluation import flagged
from pneumo.export import unlike
from pneumo.params import Section
from stages import run


class Params(Section):
    pass


def main() -> None:
    distances, limit = unlike.distances(Path("models/best"), Path("data/processed"))
    flagged.write(distances, Path("scores/guard.csv"))
    measured = flagged.measure(flagged.read(Path("scores/guard.csv")), limit)
    files.write_json(Path("metrics/guard.json"), measured)
    for group, of_it in measured["groups"].items():
        print(f"{flagged.GROUPS[group]:<62} {of_it['flagged']:7.1%} of {of_it['n']:,}")


if __name__ == "__main__":
    run(main)
