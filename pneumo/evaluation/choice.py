"""Validation scores -> the winner, how sure that is, and the reason. Test scores never come here."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pneumo import files
from pneumo.evaluation import bootstrap, decision, metrics
from pneumo.evaluation.metrics import rounded
from pneumo.models import bundle
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Bootstrap, Select


def select_best(
    folders: Mapping[str, Path], scores_folder: Path, best: Path, *, select: "Select", bootstrap: "Bootstrap"
) -> dict[str, Any]:
    """Copy the best of the candidates in `folders` (name -> folder) to `best`, with choice.json, which is returned.

    Members of an ensemble are copied too, from its `folders`. Reads val/NAME.csv and stress/NAME.csv in
    `scores_folder`, and nothing of the test set.
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
    shutil.rmtree(best, ignore_errors=True)  # of an earlier winner; DVC may have hard-linked it to its cache
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
    """What models/best/choice.json says: the winner by `metric`, and how far the others are from it.

    `validation`: name -> scores.COLUMNS, all of the same images; `scores_kind`: plain or stress, as in select.scores.
    `model_jsons`: name -> its model.json. All candidates are resampled together, with the same patients in each of
    `resamples` draws: `p_best` is the share of draws that a candidate wins, `difference` its metric minus the best
    one's. A candidate is within noise of the best where the 95 % interval of that difference reaches zero; with
    `prefer_cheaper` the one with the fewest parameters, then operations, among these is the winner.
    """
    scores.same_images(dict(validation), "validation scores")
    candidates = ranked(validation, model_jsons, metric)
    best = candidates[0]
    drawn = bootstrap.paired(
        {candidate["model"]: validation[candidate["model"]] for candidate in candidates},
        {name: model_json["threshold"] for name, model_json in model_jsons.items()},
        [metric],
        resamples=resamples,
        seed=seed,
    )
    draws = {name: of[metric] for name, of in drawn.items()}
    wins = _wins(draws)
    for candidate in candidates:
        difference = draws[candidate["model"]] - draws[best["model"]]
        low, high = np.nanpercentile(difference, [2.5, 97.5])
        candidate |= {
            "p_best": rounded(wins[candidate["model"]]),
            "difference": rounded(candidate[metric] - best[metric]),
            "difference_ci95": [rounded(low), rounded(high)],
            "within_noise": bool(high >= 0),
        }
    near = [candidate for candidate in candidates if candidate["within_noise"]]
    winner = min(near, key=_cost) if prefer_cheaper else best
    first = next(iter(validation.values()))
    return {
        "model": winner["model"],
        "metric": metric,
        "scores": scores_kind,
        "reason": _reason(winner, candidates, _words(metric, scores_kind), prefer_cheaper, metric),
        "prefer_cheaper": prefer_cheaper,
        "resamples": resamples,
        "n": int(first["image"].nunique()),
        "patients": int(first["patient"].nunique()),
        "candidates": candidates,
    }


def ranked(
    validation: Mapping[str, pd.DataFrame], model_jsons: Mapping[str, Mapping[str, Any]], metric: str
) -> list[dict[str, Any]]:
    """The candidates with their validation metrics, best first; ties to the cheaper one."""
    candidates = []
    for name, table in validation.items():
        model_json = model_jsons[name]
        values = {
            **metrics.decisions(table["label"], table["score"], model_json["threshold"], table["subtype"]),
            **metrics.ranking(table["label"], table["score"]),
        }
        about = {key: model_json[key] for key in ("kind", "parameters", "flops")}
        candidates.append({"model": name, **values, "threshold": model_json["threshold"], **about})
    return sorted(candidates, key=lambda candidate: (-candidate[metric], *_cost(candidate)))


def _cost(candidate: Mapping[str, Any]) -> tuple[int, int, str]:
    return candidate["parameters"], candidate["flops"], candidate["model"]


def _wins(draws: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Share of the draws that each candidate wins; those who tie share a draw."""
    values = np.stack(list(draws.values()))
    values = values[:, np.isfinite(values).all(axis=0)]
    best = values == values.max(axis=0)
    return dict(zip(draws, (best / best.sum(axis=0)).mean(axis=1), strict=True))


def _words(metric: str, scores_kind: str) -> str:
    words = metrics.BY_KEY[metric].words
    return f"{words} under stress" if scores_kind == "stress" else words


def _reason(
    winner: Mapping[str, Any], candidates: list[dict[str, Any]], word: str, prefer_cheaper: bool, metric: str
) -> str:
    best = candidates[0]
    if len(candidates) == 1:
        return f"{winner['model']} is the only candidate: validation {word} {winner[metric]:.4f}."
    near = [candidate["model"] for candidate in candidates[1:] if candidate["within_noise"]]
    lead = f"{best['model']} has the highest validation {word}, {best[metric]:.4f}"
    certainty = f"(it wins {best['p_best']:.0%} of the resamples of patients)"
    if not near:
        return f"{lead} {certainty}, and every other candidate is worse by more than noise."
    noise = f"{_listed(near)} {'is' if len(near) == 1 else 'are'} within noise of it"
    if not prefer_cheaper:
        return f"{lead} {certainty}; {noise}."
    if winner["model"] == best["model"]:
        return f"{lead} {certainty}; {noise}, and none of these is cheaper than its {best['parameters']:,} parameters."
    return (
        f"{lead} {certainty}, but {noise}; of these, {winner['model']} ({word} {winner[metric]:.4f}) is the cheapest "
        f"with {winner['parameters']:,} parameters."
    )


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
