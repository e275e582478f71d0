"""Validation scores -> the best candidate, how certain that is, and why. Test scores never come here."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo import files
from pneumo.evaluation import bootstrap, decision, metrics
from pneumo.evaluation.metrics import rounded
from pneumo.models import bundle
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Resampling, Select


def select_best(
    folders: Mapping[str, Path], scores_folder: Path, best: Path, *, select: "Select", bootstrap: "Resampling"
) -> dict[str, Any]:
    """Copy the best candidate to the folder `best`, with choice.json; returns the content of choice.json.

    `folders`: name -> folder of each candidate; an ensemble's members are copied with it. Reads val/NAME.csv and
    stress/NAME.csv below `scores_folder`, and nothing of the test set.
    """
    model_jsons = {name: bundle.model_json(folder) for name, folder in folders.items()}
    candidates = {
        name: decision.selection_scores(
            scores.read_scores(scores_folder / "val" / f"{name}.csv"),
            stress.read_stress(scores_folder / "stress" / f"{name}.csv"),
            model_json["temperature"],
            select.scores,
        )
        for name, model_json in model_jsons.items()
    }
    choice = choose(
        candidates,
        model_jsons,
        select.metric,
        prefer_cheaper=select.prefer_cheaper,
        resamples=bootstrap.resamples,
        seed=bootstrap.seed,
        scores_kind=select.scores,
    )
    winner = choice["model"]
    shutil.rmtree(best, ignore_errors=True)  # DVC may have hard-linked the last winner's files to its cache
    bundle.copy(folders[winner], best)
    for member in model_jsons[winner].get("members", ()):
        bundle.copy(folders[member], best / "members" / member)
    files.write_json(best / "choice.json", choice)
    return choice


def choose(
    validation: Mapping[str, pd.DataFrame],
    model_jsons: Mapping[str, Mapping[str, Any]],
    metric: str,
    *,
    prefer_cheaper: bool,
    resamples: int,
    seed: int,
    scores_kind: str = "plain",
) -> dict[str, Any]:
    """The content of models/best/choice.json: the winner by `metric`, and how far the other candidates are from it.

    `validation`: name -> scores.COLUMNS, all of the same images. `scores_kind`: plain or stress, as in select.scores.
    `model_jsons`: name -> model.json. All candidates are resampled together, `resamples` times. The winner is the best
    one; with `prefer_cheaper`, of those within noise of the best, the one with the fewest parameters, then operations.
    """
    scores.same_images(dict(validation), "validation scores")
    candidates = ranked(validation, model_jsons, metric)
    draws = bootstrap.paired(
        {candidate["model"]: validation[candidate["model"]] for candidate in candidates},
        {name: model_json["threshold"] for name, model_json in model_jsons.items()},
        [metric],
        resamples=resamples,
        seed=seed,
    )
    _compare_with_best(candidates, metric, {name: of[metric] for name, of in draws.items()})
    within_noise = [candidate for candidate in candidates if candidate["within_noise"]]
    winner = min(within_noise, key=_cost) if prefer_cheaper else candidates[0]
    first = next(iter(validation.values()))
    return {
        "model": winner["model"],
        "metric": metric,
        "scores": scores_kind,
        "reason": _reason(winner, candidates, metric, scores_kind, prefer_cheaper=prefer_cheaper),
        "prefer_cheaper": prefer_cheaper,
        "resamples": resamples,
        "n": int(first["image"].nunique()),
        "patients": int(first["patient"].nunique()),
        "candidates": candidates,
    }


def _compare_with_best(
    candidates: Sequence[dict[str, Any]], metric: str, draws: Mapping[str, NDArray[np.float64]]
) -> None:
    """Add to each of the ranked candidates how certain its place is.

    `draws`: name -> the metric in each resample. p_best: share of resamples that the candidate wins. difference: its
    metric minus that of the best. within_noise: whether the 95 % interval of that difference reaches zero.
    """
    best = candidates[0]
    wins = _wins(draws)
    for candidate in candidates:
        low, high = np.nanpercentile(draws[candidate["model"]] - draws[best["model"]], [2.5, 97.5])
        candidate |= {
            "p_best": rounded(wins[candidate["model"]]),
            "difference": rounded(candidate[metric] - best[metric]),
            "difference_ci95": [rounded(low), rounded(high)],
            "within_noise": bool(high >= 0),
        }


def ranked(
    validation: Mapping[str, pd.DataFrame], model_jsons: Mapping[str, Mapping[str, Any]], metric: str
) -> list[dict[str, Any]]:
    """The candidates with their validation metrics, best first; of equals the cheaper one."""
    candidates = []
    for name, table in validation.items():
        model_json = model_jsons[name]
        values = {
            **metrics.decisions(table["label"], table["score"], model_json["threshold"], table["subtype"]),
            **metrics.ranking(table["label"], table["score"]),
        }
        cost = {key: model_json[key] for key in ("kind", "parameters", "flops")}
        candidates.append({"model": name, **values, "threshold": model_json["threshold"], **cost})
    return sorted(candidates, key=lambda candidate: (-candidate[metric], *_cost(candidate)))


def _cost(candidate: Mapping[str, Any]) -> tuple[int, int, str]:
    return candidate["parameters"], candidate["flops"], candidate["model"]


def _wins(draws: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Share of the resamples that each candidate wins; a tie counts in equal parts."""
    values = np.stack(list(draws.values()))
    values = values[:, np.isfinite(values).all(axis=0)]
    best = values == values.max(axis=0)
    return dict(zip(draws, (best / best.sum(axis=0)).mean(axis=1), strict=True))


def _reason(
    winner: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    metric: str,
    scores_kind: str,
    *,
    prefer_cheaper: bool,
) -> str:
    """Why `winner`, given the ranked candidates: for choice.json and the report."""
    best = candidates[0]
    words = metrics.BY_KEY[metric].words + (" under stress" if scores_kind == "stress" else "")
    if len(candidates) == 1:
        return f"{best['model']} is the only candidate; its validation {words} is {best[metric]:.4f}."
    lead = (
        f"{best['model']} has the highest validation {words}, {best[metric]:.4f}, and wins {best['p_best']:.0%} of the "
        "bootstrap resamples"
    )
    near = [candidate["model"] for candidate in candidates[1:] if candidate["within_noise"]]
    if not near:
        return f"{lead}; no other candidate is within noise of it."
    noise = f"{_listed(near)} {'is' if len(near) == 1 else 'are'} within noise of it"
    if not prefer_cheaper:
        return f"{lead}; {noise}."
    if winner["model"] == best["model"]:
        return f"{lead}; {noise}, but not cheaper than its {best['parameters']:,} parameters."
    return (
        f"{lead}, but {noise}. Of these, {winner['model']} ({words} {winner[metric]:.4f}) is the cheapest, with "
        f"{winner['parameters']:,} parameters."
    )


def _listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
