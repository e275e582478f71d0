"""Which rules decide: those of base, one metric, corrected where there are several tests."""

import pytest
from project import Project, figures, review, table
from statsmodels.stats.multitest import multipletests

from pneumo.errors import ReviewError
from pneumo.review.comparison import judge
from pneumo.scoring import scores


def test_other_models_are_corrected_for_their_number_and_unchanged_ones_do_not_count(tmp_path):
    project = Project(tmp_path / "p", dict.fromkeys(("cnn", "a", "b", "c"), 1.1))
    project.commit()
    for name, noise in (("a", 0.95), ("b", 1.1)):
        project.score(name, table(noise, seed=20 + len(name + str(noise))))
    project.commit()
    outcome = review(project)
    p = {other.head: other.row("roc_auc").p for other in outcome.others}
    assert set(outcome.p_corrected) == {"a", "b"}
    smaller, larger = sorted(("a", "b"), key=p.get)
    assert p[smaller] != p[larger]
    assert outcome.p_corrected[smaller] == pytest.approx(min(1, 2 * p[smaller]))
    assert outcome.p_corrected[larger] == pytest.approx(max(p[larger], min(1, 2 * p[smaller])))


def test_a_branch_cannot_loosen_the_rules_by_which_it_is_judged(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 0.8})
    project.commit()
    project.params["review"] = {"metric": "roc_auc", "margin": 0.5, "alpha": 0.001}
    project.score("cnn", table(1.8, seed=1))
    project.select("cnn")
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "worse"
    assert outcome.rules.margin == 0
    assert outcome.notes[0].startswith("head changes `review` ({alpha: 0.001, margin: 0.5, metric: roc_auc})")
    project.commit()
    project.params["bootstrap"]["resamples"] = 300
    project.commit()
    assert any("head changes `bootstrap`" in note for note in review(project).notes)


def test_within_the_margin_a_loss_is_tolerated(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 0.8})
    project.params["review"]["margin"] = 0.4
    project.commit()
    project.score("cnn", table(1.8, seed=1))
    project.select("cnn")
    project.commit()
    outcome = review(project)
    assert (outcome.verdict, outcome.exit_code) == ("not worse", 0)
    assert outcome.selected.row("roc_auc").p < 0.05


def test_without_a_margin_nothing_is_not_worse(project):
    project.commit()
    assert review(project).verdict == "within noise"


@pytest.mark.parametrize("metric", ["accuracy", "recall", "specificity"])
def test_any_tested_metric_can_decide(tmp_path, metric):
    project = Project(tmp_path / "p", {"cnn": 0.7})
    project.params["review"]["metric"] = metric
    project.commit()
    project.score("cnn", table(2.5, seed=1))
    project.select("cnn")
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "worse"
    assert outcome.selected.row(metric).p == outcome.selected.row(metric).p_holm


def test_a_rule_that_is_none_is_named(project):
    project.params["review"]["metric"] = "f1"
    project.commit()
    project.commit()
    with pytest.raises(ReviewError, match=r"[0-9a-f]{10}:params.yaml: review.metric: Input should be 'roc_auc'"):
        review(project)


def test_a_base_without_rules_is_judged_by_those_of_head(project):
    del project.params["review"]
    first = project.commit()
    project.params["review"] = {"metric": "accuracy", "margin": 0.0, "alpha": 0.1}
    project.commit()
    assert review(project, first).rules.metric == "accuracy"


def test_a_threshold_alone_is_a_change_too(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0, "vgg16": 1.0, "resnet50": 1.1})
    project.params["review"]["metric"] = "recall"
    project.commit()
    for name in ("cnn", "vgg16", "resnet50"):
        test = scores.read_scores(project.root / f"scores/test/{name}.csv")
        project.write(f"metrics/{name}.json", figures(test, 0.95))
    project.select("cnn")
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "worse"
    assert not any(each.unchanged for each in (outcome.selected, *outcome.others))
    assert set(outcome.p_corrected) == {"vgg16", "resnet50"}
    assert outcome.selected.flips
    assert outcome.selected.row("roc_auc").difference == 0


def test_a_verdict_of_another_model_is_by_its_corrected_p(tmp_path):
    names = [f"m{place:02}" for place in range(12)]
    project = Project(tmp_path / "p", {"cnn": 1.0} | dict.fromkeys(names, 1.15))
    project.commit()
    for place, name in enumerate(names):
        project.score(name, table(0.85 if place == 0 else 1.15, seed=50 + place))
    project.commit()
    outcome = review(project)
    raw = {other.head: other.row("roc_auc").p for other in outcome.others}
    assert outcome.p_corrected == pytest.approx(
        dict(zip(names, multipletests([raw[name] for name in names], method="holm")[1], strict=True))
    )
    for other in outcome.others:
        assert other.verdict == judge(other.row("roc_auc"), outcome.rules, outcome.p_corrected[other.head])
    between = [other for other in outcome.others if raw[other.head] < 0.05 <= outcome.p_corrected[other.head]]
    assert between, "a model that only the correction saves"
    assert {other.verdict for other in between} == {"within noise"}


def test_a_base_without_rules_leaves_a_note(project):
    del project.params["review"]
    first = project.commit()
    project.params["review"] = {"metric": "accuracy", "margin": 0.9, "alpha": 0.1}
    project.commit()
    assert review(project, first).notes == ["base has no `review` in params.yaml, so head's applies."]
