"""On which scores should a threshold be set? `python -m benchmarks.thresholds RECORD [--draws 200]`.

RECORD: a folder with scores/val and scores/stress, such as those of results/. Validation patients are drawn with
replacement, thresholds are set on those drawn, by each policy on plain scores and on scores under perturbations, and
judged on the patients who were not drawn: balanced accuracy plain and under stress, and how much the threshold itself
moves. Means over the networks of the record. Test images take no part.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.evaluation import calibration, thresholds
from pneumo.evaluation.bootstrap import patient_weights
from pneumo.models.perturbations import NAMES
from pneumo.scoring import scores, stress

POLICIES = ("youden", "f1")


def judged(val: pd.DataFrame, under_stress: pd.DataFrame, policy: str, on: str, draws: int) -> NDArray[np.float64]:
    """For each draw the threshold, as a calibrated logit, and balanced accuracy and accuracy of the patients who were
    not drawn, plain and under stress: [draws, 5].
    """
    temperature = calibration.temperature(val["label"], val["logit"])
    labels = val["label"].to_numpy()
    plain = val[["logit"]].to_numpy() / temperature
    stressed = under_stress[list(NAMES)].to_numpy() / temperature
    set_on = plain if on == "plain" else stressed
    rows = []
    for weights in patient_weights(val["patient"], resamples=draws, seed=0):
        for drawn in weights:
            repeated = np.repeat(drawn, set_on.shape[1])[None]
            each = np.repeat(labels, set_on.shape[1])
            (threshold,) = thresholds.find_each(each, set_on.ravel(), repeated, policy)
            out = drawn == 0
            rows.append(
                [
                    threshold,
                    *_shares(labels[out], plain[out], threshold),
                    *_shares(labels[out], stressed[out], threshold),
                ]
            )
    return np.array(rows)


def _shares(labels: NDArray[np.int64], logits: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    right = (logits >= threshold) == (labels[:, None] == 1)
    return float((right[labels == 1].mean() + right[labels == 0].mean()) / 2), float(right.mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Thresholds set on plain scores and under stress, on held-out patients."
    )
    parser.add_argument("record", type=Path, metavar="RECORD", help="has scores/val and scores/stress")
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args()
    files = sorted((arguments.record / "scores/stress").glob("*.csv"))
    print(f"{arguments.record}: {', '.join(file.stem for file in files)}; {arguments.draws} draws of patients")
    print("                  threshold      not drawn, plain     not drawn, under stress")
    print("policy  set on     SD (logit)   balanced  accuracy      balanced  accuracy")
    for policy in POLICIES:
        for on in ("plain", "stress"):
            found = np.stack(
                [
                    judged(
                        scores.read_scores(arguments.record / "scores/val" / file.name),
                        stress.read_stress(file),
                        policy,
                        on,
                        arguments.draws,
                    )
                    for file in files
                ]
            )
            sd = np.nanstd(found[:, :, 0], axis=1).mean()
            means = np.nanmean(found[:, :, 1:], axis=(0, 1))
            print(f"{policy:<8}{on:<8}{sd:11.2f}{means[0]:13.4f}{means[1]:10.4f}{means[2]:14.4f}{means[3]:10.4f}")


if __name__ == "__main__":
    main()
