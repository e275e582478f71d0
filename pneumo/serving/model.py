"""A model's folder, checked, with ONNX Runtime behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo.errors import BundleError, MissingExtra, ServingError
from pneumo.serving import contract
from pneumo.serving.contract import Contract
from pneumo.serving.guard import Guard

PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}
PHANTOMS = "trained on phantoms, which a program drew: it knows nothing of patients"
UNSURE = "unsure"  # the decision on a film that is left to a reader
LEAST = 1e-9  # the least probability that a logit is taken of
QUIET = 3  # errors of ONNX Runtime alone


class Session:
    """model.onnx in ONNX Runtime. `device`: cpu, gpu, or auto, which is a GPU where ONNX Runtime has one."""

    def __init__(self, path: Path, *, device: str = "cpu", threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra(
                "onnxruntime, which runs the model, is not installed: pip install 'pneumo[predict]'"
            ) from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        options.intra_op_num_threads = threads or 0  # 0: one for each core
        provider = PROVIDERS[_chosen(device, onnxruntime.get_available_providers())]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # of its own, by name only
            raise BundleError(f"ONNX Runtime cannot load {path}: {_first_line(error)}") from None
        # Without the GPU's driver or libraries it goes on with the CPU, and only logs that.
        self.device = "gpu" if PROVIDERS["gpu"] in self._session.get_providers() else "cpu"
        if device == "gpu" and self.device != "gpu":
            raise ServingError(
                "--device is gpu, and ONNX Runtime cannot start one: it needs a driver, CUDA and cuDNN (its log above "
                "says which). Install them, or use --device auto or cpu"
            )

    @property
    def side(self) -> int | None:
        """Of the squares that it takes, pixels; None where the network does not say."""
        shape = self._session.get_inputs()[0].shape if self._session.get_inputs() else []
        return shape[-1] if shape and isinstance(shape[-1], int) else None

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [B, S, S] -> the logit of each before calibration, float32 [B]."""
        (found,) = self._session.run(["logit"], {"pixels": pixels})
        return np.asarray(found, dtype=np.float32)

    def with_heat(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """uint8 [B, S, S] -> the same logits, and the heat, float32 [B, S, S]. For a model whose contract has it."""
        inputs = {"pixels": pixels, contract.WITH_HEAT: np.array(True)}
        logits, heat = self._session.run(["logit", contract.HEAT], inputs)
        return np.asarray(logits, dtype=np.float32), np.asarray(heat, dtype=np.float32)


@dataclass(frozen=True)
class Model:
    """An exported model, ready. `weights`: the SHA-256 by which its weights are known. `margin`: distance of a film's
    calibrated logit from that of the threshold within which it is left to a reader; None where none was asked for.
    """

    contract: Contract
    session: Session
    guard: Guard
    margin: float | None = None

    @property
    def weights(self) -> str:
        return self.contract.sha256.weights or self.contract.onnx.sha256

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against trusting it on any image."""
        return (PHANTOMS,) if self.contract.phantoms else ()

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """uint8 [B, S, S] -> the calibrated probability of pneumonia of each, float64 [B]."""
        return self._calibrated(self.session.logits(pixels))

    def heat(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [B, S, S] -> where the network found evidence for pneumonia, float32 [B, S, S] in [0, 1].

        Grad-CAM, as pneumo.explain.grad_cam has it, mean over views and members: 1 is the strongest of that image,
        however weak, and 0 none. Raises BundleError where the model has no heat.
        """
        return self.probabilities_and_heat(pixels)[1]

    def probabilities_and_heat(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Both for the price of the heat."""
        self.require_heat()
        logits, heat = self.session.with_heat(pixels)
        return self._calibrated(logits), heat

    def require_heat(self) -> None:
        """Raises BundleError where the model has no heat."""
        if not self.contract.onnx.heat:
            raise BundleError(
                f"the model {self.contract.name} gives no heat map: it was exported by an older version of pneumo, or "
                "its network has no map that could be shown. Export it again, or ask for no heat map"
            )

    def _calibrated(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.exp(-np.logaddexp(0, -logits.astype(float) / self.contract.temperature))

    def unlike(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """uint8 [B, S, S] -> whether each is unlike the training images, bool [B]."""
        unlike: NDArray[np.bool_] = self.guard.distances(pixels) > self.contract.guard.limit
        return unlike

    def decision(self, probability: float) -> str:
        """`pneumonia` at the threshold and above, else `normal`; UNSURE within the margin."""
        threshold = self.contract.threshold
        if self.margin is not None and abs(_logit(probability) - _logit(threshold)) < self.margin:
            return UNSURE
        normal, pneumonia = self.contract.labels
        return pneumonia if probability >= threshold else normal


def load(
    folder: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    error_rate: str | None = None,
    heat: bool = False,
) -> Model:
    """The model in `folder`, once its files have the hashes they should have and it has given the reference's logits.

    error_rate: one of the contract's margins, as 5%; None decides all. heat: is going to be asked for, and so tried,
    too. Raises BundleError, also where the model has no heat, and ServingError where there is no such device or margin.
    """
    about = contract.read(folder)
    margin = None if error_rate is None else _margin(about, error_rate)
    session = Session(contract.onnx(folder, about), device=device, threads=threads)
    if session.side not in (None, about.image_size):  # before inputs of that size take memory
        raise BundleError(
            f"{folder / contract.ONNX} takes images of {session.side} pixels a side, and image_size in "
            f"{contract.MODEL} is {about.image_size}. Get the model again"
        )
    guard = contract.guard(folder, about)
    inputs, logits = contract.reference(folder, about)
    try:
        found = session.logits(inputs)
    except Exception as error:
        raise BundleError(f"{folder / contract.ONNX} cannot be run: {_first_line(error)}") from None
    if found.shape != logits.shape:
        raise BundleError(
            f"{folder / contract.ONNX} gives {list(found.shape)} for {len(logits)} images; expected a logit for each. "
            "Get the model again"
        )
    worst = float(np.abs(found - logits).max())
    if not worst <= about.onnx.tolerance:
        raise BundleError(
            f"{folder} does not give the logits of its {contract.REFERENCE} on this machine: they differ by up to "
            f"{worst:.2g}, and {about.onnx.tolerance:g} is allowed. Do not use it here: get the model again, or try "
            "another version of onnxruntime"
        )
    model = Model(about, session, guard, margin)
    if heat:
        _try_heat(model, folder, inputs)
    return model


def _try_heat(model: Model, folder: Path, inputs: NDArray[np.uint8]) -> None:
    expected = contract.reference_heat(folder) if model.contract.onnx.heat else None
    found = model.heat(inputs)
    if expected is None or found.shape != inputs.shape:
        raise BundleError(
            f"{folder / contract.ONNX} gives heat of {list(found.shape)} for images of {list(inputs.shape)}. Get the "
            "model again"
        )
    worst = float(np.abs(contract.heat_parts(found) - expected).max())
    if not worst <= contract.HEAT_TOLERANCE:
        raise BundleError(
            f"{folder} does not give the heat of its {contract.REFERENCE} on this machine: it differs by up to "
            f"{worst:.2g}, and {contract.HEAT_TOLERANCE:g} is allowed. Ask for no heat map here, or get another "
            "version of onnxruntime"
        )


def _margin(about: Contract, error_rate: str) -> float:
    """Infinite where all films are left to a reader."""
    if error_rate not in about.margins:
        there = ", ".join(about.margins) or "none"
        raise ServingError(
            f"--error-rate is {error_rate}, and {about.name} has margins for: {there}. Name one of these, or add it "
            "to threshold.error_rates and run the pipeline again"
        )
    margin = about.margins[error_rate]
    return math.inf if margin is None else margin


def _logit(probability: float) -> float:
    """As pneumo.evaluation.abstention has it, of a probability with the six digits of scores/."""
    inside = min(max(float(f"{probability:.6g}"), LEAST), 1 - LEAST)
    return math.log(inside / (1 - inside))


def _chosen(device: str, available: Sequence[str]) -> str:
    has_gpu = PROVIDERS["gpu"] in available
    if device == "gpu" and not has_gpu:
        raise ServingError(
            "--device is gpu, and this ONNX Runtime has none: install onnxruntime-gpu, or use --device auto or cpu"
        )
    return "gpu" if has_gpu and device != "cpu" else "cpu"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
