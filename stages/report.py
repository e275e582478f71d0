"""Join the choice with its test results -> metrics/best.json and reports/."""

from pathlib import Path

from pneumo import params, report
from stages import run


def main() -> None:
    report.write(
        params.load().candidates,
        best=Path("models/best"),
        scores=Path("scores"),
        metrics=Path("metrics"),
        curves=Path("dvclive"),
        data=Path("metrics/data.json"),
        out=Path("reports"),
        winner=Path("metrics/best.json"),
    )
    print("reports/report.md, reports/figures/, metrics/best.json")


if __name__ == "__main__":
    run(main)
