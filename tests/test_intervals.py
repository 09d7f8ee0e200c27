"""The corrected t against a published worked example, the plain t of scipy, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairbench.analysis.intervals import NOT_COVERED, NOT_KNOWN, Correction, corrected_t, half_width, overlap_correction
from fairbench.cells import Cell, Choice
from fairbench.records import DONE, FRESH, POOL, UNKNOWN, Parts, Record

DIFFERENCES = [0.01, 0.02, 0, 0.03, 0.015, 0.005, 0.02, 0.01, 0.025, 0.015]


def test_the_worked_example_comes_out_to_the_digits_given():
    found = corrected_t(DIFFERENCES, 0.15 / 0.70)
    assert found.mean == pytest.approx(0.015, abs=1e-12)
    assert found.sd == pytest.approx(0.009129, abs=5e-7)
    assert found.t == pytest.approx(2.931, abs=5e-4)
    assert found.p == pytest.approx(0.01673, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((0.00342, 0.02658), abs=5e-6)


def records(*parts):
    """Return a finished record for each split."""
    cells = [Cell(Choice("d"), Choice("m"), "g", repeat) for repeat in range(len(parts))]
    return [Record(cell, DONE, parts=part) for cell, part in zip(cells, parts)]


def test_the_ratio_is_the_mean_over_the_records_own_splits():
    assert overlap_correction(records(Parts(700, 150, 150))) == Correction(150 / 700)
    several = records(Parts(72, 18, 30, POOL), Parts(60, 20, 40, POOL))
    assert overlap_correction(several).ratio == pytest.approx((30 / 72 + 40 / 60) / 2, abs=1e-15)


def test_repeats_that_share_no_row_need_no_correction():
    assert overlap_correction(records(Parts(70, 15, 15, FRESH), Parts(70, 15, 90, FRESH))) == Correction(0.0)


@pytest.mark.parametrize(
    ("overlaps", "reason"),
    [((UNKNOWN, UNKNOWN), NOT_COVERED), ((POOL, UNKNOWN), NOT_COVERED), ((POOL, FRESH), NOT_COVERED)],
)
def test_other_overlaps_have_no_valid_interval(overlaps, reason):
    splits = [Parts(70, 15, 15, overlap) for overlap in overlaps]
    assert overlap_correction(records(*splits)) == Correction(None, reason)


def test_a_store_that_does_not_know_the_parts_has_no_valid_interval():
    assert overlap_correction(records(None, None)) == Correction(None, NOT_KNOWN)
    assert overlap_correction(records(Parts(70, 15, 15), None)) == Correction(None, NOT_KNOWN)
    assert overlap_correction([]) == Correction(None)


def test_without_a_valid_interval_mean_and_spread_stay():
    found, known = corrected_t(DIFFERENCES, None), corrected_t(DIFFERENCES, 0.2)
    assert (found.mean, found.sd, found.n) == (known.mean, known.sd, known.n)
    assert (found.low, found.high, found.t, found.p) == (None, None, None, None)


def test_without_overlap_it_is_the_ordinary_t():
    found, plain = corrected_t(DIFFERENCES, 0.0), stats.ttest_1samp(DIFFERENCES, 0)
    assert (found.t, found.p) == pytest.approx((plain.statistic, plain.pvalue), rel=1e-12)
    low, high = plain.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_one_repeat_has_no_interval():
    found = corrected_t([0.3], 0.2)
    assert (found.mean, found.n) == (0.3, 1)
    assert (found.low, found.high, found.t, found.p) == (None, None, None, None)


@pytest.mark.parametrize(("value", "t", "p"), [(0.0, None, None), (0.2, math.inf, 0.0), (-0.2, -math.inf, 0.0)])
def test_equal_values_have_an_interval_of_no_width(value, t, p):
    found = corrected_t([value] * 5, 0.2)
    assert (found.low, found.high, found.t, found.p) == (value, value, t, p)


def test_the_interval_covers_the_mean_of_independent_values_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    width = [half_width(float(np.std(row, ddof=1)), 5, 0.0) for row in draws]
    covered = np.mean(np.abs(draws.mean(axis=1)) <= width)
    assert covered == pytest.approx(0.95, abs=0.015)  # three standard errors of 2,000 draws
