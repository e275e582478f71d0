"""Why is specificity lower on the test part than on validation? `python -m benchmarks.specificity RECORD CANDIDATE`.

RECORD: a folder with metrics/ and scores/, such as those of results/, with shortcut scores; SUSPECTS: a table with a
column `image`, by default RECORD/scores/suspected_labels.csv. For the mean over the networks of CANDIDATE:

    framing     specificity in each fifth of what the shortcut baseline says, which sees frame and exposure alone;
                fifths are those of validation normals, so that the shares say how differently test normals are framed,
                and the specificity at validation's shares says what would be left with validation's framing
    threshold   specificity on test where the threshold gives the recall that validation has
    labels      without the test normals whose label the audit suspects
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.scoring import scores

FIFTHS = 5


def specificity(table: pd.DataFrame, threshold: float) -> float:
    normals = table[table["label"] == 0]
    return float((normals["score"] < threshold).mean())


def network(record: Path, name: str, metrics: dict[str, Any], suspects: set[str]) -> dict[str, Any]:
    """Figures of one network."""
    val, test = (_framed(record, part, name) for part in ("val", "test"))
    edges = np.quantile(val.query("label == 0")["score_frame"], np.linspace(0, 1, FIFTHS + 1)[1:-1])
    threshold = metrics["threshold"]
    recall = float((val.query("label == 1")["score"] >= threshold).mean())
    pneumonias = np.sort(test.query("label == 1")["score"])
    moved = float(pneumonias[int(np.floor((1 - recall) * len(pneumonias)))])
    clean = test[~test["image"].isin(suspects)]
    of_val, of_test = in_fifths(val, threshold, edges), in_fifths(test, threshold, edges)
    return {
        "val": specificity(val, threshold),
        "test": specificity(test, threshold),
        "recalls": (recall, float((pneumonias >= threshold).mean())),
        "val_fifths": of_val,
        "test_fifths": of_test,
        "framing": of_test[0] @ of_val[1],
        "threshold": specificity(test, moved),
        "labels": specificity(clean, threshold),
        "all": in_fifths(clean, moved, edges)[0] @ of_val[1],
    }


def in_fifths(table: pd.DataFrame, threshold: float, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Specificity in each fifth of frames, and the share of normals in it: [2, FIFTHS]."""
    normals = table[table["label"] == 0]
    fifth = np.searchsorted(edges, normals["score_frame"], side="right")
    right = (normals["score"] < threshold).to_numpy()
    each = [right[fifth == at].mean() for at in range(FIFTHS)]
    return np.array([each, np.bincount(fifth, minlength=FIFTHS) / len(fifth)])


def _framed(record: Path, part: str, name: str) -> pd.DataFrame:
    """Scores, with those of the shortcut baseline as score_frame."""
    table = scores.read_scores(record / f"scores/{part}/{name}.csv")
    frame = scores.read_scores(record / f"scores/shortcut/{part}.csv")
    return table.merge(frame[["image", "score"]], on="image", suffixes=("", "_frame"))


def main() -> None:
    parser = argparse.ArgumentParser(description="How much of a low specificity is framing, threshold, label noise.")
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("candidate", metavar="CANDIDATE")
    parser.add_argument("--suspects", type=Path, help="a table with a column `image`")
    arguments = parser.parse_args()
    record = arguments.record
    suspects = set(pd.read_csv(arguments.suspects or record / "scores/suspected_labels.csv")["image"])
    metrics = json.loads((record / f"metrics/{arguments.candidate}.json").read_text())
    networks = metrics.get("replicates") or {arguments.candidate: metrics}
    found = [network(record, name, figures, suspects) for name, figures in networks.items()]
    mean = {key: np.mean([each[key] for each in found], axis=0) for key in found[0]}
    print(f"{record}, {', '.join(networks)}: specificity, mean")
    recalls = " and ".join(f"{value:.3f}" for value in mean["recalls"])
    print(f"validation {mean['val']:.3f}, test {mean['test']:.3f}; recall {recalls}")
    print("by fifths of the shortcut's score, least like pneumonia first (share of the normals):")
    for part in ("val", "test"):
        cells = "  ".join(f"{value:.3f} ({share:.0%})" for value, share in mean[f"{part}_fifths"].T)
        print(f"  {part:<5}{cells}")
    print(f"test with validation's framing:                            {mean['framing']:.3f}")
    print(f"test with a threshold that gives validation's recall:      {mean['threshold']:.3f}")
    print(f"test without suspected labels:                             {mean['labels']:.3f}")
    print(f"test with all three:                                       {mean['all']:.3f}")


if __name__ == "__main__":
    main()
