"""What all figures share. Same inputs, same bytes: no dates, no versions, no matplotlibrc, no pyplot."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pneumo import files

# Okabe & Ito (2008), colour-blind safe, without the yellow that vanishes on white. A backbone keeps its
# colour in every figure of every run.
COLOURS = {
    "cnn": "#000000",
    "vgg16": "#56B4E9",
    "vgg19": "#0072B2",
    "inceptionv3": "#E69F00",
    "resnet50": "#D55E00",
    "densenet121": "#009E73",
    "ensemble": "#CC79A7",
    "shortcut": "#999999",
}
SPARE_COLOURS = ("#332288", "#6B6B00", "#882255", "#44AA99", "#B59F00")
SUBTYPE_COLOURS = {"normal": "#009E73", "bacterial": "#D55E00", "viral": "#0072B2", "unknown": "#999999"}
SPLIT_COLOURS = {"train": "#000000", "val": "#0072B2", "test": "#D55E00"}
WIDTH, HEIGHT = 5.2, 4.3  # inches: ten-point letters are still ten pixels high on a telephone

_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 11,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",  # letters stay letters: they can be searched, and scale with the page
    "svg.hashsalt": "pneumo",
    "font.family": ["sans-serif"],
}


def palette(names: Iterable[str]) -> dict[str, str]:
    """The colour of each model. A name that is not in COLOURS fixes its own, unless another took it."""
    colours, spare = {}, list(SPARE_COLOURS)
    for name in sorted(set(names)):
        if name not in COLOURS:
            spare = spare or list(SPARE_COLOURS)
            preferred = SPARE_COLOURS[crc32(name.encode()) % len(SPARE_COLOURS)]
            taken = preferred if preferred in spare else spare[0]
            spare.remove(taken)
        colours[name] = COLOURS.get(name) or taken
    return colours


def emphasis(name: str, selected: str) -> dict[str, Any]:
    """Line width and order of one model's curve: that of the `selected` one is thicker and on top."""
    return {"linewidth": 2.4, "zorder": 3} if name == selected else {"linewidth": 1.3, "zorder": 2}


@contextmanager
def page(path: Path, width: float = WIDTH, height: float = HEIGHT) -> Iterator[Figure]:
    """A figure that is written to `path`, an SVG file, when the block ends."""
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(hspace=0.08))
        yield figure
        figure.savefig(files.fresh(path), format="svg", metadata={"Date": None, "Creator": None})
