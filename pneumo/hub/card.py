"""README.md of the folder: metadata as the Hub reads them, and the project's model card."""

from typing import Any

from pneumo.errors import HubError, MissingExtra
from pneumo.evaluation.metrics import BY_KEY
from pneumo.hub import usage
from pneumo.hub.figures import CARD, KEYS, METRICS, Figures, sections
from pneumo.serving.model import Model
from pneumo.serving.output import NOTICE

SECTIONS = (
    "Model", "Intended use", "Data", "Results on the test set", "Left to a reader", "What is unknown", "Provenance",
)  # fmt: skip
ELSEWHERE = " See the errors beside training images in `index.html`."  # which is not in the folder
METRIC_TYPES = {"brier": "brier_score"}  # key -> its name on the Hub, where it is another
TAGS = ["chest-x-ray", "radiology", "pneumonia", "binary-classification", "onnx", "not-a-medical-device"]
DATA_SETS = {  # of the test images: type and name
    "phantom": ("phantom", "phantom radiographs, drawn by a program: no patients"),
    "official": ("chest-xray-pneumonia", "official test images of Kermany et al. 2018, doi:10.17632/rscbjbr9sj"),
    "other": ("other", "images of the project that trained the model"),
}
PHANTOMS = "**Trained and tested on phantoms, miniature radiographs drawn by a program: useless on real films.** "


def render(model: Model, figures: Figures, source: str | None) -> str:
    """The card. source: address where the figures can be checked.

    Raises HubError where the project's card lacks a section, and MissingExtra without huggingface_hub.
    """
    headline, parts = sections(figures.card)
    missing = [name for name in SECTIONS if name not in parts]
    if missing:
        raise HubError(f"{CARD} has no section {missing[0]!r}: run `dvc repro report`")
    notice = f"{PHANTOMS if figures.phantom else ''}{NOTICE[0].upper()}{NOTICE[1:]}."
    body = [
        f"# {model.contract.name}: pneumonia on chest radiographs",
        f"> {notice}",
        headline,
        usage.text(model).strip(),
        *(f"## {name}\n\n{parts[name]}" for name in SECTIONS),
    ]
    text = "\n\n".join(body).replace(ELSEWHERE, "")
    return f"---\n{metadata(model, figures, source).to_yaml()}\n---\n\n{text}\n"


def metadata(model: Model, figures: Figures, source: str | None) -> Any:
    """huggingface_hub.ModelCardData: licence, task, tags and, as model-index, results on the test images.

    No `datasets`: that names data sets of the Hub, and the images came from none.
    """
    try:
        from huggingface_hub import EvalResult, ModelCardData
    except ImportError:
        raise MissingExtra(
            "huggingface_hub, which writes the card, is not installed: pip install 'pneumo[train]'"
        ) from None
    kind = "phantom" if figures.phantom else "official" if figures.official else "other"
    data_type, data_name = DATA_SETS[kind]
    results = [
        EvalResult(
            task_type="image-classification",
            task_name="pneumonia or normal",
            dataset_type=data_type,
            dataset_name=data_name,
            dataset_split="test",
            dataset_args={"images": figures.images, "patients": figures.patients, "manifest_sha256": figures.manifest},
            metric_type=METRIC_TYPES.get(key, key),
            metric_name=BY_KEY[key].words,
            metric_value=figures.metrics[key],
            metric_args={
                "ci95": figures.metrics["ci95"].get(key),
                **({"threshold": model.contract.threshold} if BY_KEY[key].group == "decision" else {}),
            },
            source_name=METRICS if source else None,
            source_url=source,
        )
        for key in KEYS
        if figures.metrics[key] is not None
    ]
    return ModelCardData(
        language="en",
        license="mit",
        library_name="pneumo",
        pipeline_tag="image-classification",
        tags=[*TAGS, *(["phantom"] if figures.phantom else [])],
        metrics=[METRIC_TYPES.get(key, key) for key in KEYS],
        model_name=model.contract.name,
        eval_results=results,
    )
