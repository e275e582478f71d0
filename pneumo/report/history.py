"""The course of training, from the files that the stage train writes."""

import io
from pathlib import Path, PurePosixPath

import pandas as pd

from pneumo.errors import RecordError
from pneumo.models.curves import CURVES
from pneumo.report.outputs import Outputs


def read_history(root: Path, name: str) -> pd.DataFrame:
    """model, epoch and the columns of CURVES; no rows of a model that is a linear probe alone.

    Of an epoch that was run again the last row counts.
    """
    tree, folder = Outputs(root), f"dvclive/{name}/plots/metrics"
    if (root / folder).is_dir() and not any((root / folder).iterdir()):
        return pd.DataFrame(columns=["model", "epoch", *CURVES])
    columns = []
    for column, curve in CURVES.items():
        path, values = f"{folder}/{curve}.tsv", PurePosixPath(curve).name
        table = pd.read_csv(io.StringIO(tree.text(path)), sep="\t")
        if not {"step", values} <= set(table.columns) or table.empty:
            raise RecordError(
                f"{tree.where(path)}: expected rows with the columns step and {values}, found {len(table)} rows with "
                f"{', '.join(map(str, table.columns))}: {tree.remedy(path)}"
            )
        columns.append(table.drop_duplicates("step", keep="last").set_index("step")[values].rename(column))
    history = pd.concat(columns, axis=1).sort_index().rename_axis("epoch").reset_index()
    history.insert(0, "model", name)
    return history
