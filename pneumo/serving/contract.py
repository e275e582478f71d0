"""The folder of an exported model, as whoever uses it may rely on it.

model.json says all that is needed: what images become, what the network gives, where decisions fall. model.onnx
computes the logit from packed pixels, and on request where the evidence for it lies. reference.json has what inputs
drawn from a seed must give. The schema of model.json is docs/model.schema.json; `format` counts its versions.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pneumo import files
from pneumo.errors import BundleError
from pneumo.serving.guard import Guard, from_bytes

FORMAT = 1  # of model.json; raised when readers of the last one could go wrong
MODEL, ONNX, REFERENCE, GUARD = "model.json", "model.onnx", "reference.json", "guard.npz"
SEED = 0
HEAT, WITH_HEAT = "heat", "with_heat"  # names in model.onnx
HEAT_PARTS = 4  # a side, whose means reference.json has
HEAT_TOLERANCE = 0.02  # of such a mean
TOLERANCE = 1e-3  # of a logit: thirty times what float32 was seen to round, and far below what moves a decision

Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Keys that a reader does not know say more, never something else."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Onnx(Part):
    """model.onnx: input `pixels`, uint8 [batch, image_size, image_size], 0 black; output `logit`, float32 [batch].

    With `heat` also an input `with_heat`, bool, false by default, and an output `heat`, float32 [batch, image_size,
    image_size] in [0, 1]: where the evidence for pneumonia lies, 1 the strongest of each image. Without `with_heat` it
    is not computed, and has no rows.
    """

    opset: int
    sha256: Sha256
    tolerance: Annotated[Finite, Field(gt=0)]
    heat: Annotated[bool, Field(description="whether there is an output `heat`")] = False


class Guarded(Part):
    """guard.npz: what images are unlike those that the model was trained on (pneumo/serving/guard.py)."""

    sha256: Sha256
    limit: Annotated[Finite, Field(ge=0, description="an image at a greater distance is unlike the training images")]
    flagged: Annotated[Finite, Field(ge=0, le=1, description="share of the validation images beyond the limit")]


class Hashes(Part):
    """SHA-256 of the weights (an ensemble has none of its own), the training data's manifest and the code."""

    weights: Sha256 | None = None
    manifest: Sha256
    code: Sha256 | None = None


class Contract(Part):
    """model.json, format 1."""

    format: Literal[1]
    name: Annotated[str, Field(min_length=1)]
    kind: Literal["backbone", "ensemble"]
    labels: tuple[Literal["normal"], Literal["pneumonia"]]
    image_size: Annotated[int, Field(ge=1, le=100_000, description="side of the packed square, pixels")]
    fit: Annotated[Literal["stretch", "pad"], Field(description="how a film becomes that square")]
    film_views: Annotated[
        list[str] | None, Field(description="of the films it was trained on, beside those that do not say; null: all")
    ]
    phantoms: Annotated[
        bool, Field(description="trained on images that a program drew, so that it knows nothing of patients")
    ] = False
    temperature: Annotated[
        Finite, Field(gt=0, description="probability of pneumonia: 1 / (1 + exp(-logit / temperature))")
    ]
    threshold: Annotated[
        Finite, Field(ge=0, le=1.000001, description="pneumonia at this probability and above; just over 1: never")
    ]
    margins: Annotated[
        dict[str, Finite | None],
        Field(
            description="error rate, as 5% -> distance of the calibrated logit from that of the threshold within which "
            "a film is left to a reader, so that at most this share of the others was wrong on validation; null: all"
        ),
    ] = Field(default_factory=dict)
    sha256: Hashes
    onnx: Onnx
    guard: Guarded
    members: dict[str, Sha256] | None = None


class Reference(Part):
    """reference.json. Each input is drawn half as fine as the one before, and takes memory before it is cut to size."""

    seed: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1, le=8)]
    logits: list[Finite]
    heat: list[list[Finite]] | None = None  # of each input, means of parts of its map, row by row


def read(folder: Path) -> Contract:
    """What model.json in `folder` says. Raises BundleError where it is missing, broken, older or newer than FORMAT."""
    path = folder / MODEL
    content = _json(path)
    version = content.get("format")
    if version is None:
        raise BundleError(
            f"{path} has no `format`: this model has not been exported. Run `dvc repro export`, and use models/best"
        )
    if version != FORMAT:
        raise BundleError(
            f"{path} has format {version}, and this version of pneumo reads format {FORMAT}: "
            + ("upgrade pneumo" if isinstance(version, int) and version > FORMAT else "export the model again")
        )
    try:
        return Contract.model_validate(content)
    except ValidationError as error:
        raise BundleError(f"{path}: {_problem(error)}. Get the model again") from None


def onnx(folder: Path, contract: Contract) -> Path:
    """model.onnx in `folder`. Raises BundleError where it is missing or not the one that `contract` names."""
    return _verified(folder / ONNX, contract.onnx.sha256)


