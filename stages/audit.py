"""Check the data -> data/audit/, metrics/data.json, scores/suspected_labels.csv, and scores and metrics of the baseline
that sees no lungs.
"""

from pathlib import Path

from pneumo import files, params
from pneumo.audit.audit import audit
from pneumo.data.listing import Raw
from pneumo.evaluation import suspected
from pneumo.params import Bootstrap, Evaluate, Main, Origin, Section, Sited, Threshold
from pneumo.scoring import scores
from stages import run


class Origins(Main, Origin):
    """Of the section `data`."""


class Params(Section):
    bootstrap: Bootstrap
    data: Origins
    evaluate: Evaluate
    preprocess: Sited
    threshold: Threshold


def main() -> None:
    config = params.load(Params)
    result = audit(
        Raw.of(Path("data"), config.data.site, config.preprocess.sites.names),
        Path("data/processed"),
        Path("data/audit"),
        source=config.data.source,
        subset=config.data.subset,
        threshold=config.threshold,
        bootstrap=config.bootstrap,
        prevalence=config.evaluate.prevalence,
    )
    scores.write(result.val_scores, Path("scores/shortcut/val.csv"))
    scores.write(result.test_scores, Path("scores/shortcut/test.csv"))
    suspected.write(result.suspects, Path("scores/suspected_labels.csv"))
    files.write_json(Path("metrics/shortcut.json"), result.shortcut)
    files.write_json(Path("metrics/data.json"), result.summary)
    for check in result.summary["audit"]["findings"]:
        print(f"{'look' if check['flag'] else 'ok':<5} {check['check']}: {check['finding']}")


if __name__ == "__main__":
    run(main)
