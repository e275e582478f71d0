"""Choose the best backbone on validation scores alone -> models/best/."""

import json
import shutil
from pathlib import Path

from pneumo import bundle, choice, metrics, params
from stages import run


def main() -> None:
    chosen = params.load()
    trained, best = Path("models/trained"), Path("models/best")
    decision = choice.choose(
        {name: metrics.read_scores(Path("scores/val", f"{name}.csv")) for name in chosen.model},
        {name: bundle.contract(trained / name) for name in chosen.model},
        chosen.select.metric,
    )
    shutil.copytree(trained / decision["model"], best, dirs_exist_ok=True)
    (best / "choice.json").write_text(json.dumps(decision, indent=2) + "\n")
    print(decision["reason"])


if __name__ == "__main__":
    run(main)
