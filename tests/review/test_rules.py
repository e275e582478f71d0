"""Which rules decide: those of base, one metric, corrected where there are several tests."""

import pytest
from project import Project, figures, review, table
from statsmodels.stats.multitest import multipletests

from pneumo.errors import ReviewError
from pneumo.review import comparison
from pneumo.scoring import scores


def test_other_models_are_corrected_for_their_number_and_unchanged_ones_do_not_count(tmp_path):
    project = Project(tmp_path / "p", dict.fromkeys(("cnn", "a", "b", "c"), 1.1))
    project.commit()
    for name, noise in (("a", 0.95), ("b", 1.1)):
        project.score(name, table(noise, seed=20 + len(name + str(noise))))
    project.commit()
    found = review(project)
    p = {one.head: one.row("roc_auc").p for one in found.others}
    assert set(found.p_corrected) == {"a", "b"}
    smaller, larger = sorted(("a", "b"), key=p.get)
    assert p[smaller] != p[larger]
    assert found.p_corrected[smaller] == pytest.approx(min(1, 2 * p[smaller]))
    assert found.p_corrected[larger] == pytest.approx(max(p[larger], min(1, 2 * p[smaller])))


def test_a_branch_cannot_loosen_the_rules_by_which_it_is_judged(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 0.8})
    project.commit()
    project.params["review"] = {"metric": "roc_auc", "margin": 0.5, "alpha": 0.001}
    project.score("cnn", table(1.8, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "worse"
    assert found.rules.margin == 0
    assert found.notes[0].startswith("head changes `review` ({alpha: 0.001, margin: 0.5, metric: roc_auc})")
    project.commit()
    project.params["bootstrap"]["resamples"] = 300
    project.commit()
    assert any("head changes `bootstrap`" in note for note in review(project).notes)


def test_within_the_margin_a_loss_is_tolerated(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 0.8})
    project.params["review"]["margin"] = 0.4
    project.commit()
    project.score("cnn", table(1.8, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "within noise"
    assert found.chosen.row("roc_auc").p < 0.05


@pytest.mark.parametrize("metric", ["accuracy", "recall", "specificity"])
def test_any_tested_metric_can_decide(tmp_path, metric):
    project = Project(tmp_path / "p", {"cnn": 0.7})
    project.params["review"]["metric"] = metric
    project.commit()
    project.score("cnn", table(2.5, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "worse"
    assert found.chosen.row(metric).p == found.chosen.row(metric).p_holm


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
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "worse"
    assert not any(one.unchanged for one in (found.chosen, *found.others))
    assert set(found.p_corrected) == {"vgg16", "resnet50"}
    assert found.chosen.flips
    assert found.chosen.row("roc_auc").difference == 0


def test_a_verdict_of_another_model_is_by_its_corrected_p(tmp_path):
    names = [f"m{place:02}" for place in range(12)]
    project = Project(tmp_path / "p", {"cnn": 1.0} | dict.fromkeys(names, 1.15))
    project.commit()
    for place, name in enumerate(names):
        project.score(name, table(0.85 if place == 0 else 1.15, seed=50 + place))
    project.commit()
    found = review(project)
    raw = {one.head: one.row("roc_auc").p for one in found.others}
    assert found.p_corrected == pytest.approx(
        dict(zip(names, multipletests([raw[name] for name in names], method="holm")[1], strict=True))
    )
    assert {one.head: one.verdict for one in found.others} == {
        one.head: comparison.judge(one.row("roc_auc"), found.rules, found.p_corrected[one.head]) for one in found.others
    }
    between = [one for one in found.others if raw[one.head] < 0.05 <= found.p_corrected[one.head]]
    assert between, "one that only the correction saves"
    assert {one.verdict for one in between} == {"within noise"}


def test_a_base_without_rules_leaves_a_note(project):
    del project.params["review"]
    first = project.commit()
    project.params["review"] = {"metric": "accuracy", "margin": 0.9, "alpha": 0.1}
    project.commit()
    assert review(project, first).notes == ["base has no `review` in params.yaml; judged by head's."]
