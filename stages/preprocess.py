"""data/raw -> data/processed: pixels, manifest and rejected.csv."""

from pathlib import Path

from pneumo import params
from pneumo.preprocessing import preprocess
from stages import run


def main() -> None:
    chosen = params.load()
    summary = preprocess(
        Path("data/raw"),
        Path("data/processed"),
        subset=chosen.data.subset,
        image_size=chosen.preprocess.image_size,
        max_rejected=chosen.preprocess.max_rejected,
        seed=chosen.split.seed,
        val_fraction=chosen.split.val_fraction,
        allow=chosen.audit.allow,
        exclude=chosen.audit.exclude,
    )
    for split, part in summary["splits"].items():
        print(f"{split:<6} {part['images']:>5} images of {part['patients']:>5} patients, {part['pneumonia']} pneumonia")
    print(f"{summary['rejected']} rejected" + (": data/processed/rejected.csv" if summary["rejected"] else ""))
    if summary["excluded"]:
        print(f"{summary['excluded']} excluded by audit.exclude")


if __name__ == "__main__":
    run(main)
