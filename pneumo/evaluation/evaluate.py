"""A candidate on the official test set -> its scores and metrics."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo import files
from pneumo.evaluation import abstention, calibration, decision, metrics, suspected
from pneumo.evaluation.drawn import Drawn
from pneumo.evaluation.over_seeds import over_seeds
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Bootstrap, Threshold

FROM_MODEL = ("weights", "parameters", "flops", "input_size")


@dataclass(frozen=True)
class Scored:
    """A model by its scores: scores.COLUMNS on test and validation, stress.COLUMNS of validation, or None for a model
    without images. thresholds: what draws of the validation patients give (decision.redrawn_thresholds).
    suspected_images: those with a suspected label; None where there is no list of them, as in early records.
    fitted_on: the kind of validation scores on which the threshold was set. error_rates: with margins around it.
    """

    test: pd.DataFrame
    validation: pd.DataFrame
    stress_logits: pd.DataFrame | None
    temperature: float
    threshold: float
    thresholds: NDArray[np.float64] | None
    members: Sequence[str] = ()
    suspected_images: Collection[str] | None = None
    fitted_on: str = "plain"
    error_rates: Sequence[float] = ()

    @classmethod
    def of(
        cls,
        model_json: Mapping[str, Any],
        logits: Mapping[str, pd.DataFrame],
        policy: "Threshold",
        bootstrap: "Bootstrap",
        suspected_images: Collection[str] | None = None,
    ) -> Self:
        """`logits`: val, stress and test, as the model gives them. `policy`, `bootstrap`: sections of params.yaml."""
        temperature = model_json["temperature"]
        validation = decision.calibrated(logits["val"], temperature)
        return cls(
            decision.calibrated(logits["test"], temperature),
            validation,
            logits["stress"],
            temperature,
            model_json["threshold"],
            decision.redrawn_thresholds(validation, logits["stress"], temperature, policy, bootstrap),
            list(model_json.get("members", ())),
            suspected_images,
            policy.scores,
            policy.error_rates,
        )

    def measure(self, prevalence: float) -> dict[str, Any]:
        """As `measure`; of an ensemble with its members."""
        values = measure(
            self.test,
            self.threshold,
            thresholds=self.thresholds,
            validation=self.validation,
            stress_logits=self.stress_logits,
            temperature=self.temperature,
            prevalence=prevalence,
            suspected_images=self.suspected_images,
            fitted_on=self.fitted_on,
            error_rates=self.error_rates,
        )
        return values | ({"members": list(self.members)} if self.members else {})


def read_logits(paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """What Scored.of takes, from the files that scores.paths names."""
    plain = {split: scores.read_logits(paths[split]) for split in ("val", "test")}
    return {**plain, "stress": stress.read_stress(paths["stress"])}


def score(model_json: Mapping[str, Any], logits: pd.DataFrame, scores_folder: Path) -> pd.DataFrame:
    """Write test/NAME.csv below `scores_folder`; returns scores.COLUMNS. `logits`: on the test set, RAW_COLUMNS."""
    scored = decision.calibrated(logits, model_json["temperature"])
    scores.write(scored, scores_folder / "test" / f"{model_json['name']}.csv")
    return scored


def evaluate(
    models: Mapping[str, Scored],
    model_json: Mapping[str, Any],
    metrics_path: Path,
    *,
    seeds: Sequence[int],
    prevalence: float,
) -> dict[str, Any]:
    """Write the metrics of a candidate on the test set to `metrics_path`; returns them.

    `models`: its replicates by their names, one for each of `seeds`. `model_json`: of the first, whose
    parameters and operations stand for all. `prevalence`: for ppv and npv.
    """
    values = of_candidate(models, seeds, prevalence) | {key: model_json[key] for key in FROM_MODEL}
    files.write_json(metrics_path, values)
    return values


def of_candidate(models: Mapping[str, Scored], seeds: Sequence[int], prevalence: float) -> dict[str, Any]:
    """The metrics of a candidate: of its one model, or over_seeds.over_seeds of all."""
    measured = {name: model.measure(prevalence) for name, model in models.items()}
    tables = [model.test.sort_values("image") for model in models.values()]
    drawn = [model.thresholds for model in models.values() if model.thresholds is not None]
    return over_seeds(measured, tables, drawn or None, seeds)


def line(metrics: Mapping[str, Any]) -> str:
    """What a stage prints of a candidate."""
    seeds = f", mean of {len(metrics['seeds'])} seeds" if "seeds" in metrics else ""
    return (
        f"test accuracy {metrics['accuracy']:.3f}, recall {metrics['recall']:.3f}, specificity "
        f"{metrics['specificity']:.3f}, ROC AUC {metrics['roc_auc']:.3f} on {metrics['n']} images{seeds}"
    )


def measure(
    table: pd.DataFrame,
    threshold: float,
    *,
    thresholds: NDArray[np.float64] | None,
    validation: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    temperature: float,
    prevalence: float,
    suspected_images: Collection[str] | None = None,
    fitted_on: str = "plain",
    error_rates: Sequence[float] = (),
) -> dict[str, Any]:
    """All numbers of the test set, to six digits; null where a number is undefined.

    `table`, `validation`: scores.COLUMNS of test and validation. `thresholds`: as for `figures`. `stress_logits`:
    stress.COLUMNS of validation, or None for a model without images. `prevalence`: of pneumonia, assumed for `ppv` and
    `npv`.

    In the result, beside what `figures` has, `at_half`: decisions at 0.5. `uncalibrated`: calibration before
    temperature scaling. `score_shift`: validation against test. `stress`: of validation images. `oracle`: see its note.
    `without_suspected_labels`: of the images that are not `suspected_images`; absent where these are None.
    `abstention`: of abstention.measure for `error_rates`, with margins from validation scores of the kind `fitted_on`;
    absent where there are none.
    """
    at_half = Drawn.of(table, 0.5)
    uncalibrated = table.assign(score=calibration.calibrate(table["logit"], 1.0))
    fitted = decision.selection_scores(validation, stress_logits, temperature, fitted_on)
    return {
        **figures(table, threshold, thresholds=thresholds, temperature=temperature, prevalence=prevalence),
        "at_half": {**metrics.values(at_half, "decision"), **metrics.counts(at_half)},
        "uncalibrated": metrics.values(Drawn.of(uncalibrated, threshold), "calibration"),
        "score_shift": metrics.score_shift(validation, table, threshold),
        "oracle": metrics.oracle(table["label"], table["score"]),
        **(
            {}
            if stress_logits is None
            else {"stress": metrics.stress_table(validation, stress_logits, temperature, threshold)}
        ),
        **(
            {} if suspected_images is None else {suspected.GROUP: suspected.without(table, threshold, suspected_images)}
        ),
        **(
            {abstention.GROUP: abstention.measure(table, validation, fitted, threshold, error_rates)}
            if error_rates
            else {}
        ),
    }


def figures(
    table: pd.DataFrame,
    threshold: float,
    *,
    temperature: float,
    prevalence: float,
    thresholds: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """All metrics of one set of images, to six digits, with what they rest on; null where one is undefined.

    `table`: scores.COLUMNS. `prevalence`: of pneumonia, assumed for `ppv` and `npv`. `ci95`: 95 % intervals over
    patients (`intervals`), also over those of validation where `thresholds` has the thresholds that draws of them give
    (`decision.redrawn_thresholds`); None takes `threshold` for given.
    """
    images = Drawn.of(table, threshold, temperature=temperature, prevalence=prevalence)
    return {
        "n": len(table),
        "patients": int(table["patient"].nunique()),
        **metrics.values(images, "decision"),
        **metrics.counts(images),
        **metrics.values(images, "prevalence"),
        "prevalence": prevalence,
        **metrics.values(images, "ranking"),
        **metrics.values(images, "calibration"),
        "threshold": threshold,
        "temperature": temperature,
        "ci95": metrics.intervals(
            table, threshold, temperature=temperature, prevalence=prevalence, thresholds=thresholds
        ),
    }
