"""The rule for deciding alike: by hand, and against a count over every possible middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.data.alike import NEARLY, common_chance, decides_alike, side_of_rates
from fairbench.data.rows import Predictions


def chances(decision) -> Predictions:
    """Return predictions that select by these chances."""
    return Predictions.from_decision(np.asarray(decision, dtype=np.float64), seed=0)


def labels(ones: int, zeros: int) -> np.ndarray:
    """Return so many rows with y = 1, then so many with y = 0."""
    return np.repeat([1, 0], [ones, zeros])


def plain(selected_ones: int, selected_zeros: int, ones: int = 20, zeros: int = 20) -> Predictions:
    """Return decisions that select so many rows of either label of ``labels(ones, zeros)``."""
    return Predictions(np.concatenate([np.arange(ones) < selected_ones, np.arange(zeros) < selected_zeros]).astype(int))


@pytest.mark.parametrize(
    ("predictions", "alike"),
    [
        (plain(0, 0), True),
        (plain(20, 20), True),
        (plain(2, 0), True),  # rates .10 and 0: a mean of .05
        (plain(1, 1), True),
        (plain(2, 1), False),
        (plain(18, 20), True),
        (plain(18, 19), False),
        (plain(10, 10), False),  # half the people each way
        (plain(20, 0), False),  # perfect
    ],
)
def test_plain_decisions_go_by_the_mean_of_both_rates(predictions, alike):
    assert decides_alike(labels(20, 20), predictions) is alike


def test_an_accurate_classifier_of_a_rare_label_is_no_constant():
    y = labels(2, 198)  # 1% are ones, and only they are selected
    assert not decides_alike(y, plain(2, 0, 2, 198))
    assert decides_alike(y, plain(0, 0, 2, 198))
    assert decides_alike(y, plain(0, 19, 2, 198))  # 9.6% of that label, 4.8% of both counting equally


def test_a_label_without_rows_is_left_out():
    y = labels(0, 40)
    assert decides_alike(y, plain(0, 2, 0, 40))
    assert not decides_alike(y, plain(0, 3, 0, 40))


@pytest.mark.parametrize("chance", [0.0, 0.03, 0.3, 0.5, 1.0])
def test_one_chance_for_everybody_is_alike_whatever_it_is(chance):
    assert decides_alike(labels(3, 5), chances(np.full(8, chance)))


def test_chances_count_by_their_distance_from_the_median():
    y = labels(20, 20)
    near, far = np.full(40, 0.5), np.full(40, 0.5)
    near[:2], far[:3] = 0.9, 0.9
    assert decides_alike(y, chances(near))
    assert not decides_alike(y, chances(far))
    spread = np.linspace(0.45, 0.55, 40)
    assert decides_alike(y, chances(spread * 0.9 + 0.05))
    assert not decides_alike(y, chances(np.linspace(0.3, 0.7, 40)))


def test_two_chances_for_halves_of_the_people_are_not_alike():
    assert not decides_alike(labels(4, 4), chances([0.3, 0.3, 0.6, 0.6] * 2))
    assert decides_alike(labels(4, 4), chances([0.3, 0.3, 0.34, 0.34] * 2))


def test_the_common_chance_is_the_median():
    assert common_chance(labels(1, 4), chances([0.52, 0.5, 0.5, 0.5, 0.53])) == 0.52  # the one counts half
    assert common_chance(labels(20, 20), plain(20, 0)) is None


@pytest.mark.parametrize(
    ("rates", "side"),
    [
        ([0.1, 0.0], 0),
        ([0.11, 0.0], None),
        ([1.0, 0.9], 1),
        ([1.0, 0.89], None),
        ([0.04], 0),
        ([1.0, 0.0], None),
        ([], None),
    ],
)
def test_rates_of_plain_decisions_give_the_side(rates, side):
    assert side_of_rates(rates) == side


@pytest.mark.parametrize("ones", range(0, 21, 2))
@pytest.mark.parametrize("zeros", [0, 1, 2, 18, 19, 20])
def test_rates_and_decisions_are_judged_by_one_rule(ones, zeros):
    made = plain(ones, zeros)
    assert (side_of_rates([ones / 20, zeros / 20]) is not None) is decides_alike(labels(20, 20), made)


def test_nobody_is_not_decided_alike():
    assert not decides_alike(labels(0, 0), Predictions(np.zeros(0, dtype=int)))


@st.composite
def cases(draw):
    """Return labels and chances on a coarse grid, with many ties and many near-constant ones."""
    n = draw(st.integers(1, 60))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    usual = draw(st.sampled_from([0.0, 0.5, 1.0]))
    chance = st.one_of(*[st.just(usual)] * draw(st.integers(1, 30)), st.sampled_from(np.linspace(0, 1, 41).tolist()))
    return y, np.array(draw(st.lists(chance, min_size=n, max_size=n)))


@settings(max_examples=400)
@given(case=cases())
def test_it_is_what_a_count_with_every_middle_says(case):
    """Where half of the people lie on either side of two chances, both are medians; either may be taken."""
    y, decision = case
    share = {label: 1 / (y == label).sum() / len(set(y.tolist())) for label in set(y.tolist())}
    weight = np.array([share[label] for label in y.tolist()])

    def around(middle: float) -> bool:
        return sum(w for w, d in zip(weight, decision) if abs(d - middle) <= NEARLY + 1e-9) >= 1 - NEARLY - 1e-9

    medians = [
        middle
        for middle in set(decision.tolist())
        if weight[decision < middle].sum() <= 0.5 + 1e-9 and weight[decision > middle].sum() <= 0.5 + 1e-9
    ]
    expected = {around(middle) for middle in medians}
    assert decides_alike(y, chances(decision)) in expected