def guard(folder: Path, contract: Contract) -> Guard:
    """The guard in `folder`. Raises BundleError where it is missing or not the one that `contract` names."""
    path = _verified(folder / GUARD, contract.guard.sha256)
    return from_bytes(path.read_bytes(), str(path))


def reference(folder: Path, contract: Contract) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Inputs, [n, S, S], and the logits, [n], that the model gave for them when it was exported. Raises BundleError."""
    about = _reference(folder)
    return reference_inputs(contract.image_size, about.count, about.seed), np.array(about.logits)


def reference_heat(folder: Path) -> NDArray[np.float64]:
    """Of the same inputs, `heat_parts` of the heat that the model gave, [n, HEAT_PARTS²]. Raises BundleError."""
    about, path = _reference(folder), folder / REFERENCE
    if about.heat is None or {len(parts) for parts in about.heat} != {HEAT_PARTS**2} or len(about.heat) != about.count:
        raise BundleError(f"{path} lacks the heat of its inputs, {HEAT_PARTS**2} means for each. Get the model again")
    return np.array(about.heat)


def heat_parts(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n, S, S] -> the means of HEAT_PARTS x HEAT_PARTS parts of each, row by row, [n, HEAT_PARTS²]."""
    size = heat.shape[-1]
    starts = [at * size // HEAT_PARTS for at in range(HEAT_PARTS)]
    sides = [slice(start, max((at + 1) * size // HEAT_PARTS, start + 1)) for at, start in enumerate(starts)]
    means = [heat[:, rows, columns].mean(axis=(1, 2), dtype=float) for rows in sides for columns in sides]
    return np.stack(means, axis=1)


def _reference(folder: Path) -> Reference:
    path = folder / REFERENCE
    try:
        about = Reference.model_validate(_json(path))
    except ValidationError as error:
        raise BundleError(f"{path}: {_problem(error)}. Get the model again") from None
    if len(about.logits) != about.count:
        raise BundleError(f"{path} has {len(about.logits)} logits for {about.count} inputs. Get the model again")
    return about


def reference_inputs(size: int, count: int, seed: int = SEED) -> NDArray[np.uint8]:
    """uint8 [count, size, size], the same on every machine: squares of noise, each coarser than the one before."""
    generator = np.random.default_rng(seed)
    images = []
    for at in range(count):
        side = max(1, size >> at)
        coarse = generator.integers(0, 256, (side, side), dtype=np.uint8)
        images.append(np.kron(coarse, np.ones((2**at, 2**at), dtype=np.uint8))[:size, :size])
    return np.stack([np.pad(image, [(0, size - side) for side in image.shape], mode="edge") for image in images])


def packed_size(folder: Path) -> int:
    """Side of the packed pixels that the model in `folder` is for. Raises BundleError where its members disagree."""
    return int(_common(folder, "image_size"))


def fit(folder: Path) -> str:
    """How a film becomes a square for the model in `folder`."""
    return str(_common(folder, "fit"))


def schema() -> dict[str, Any]:
    """The JSON schema of model.json, as docs/model.schema.json has it."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "model.json of a pneumo model"}
    return {**Contract.model_json_schema(), **about}


def _verified(path: Path, expected: str) -> Path:
    if not path.is_file():
        raise BundleError(f"{path} is missing: run `dvc repro export`, or `dvc pull` the model")
    try:
        sha256 = files.sha256(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from None
    if sha256 != expected:
        raise BundleError(
            f"{path} is damaged or belongs to another model: its SHA-256 is {sha256}, and {MODEL} names {expected}. "
            "Get the model again"
        )
    return path


def _common(folder: Path, key: str) -> Any:
    content = _json(folder / MODEL)
    if content["kind"] != "ensemble":
        return content[key]
    found = {_json(folder / "members" / name / MODEL)[key] for name in content["members"]}
    if len(found) != 1:
        raise BundleError(f"{folder}: its members have {key} {sorted(found)}: expected one")
    return found.pop()


def _problem(error: ValidationError) -> str:
    """Where the first one is, what was expected and what is there."""
    problem = error.errors()[0]
    value = "" if problem["type"] == "missing" else f" (it is {repr(problem['input'])[:80]})"
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}{value}"


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{path} is missing: name the folder of an exported model. In the project that is models/best, which `make "
            "repro` or `dvc pull` brings"
        ) from None
    except NotADirectoryError:
        raise BundleError(f"{path.parent} is a file: name the folder of an exported model") from None
    except PermissionError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError, OSError) as error:
        raise BundleError(f"{path} cannot be read: {' '.join(str(error).split())[:150]}. Get the model again") from None
    if not isinstance(content, dict):
        raise BundleError(f"{path} is not a JSON object: get the model again")
    return content
