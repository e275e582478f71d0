"""Temperature and threshold on validation for the backbone that the command line names -> model.json and scores."""

from pathlib import Path

from pneumo import bundle, decision, params, scores
from stages import run


def main(name: str) -> None:
    policy = params.load().threshold.model_dump()
    folder = Path("models/trained", name)
    scored, decided = decision.decide(scores.read_raw(folder / "validation.csv"), policy)
    scores.write(scored, Path("scores/val", f"{name}.csv"))
    bundle.write_json(folder / "model.json", bundle.trained(folder) | decided)
    print(f"{name}: temperature {decided['temperature']:.4g}, threshold {decided['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
