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

from pneumo.report.figures.style import HEIGHT, SPLIT_COLOURS, WIDTH, emphasis, page, palette

Array = NDArray[np.float64]
Band = tuple[Array, Array, Array]  # x, low, high: pointwise 95 %
Metrics = Mapping[str, Mapping[str, Any]]  # of each model on the test set, in the order of the legend
DOT: dict[str, Any] = {"marker": "o", "linestyle": "", "markeredgecolor": "white"}
REFERENCE: dict[str, Any] = {"color": "#999999", "linestyle": ":"}
THIN: dict[str, Any] = {"linewidth": 1.0}


def roc(folder: Path, curves: pd.DataFrame, metrics: Metrics, selected: str, band: Band) -> None:
    """roc.svg and, enlarged, roc_corner.svg: the curve of each model, the 95 % band of the `selected` one.

    `curves`: model, fpr, tpr.
    """
    points = {
        name: (values["fp"] / (values["fp"] + values["tn"]), values["tp"] / (values["tp"] + values["fn"]))
        for name, values in metrics.items()
    }
    labels = {name: f"{name}  {values['roc_auc']:.3f}" for name, values in metrics.items()}
    side = _corner([(x, 1 - y) for x, y in points.values()])
    bounds = {"roc": ((-0.01, 1.01), (-0.01, 1.01)), "roc_corner": (_padded(0, side), _padded(1 - side, 1))}
    for stem, (x_bounds, y_bounds) in bounds.items():
        with page(folder / f"{stem}.svg", height=_height(labels)) as figure:
            axes = figure.subplots()
            axes.plot([0, 1], [0, 1], **REFERENCE, **THIN)
            _draw(axes, curves.rename(columns={"fpr": "x", "tpr": "y"}), "default", points, selected, band)
            title = "ROC, test images" if stem == "roc" else "ROC, upper left corner"
            axes.set(xlabel="false positive rate (1 - specificity)", ylabel="recall", title=title)
            axes.set(xlim=x_bounds, ylim=y_bounds)
            _legend(figure, labels, selected, "ROC AUC", "chance")


def precision_recall(folder: Path, curves: pd.DataFrame, metrics: Metrics, selected: str, band: Band) -> None:
    """precision_recall.svg. `curves`: model, recall, precision, recall ascending. `band`: of the `selected` model."""
    # Where nothing is called pneumonia there is no precision, and no point to mark.
    points = {
        name: (values["tp"] / (values["tp"] + values["fn"]), values["tp"] / (values["tp"] + values["fp"]))
        for name, values in metrics.items()
        if values["tp"] + values["fp"]
    }
    labels = {name: f"{name}  {values['average_precision']:.3f}" for name, values in metrics.items()}
    prevalence = (metrics[selected]["tp"] + metrics[selected]["fn"]) / metrics[selected]["n"]
    with page(folder / "precision_recall.svg", height=_height(labels)) as figure:
        axes = figure.subplots()
        axes.axhline(prevalence, **REFERENCE, **THIN)
        # scikit-learn's average precision is the area under these steps.
        _draw(axes, curves.rename(columns={"recall": "x", "precision": "y"}), "steps-pre", points, selected, band)
        axes.set(xlabel="recall", ylabel="precision", title="Precision and recall, test images")
        lowest = min([prevalence, *(y for _, y in points.values())])
        axes.set(xlim=(-0.01, 1.01), ylim=_padded(max(0, np.floor(10 * lowest - 0.5) / 10), 1))
        _legend(figure, labels, selected, "average precision", "all called pneumonia")


