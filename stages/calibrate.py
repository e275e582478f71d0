"""Temperature and threshold on validation for the backbone that the command line names -> model.json and scores."""

from pathlib import Path

from pneumo import bundle, decision, params, scores, stress
from stages import run


def main(name: str) -> None:
    chosen = params.load()
    folder = Path("models/trained", name)
    stressed = stress.read(folder / "stress.csv")
    scored, decided = decision.decide(
        scores.read_raw(folder / "validation.csv"), stressed, chosen.threshold.model_dump()
    )
    scores.write(scored, Path("scores/val", f"{name}.csv"))
    stress.write(stressed, Path("scores/stress", f"{name}.csv"))
    contract = bundle.trained(folder) | {"views": chosen.views.model_dump()} | decided
    bundle.write_json(folder / "model.json", contract)
    print(f"{name}: temperature {decided['temperature']:.4g}, threshold {decided['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
