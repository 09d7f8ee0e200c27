"""The count bootstrap against the bootstrap of rows, and against what multinomial draws must have."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts, count, count_jointly
from fairbench.analysis.resampling import CountDraws, draw_counts, draw_jointly, draw_tables, percentiles
from fairbench.data.rows import Predictions
from fairbench.running.truth import Truth


def people(rows, seed, groups=2):
    """Return the truth of random rows, and the decisions of two methods that mostly agree."""
    draw = np.random.default_rng(seed)
    group, y = (draw.random(rows) < 0.32).astype(int) * (groups - 1), draw.integers(0, 2, rows)
    first = (draw.random(rows) < 0.1 + 0.5 * y + 0.15 * group).astype(int)
    second = np.where(draw.random(rows) < 0.1, 1 - first, first)
    truth = Truth(y, group, tuple(f"g{code}" for code in range(groups)))
    return truth, Predictions(first), Predictions(second)


def drawn_rows(truth, decision, draws, seed):
    """Yield group, label and decision of test parts drawn row by row."""
    draw = np.random.default_rng(seed)
    for _ in range(draws):
        rows = draw.integers(0, len(truth.y), len(truth.y))
        yield truth.group[rows], truth.y[rows], decision[rows]


def test_counts_are_drawn_as_rows_are():
    truth, predictions, _ = people(6784, 0)
    ours = draw_counts(count(truth, predictions), 20_000)
    y_pred = predictions.y_pred.astype(np.int8)
    parts = list(drawn_rows(truth, y_pred, 4000, 1))
    expected = {
        "selection": [d[g == 1].mean() - d[g == 0].mean() for g, _, d in parts],
        "true positive": [d[(g == 1) & (y == 1)].mean() - d[(g == 0) & (y == 1)].mean() for g, y, d in parts],
        "accuracy": [(d == y).mean() for _, y, d in parts],
    }
    found = {
        "selection": ours.difference(SELECTION, 1, 0),
        "true positive": ours.difference(TRUE_POSITIVE, 1, 0),
        "accuracy": ours.accuracy,
    }
    for name, values in expected.items():
        for quantile in (0.025, 0.25, 0.5, 0.75, 0.975):
            assert np.quantile(found[name], quantile) == pytest.approx(np.quantile(values, quantile), abs=0.002), name


def test_draws_have_the_moments_of_a_multinomial():
    table = np.array([[30.0, 0, 12], [5, 2, 51]])
    drawn = draw_tables(table, 40_000, seed=3)
    assert drawn.shape == (40_000, 2, 3)
    assert (drawn.sum(axis=(1, 2)) == 100).all()
    assert (drawn[:, 0, 1] == 0).all()
    flat, share = drawn.reshape(-1, 6), table.ravel() / 100
    assert flat.mean(axis=0) == pytest.approx(100 * share, abs=0.15)
    assert np.cov(flat.T) == pytest.approx(100 * (np.diag(share) - np.outer(share, share)), abs=0.6)


def test_the_same_seed_draws_the_same():
    table = np.array([3.0, 4, 5])
    assert (draw_tables(table, 50, 7) == draw_tables(table, 50, 7)).all()
    assert (draw_tables(table, 50, 7) != draw_tables(table, 50, 8)).any()


def test_a_table_without_rows_stays_empty():
    assert (draw_tables(np.zeros((2, 2)), 3) == 0).all()
    drawn = draw_counts(Counts(("a", "b"), np.zeros((2, 2)), np.zeros((2, 2))), 3)
    assert percentiles(drawn.accuracy) is None


def test_two_methods_see_the_same_rows_in_each_draw():
    truth, first, second = people(1500, 2, groups=3)
    one, other = draw_jointly(count_jointly(truth, first, second), 5000)
    assert (one.rows == other.rows).all()
    assert (one.selected <= one.rows).all()
    difference = one.accuracy - other.accuracy
    disagree = first.y_pred != second.y_pred
    gained = np.where(first.y_pred == truth.y, 1, -1) * disagree
    assert difference.mean() == pytest.approx(gained.mean(), abs=0.001)
    assert difference.var() == pytest.approx(gained.var() / 1500, rel=0.08)  # that of a paired comparison
    apart = draw_counts(count(truth, first), 5000).accuracy - draw_counts(count(truth, second), 5000, 1).accuracy
    assert apart.var() > 2 * difference.var()  # two tables drawn apart would not know that the methods agree


def test_each_of_two_methods_is_drawn_as_if_it_were_alone():
    truth, first, second = people(900, 4)
    both = draw_jointly(count_jointly(truth, first, second), 20_000)
    for drawn, predictions in zip(both, (first, second)):
        alone = draw_counts(count(truth, predictions), 20_000, seed=9)
        for rate in (SELECTION, TRUE_POSITIVE, FALSE_POSITIVE):
            for quantile in (0.05, 0.5, 0.95):
                ours, theirs = (np.quantile(d.rates(rate), quantile, axis=0) for d in (drawn, alone))
                assert ours == pytest.approx(theirs, abs=0.004)


def test_randomised_decisions_vary_less_than_tossed_ones():
    truth, first, _ = people(800, 5)
    chance = 0.3 + 0.4 * first.y_pred
    randomised = count(truth, Predictions.from_decision(chance, seed=0))
    drawn = draw_counts(randomised, 4000)
    assert drawn.rates(SELECTION).mean(axis=0) == pytest.approx(randomised.rates(SELECTION), abs=0.002)
    rows = [decision[group == 0].mean() for group, _, decision in drawn_rows(truth, chance, 3000, 6)]
    assert drawn.rates(SELECTION)[:, 0].std() == pytest.approx(np.std(rows), rel=0.06)
    tossed = draw_counts(Counts(randomised.groups, randomised.rows, randomised.selected), 4000)
    assert tossed.rates(SELECTION)[:, 0].std() > 1.5 * np.std(rows)


def test_an_empty_stratum_is_undefined_in_its_draw():
    drawn = CountDraws(
        np.array([[[4.0, 0], [1, 2]], [[3, 2], [2, 1]]]), np.array([[[1.0, 0], [1, 1]], [[1, 1], [0, 1]]])
    )
    assert drawn.rates(TRUE_POSITIVE)[:, 0] == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert drawn.difference(TRUE_POSITIVE, 1, 0) == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert drawn.rates(SELECTION) == pytest.approx(np.array([[1 / 4, 2 / 3], [2 / 5, 1 / 3]]))
    assert drawn.accuracy == pytest.approx([(4 - 1 + 1) / 7, (3 - 1 + 1 + 2 + 1) / 8])


def test_undefined_draws_above_one_per_cent_leave_no_interval():
    values = np.linspace(0, 1, 1000)
    values[:10] = np.nan
    low, high = percentiles(values)
    assert low == pytest.approx(np.quantile(values[10:], 0.025))
    assert high == pytest.approx(np.quantile(values[10:], 0.975))
    values[10] = np.nan
    assert percentiles(values) is None
    assert percentiles(np.full(10, np.nan)) is None
