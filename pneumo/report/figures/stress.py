"""How validation metrics fall under stress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pneumo.report.figures.style import HEIGHT, WIDTH, emphasis, page, palette

COLUMNS = 4
DECISIONS: dict[str, dict[str, Any]] = {
    "recall": {"color": "#D55E00", "linestyle": "-"},
    "specificity": {"color": "#009E73", "linestyle": "--"},
}
Table = Mapping[str, Any]  # as metrics.stress_table gives it


@dataclass(frozen=True)
class Curve:
    """One metric of `table` over the strength; `style` is shown in the legend too, `line` in the panels alone."""

    table: Table
    metric: str
    label: str
    style: Mapping[str, Any]
    line: Mapping[str, Any]


def ranking(path: Path, tables: Mapping[str, Table], selected: str) -> None:
    """ROC AUC of each model over the strength of each kind of perturbation."""
    colours = palette(tables)
    curves = [
        Curve(table, "roc_auc", name, {"color": colours[name]}, emphasis(name, selected))
        for name, table in tables.items()
    ]
    _draw(path, curves, "ROC AUC", "Stress validation")


def decisions(path: Path, table: Table, name: str, seeds: int) -> None:
    """Recall and specificity of a candidate over the strength of each kind of perturbation: of one model at its
    threshold, or the mean over several `seeds`, each at its own.
    """
    curves = [Curve(table, metric, metric, style, {"linewidth": 1.8}) for metric, style in DECISIONS.items()]
    title = f"{name} at its threshold" if seeds == 1 else f"{name}, mean of {seeds} seeds, each at its threshold"
    _draw(path, curves, "share", f"Stress validation, {title}")


def _draw(path: Path, curves: Sequence[Curve], ylabel: str, title: str) -> None:
    """A panel for each kind of perturbation, with all `curves`."""
    kinds = [kind for kind in curves[0].table if kind not in ("plain", "all")]
    with page(path, 1.6 * WIDTH, 1.15 * HEIGHT) as figure:
        panels = figure.subplots(-(-len(kinds) // COLUMNS), COLUMNS, sharey=True).ravel()
        for axes, kind in zip(panels, kinds, strict=False):
            for curve in curves:
                steps = {"none": curve.table["plain"], **curve.table[kind]}
                values = [metrics[curve.metric] for metrics in steps.values()]
                axes.plot(range(len(steps)), values, marker=".", **curve.style, **curve.line)
                axes.set_xticks(range(len(steps)), list(steps))
            axes.set_title(kind, loc="left", fontsize=10)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        for axes in panels[::COLUMNS]:
            axes.set_ylabel(ylabel)
        for axes in panels[len(kinds) :]:
            axes.set_visible(False)
        figure.suptitle(title, fontsize=11)
        handles = [Line2D([], [], label=curve.label, **curve.style) for curve in curves]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
