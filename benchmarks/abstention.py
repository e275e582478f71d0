"""What is left to a reader, and what errors remain: `python -m benchmarks.abstention RECORD CANDIDATE`.

RECORD: a folder with params.yaml, metrics/ and scores/, such as those of results/, of any age. Means over the networks
of CANDIDATE, each with margins from its own validation scores of the kind on which its threshold was set.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pneumo.evaluation import abstention, decision
from pneumo.evaluation.over_seeds import mean
from pneumo.record.tree import Folder
from pneumo.verification.run import Run, read_run


def measured(run: Run, name: str, rates: list[float]) -> dict[str, Any]:
    """abstention.measure of one network."""
    model = run.models[name]
    threshold, temperature = model.metrics["threshold"], model.metrics["temperature"]
    fitted = decision.selection_scores(model.val_scores, model.stress_logits, temperature, run.basis.threshold.scores)
    return abstention.measure(model.test_scores, model.val_scores, fitted, threshold, rates)


def main() -> None:
    parser = argparse.ArgumentParser(description="Films left to a reader, and errors among the others.")
    parser.add_argument("record", type=Path)
    parser.add_argument("candidate")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.02, 0.01, 0.005])
    arguments = parser.parse_args()
    run = read_run(Folder(arguments.record))
    names = run.candidates[arguments.candidate]
    values = mean([measured(run, name, arguments.rates) for name in names])
    print(f"{arguments.candidate}, {len(names)} networks, margins from validation, {run.basis.threshold.scores} scores")
    print("AURC " + ", ".join(f"{part} {value:.5f}" for part, value in values["aurc"].items()))
    print(f"{'stated':>7} {'margin':>7}   {'validation: left, errors':>25}   {'test: left, errors, missed':>36}")
    for words, row in abstention.rows({abstention.GROUP: values}).items():
        margin = "-" if row["margin"] is None else f"{row['margin']:.2f}"
        parts = [_part(row["validation"]), f"{_part(row['test'])}, {row['test']['missed']:.1f}"]
        print(f"{words:>7} {margin:>7}   {parts[0]:>25}   {parts[1]:>36}")


def _part(row: Mapping[str, Any]) -> str:
    error = "-" if row["error"] is None else f"{row['error']:.2%}"
    return f"{row['left']:.1%}, {error} ({row['errors']:.1f})"


if __name__ == "__main__":
    main()
