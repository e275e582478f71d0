"""In a review of recipes the threshold is found anew on draws of validation patients."""

import shutil

import pytest
import records

from pneumo.errors import RecordError
from pneumo.params import Bootstrap
from pneumo.record.record import Record
from pneumo.record.tree import Folder
from pneumo.review.candidate import read_candidate
from pneumo.review.pair import Pair
from pneumo.review.redrawn import with_draws

REDRAWN = Bootstrap(resamples=200, seed=0, threshold="redrawn")
FIXED = Bootstrap(resamples=200, seed=0, threshold="fixed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("redrawn") / "record"
    return records.make(root, seeds=3, backbones={"cnn": 0.8, "vgg16": 1.2}, ensembles=(), selection_scores="stress")


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "record")


def test_every_network_has_thresholds_from_the_same_draws(made):
    record = Record(Folder(made))
    plain = read_candidate(record, "cnn")
    assert with_draws(plain, record, FIXED) == plain
    drawn = with_draws(plain, record, REDRAWN)
    for network in drawn.networks:
        assert len(network.threshold_draws) == REDRAWN.resamples
        assert network.threshold_draws.min() < network.threshold < network.threshold_draws.max()


def test_they_count_for_decisions_of_recipes_alone(made):
    record = Record(Folder(made))
    base, head = (with_draws(read_candidate(record, name), record, REDRAWN) for name in ("cnn", "vgg16"))
    for metric, draws in (("roc_auc", None), ("specificity", (REDRAWN.resamples, 3))):
        for side in Pair.of(base, head).measured(metric):
            assert (side.redrawn if side.redrawn is None else side.redrawn.shape) == draws
    for side in Pair.of(base.alone, head.alone).measured("specificity"):
        assert side.redrawn is None, "the threshold of a network is what it is"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (records.put("params.yaml", "threshold.policy", "best"), "params.yaml: threshold: "),
        (records.put("params.yaml", "threshold", None), "params.yaml: threshold: "),
        (
            records.put("metrics/cnn.json", "replicates.cnn-1.temperature", 0),
            "temperature is 0; expected a number above",
        ),
        (records.drop("metrics/cnn.json", "replicates.cnn-2.temperature"), "temperature is None"),
        (lambda root: (root / "scores/stress/cnn-1.csv").unlink(), "stress/cnn-1.csv is missing"),
    ],
)
def test_what_the_draws_need_is_named_where_it_is_missing(root, spoil, says):
    spoil(root)
    record = Record(Folder(root))
    with pytest.raises(RecordError, match=says):
        with_draws(read_candidate(record, "cnn"), record, REDRAWN)
