"""Counts of stored predictions against fairlearn, against the rows themselves, and through a run's store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from fairlearn.metrics import count as rows_of
from sklearn.metrics import accuracy_score

from fairbench.analysis.counts import (
    FALSE_POSITIVE,
    SELECTION,
    TRUE_POSITIVE,
    Counts,
    count,
    count_jointly,
    stored_rows,
)
from fairbench.analysis.values import Measured
from fairbench.data.rows import Predictions
from fairbench.records import Results
from fairbench.running.rundir import load_results
from fairbench.running.truth import Truth

RATES = {SELECTION: selection_rate, TRUE_POSITIVE: true_positive_rate, FALSE_POSITIVE: false_positive_rate}


def people(groups, seed, rows=300):
    draw = np.random.default_rng(seed)
    names = tuple(f"g{code}" for code in range(groups))
    return Truth(draw.integers(0, 2, rows), draw.integers(0, groups, rows), names), draw


@pytest.mark.parametrize(("groups", "seed"), [(2, 0), (3, 1), (5, 2)])
def test_rates_are_fairlearns(groups, seed):
    truth, draw = people(groups, seed)
    y_pred = draw.integers(0, 2, 300)
    counts = count(truth, Predictions(y_pred))
    measures = {**RATES, "accuracy": accuracy_score, "n": rows_of}
    frame = MetricFrame(metrics=measures, y_true=truth.y, y_pred=y_pred, sensitive_features=truth.group)
    for rate in RATES:
        assert counts.rates(rate) == pytest.approx(frame.by_group[rate].to_numpy(), abs=1e-12)
        selected, rows = counts.of(rate)
        assert selected / rows == pytest.approx(counts.rates(rate), abs=1e-15)
    assert counts.accuracies == pytest.approx(frame.by_group["accuracy"].to_numpy(), abs=1e-12)
    assert counts.accuracy == pytest.approx(frame.overall["accuracy"], abs=1e-12)
    assert counts.n.tolist() == frame.by_group["n"].tolist()
    assert (counts.randomised, counts.levels) == (False, None)
    levels, table = counts.by_level
    assert levels.tolist() == [0, 1]
    assert (table.sum(axis=2) == counts.rows).all()
    assert (table[:, :, 1] == counts.selected).all()


def test_a_group_without_rows_has_no_rate():
    counts = count(Truth(np.array([1, 0]), np.array([0, 0]), ("a", "b")), Predictions(np.array([1, 1])))
    assert counts.n.tolist() == [2, 0]
    assert counts.rates(SELECTION) == pytest.approx([1, np.nan], nan_ok=True)
    assert counts.accuracies == pytest.approx([0.5, np.nan], nan_ok=True)
    assert np.isnan(Counts(("a",), np.zeros((1, 2)), np.zeros((1, 2))).accuracy)


def test_randomised_decisions_are_counted_in_expectation():
    truth, draw = people(3, 4)
    chances = draw.choice([0.0, 0.25, 0.7, 1.0], 300)
    counts = count(truth, Predictions.from_decision(chances, seed=0))
    assert counts.randomised
    levels, table = counts.by_level
    assert levels.tolist() == [0.0, 0.25, 0.7, 1.0]
    assert (table.sum(axis=2) == counts.rows).all()
    for code in range(3):
        for label in (0, 1):
            here = (truth.group == code) & (truth.y == label)
            assert counts.rows[code, label] == here.sum()
            assert counts.selected[code, label] == pytest.approx(chances[here].sum(), abs=1e-12)
            assert table[code, label].tolist() == [(chances[here] == level).sum() for level in levels]
    right = np.where(truth.y == 1, chances, 1 - chances)
    assert counts.accuracy == pytest.approx(right.mean(), abs=1e-12)
    assert counts.accuracies == pytest.approx([right[truth.group == code].mean() for code in range(3)], abs=1e-12)


def test_joint_counts_have_the_counts_of_both_methods_as_margins():
    truth, draw = people(3, 5)
    plain, coin = Predictions(draw.integers(0, 2, 300)), Predictions.from_decision(draw.random(300), seed=0)
    for first, second in ((plain, Predictions(draw.integers(0, 2, 300))), (plain, coin), (coin, coin)):
        joint = count_jointly(truth, first, second)
        assert joint.shape == (3, 2, 2, 2)
        for margin, predictions in ((joint.sum(axis=3), first), (joint.sum(axis=2), second)):
            counts = count(truth, predictions)
            assert margin.sum(axis=2) == pytest.approx(counts.rows, abs=1e-9)
            assert margin[:, :, 1] == pytest.approx(counts.selected, abs=1e-9)


def test_joint_counts_are_those_of_the_rows():
    truth, draw = people(2, 6)
    first, second = draw.integers(0, 2, 300), draw.integers(0, 2, 300)
    joint = count_jointly(truth, Predictions(first), Predictions(second))
    for place in np.ndindex(joint.shape):
        code, label, one, other = place
        here = (truth.group == code) & (truth.y == label) & (first == one) & (second == other)
        assert joint[place] == here.sum()


@pytest.fixture
def results(fairbench):
    """Return a run of three methods, one of them randomised, on two repeats."""
    methods = ("--methods", "logistic,coin,constant", "--datasets", "synthetic[rows=300]", "--repeats", "2")
    assert fairbench("run", *methods, "--workers", "1", "--out", "r")[0] == 0
    return load_results(Path("r"))


def test_a_runs_counts_give_its_own_values(results):
    with stored_rows(results) as stored:
        for record in results.records:
            counts, values = stored.counts(record), Measured(record)
            assert counts.accuracy == pytest.approx(values.whole("accuracy"), abs=1e-12)
            assert np.ptp(counts.rates(SELECTION)) == pytest.approx(
                values.whole("demographic_parity_difference"), abs=1e-12
            )
            assert list(zip(counts.groups, counts.n)) == list(record.supports)
            assert counts.randomised == (record.cell.method.name == "coin")
            assert stored.counts(record, record.chosen).selected.tolist() == counts.selected.tolist()
            assert stored.counts(record, "no such point") is None


def test_methods_are_counted_jointly_on_the_same_rows_alone(results):
    by_cell = {(record.cell.method.name, record.cell.repeat): record for record in results.records}
    logistic, constant = by_cell["logistic", 0], by_cell["constant", 0]
    with stored_rows(results) as stored:
        joint = stored.joint(logistic, constant)
        assert joint.sum(axis=3)[:, :, 1].tolist() == stored.counts(logistic).selected.tolist()
        assert stored.joint(logistic, by_cell["constant", 1]) is None


def test_results_without_a_directory_have_no_counts(results):
    alone = Results(results.records, results.run, results.planned, results.labels)
    with stored_rows(alone) as stored:
        assert stored.counts(results.records[0]) is None
        assert stored.joint(*results.records[:2]) is None
