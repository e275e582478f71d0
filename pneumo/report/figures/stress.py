"""How validation metrics fall as the images are perturbed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pneumo.report.figures.style import HEIGHT, WIDTH, page, palette

COLUMNS = 4
DECISIONS: dict[str, dict[str, Any]] = {
    "recall": {"color": "#D55E00", "linestyle": "-"},
    "specificity": {"color": "#009E73", "linestyle": "--"},
}
Table = Mapping[str, Any]  # as metrics.stress_table gives it


def ranking(path: Path, tables: Mapping[str, Table], best: str) -> None:
    """ROC AUC of each model over the strength of each kind of perturbation."""
    colours = palette(tables)
    kinds = _kinds(next(iter(tables.values())))
    with page(path, 1.6 * WIDTH, 1.15 * HEIGHT) as figure:
        panels = figure.subplots(-(-len(kinds) // COLUMNS), COLUMNS, sharey=True).ravel()
        for axes, kind in zip(panels, kinds, strict=False):
            for name, table in tables.items():
                width = 2.4 if name == best else 1.3
                _line(axes, table, kind, "roc_auc", color=colours[name], linewidth=width, marker=".")
        handles = [Line2D([], [], color=colours[name], label=name) for name in tables]
        _finish(figure, panels, kinds, handles, "ROC AUC", "Stress validation")


def decisions(path: Path, table: Table, name: str) -> None:
    """Recall and specificity of one model at its threshold over the strength of each kind of perturbation."""
    kinds = _kinds(table)
    with page(path, 1.6 * WIDTH, 1.15 * HEIGHT) as figure:
        panels = figure.subplots(-(-len(kinds) // COLUMNS), COLUMNS, sharey=True).ravel()
        for axes, kind in zip(panels, kinds, strict=False):
            for metric, drawn in DECISIONS.items():
                _line(axes, table, kind, metric, linewidth=1.8, marker=".", **drawn)
        handles = [Line2D([], [], label=metric, **drawn) for metric, drawn in DECISIONS.items()]
        _finish(figure, panels, kinds, handles, "share", f"{name} at its threshold, stress validation")


def _kinds(table: Table) -> list[str]:
    return [kind for kind in table if kind not in ("plain", "all")]


def _line(axes: Axes, table: Table, kind: str, metric: str, **style: Any) -> None:
    steps = {"none": table["plain"], **table[kind]}
    axes.plot(range(len(steps)), [row[metric] for row in steps.values()], **style)
    axes.set_xticks(range(len(steps)), list(steps))


def _finish(figure: Any, panels: Any, kinds: list[str], handles: list[Line2D], y: str, title: str) -> None:
    for axes, kind in zip(panels, kinds, strict=False):
        axes.set_title(kind, loc="left", fontsize=10)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    for axes in panels[::COLUMNS]:
        axes.set_ylabel(y)
    for axes in panels[len(kinds) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
