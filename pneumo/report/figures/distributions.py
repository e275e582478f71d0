"""How scores and image features are spread: histograms, reliability diagrams, shift between the splits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pneumo.report.figures.style import SPLIT_COLOURS, SUBTYPE_COLOURS, WIDTH, page, palette
from pneumo.report.markdown import CLASSES, SPLITS

BINS = np.linspace(0, 1, 41)
OUTLINE: dict[str, Any] = {"histtype": "step", "color": "black", "linewidth": 0.8}


def scores(path: Path, test: pd.DataFrame, validation: pd.DataFrame, threshold: float, name: str) -> None:
    """Histograms of the scores of one model, a row for each subtype of the test set; validation as an outline.

    Heights are shares of the subtype's images, so that sets of different size compare.
    """
    present = [subtype for subtype in SUBTYPE_COLOURS if (test["subtype"] == subtype).any()]
    with page(path, WIDTH, 1.35 * len(present) + 1.1) as figure:
        column = figure.subplots(len(present), 1, sharex=True, squeeze=False).ravel()
        for axes, subtype in zip(column, present, strict=True):
            for table, style in ((test, {"color": SUBTYPE_COLOURS[subtype]}), (validation, OUTLINE)):
                of_subtype = table.loc[table["subtype"] == subtype, "score"]
                if len(of_subtype):
                    weights = np.full(len(of_subtype), 100 / len(of_subtype))
                    axes.hist(of_subtype, bins=BINS.tolist(), weights=weights, **style)
            in_test = test.loc[test["subtype"] == subtype, "score"]
            title = f"{subtype}: {int((in_test >= threshold).sum())} of {len(in_test)} called pneumonia"
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
            axes.set_title(title, loc="left", fontsize=10)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
            axes.set_ylabel("% of images")
        column[-1].set(xlabel="score: probability of pneumonia", xlim=(-0.01, 1.01))
        figure.suptitle(f"Scores of {name}: test filled, validation outlined", fontsize=11)


def reliability(path: Path, calibrated: pd.DataFrame, uncalibrated: pd.DataFrame, name: str) -> None:
    """Observed share of pneumonia over mean score, with 95 % intervals by patients, before and after calibration.

    Both tables as calibration.reliability gives them.
    """
    colour = palette([name])[name]
    with page(path, WIDTH / 1.5, WIDTH / 1.5) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
        axes.plot(uncalibrated["mean_score"], uncalibrated["observed"], color="#999999", marker=".", linewidth=1)
        reach = np.abs(calibrated[["low", "high"]].to_numpy().T - calibrated["observed"].to_numpy())
        axes.errorbar(calibrated["mean_score"], calibrated["observed"], yerr=reach, color=colour, marker="o",
                      markersize=5, linewidth=1.6, elinewidth=1)  # fmt: skip
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=name)
        axes.set(xlabel="mean score", ylabel="share with pneumonia")


def feature_shift(path: Path, features: pd.DataFrame, names: Mapping[str, str]) -> None:
    """Densities of some features by split, a row for each feature, a column for each class.

    `features`: split, label and the columns that `names` (column -> words) gives.
    """
    with page(path, 1.6 * WIDTH, 1.35 * len(names) + 0.8) as figure:
        grid = figure.subplots(len(names), 2, squeeze=False, sharex="row")
        for row, (column, words) in zip(grid, names.items(), strict=True):
            low, high = features[column].quantile([0.005, 0.995])
            bins = np.linspace(low, high if high > low else low + 1, 31).tolist()
            for axes, (label, of_class) in zip(row, enumerate(CLASSES), strict=True):
                for split, colour in SPLIT_COLOURS.items():
                    values = features.loc[(features["split"] == split) & (features["label"] == label), column]
                    if len(values):
                        axes.hist(values.clip(low, high), bins=bins, density=True, histtype="step", color=colour)
                axes.set_title(f"{words}, {of_class}", loc="left", fontsize=10)
                axes.set_yticks([])
        handles = [Line2D([], [], color=colour, label=SPLITS[split]) for split, colour in SPLIT_COLOURS.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
