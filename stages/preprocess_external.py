"""data/external/NAME/raw -> data/external/NAME/processed, like the training images and apart from them."""

from pathlib import Path

from pneumo import params
from pneumo.external import overlap
from pneumo.params import NO_KEY, Preprocess, Section, Split, Subset
from pneumo.preprocessing.preprocess import preprocess
from stages import run


class Params(Section):
    external: Subset
    preprocess: Preprocess
    split: Split


def main(name: str) -> None:
    config = params.load(Params, name)
    patient_key, folder = config.preprocess.patient_key, Path("data/external", name)
    summary = preprocess(
        folder / "raw",
        folder / "processed",
        subset=config.external.subset,
        image_size=config.preprocess.image_size,
        fit=config.preprocess.fit,
        views=config.preprocess.views,
        max_rejected=config.preprocess.max_rejected,
        patient_key=None if patient_key == NO_KEY else Path(patient_key),
        split=config.split.model_copy(update={"leave_out": None, "max_unknown_patients": 1.0}),
        elsewhere=True,
    )
    overlap.refuse(name, folder / "processed", Path("data/processed"))
    counts = summary["splits"]["test"]
    print(f"{name}: {counts['images']} images of {counts['patients']} patients, {counts['pneumonia']} pneumonia")
    print(f"{summary['rejected']} rejected" + (f": {folder}/processed/rejected.csv" if summary["rejected"] else ""))


if __name__ == "__main__":
    run(main)
