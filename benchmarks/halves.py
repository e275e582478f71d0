"""Split another hospital in two, by patient: `python -m benchmarks.halves TABLE.csv HALVES.csv [--seed 0]`.

HALVES.csv is TABLE.csv with one more column, `half`: development, on which recipes may be tried and chosen, or test,
which is scored once for each recipe that is then listed. A hash of the seed and the patient decides, so that a table
that grows never moves a patient. Use it as `where: {half: [development]}` of one data set and `{half: [test]}` of the
other.
"""

import argparse
from pathlib import Path

import pandas as pd

from pneumo.preprocessing.splits import position

HALVES = ("development", "test")


def half(patient: str, seed: int) -> str:
    return HALVES[position(f"half:{patient}", seed) >= 0.5]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("halves", type=Path)
    parser.add_argument("--patient", default="patient", metavar="COLUMN")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.table, dtype=str, keep_default_na=False)
    if arguments.patient not in table or "half" in table:
        columns = ", ".join(table.columns)
        parser.error(f"{arguments.table} has the columns {columns}: --patient names one, and none is 'half'")
    table["half"] = [half(patient, arguments.seed) for patient in table[arguments.patient]]
    table.to_csv(arguments.halves, index=False, lineterminator="\n")
    for name, part in table.groupby("half"):
        print(f"{name:<12} {len(part):>6} images of {part[arguments.patient].nunique():>6} patients")


if __name__ == "__main__":
    main()
