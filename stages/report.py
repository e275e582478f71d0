"""Join the choice with its test results -> metrics/best.json and reports/."""

from pathlib import Path

from pneumo import params
from pneumo.params import Params
from pneumo.report import reading, report
from stages import machine, run


def main() -> None:
    config = params.load(Params)
    report.write(
        reading.read_results(Path(), config.candidates, bootstrap=config.bootstrap, policy=config.threshold),
        Path("reports"),
        Path("metrics/best.json"),
        resamples=config.bootstrap.resamples,
        seed=config.bootstrap.seed,
    )
    machine.note(config.runtime)
    print("reports/index.html, reports/report.md, reports/MODEL_CARD.md, metrics/best.json")


if __name__ == "__main__":
    run(main)
