"""All repeats at once: the numbers of the functions for one repeat, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairbench.analysis.counts import Counts
from fairbench.analysis.gaps import GAPS, debiased, gap, row_variance
from fairbench.analysis.noise import gap_of_mean, noise_floor, signed_gap
from fairbench.analysis.stacked import Stack


def drawn(groups, repeats=30, seed=0, least=40):
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        rows = draw.integers(least, 3 * least, (groups, 2)).astype(float)
        selected = draw.binomial(rows.astype(int), draw.uniform(0.3, 0.7, (groups, 2))).astype(float)
        if draw.random() < 0.2:
            rows[1], selected[:2] = rows[0], rows[0] // 2  # ties
        found.append(Counts(tuple("abcd"[:groups]), rows, selected))
    return found


@pytest.mark.parametrize("metric", GAPS)
@pytest.mark.parametrize("groups", [2, 3, 4])
def test_numbers_are_those_of_single_repeats(metric, groups):
    counts = drawn(groups)
    stack = Stack.of(counts)
    gaps = stack.gaps(metric)
    for place, one in enumerate(counts):
        found = gap(one, metric)
        here = GAPS[metric][gaps.rate[place]], gaps.above[place], gaps.below[place]
        assert (gaps.value[place], here) == (found.value, tuple(found.direction))
    assert stack.accuracy.tolist() == [one.accuracy for one in counts]
    assert stack.row_variances(metric) == [row_variance(one, metric) for one in counts]
    assert stack.debiased(metric) == [debiased(one, metric) for one in counts]
    assert stack.gap_of_mean(metric) == gap_of_mean(counts, metric)
    assert stack.signed_gap(metric, 0.3) == signed_gap(counts, metric, 0.3)
    splits = [place // 3 for place in range(len(counts))]
    assert stack.signed_gap(metric, None, splits) == signed_gap(counts, metric, None, splits)
    floors = [noise_floor(one, metric).mean for one in counts] if groups == 2 else None
    assert stack.floor_means(metric) == floors


def test_a_floor_that_has_to_be_drawn_is_left_to_it():
    assert Stack.of(drawn(2, least=4)).floor_means("demographic_parity_difference") is None


@pytest.mark.parametrize(
    "changed",
    [
        lambda counts: [],
        lambda counts: [*counts, replace(counts[0], randomised=True)],
        lambda counts: [*counts, replace(counts[0], groups=("x", "y"))],
        lambda counts: [*counts, replace(counts[0], rows=counts[0].rows * [[1, 1], [0, 1]])],
        lambda counts: [Counts(("a",), counts[0].rows[:1], counts[0].selected[:1])],
    ],
)
def test_anything_but_the_plain_case_is_left_to_the_functions_for_one_repeat(changed):
    assert Stack.of(changed(drawn(2))) is None
