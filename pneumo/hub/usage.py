"""The part of the card that says how the model is used: with pneumo, and with three common packages alone."""

from pneumo.serving.contract import Contract
from pneumo.serving.model import Model

STRETCHED = """\
drafted = film.draft("L", (SIDE, SIDE))  # JPEG alone: a coarser picture straight from the decoder
square = film.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=drafted and drafted[1])
"""
PADDED = """\
sides = tuple(max(1, round(side * SIDE / max(film.size))) for side in film.size)
drafted = film.draft("L", sides)  # JPEG alone: a coarser picture straight from the decoder
fitted = film.convert("L").resize(sides, Image.Resampling.LANCZOS, box=drafted and drafted[1])
square = Image.new("L", (SIDE, SIDE))
square.paste(fitted, tuple((SIDE - side) // 2 for side in sides))
square.info = fitted.info
"""
PYTHON = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SIDE, TEMPERATURE, THRESHOLD = {side}, {temperature!r}, {threshold!r}  # of model.json

film = Image.open("film.jpeg")
{fit}pixels = np.asarray(ImageOps.exif_transpose(square))[np.newaxis]
session = onnxruntime.InferenceSession("model.onnx")
logit = session.run(["logit"], {{"pixels": pixels}})[0][0]
probability = 1 / (1 + np.exp(-logit / TEMPERATURE))
print(f"{{probability:.6f}}", "pneumonia" if probability >= THRESHOLD else "normal")
"""
SINGLE = "`model.safetensors` has the backbone as `body.*` and one linear layer as `head.1.*`."
SEVERAL = "`members/` has several networks, each with its backbone as `body.*` and one linear layer as `head.1.*`."
TEXT = """\
## Use

With pneumo, in a clone of this folder. It reads JPEG, PNG and DICOM, checks the hashes and the reference inputs, and
warns of images unlike the training images:

    pneumo predict film.jpeg --model .

With ONNX Runtime, NumPy and Pillow: the same number for JPEG and 8-bit PNG, but no checks and no warnings:

```python
{python}```

`model.onnx` takes packed pixels, uint8 [batch, {side}, {side}], 0 black, and gives `logit`, float32 [batch], before
calibration. Everything else is in it: resizing, normalisation, views{members}. `config.json` and
`preprocessor_config.json` say this to programs.

**Not a checkpoint of timm or transformers.** {weights}
Neither library would read films as the model was trained to see them, average its views or calibrate its output, so
neither would give its numbers.

## When not to believe it

`pneumo predict` says `unlike the training images` if the thumbnail of an image lies further from those of the training
images than {share} of the validation images do. Measured on real films, it flags photographs, text, noise, and films
that lie on their side or are inverted. It misses some of the films that are upside down, and most films of other
hospitals and ages, on which a model may be no better than chance. An image without a warning can still be the wrong
image.
"""


def python(contract: Contract) -> str:
    """A program that prints probability and decision for film.jpeg, run in the folder of the model."""
    fit = PADDED if contract.fit == "pad" else STRETCHED
    return PYTHON.format(
        side=contract.image_size, temperature=contract.temperature, threshold=contract.threshold, fit=fit
    )


def text(model: Model) -> str:
    """In Markdown."""
    contract = model.contract
    ensemble = contract.kind == "ensemble"
    return TEXT.format(
        python=python(contract),
        side=contract.image_size,
        members=" and all members" if ensemble else "",
        share=f"{100 * (1 - contract.guard.flagged):.0f} %",
        weights=SEVERAL if ensemble else SINGLE,
    )
