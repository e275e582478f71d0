"""Which films are left to a reader."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo.evaluation import abstention

# score, label: the two errors are the films nearest to the threshold of 0.5 but one.
FILMS = pd.DataFrame(
    {"score": [0.01, 0.1, 0.3, 0.45, 0.48, 0.55, 0.7, 0.9, 0.99, 0.999], "label": [0, 0, 0, 0, 1, 0, 1, 1, 1, 1]}
)


@pytest.mark.parametrize(
    ("error_rate", "left", "errors"),
    [(0.5, 0, 2), (0.2, 0, 2), (0.19, 1, 1), (0.12, 1, 1), (0.1, 3, 0), (0.01, 3, 0)],
)
def test_as_few_films_as_do_are_left_to_a_reader(error_rate, left, errors):
    """0.48 is nearest, 0.45 and 0.55 next, equally far away: they are left together."""
    at = abstention.margin(FILMS, 0.5, error_rate)
    measured = abstention.measure(FILMS, FILMS, FILMS, 0.5, [error_rate])[abstention.words(error_rate)]
    assert measured["margin"] == at
    assert measured["test"] == measured["validation"]
    assert (measured["test"]["left"], measured["test"]["errors"]) == (left / 10, errors)
    assert measured["test"]["decided"] == 10 - left
    assert measured["test"]["error"] == pytest.approx(errors / (10 - left), abs=1e-6)


def test_the_margin_is_that_of_the_fitted_films_and_counts_missed_pneumonias_apart():
    """Without FILMS' errors nothing is left; of the films that it is tried on, the margin is not theirs."""
    right = FILMS.assign(label=(FILMS["score"] >= 0.5).astype(int))
    measured = abstention.measure(FILMS, right, right, 0.5, [0.05])["5%"]
    assert measured["margin"] == 0
    assert measured["test"] == {"left": 0, "decided": 10, "errors": 2, "missed": 1, "error": 0.2}
    assert measured["validation"]["errors"] == 0


def test_where_the_most_certain_film_is_wrong_all_are_left():
    wrong = FILMS.assign(label=1 - FILMS["label"])
    measured = abstention.measure(wrong, wrong, wrong, 0.5, [0.05])["5%"]
    assert measured["margin"] is None
    assert measured["test"] == {"left": 1, "decided": 0, "errors": 0, "missed": 0, "error": None}


def test_the_curve_ends_at_all_films_and_their_error_rate():
    coverage, risk, margin = abstention.curve(FILMS, 0.5)
    assert (coverage[-1], risk[-1]) == (1, 0.2)
    assert list(coverage) == sorted(coverage)
    assert list(margin) == sorted(margin, reverse=True)
    assert coverage[-2] == 0.9, "0.48 alone is nearest"


def test_scores_of_zero_and_one_are_certain_and_finite():
    assert np.isfinite(abstention.confidence(pd.Series([0.0, 1.0, 0.5]), 0.5)).all()
    assert np.isfinite(abstention.confidence(pd.Series([0.0, 1.0]), 1.000001)).all(), "a threshold that calls nothing"


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1)), min_size=1, max_size=40),
    st.floats(0.05, 0.95),
    st.floats(0.01, 0.5),
)
def test_the_stated_rate_holds_on_the_films_that_it_is_fitted_on(films, threshold, error_rate):
    table = pd.DataFrame(films, columns=["score", "label"]).assign(score=lambda rows: rows["score"] / 100)
    fitted = abstention.measure(table, table, table, threshold, [error_rate])
    row = fitted[abstention.words(error_rate)]["validation"]
    assert row["error"] is None or row["error"] <= error_rate + 1e-6
    coverage, risk, _ = abstention.curve(table, threshold)
    assert not (risk[coverage > 1 - row["left"] + 1e-5] <= error_rate).any(), "no margin would leave fewer"
    assert 0 <= fitted["aurc"]["test"] <= 1
