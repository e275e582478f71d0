"""data/raw and data/sites -> data/processed: pixels, manifest and rejected.csv."""

from pathlib import Path

from pneumo import params
from pneumo.data.listing import Raw
from pneumo.params import NO_KEY, Audit, Main, Preprocess, Section, Split
from pneumo.preprocessing.preprocess import preprocess
from stages import run


class Params(Section):
    audit: Audit
    data: Main
    preprocess: Preprocess
    split: Split


def main() -> None:
    config = params.load(Params)
    patient_key = config.preprocess.patient_key
    summary = preprocess(
        Raw.of(Path("data"), config.data.site, config.preprocess.sites.names),
        Path("data/processed"),
        subset=config.data.subset,
        image_size=config.preprocess.image_size,
        fit=config.preprocess.fit,
        views=config.preprocess.views,
        max_rejected=config.preprocess.max_rejected,
        patient_key=None if patient_key == NO_KEY else Path(patient_key),
        split=config.split,
        allow=config.audit.allow,
        exclude=config.audit.exclude,
    )
    for split, counts in summary["splits"].items():
        line = f"{split:<6} {counts['images']:>5} images of {counts['patients']:>5} patients"
        print(f"{line}, {counts['pneumonia']} pneumonia")
    for site, counts in summary["sites"].items():
        print(f"site {site}: {counts['images']} images, {counts['pneumonia']} pneumonia")
    print(f"{summary['rejected']} rejected" + (": data/processed/rejected.csv" if summary["rejected"] else ""))
    for reason, count in summary["set_aside"]["reasons"].items():
        print(f"{count} set aside: {reason}")
    if summary["excluded"]:
        print(f"{summary['excluded']} excluded by audit.exclude")


if __name__ == "__main__":
    run(main)
