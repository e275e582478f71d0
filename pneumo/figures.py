"""The figures of the report. Same inputs, same bytes: no dates, no versions, no matplotlibrc, no pyplot."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

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
}
SPARE_COLOURS = ("#332288", "#999999", "#882255", "#44AA99", "#B59F00")
SUBTYPE_COLOURS = {"normal": "#009E73", "bacterial": "#D55E00", "viral": "#0072B2", "unknown": "#999999"}

_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 11,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def palette(names: Iterable[str]) -> dict[str, str]:
    """The colour of each backbone. A name that is not in COLOURS fixes its own, unless another took it."""
    chosen, spare = {}, list(SPARE_COLOURS)
    for name in sorted(set(names)):
        if name not in COLOURS:
            spare = spare or list(SPARE_COLOURS)
            preferred = SPARE_COLOURS[crc32(name.encode()) % len(SPARE_COLOURS)]
            taken = preferred if preferred in spare else spare[0]
            spare.remove(taken)
        chosen[name] = COLOURS.get(name) or taken
    return chosen


@contextmanager
def _page(path: Path, width: float, height: float) -> Iterator[Figure]:
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(hspace=0.08))
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        # DVC may have hard-linked an earlier file to its cache.
        path.unlink(missing_ok=True)
        figure.savefig(path, dpi=150, bbox_inches="tight", metadata={"Software": None})


def roc(path: Path, curves: pd.DataFrame, results: Mapping[str, Mapping[str, Any]], best: str) -> None:
    """ROC curves, whole and enlarged.

    `curves`: model, fpr, tpr. `results`: name -> test metrics, in the order of the legend.
    """
    points = {
        name: (one["fp"] / (one["fp"] + one["tn"]), one["tp"] / (one["tp"] + one["fn"]))
        for name, one in results.items()
    }
    labels = {name: f"{name}  AUC {one['roc_auc']:.3f}" for name, one in results.items()}
    side = _corner([(x, 1 - y) for x, y in points.values()])
    with _page(path, 11, 4.6) as figure:
        whole, corner = figure.subplots(1, 2)
        for axes in (whole, corner):
            axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
            _draw_curves(axes, curves, "fpr", "tpr", "default", points, best)
            axes.set(xlabel="false positive rate (1 - specificity)", ylabel="recall")
        whole.set(title="ROC, test images", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        corner.set(title="upper left corner", xlim=_padded(0, side), ylim=_padded(1 - side, 1))
        _curve_legend(figure, labels, best, "chance")


def precision_recall(path: Path, curves: pd.DataFrame, results: Mapping[str, Mapping[str, Any]], best: str) -> None:
    """Precision over recall, whole and enlarged. `curves`: model, recall, precision, recall ascending."""
    # Where nothing is called pneumonia there is no precision, and no point to mark.
    points = {
        name: (one["tp"] / (one["tp"] + one["fn"]), one["tp"] / (one["tp"] + one["fp"]))
        for name, one in results.items()
        if one["tp"] + one["fp"]
    }
    labels = {name: f"{name}  AP {one['average_precision']:.3f}" for name, one in results.items()}
    side = _corner([(1 - x, 1 - y) for x, y in points.values()])
    one = results[best]
    prevalence = (one["tp"] + one["fn"]) / one["n"]
    with _page(path, 11, 4.6) as figure:
        whole, corner = figure.subplots(1, 2)
        for axes in (whole, corner):
            axes.axhline(prevalence, color="#999999", linestyle=":", linewidth=1)
            # scikit-learn's average precision is the area under these steps.
            _draw_curves(axes, curves, "recall", "precision", "steps-pre", points, best)
            axes.set(xlabel="recall", ylabel="precision")
        whole.set(title="Precision and recall, test images", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        corner.set(title="upper right corner", xlim=_padded(1 - side, 1), ylim=_padded(1 - side, 1))
        _curve_legend(figure, labels, best, f"all called pneumonia: {prevalence:.2f}")


def _draw_curves(
    axes: Axes,
    curves: pd.DataFrame,
    x: str,
    y: str,
    drawstyle: Any,
    points: Mapping[str, tuple[float, float]],
    best: str,
) -> None:
    colours = palette(curves["model"])
    for name, curve in curves.groupby("model", sort=False):
        width, order = (2.4, 3) if name == best else (1.3, 2)
        axes.plot(curve[x], curve[y], color=colours[str(name)], drawstyle=drawstyle, linewidth=width, zorder=order)
    for name, (at_x, at_y) in points.items():
        size = 9 if name == best else 7
        axes.plot(
            at_x,
            at_y,
            "o",
            color=colours[name],
            markeredgecolor="white",
            markersize=size,
            zorder=5 if name == best else 4,
        )


def _curve_legend(figure: Figure, labels: Mapping[str, str], best: str, reference: str) -> None:
    colours = palette(labels)
    handles = [
        Line2D([], [], color=colours[name], linewidth=2.4 if name == best else 1.3, label=label)
        for name, label in labels.items()
    ]
    handles.append(
        Line2D([], [], color="#666666", marker="o", linestyle="", markeredgecolor="white", label="threshold")
    )
    handles.append(Line2D([], [], color="#999999", linestyle=":", label=reference))
    figure.legend(handles=handles, loc="outside right center")


def _corner(distances: Sequence[tuple[float, float]]) -> float:
    """The side of the enlarged corner: the smallest that holds every operating point."""
    farthest = max((max(pair) for pair in distances), default=0.0)
    return next((side for side in (0.1, 0.2, 0.3, 0.4) if farthest < 0.95 * side), 0.5)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.02 * (high - low)
    return low - margin, high + margin


def confusion(path: Path, results: Mapping[str, Mapping[str, Any]], best: str) -> None:
    """One confusion matrix for each backbone: images, and percentages of the row."""
    rows = 1 if len(results) <= 4 else 2
    columns = -(-len(results) // rows)
    with _page(path, 2.7 * columns + 0.4, 3.0 * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for index, (axes, (name, one)) in enumerate(zip(grid, results.items(), strict=False)):
            counts = np.array([[one["tn"], one["fp"]], [one["fn"], one["tp"]]])
            shares = counts / counts.sum(axis=1, keepdims=True)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                text = f"{counts[row, column]}\n{share:.1%}"
                axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black")
            title = f"{name} (chosen)" if name == best else name
            weight = "bold" if name == best else "normal"
            axes.set_title(title, fontweight=weight, fontsize=min(11, 260 / len(title)))
            axes.set_xticks([0, 1], ["normal", "pneumonia"])
            axes.set_yticks([0, 1], ["normal", "pneumonia"], rotation=90, va="center")
            axes.set_xlabel("predicted")
            if index % columns == 0:
                axes.set_ylabel("actual")
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        for axes in grid[len(results) :]:
            axes.set_axis_off()


def training(path: Path, history: pd.DataFrame, best: str) -> None:
    """Loss and validation ROC AUC by epoch. `history`: model, epoch, train_loss, val_loss, val_roc_auc."""
    colours, handles = palette(history["model"]), []
    with _page(path, 11, 4.2) as figure:
        losses, aucs = figure.subplots(1, 2)
        for name, one in history.groupby("model", sort=False):
            style: dict[str, Any] = {
                "color": colours[str(name)],
                "linewidth": 2.4 if name == best else 1.3,
                "marker": "." if len(one) == 1 else "",
                "zorder": 3 if name == best else 2,
            }
            losses.plot(one["epoch"], one["train_loss"], linestyle="--", **{**style, "linewidth": 1.0})
            losses.plot(one["epoch"], one["val_loss"], **style)
            aucs.plot(one["epoch"], one["val_roc_auc"], **style)
            label = str(name)
            if one["val_roc_auc"].notna().any():
                top = one.iloc[int(one["val_roc_auc"].argmax())]
                label = f"{name}  epoch {top['epoch']:.0f}"
                for axes, column in ((losses, "val_loss"), (aucs, "val_roc_auc")):
                    mark = {"color": style["color"], "markeredgecolor": "white", "markersize": 8}
                    axes.plot(top["epoch"], top[column], "o", zorder=5 if name == best else 4, **mark)
            handles.append(Line2D([], [], color=style["color"], linewidth=style["linewidth"], label=label))
        losses.set(title="Loss", xlabel="epoch", ylabel="binary cross-entropy")
        losses.set_ylim(bottom=0)
        aucs.set(title="ROC AUC, validation images", xlabel="epoch", ylabel="ROC AUC")
        for axes in (losses, aucs):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        mark = {"marker": "o", "linestyle": "", "markeredgecolor": "white"}
        handles += [
            Line2D([], [], color="#666666", label="validation"),
            Line2D([], [], color="#666666", linestyle="--", linewidth=1.0, label="train"),
            Line2D([], [], color="#666666", label="highest ROC AUC", **mark),
        ]
        figure.legend(handles=handles, loc="outside right center")


def scores(path: Path, table: pd.DataFrame, threshold: float, name: str) -> None:
    """Histograms of the scores of one backbone, a row for each subtype that the table has."""
    present = [subtype for subtype in SUBTYPE_COLOURS if (table["subtype"] == subtype).any()]
    with _page(path, 7.5, 1.5 * len(present) + 1.1) as figure:
        column = figure.subplots(len(present), 1, sharex=True, squeeze=False).ravel()
        for axes, subtype in zip(column, present, strict=True):
            some = table.loc[table["subtype"] == subtype, "score"]
            axes.hist(some, bins=np.linspace(0, 1, 41).tolist(), color=SUBTYPE_COLOURS[subtype])
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
            called = int((some >= threshold).sum())
            axes.set_title(f"{subtype}: {called} of {len(some)} called pneumonia", loc="left", fontsize=10)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
            axes.set_ylabel("images")
        column[-1].set(xlabel="score: probability of pneumonia", xlim=(-0.01, 1.01))
        figure.suptitle(f"Test scores of {name}, threshold {threshold:.3g} (dashed)", fontsize=11)
