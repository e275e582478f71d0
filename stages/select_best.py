"""Choose the best candidate on validation scores alone -> models/best/."""

import shutil
from pathlib import Path

import pandas as pd

from pneumo import bundle, choice, decision, params, scores, stress
from stages import run

TRAINED, ENSEMBLES, BEST = Path("models/trained"), Path("models/ensembles"), Path("models/best")


def main() -> None:
    chosen = params.load()
    folders = {name: (TRAINED if name in chosen.model else ENSEMBLES) / name for name in chosen.candidates}
    contracts = {name: bundle.contract(folder) for name, folder in folders.items()}
    found = choice.choose(
        {name: judged(name, contracts[name]["temperature"], chosen.select.scores) for name in folders},
        contracts,
        chosen.select.metric,
        prefer_cheaper=chosen.select.prefer_cheaper,
        resamples=chosen.bootstrap.resamples,
        seed=chosen.bootstrap.seed,
        judged=chosen.select.scores,
    )
    winner = found["model"]
    shutil.rmtree(BEST, ignore_errors=True)  # of an earlier winner; DVC may have hard-linked it to its cache
    copy(folders[winner], BEST)
    for member in contracts[winner].get("members", ()):
        copy(TRAINED / member, BEST / "members" / member)
    bundle.write_json(BEST / "choice.json", found)
    print(found["reason"])


def judged(name: str, temperature: float, kind: str) -> pd.DataFrame:
    scored = scores.read(Path("scores/val", f"{name}.csv"))
    return decision.judged(scored, stress.read(Path("scores/stress", f"{name}.csv")), temperature, kind)


def copy(bundle_folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "model.safetensors"):
        if (bundle_folder / name).is_file():
            shutil.copyfile(bundle_folder / name, to / name)


if __name__ == "__main__":
    run(main)
