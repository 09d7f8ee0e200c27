"""The corrected t against a published worked example, the plain t of scipy, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairbench.intervals import corrected_t, half_width
from fairbench.preparation import TEST_TO_TRAIN

DIFFERENCES = [0.01, 0.02, 0, 0.03, 0.015, 0.005, 0.02, 0.01, 0.025, 0.015]


def test_the_worked_example_comes_out_to_the_digits_given():
    found = corrected_t(DIFFERENCES, 0.15 / 0.70)
    assert found.mean == pytest.approx(0.015, abs=1e-12)
    assert found.sd == pytest.approx(0.009129, abs=5e-7)
    assert found.t == pytest.approx(2.931, abs=5e-4)
    assert found.p == pytest.approx(0.01673, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((0.00342, 0.02658), abs=5e-6)


def test_the_parts_of_a_split_have_the_ratio_of_the_example():
    assert pytest.approx(0.15 / 0.70) == TEST_TO_TRAIN


def test_without_overlap_it_is_the_ordinary_t():
    found, plain = corrected_t(DIFFERENCES, 0.0), stats.ttest_1samp(DIFFERENCES, 0)
    assert (found.t, found.p) == pytest.approx((plain.statistic, plain.pvalue), rel=1e-12)
    low, high = plain.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_one_repeat_has_no_interval():
    found = corrected_t([0.3], TEST_TO_TRAIN)
    assert (found.mean, found.n) == (0.3, 1)
    assert (found.low, found.high, found.t, found.p) == (None, None, None, None)


@pytest.mark.parametrize(("value", "t", "p"), [(0.0, None, None), (0.2, math.inf, 0.0), (-0.2, -math.inf, 0.0)])
def test_equal_values_have_an_interval_of_no_width(value, t, p):
    found = corrected_t([value] * 5, TEST_TO_TRAIN)
    assert (found.low, found.high, found.t, found.p) == (value, value, t, p)


def test_the_interval_covers_the_mean_of_independent_values_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    width = [half_width(float(np.std(row, ddof=1)), 5, 0.0) for row in draws]
    covered = np.mean(np.abs(draws.mean(axis=1)) <= width)
    assert covered == pytest.approx(0.95, abs=0.015)  # three standard errors of 2,000 draws
