"""Curves over all thresholds: ROC, precision and recall, net benefit; and the course of training."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pneumo.report.figures.style import HEIGHT, WIDTH, page, palette

Array = NDArray[np.float64]
Band = tuple[Array, Array, Array]  # x, low, high: pointwise 95 %
DOT: dict[str, Any] = {"marker": "o", "linestyle": "", "markeredgecolor": "white"}


def roc(folder: Path, curves: pd.DataFrame, results: Mapping[str, Mapping[str, Any]], best: str, band: Band) -> None:
    """roc.svg and, enlarged, roc_corner.svg: the curve of each model, the 95 % band of `best`.

    `curves`: model, fpr, tpr. `results`: name -> test metrics, in the order of the legend.
    """
    points = {
        name: (result["fp"] / (result["fp"] + result["tn"]), result["tp"] / (result["tp"] + result["fn"]))
        for name, result in results.items()
    }
    labels = {name: f"{name}  {result['roc_auc']:.3f}" for name, result in results.items()}
    side = _corner([(x, 1 - y) for x, y in points.values()])
    bounds = {"roc": ((-0.01, 1.01), (-0.01, 1.01)), "roc_corner": (_padded(0, side), _padded(1 - side, 1))}
    for stem, (x_bounds, y_bounds) in bounds.items():
        with page(folder / f"{stem}.svg", height=_height(labels)) as figure:
            axes = figure.subplots()
            axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
            _draw(axes, curves, "fpr", "tpr", "default", points, best, band)
            title = "ROC, test images" if stem == "roc" else "ROC, upper left corner"
            axes.set(xlabel="false positive rate (1 - specificity)", ylabel="recall", title=title)
            axes.set(xlim=x_bounds, ylim=y_bounds)
            _legend(figure, labels, best, "ROC AUC", "chance")


def precision_recall(
    folder: Path, curves: pd.DataFrame, results: Mapping[str, Mapping[str, Any]], best: str, band: Band
) -> None:
    """precision_recall.svg. `curves`: model, recall, precision, recall ascending. `band`: of `best`."""
    # Where nothing is called pneumonia there is no precision, and no point to mark.
    points = {
        name: (result["tp"] / (result["tp"] + result["fn"]), result["tp"] / (result["tp"] + result["fp"]))
        for name, result in results.items()
        if result["tp"] + result["fp"]
    }
    labels = {name: f"{name}  {result['average_precision']:.3f}" for name, result in results.items()}
    prevalence = (results[best]["tp"] + results[best]["fn"]) / results[best]["n"]
    with page(folder / "precision_recall.svg", height=_height(labels)) as figure:
        axes = figure.subplots()
        axes.axhline(prevalence, color="#999999", linestyle=":", linewidth=1)
        # scikit-learn's average precision is the area under these steps.
        _draw(axes, curves, "recall", "precision", "steps-pre", points, best, band)
        axes.set(xlabel="recall", ylabel="precision", title="Precision and recall, test images")
        lowest = min([prevalence, *(y for _, y in points.values())])
        axes.set(xlim=(-0.01, 1.01), ylim=_padded(max(0, np.floor(10 * lowest - 0.5) / 10), 1))
        _legend(figure, labels, best, "average precision", "all called pneumonia")


def decision_curve(
    path: Path, thresholds: Array, benefit: Mapping[str, Array], treat_all: Array, best: str, chosen_at: float
) -> None:
    """Net benefit over the threshold probability (Vickers & Elkin 2006): `benefit` by model, [t] each."""
    colours = palette(benefit)
    labels = {name: name for name in benefit}
    with page(path, height=_height(labels)) as figure:
        axes = figure.subplots()
        axes.axhline(0, color="#999999", linewidth=1)
        axes.plot(thresholds, treat_all, color="#999999", linestyle=":", linewidth=1.5)
        for name, values in benefit.items():
            width, order = (2.4, 3) if name == best else (1.3, 2)
            axes.plot(thresholds, values, color=colours[name], linewidth=width, zorder=order)
        axes.axvline(chosen_at, color="black", linestyle="--", linewidth=1)
        top = max(float(np.nanmax(values)) for values in benefit.values())
        axes.set(xlim=(0, 1), ylim=(-0.1 * top, 1.08 * top), title="Net benefit, test images")
        axes.set(xlabel="threshold probability", ylabel="net benefit")
        handles = _lines(labels, best)
        handles += [Line2D([], [], color="#999999", linestyle=":", label="all called pneumonia")]
        handles += [Line2D([], [], color="black", linestyle="--", linewidth=1, label="threshold of the model")]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def training(path: Path, history: pd.DataFrame, best: str) -> None:
    """Loss and validation ROC AUC by epoch, dotted under stress. `history`: of results.Results."""
    colours, handles = palette(history["model"]), []
    with page(path, WIDTH, 1.5 * HEIGHT) as figure:
        losses, aucs = figure.subplots(2, 1)
        for name, epochs in history.groupby("model", sort=False):
            style: dict[str, Any] = {
                "color": colours[str(name)],
                "linewidth": 2.4 if name == best else 1.3,
                "marker": "." if len(epochs) == 1 else "",
                "zorder": 3 if name == best else 2,
            }
            losses.plot(epochs["epoch"], epochs["train_loss"], linestyle="--", **{**style, "linewidth": 1.0})
            losses.plot(epochs["epoch"], epochs["val_loss"], **style)
            aucs.plot(epochs["epoch"], epochs["val_roc_auc"], **style)
            aucs.plot(epochs["epoch"], epochs["val_stress_roc_auc"], linestyle=":", **{**style, "linewidth": 1.0})
            label = str(name)
            if epochs["val_roc_auc"].notna().any():
                top = epochs.iloc[int(epochs["val_roc_auc"].argmax())]
                label = f"{name}  epoch {top['epoch']:.0f}"
                for axes, column in ((losses, "val_loss"), (aucs, "val_roc_auc")):
                    axes.plot(top["epoch"], top[column], color=style["color"], markersize=8, zorder=4, **DOT)
            handles.append(Line2D([], [], color=style["color"], linewidth=style["linewidth"], label=label))
        losses.set(title="Loss", ylabel="binary cross-entropy")
        losses.set_ylim(bottom=0)
        aucs.set(title="ROC AUC, validation images", xlabel="epoch", ylabel="ROC AUC")
        for axes in (losses, aucs):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        handles += [
            Line2D([], [], color="#666666", label="validation"),
            Line2D([], [], color="#666666", linestyle=":", linewidth=1.0, label="perturbed"),
            Line2D([], [], color="#666666", linestyle="--", linewidth=1.0, label="train"),
            Line2D([], [], color="#666666", label="highest ROC AUC", **DOT),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _draw(
    axes: Axes,
    curves: pd.DataFrame,
    x: str,
    y: str,
    drawstyle: Any,
    points: Mapping[str, tuple[float, float]],
    best: str,
    band: Band,
) -> None:
    colours = palette(curves["model"])
    axes.fill_between(*band, color=colours[best], alpha=0.15, linewidth=0, zorder=1)
    for name, curve in curves.groupby("model", sort=False):
        width, order = (2.4, 3) if name == best else (1.3, 2)
        axes.plot(curve[x], curve[y], color=colours[str(name)], drawstyle=drawstyle, linewidth=width, zorder=order)
    for name, (at_x, at_y) in points.items():
        size, order = (9, 5) if name == best else (7, 4)
        axes.plot(at_x, at_y, color=colours[name], markersize=size, zorder=order, **DOT)


def _legend(figure: Figure, labels: Mapping[str, str], best: str, what: str, reference: str) -> None:
    handles = _lines(labels, best)
    handles.append(Line2D([], [], color="#666666", label="at its threshold", **DOT))
    handles.append(Line2D([], [], color="#999999", linestyle=":", label=reference))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title=what, title_fontsize=9)


def _lines(labels: Mapping[str, str], best: str) -> list[Line2D]:
    colours = palette(labels)
    return [
        Line2D([], [], color=colours[name], linewidth=2.4 if name == best else 1.3, label=label)
        for name, label in labels.items()
    ]


def _height(labels: Iterable[str]) -> float:
    """Room for the legend below, three to a row."""
    return HEIGHT + 0.2 * ((len(list(labels)) + 1) // 3)


def _corner(distances: Sequence[tuple[float, float]]) -> float:
    """The side of the enlarged corner: the smallest that holds every operating point."""
    farthest = max((max(pair) for pair in distances), default=0.0)
    return next((side for side in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6) if farthest < 0.95 * side), 0.8)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.02 * (high - low)
    return low - margin, high + margin
