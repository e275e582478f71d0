"""Cross-validation that keeps all images of a patient on one side."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 5
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def by_patient(classes: NDArray[np.int_], patients: pd.Series) -> list[Fold]:
    """Rows to fit on and rows to test on, FOLDS times or as often as the patients of the smaller class allow.

    Empty if there are too few patients for both classes to be on both sides each time.
    """
    fewest = min((patients[classes == label].nunique() for label in (0, 1)), default=0)
    if fewest < 2:
        return []
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=0)
    folds = list(splitter.split(classes, classes, groups=patients))
    complete = all(len(set(classes[rows])) == 2 for fold in folds for rows in fold)
    return folds if complete else []
