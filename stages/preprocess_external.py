"""data/external/NAME/raw -> data/external/NAME/processed, like the training images and apart from them."""

from pathlib import Path

from pneumo import params
from pneumo.data.listing import Raw
from pneumo.external import overlap
from pneumo.params import NO_KEY, Pixels, Section, Seed, Split, Subset
from pneumo.preprocessing.preprocess import preprocess
from stages import run


class Params(Section):
    external: Subset
    preprocess: Pixels
    split: Seed


ALL_TEST = Split(  # of which the seed alone counts: it draws the sample of external.NAME.subset
    seed=0, val_fraction=0.5, test_fraction=0.5, test_seed=0, max_unknown_patients=1.0, leave_out=None
)


def main(name: str) -> None:
    config = params.load(Params, name)
    patient_key, folder = config.preprocess.patient_key, Path("data/external", name)
    summary = preprocess(
        Raw(folder / "raw"),
        folder / "processed",
        subset=config.external.subset,
        image_size=config.preprocess.image_size,
        fit=config.preprocess.fit,
        views=config.preprocess.views,
        max_rejected=config.preprocess.max_rejected,
        patient_key=None if patient_key == NO_KEY else Path(patient_key),
        split=ALL_TEST.model_copy(update={"seed": config.split.seed}),
        elsewhere=True,
    )
    overlap.refuse(name, folder / "processed", Path("data/processed"))
    counts = summary["splits"]["test"]
    print(f"{name}: {counts['images']} images of {counts['patients']} patients, {counts['pneumonia']} pneumonia")
    print(f"{summary['rejected']} rejected" + (f": {folder}/processed/rejected.csv" if summary["rejected"] else ""))


if __name__ == "__main__":
    run(main)
