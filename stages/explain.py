"""Grad-CAM of the chosen model's most confident test cases, and what it was trained on -> reports/explain/."""

from pathlib import Path

from pneumo import bundle, params, runtime, scores
from stages import run

BEST = Path("models/best")


def main() -> None:
    chosen = params.load()
    runtime.fix(threads=chosen.runtime.threads, cpu_isa=chosen.runtime.cpu_isa)
    from pneumo import explain, samples  # import torch, which reads what runtime.fix has set
    from pneumo.augment import Augmentation

    contract = bundle.contract(BEST)
    name = contract["name"]
    found = explain.write(
        BEST,
        Path("data/processed"),
        scores.read(Path("scores/test", f"{name}.csv")),
        Path("reports/explain"),
        count=chosen.explain.cases,
        seed=chosen.explain.seed,
        accelerator=chosen.train.accelerator,
    )
    size = max(chosen.model[one].input_size for one in contract.get("members", [name]))
    changes = Augmentation(size, **chosen.augment.model_dump(exclude={"mixup"}))
    samples.write(Path("data/processed"), Path("reports/explain/samples.png"), changes, seed=chosen.explain.seed)
    print(f"{name}: {len(found['cases'])} cases; rank correlation with the maps of random weights: ", end="")
    print(f"{found['mean_correlation']} (mean of {found['defined_correlations']})")


if __name__ == "__main__":
    run(main)
