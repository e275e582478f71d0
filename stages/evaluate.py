"""Score the official test part with the backbone or ensemble that the command line names -> its scores and metrics."""

from pathlib import Path

from pneumo import bundle, metrics, params, runtime, scores, stress
from stages import run

TRAINED, ENSEMBLES = Path("models/trained"), Path("models/ensembles")


def main(name: str) -> None:
    chosen = params.load()
    runtime.fix(threads=chosen.runtime.threads, cpu_isa=chosen.runtime.cpu_isa)
    from pneumo import scoring  # imports torch, which reads what runtime.fix has set

    folder, path = (ENSEMBLES if name in chosen.ensembles else TRAINED) / name, Path("scores/test", f"{name}.csv")
    scored = scoring.score(
        folder, Path("data/processed"), "test", members=TRAINED, accelerator=chosen.train.accelerator
    )
    scores.write(scored, path)
    contract = bundle.contract(folder)
    values = metrics.evaluate(
        scores.read(path),
        contract["threshold"],
        validation=scores.read(Path("scores/val", f"{name}.csv")),
        stressed=stress.read(Path("scores/stress", f"{name}.csv")),
        temperature=contract["temperature"],
        prevalence=chosen.evaluate.prevalence,
        resamples=chosen.bootstrap.resamples,
        seed=chosen.bootstrap.seed,
    )
    values |= {key: contract[key] for key in ("weights", "parameters", "flops", "input_size")}
    if "members" in contract:
        values["members"] = list(contract["members"])
    bundle.write_json(Path("metrics", f"{name}.json"), values)
    print(f"{name}: test accuracy {values['accuracy']:.3f}, recall {values['recall']:.3f}, ", end="")
    print(f"specificity {values['specificity']:.3f}, ROC AUC {values['roc_auc']:.3f} on {values['n']} images")


if __name__ == "__main__":
    run(main)
