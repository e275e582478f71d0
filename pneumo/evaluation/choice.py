"""Validation scores -> the best candidate, how certain that is, and why. Test scores never come here."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.evaluation import bootstrap, metrics, over_seeds, recipes
from pneumo.evaluation.metrics import rounded
from pneumo.scoring import scores

Array = NDArray[np.float64]


Replicates = Mapping[str, Sequence[str]]  # candidate -> its models, one for each seed


def choose(
    replicates: Replicates,
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

    `validation`: model -> scores.COLUMNS, all of the same images. `scores_kind`: plain or stress, as in select.scores.
    `model_jsons`: model -> model.json. All models are resampled together, `resamples` times, and of candidates with
    several seeds these are drawn, too (`_drawn`). The winner is the candidate with the best mean over its seeds; with
    `prefer_cheaper`, of those within noise of the best, the one with the fewest parameters, then operations.
    """
    scores.same_images(dict(validation), "validation scores")
    candidates = ranked(replicates, validation, model_jsons, metric)
    draws = bootstrap.paired(
        validation,
        {name: model_json["threshold"] for name, model_json in model_jsons.items()},
        [metric],
        resamples=resamples,
        seed=seed,
    )
    _compare_with_best(
        candidates,
        metric,
        {name: _drawn(name, [draws[model][metric] for model in models], seed) for name, models in replicates.items()},
        {name: _networks(metric, models, validation, model_jsons) for name, models in replicates.items()},
    )
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


def median_replicate(
    names: Sequence[str],
    validation: Mapping[str, pd.DataFrame],
    model_jsons: Mapping[str, Mapping[str, Any]],
    metric: str,
) -> str:
    """The model whose validation `metric` is in the middle; of an even number the lower one, so that it is never the
    best of several. Arguments as of `choose`.
    """
    in_order = sorted(names, key=lambda name: measured(validation[name], model_jsons[name])[metric])
    return in_order[(len(in_order) - 1) // 2]


def _drawn(candidate: str, of_models: Sequence[Array], seed: int) -> Array:
    """The metric of `candidate` in each draw, [resamples]. `of_models`: of its models in the same draws of patients.

    Where there are several, the mean over seeds is uncertain, too. Resampling three values would show two thirds of
    their variance, so to the mean in each resample is added what Student's t says of a mean of so few: a variate of it
    with one degree of freedom less than seeds, times the SD between seeds over the root of their number.
    """
    mean = np.mean(of_models, axis=0)
    seeds = len(of_models)
    if seeds == 1:
        return np.asarray(mean, dtype=np.float64)
    spread = np.std(np.nanmean(of_models, axis=1), ddof=1) / np.sqrt(seeds)
    rng = np.random.default_rng([seed, zlib.crc32(candidate.encode())])
    return np.asarray(mean + spread * rng.standard_t(seeds - 1, size=len(mean)), dtype=np.float64)


def _networks(
    metric: str,
    models: Sequence[str],
    validation: Mapping[str, pd.DataFrame],
    model_jsons: Mapping[str, Mapping[str, Any]],
) -> recipes.Networks:
    """The models of a candidate as recipes.difference compares them."""
    tables = [validation[model].sort_values("image", kind="stable") for model in models]
    return recipes.networks(metric, tables, [model_jsons[model]["threshold"] for model in models])


def _compare_with_best(
    candidates: Sequence[dict[str, Any]],
    metric: str,
    draws: Mapping[str, Array],
    networks: Mapping[str, recipes.Networks],
) -> None:
    """Add to each of the ranked candidates how certain its place is. `draws`: name -> the metric in each draw.

    p_best: share of draws that the candidate wins. difference: its metric minus that of the best. within_noise: whether
    the 95 % interval of that difference, over patients and, where there are several, seeds, reaches zero.
    """
    best = candidates[0]
    wins = _wins(draws)
    for candidate in candidates:
        name = candidate["model"]
        bounds = recipes.difference(networks[best["model"]], networks[name]).interval() if candidate != best else None
        low, high = bounds or (None, None)
        candidate |= {
            "p_best": rounded(wins[name]),
            "difference": rounded(candidate[metric] - best[metric]),
            "difference_ci95": [rounded(low), rounded(high)],
            "within_noise": high is None or bool(high >= 0),
        }


def ranked(
    replicates: Replicates,
    validation: Mapping[str, pd.DataFrame],
    model_jsons: Mapping[str, Mapping[str, Any]],
    metric: str,
) -> list[dict[str, Any]]:
    """The candidates with their validation metrics, means over seeds, best first; of equals the cheaper one. Those with
    several seeds also have `sd`, of `metric` between them, and `replicates`: model -> its metric.
    """
    candidates = []
    for name, models in replicates.items():
        of_each = {model: measured(validation[model], model_jsons[model]) for model in models}
        several = {model: values[metric] for model, values in of_each.items()}
        spread = {"sd": over_seeds.spread(list(several.values())), "replicates": several} if len(models) > 1 else {}
        cost = {key: model_jsons[models[0]][key] for key in ("kind", "parameters", "flops")}
        candidates.append({"model": name, **over_seeds.mean(list(of_each.values())), **spread, **cost})
    return sorted(candidates, key=lambda candidate: (-candidate[metric], *_cost(candidate)))


def measured(table: pd.DataFrame, model_json: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of one model on validation, `table`: scores.COLUMNS, at its threshold."""
    threshold = model_json["threshold"]
    decided = metrics.decisions(table["label"], table["score"], threshold, table["subtype"])
    return {**decided, **metrics.ranking(table["label"], table["score"]), "threshold": threshold}


def _cost(candidate: Mapping[str, Any]) -> tuple[int, int, str]:
    return candidate["parameters"], candidate["flops"], candidate["model"]


def _wins(draws: Mapping[str, Array]) -> dict[str, float]:
    """Share of the draws that each candidate wins; a tie counts in equal parts."""
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
        only = f"{best['model']} is the only candidate; its validation {words} is {best[metric]:.4f}"
        return f"{only}{_of_seeds(best)}."
    lead = _lead(best, words, metric)
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


def _lead(best: Mapping[str, Any], words: str, metric: str) -> str:
    mean, drawn = ("mean ", "patients and seeds") if "sd" in best else ("", "patients")
    return (
        f"{best['model']} has the highest {mean}validation {words}, {best[metric]:.4f}{_of_seeds(best)}, and wins "
        f"{best['p_best']:.0%} of the draws of {drawn}"
    )


def _of_seeds(candidate: Mapping[str, Any]) -> str:
    return f" (SD {candidate['sd']:.4f} between {len(candidate['replicates'])} seeds)" if "sd" in candidate else ""


def _listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
