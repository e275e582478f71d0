"""Join the choice with its test results -> metrics/best.json and reports/."""

from pathlib import Path

from pneumo import params, report, results
from stages import run


def main() -> None:
    chosen = params.load()
    found = results.read(Path(), chosen.candidates)
    report.write(
        found,
        Path("reports"),
        Path("metrics/best.json"),
        resamples=chosen.bootstrap.resamples,
        seed=chosen.bootstrap.seed,
    )
    print("reports/index.html, reports/report.md, reports/MODEL_CARD.md, metrics/best.json")


if __name__ == "__main__":
    run(main)
