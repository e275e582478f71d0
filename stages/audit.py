"""Check the data -> data/audit/, metrics/data.json, and scores and metrics of the baseline that sees no lungs."""

from pathlib import Path

from pneumo import auditing, bundle, params, scores
from stages import run


def main() -> None:
    chosen = params.load()
    found = auditing.audit(
        Path("data/raw"),
        Path("data/processed"),
        Path("data/audit"),
        source=chosen.data.source,
        subset=chosen.data.subset,
        threshold=chosen.threshold.model_dump(),
        prevalence=chosen.evaluate.prevalence,
        resamples=chosen.bootstrap.resamples,
        seed=chosen.bootstrap.seed,
    )
    scores.write(found.validation, Path("scores/shortcut/val.csv"))
    scores.write(found.test, Path("scores/shortcut/test.csv"))
    bundle.write_json(Path("metrics/shortcut.json"), found.shortcut)
    bundle.write_json(Path("metrics/data.json"), found.summary)
    for one in found.summary["audit"]["findings"]:
        print(f"{'look' if one['flag'] else 'ok':<5} {one['check']}: {one['finding']}")


if __name__ == "__main__":
    run(main)
