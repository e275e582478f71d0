"""Several seeds a side: the verdict is about recipes; otherwise about two networks, and training noise is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from project import Project, figures, mean_figures, review, table

from pneumo.errors import RecordError
from pneumo.evaluation import recipes
from pneumo.review import candidate, page, snapshot

SEEDS = 3


def networks(noise: float, first: int = 0, seeds: int = SEEDS):
    return [table(noise, seed=first + seed) for seed in range(seeds)]


@pytest.fixture
def several(tmp_path) -> Project:
    """cnn with three seeds, one commit."""
    project = Project(tmp_path / "project", {"cnn": 1.0})
    return with_recipe(project, networks(1.2))


def with_recipe(project: Project, tests) -> Project:
    project.recipe("cnn", tests)
    project.select("cnn")
    project.commit()
    return project


@pytest.mark.parametrize(("noise", "verdict"), [(0.6, "better"), (2.5, "worse"), (1.2, "within noise")])
def test_a_better_recipe_is_better(several, noise, verdict):
    with_recipe(several, networks(noise, first=20))
    outcome = review(several)
    assert (outcome.verdict, outcome.selected.about, outcome.selected.seeds) == (verdict, "recipes", (3, 3))
    row = outcome.selected.row("roc_auc")
    assert (row.p < 0.05) == (row.interval[0] > 0 or row.interval[1] < 0)
    assert row.test == "t"
    assert row.detectable > 0


def test_figures_are_means_with_their_spread_and_the_interval_is_that_of_recipes(several):
    with_recipe(several, networks(0.9, first=20))
    row = review(several).selected.row("roc_auc")
    committed = json.loads((several.root / "metrics/cnn.json").read_text())
    assert (row.head, row.sd[1]) == (committed["roc_auc"], committed["sd"]["roc_auc"])
    values = [of["roc_auc"] for of in committed["replicates"].values()]
    assert row.head == pytest.approx(np.mean(values), abs=1e-6)
    sides = (
        recipes.networks("roc_auc", [test.sort_values("image") for test in tests], [0.5] * SEEDS)
        for tests in (networks(1.2), networks(0.9, first=20))
    )
    assert row.interval == pytest.approx(recipes.difference(*sides).interval(), abs=1e-4)


def test_the_same_recipe_again_is_unchanged(several):
    several.commit()
    selected = review(several).selected
    assert selected.unchanged
    assert selected.verdict == "within noise"
    assert {row.interval for row in selected.rows} == {(0, 0)}


def test_one_lucky_seed_is_no_better_recipe(tmp_path):
    """Two networks differ by more than chance of patients, and the recipes that they come from do not."""
    luck = [1.4, 2.6, 1.0], [0.5, 2.2, 1.2]
    project = Project(tmp_path / "p", {"cnn": luck[0][0]})
    project.commit()
    project.score("cnn", table(luck[1][0], seed=9))
    project.select("cnn")
    project.commit()
    assert review(project).verdict == "better"
    for first, noises in ((0, luck[0]), (9, luck[1])):
        with_recipe(project, [table(noise, seed=first + place) for place, noise in enumerate(noises)])
    outcome = review(project)
    assert outcome.verdict == "within noise"
    assert "The verdict is about these two networks" not in page.markdown(outcome, {})
    assert "120 patients and 3 + 3 seeds" in page.markdown(outcome, {})


@pytest.mark.parametrize("of", ["a mean", "a spread", "a network", "no spread", "other images"])
def test_figures_that_do_not_follow_from_the_networks_are_refused(several, of):
    path = several.root / "metrics/cnn.json"
    content = json.loads(path.read_text())
    if of == "a mean":
        content["roc_auc"] += 0.01
    elif of == "a spread":
        content["sd"]["roc_auc"] += 0.01
    elif of == "a network":
        content["replicates"]["cnn-1"]["roc_auc"] += 0.01
    elif of == "no spread":
        del content["sd"]
    else:
        test = table(1.2, seed=1).iloc[1:]
        several.recipe("cnn", [table(1.2), test, table(1.2, seed=2)])
        content = json.loads(path.read_text())
    several.write("metrics/cnn.json", content)
    several.select("cnn")
    several.commit()
    outcome = review(several)
    assert (outcome.verdict, outcome.exit_code) == ("not comparable", 3)
    words = {
        "a mean": "but its 3 networks give",
        "a spread": "sd.roc_auc is",
        "a network": "scores/test/cnn-1.csv gives",
    }
    words |= {"no spread": "sd.roc_auc is missing", "other images": "are not of the same images"}
    assert words[of] in outcome.selected.reasons[0]


def test_the_replicate_in_models_best_is_named_and_checked(several):
    content = json.loads((several.root / "metrics/best.json").read_text())
    chosen = {"replicate": "cnn-2", "selected": content["replicates"]["cnn-2"]}
    several.write("metrics/best.json", content | chosen)
    several.commit_all()
    record = snapshot.commit(several.root, "main").record
    assert candidate.selected(record) == "cnn"
    assert candidate.read_candidate(record, "cnn").replicate == "cnn-2"
    chosen["selected"] = {**chosen["selected"], "roc_auc": 1.0}
    several.write("metrics/best.json", content | chosen)
    several.commit_all()
    with pytest.raises(RecordError, match=r"roc_auc of cnn-2 differs from metrics/cnn.json"):
        candidate.selected(snapshot.commit(several.root, "main").record)


def test_of_a_side_with_several_seeds_one_network_stands_against_one(several):
    one = Project(several.root.parent / "one", {"cnn": 1.3})
    one.commit()
    head, base = snapshot.commit(one.root, "main"), snapshot.commit(several.root, "main")
    from pneumo.review.result import review as judged

    outcome = judged(base, head)
    assert (outcome.selected.about, outcome.selected.seeds) == ("networks", (3, 1))
    assert outcome.selected.replicates == (["cnn"], ["cnn"])
    noise = outcome.selected.noise
    committed = json.loads((several.root / "metrics/cnn.json").read_text())
    assert (noise.sd, noise.freedom, noise.records) == (pytest.approx(committed["sd"]["roc_auc"]), 2, ["base"])
    assert noise.exceeds == pytest.approx(4.302653 * noise.sd * 2**0.5, rel=1e-4)
    text = page.markdown(outcome, {})
    assert "`cnn` stands for the 3 seeds of base" in text
    assert "To compare recipes: `train.seeds=3`" in text or "differ by more" in text


def kept(project: Project, name: str, architecture: str, sd: float, images: int, temperature: float | None = None):
    """A record in results/ with figures of three seeds, by default of networks that no other record has."""
    content = mean_figures({f"cnn-{seed}": figures(table(1.0, seed=seed)) for seed in range(3)})
    content |= {"n": images, "sd": content["sd"] | {"roc_auc": sd}}
    for figures_of_seed in content["replicates"].values():
        figures_of_seed["temperature"] = temperature or float(len(list(project.root.glob("results/*"))))
    project.write(f"results/{name}/metrics/cnn.json", content)
    params = {"model": {"cnn": {"architecture": architecture}}}
    (project.root / f"results/{name}/params.yaml").write_text(json.dumps(params))


@pytest.mark.parametrize(
    ("records", "taken"),
    [
        ([], None),
        ([("a", "cnn", 0.01, 200), ("b", "vgg", 0.02, 200)], ["results/a"]),
        ([("a", "cnn", 0.01, 20), ("b", "vgg", 0.02, 200)], ["results/a"]),
        ([("a", "cnn", 0.01, 20), ("b", "cnn", 0.02, 200)], ["results/b"]),
        ([("a", "vgg", 0.01, 20), ("b", "vgg", 0.02, 200)], ["results/b"]),
        ([("a", "vgg", 0.01, 20), ("b", "vgg", 0.02, 20)], ["results/a", "results/b"]),
    ],
)
def test_training_noise_comes_from_the_records_that_are_most_alike(tmp_path, records, taken):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    for record in records:
        kept(project, *record)
    project.commit()
    project.score("cnn", table(1.1, seed=4))
    project.select("cnn")
    project.commit()
    outcome = review(project)
    noise, text = outcome.selected.noise, page.markdown(outcome, {})
    if taken is None:
        assert noise is None
        assert "Training noise is unknown: `train.seeds=3` measures it." in text
        return
    assert noise.records == taken
    spreads = [sd for name, _, sd, _ in records if f"results/{name}" in taken]
    assert noise.sd == pytest.approx(np.sqrt(np.mean(np.square(spreads))), abs=1e-6)
    assert noise.freedom == 2 * len(spreads)
    assert "results/" in text


def test_records_of_the_same_networks_with_other_thresholds_count_once(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    for name in ("a", "b"):
        kept(project, name, "cnn", 0.01, 200, temperature=0.8)
    project.commit()
    project.score("cnn", table(1.1, seed=4))
    project.select("cnn")
    project.commit()
    noise = review(project).selected.noise
    assert (noise.records, noise.freedom) == (["results/b"], 2)


def test_a_broken_record_measures_nothing_and_stops_nothing(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    for name, path, content in (("a", "metrics/cnn.json", "{"), ("b", "params.yaml", "[")):
        kept(project, name, "cnn", 0.01, 200)
        (project.root / f"results/{name}" / path).write_text(content)
    kept(project, "c", "cnn", 0.01, 200)
    spoilt = json.loads((project.root / "results/c/metrics/cnn.json").read_text())
    project.write("results/c/metrics/cnn.json", spoilt | {"sd": {"roc_auc": "much"}})
    project.commit()
    project.commit()
    assert review(project).selected.noise is None


def test_what_cannot_be_seen_is_said(several):
    with_recipe(several, networks(1.2, first=20))
    outcome = review(several)
    least = outcome.selected.row("roc_auc").detectable
    assert f"Differences below {least:.6f} cannot be seen here" in page.markdown(outcome, {})
    content = json.loads(page.as_json(outcome, {}))
    assert content["selected"]["rows"][0]["detectable"] == least
    assert content["power"] == 0.8


def test_flips_are_those_of_most_networks(several):
    tests = networks(1.2)
    place = tests[0].index[tests[0]["label"] == 1][0]
    for changed, sure in zip(tests, (0.9, 0.9, 0.1), strict=True):
        changed.loc[place, ["score", "logit"]] = [sure, np.log(sure / (1 - sure))]
    with_recipe(several, tests)
    calls = [[test["score"][place] >= 0.5 for test in of] for of in (networks(1.2), tests)]
    flips = {flip["image"]: flip for flip in review(several).selected.flips}
    image = tests[0]["image"][place]
    assert (image in flips) == ((sum(calls[0]) >= 2) != (sum(calls[1]) >= 2))
    if image in flips:
        assert flips[image]["head"] == pytest.approx(np.mean([0.9, 0.9, 0.1]))


def test_thresholds_drawn_anew_count_in_recipes(several):
    record = snapshot.commit(several.root, "main").record
    plain = candidate.read_candidate(record, "cnn")
    draws = np.linspace(0.2, 0.8, 100)
    redrawn = replace(plain, networks=tuple(replace(of, threshold_draws=draws) for of in plain.networks))
    from pneumo.params import Review
    from pneumo.review.comparison import compare

    rules = Review(metric="accuracy", margin=0.0, alpha=0.05)
    other = candidate.Candidate.of("cnn", [replace(of, threshold=0.7) for of in redrawn.networks])
    widths = [
        np.diff(compare(base, other, rules, resamples=1, seed=0, other_contents=False).row("accuracy").interval)
        for base in (redrawn, plain)
    ]
    assert widths[0] > 0
    assert widths[1] > 0
