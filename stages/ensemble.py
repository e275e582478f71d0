"""The ensemble that the command line names, on validation -> its model.json and scores."""

from pathlib import Path

from pneumo import bundle, decision, ensemble, params, scores, stress
from stages import run

TRAINED = Path("models/trained")


def main(name: str) -> None:
    chosen = params.load()
    contracts = {one: bundle.contract(TRAINED / one) for one in chosen.model}
    raw = {one: scores.read_raw(TRAINED / one / "validation.csv") for one in contracts}
    stressed = {one: stress.read(TRAINED / one / "stress.csv") for one in contracts}
    judged = {
        one: decision.judged(
            decision.calibrated(raw[one], contract["temperature"]),
            stressed[one],
            contract["temperature"],
            chosen.select.scores,
        )
        for one, contract in contracts.items()
    }
    members = ensemble.members(judged, contracts, chosen.ensembles[name].top, chosen.select.metric)
    temperatures = {one: contracts[one]["temperature"] for one in members}
    mean = ensemble.mean_logit({one: raw[one] for one in members}, temperatures)
    mean_stressed = stress.mean_logit({one: stressed[one] for one in members}, temperatures)
    scored, decided = decision.decide(mean, mean_stressed, chosen.threshold.model_dump())
    scores.write(scored, Path("scores/val", f"{name}.csv"))
    stress.write(mean_stressed, Path("scores/stress", f"{name}.csv"))
    contract = ensemble.contract(name, {one: contracts[one] for one in members}, decided)
    bundle.write_json(Path("models/ensembles", name, "model.json"), contract)
    print(f"{name}: mean logit of {', '.join(members)}, threshold {decided['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