def decision_curve(
    path: Path, thresholds: Array, benefit: Mapping[str, Array], treat_all: Array, selected: str, threshold: float
) -> None:
    """Net benefit over the threshold probability (Vickers & Elkin 2006): `benefit` by model, [t] each."""
    colours = palette(benefit)
    labels = {name: name for name in benefit}
    with page(path, height=_height(labels)) as figure:
        axes = figure.subplots()
        axes.axhline(0, color=REFERENCE["color"], **THIN)
        axes.plot(thresholds, treat_all, **REFERENCE, linewidth=1.5)
        for name, values in benefit.items():
            axes.plot(thresholds, values, color=colours[name], **emphasis(name, selected))
        axes.axvline(threshold, color="black", linestyle="--", **THIN)
        top = max(float(np.nanmax(values)) for values in benefit.values())
        axes.set(xlim=(0, 1), ylim=(-0.1 * top, 1.08 * top), title="Net benefit, test images")
        axes.set(xlabel="threshold probability", ylabel="net benefit")
        handles = _lines(labels, selected)
        handles += [Line2D([], [], **REFERENCE, label="all called pneumonia")]
        handles += [Line2D([], [], color="black", linestyle="--", **THIN, label=f"threshold of {selected}")]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def risk_coverage(
    path: Path, at: Mapping[str, tuple[Array, Array]], kept: Mapping[str, Mapping[str, float]], selected: str
) -> None:
    """Errors among the films that are decided, over their share, and what each margin gives.

    `at`: validation and test -> coverage and risk. `kept`: words for an error rate -> `coverage` and `risk` on test.
    """
    colours = {name: SPLIT_COLOURS[key] for name, key in (("validation", "val"), ("test", "test"))}
    with page(path) as figure:
        axes = figure.subplots()
        for name, (coverage, risk) in at.items():
            axes.plot(100 * coverage, 100 * risk, color=colours[name], drawstyle="steps-post", linewidth=1.6)
        for words, point in kept.items():
            axes.plot(100 * point["coverage"], 100 * point["risk"], color=colours["test"], markersize=8, **DOT)
            axes.annotate(words.replace("%", " %"), (100 * point["coverage"], 100 * point["risk"]),
                          xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9)  # fmt: skip
        axes.set(xlabel="films decided, %", ylabel="errors among them, %", title=f"Risk and coverage of {selected}")
        axes.set(xlim=(-1, 101))
        axes.set_ylim(bottom=0)
        handles = [Line2D([], [], color=colour, label=f"{name} images") for name, colour in colours.items()]
        handles.append(Line2D([], [], color=colours["test"], label="stated error rate", **DOT))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def training(path: Path, history: pd.DataFrame, selected: str) -> None:
    """Loss and validation ROC AUC by epoch, dotted under stress. `history`: of results.Results."""
    colours, handles = palette(history["model"]), []
    with page(path, WIDTH, 1.5 * HEIGHT) as figure:
        losses, aucs = figure.subplots(2, 1)
        for name, epochs in history.groupby("model", sort=False):
            colour, label = colours[str(name)], str(name)
            style = {"color": colour, "marker": "." if len(epochs) == 1 else "", **emphasis(label, selected)}
            losses.plot(epochs["epoch"], epochs["train_loss"], linestyle="--", **{**style, **THIN})
            losses.plot(epochs["epoch"], epochs["val_loss"], **style)
            aucs.plot(epochs["epoch"], epochs["val_roc_auc"], **style)
            aucs.plot(epochs["epoch"], epochs["val_stress_roc_auc"], linestyle=":", **{**style, **THIN})
            if epochs["val_roc_auc"].notna().any():
                top = epochs.iloc[int(epochs["val_roc_auc"].argmax())]
                label = f"{name}  epoch {top['epoch']:.0f}"
                for axes, column in ((losses, "val_loss"), (aucs, "val_roc_auc")):
                    axes.plot(top["epoch"], top[column], color=colour, markersize=8, zorder=4, **DOT)
            handles.append(Line2D([], [], color=colour, linewidth=style["linewidth"], label=label))
        losses.set(title="Loss", ylabel="binary cross-entropy")
        losses.set_ylim(bottom=0)
        aucs.set(title="ROC AUC, validation images", xlabel="epoch", ylabel="ROC AUC")
        for axes in (losses, aucs):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        handles += [
            Line2D([], [], color="#666666", label="validation"),
            Line2D([], [], color="#666666", linestyle=":", **THIN, label="under stress"),
            Line2D([], [], color="#666666", linestyle="--", **THIN, label="training"),
            Line2D([], [], color="#666666", label="highest ROC AUC", **DOT),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _draw(
    axes: Axes,
    curves: pd.DataFrame,
    drawstyle: Any,
    points: Mapping[str, tuple[float, float]],
    selected: str,
    band: Band,
) -> None:
    """`curves`: model, x, y. `points`: each model at its threshold."""
    colours = palette(curves["model"])
    axes.fill_between(*band, color=colours[selected], alpha=0.15, linewidth=0, zorder=1)
    for name, curve in curves.groupby("model", sort=False):
        line = emphasis(str(name), selected)
        axes.plot(curve["x"], curve["y"], color=colours[str(name)], drawstyle=drawstyle, **line)
    for name, (x, y) in points.items():
        size, order = (9, 5) if name == selected else (7, 4)
        axes.plot(x, y, color=colours[name], markersize=size, zorder=order, **DOT)


def _legend(figure: Figure, labels: Mapping[str, str], selected: str, title: str, reference: str) -> None:
    handles = _lines(labels, selected)
    handles.append(Line2D([], [], color="#666666", label="at its threshold", **DOT))
    handles.append(Line2D([], [], **REFERENCE, label=reference))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title=title, title_fontsize=9)


def _lines(labels: Mapping[str, str], selected: str) -> list[Line2D]:
    colours = palette(labels)
    return [
        Line2D([], [], color=colours[name], linewidth=emphasis(name, selected)["linewidth"], label=label)
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
