"""What the project has measured of the model, if it is of this model."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pneumo.errors import HubError
from pneumo.evaluation.metrics import BY_KEY
from pneumo.report import published
from pneumo.report.markdown import interval, number
from pneumo.serving.contract import Contract

CARD, METRICS, DATA = "reports/MODEL_CARD.md", "metrics/best.json", "metrics/data.json"
KEYS = ("roc_auc", "average_precision", "accuracy", "recall", "specificity", "precision", "f1", "brier")
DIGITS = 1e-5  # relative: metrics/ have six significant digits


@dataclass(frozen=True)
class Figures:
    """card: reports/MODEL_CARD.md; metrics: of the model on the test images, with ci95; images, patients: of these."""

    card: str
    metrics: Mapping[str, Any]
    images: int
    patients: int
    manifest: str
    phantom: bool

    @property
    def official(self) -> bool:
        """Whether there are as many test images as the official ones, and they are no phantoms."""
        return not self.phantom and self.images == published.TEST_IMAGES


def read(project: Path, contract: Contract) -> Figures:
    """Of the model that `contract` describes, from the files of `project`.

    The card names the hashes of the weights, and the same run of stage report wrote card and metrics. Raises HubError
    where one of these files is missing, or of another model.
    """
    card = _text(project / CARD)
    metrics, data = (json.loads(_text(project / name)) for name in (METRICS, DATA))
    _require_weights(project / CARD, card, contract)
    of_model = {**metrics, **metrics.get("selected", {})}
    for key, value in (("threshold", contract.threshold), ("temperature", contract.temperature)):
        if not math.isclose(of_model[key], value, rel_tol=DIGITS):
            raise _other(project / METRICS, f"its {key} is {of_model[key]:g}, and the model's is {value:g}")
    if data["manifest_sha256"] != contract.sha256.manifest:
        raise _other(project / DATA, "its images are not the ones this model was trained on")
    for key in KEYS:
        row = f"| {BY_KEY[key].words} | {number(of_model[key])} | {interval(of_model['ci95'].get(key))} |"
        if row not in card:
            raise _other(project / CARD, f"it lacks the row {row!r}, which follows from {METRICS}")
    return Figures(
        card, of_model, metrics["n"], metrics["patients"], data["manifest_sha256"], data["source"] == "phantom"
    )


def sections(card: str) -> tuple[str, dict[str, str]]:
    """The sentence below the title, and heading -> text of each section."""
    head, *parts = re.split(r"^## ", card, flags=re.MULTILINE)
    named = (part.partition("\n") for part in parts)
    return head.split("\n", 1)[1].strip(), {heading: text.strip() for heading, _, text in named}


def _require_weights(path: Path, card: str, contract: Contract) -> None:
    """Hashes of the weights stand in the table of the card's last section, those of members in the line below it."""
    if contract.sha256.weights:
        expected = {contract.name: f"| weights | `{contract.sha256.weights}` |"}
    else:
        expected = {name: f"{name} `{sha256}`" for name, sha256 in (contract.members or {}).items()}
    missing = [name for name, words in expected.items() if words not in card]
    if missing or not expected:
        raise _other(path, f"it does not name the weights of {', '.join(missing) or contract.name}")


def _other(path: Path, why: str) -> HubError:
    return HubError(
        f"{path} belongs to another model: {why}. A model is exported only with its own figures: run `dvc repro "
        "report`, or name the model that was selected"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HubError(
            f"{path} is missing: run from the project's top folder, after `dvc repro report` or `dvc pull`"
        ) from None
