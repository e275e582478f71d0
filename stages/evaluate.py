"""Score the official test part with the bundle that the command line names -> its scores and metrics."""

import json
from pathlib import Path

from pneumo import bundle, metrics, params, runtime
from stages import run


def main(name: str) -> None:
    chosen = params.load()
    runtime.fix(threads=chosen.runtime.threads, cpu_isa=chosen.runtime.cpu_isa)
    from pneumo import scoring  # imports torch, which reads what runtime.fix has set

    folder, path = Path("models/trained", name), Path("scores/test", f"{name}.csv")
    scored = scoring.score(folder, Path("data/processed"), "test", accelerator=chosen.train.accelerator)
    metrics.write_scores(scored, path)
    table, contract = metrics.read_scores(path), bundle.contract(folder)
    values = metrics.evaluate(table["label"], table["score"], contract["threshold"])
    values |= {key: contract[key] for key in ("weights", "parameters", "input_size")}
    Path("metrics", f"{name}.json").write_text(json.dumps(values, indent=2) + "\n")
    print(f"{name}: test accuracy {values['accuracy']:.3f}, recall {values['recall']:.3f}, ", end="")
    print(f"specificity {values['specificity']:.3f}, ROC AUC {values['roc_auc']:.3f} on {values['n']} images")


if __name__ == "__main__":
    run(main)
