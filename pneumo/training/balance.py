"""How much each training image counts, so that no class, and no site in it, outweighs the others."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.data.listing import SITE
from pneumo.errors import TrainingError


def shares(rows: pd.DataFrame, imbalance: str) -> NDArray[np.float64]:
    """The share of each of `rows`, which sum to 1, float64 [n].

    imbalance: a value of train.imbalance. `none`: all alike; `weights`, `sampling`: both classes have the same share;
    `sites`: and in each class every site that has images of it. Raises TrainingError for `sites` where the manifest
    does not say from which site an image is.
    """
    if imbalance == "none":
        return np.full(len(rows), 1 / len(rows))
    cell = ["label"]
    if imbalance == "sites":
        if SITE not in rows:
            raise TrainingError(
                f"train.imbalance is sites, and the images have no column {SITE!r}: give further sites "
                "(-S +data@sites.NAME=…), keep that column of the table (data.columns.keep), or use "
                "-S train.imbalance=sampling"
            )
        cell.append(SITE)
    classes = rows["label"].nunique()
    of_class = rows[cell].drop_duplicates().groupby("label").size()  # how many cells share what the class has
    size = rows.groupby(cell)["label"].transform("size")
    return (1 / (classes * rows["label"].map(of_class) * size)).to_numpy(float).copy()  # torch wants to write
