"""Means over the data's own tasks, beside the same reading of all rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from fairbench_baselines.constant import Constant
from fairbench_scenarios.by_task import ByTask, selection_ratio, task_means

from fairbench.api import NotApplicable, Predictions, Samples, Schema, Split, parameter
from fairbench.api.tasks import plan_tasks

STATES = np.array(["A"] * 40 + ["B"] * 40 + ["C"] * 30)


def make_samples(keys: bool = True) -> Samples:
    """Return 110 rows in three states; in A and B every second row is protected, in C only three are."""
    protected = np.arange(110) % 2
    protected[80:] = 0
    protected[80:83] = 1
    y = (np.arange(110) // 2) % 2
    schema = Schema(("row",), ("others", "protected"), 1)
    return Samples(np.arange(110.0)[:, None], protected, schema, y, {"state": STATES} if keys else {})


def decide(samples: Samples) -> np.ndarray:
    """Return decisions: in A all protected rows and half of the others, in B the reverse, in C everybody."""
    half = np.arange(110) % 4 < 2
    in_a = samples.protected | half
    in_b = ~samples.protected | half
    return np.select([STATES == "A", STATES == "B"], [in_a, in_b], True).astype(np.int64)


def test_two_opposite_tasks_average_above_parity_and_pooled_they_cancel():
    samples = make_samples()
    predictions = Predictions(decide(samples))
    means = task_means(plan_tasks(samples, seed=0), samples, predictions, 10)
    ratios = []
    accuracies = []
    for state in ("A", "B"):
        here = state == STATES
        protected, others = (predictions.y_pred[here & (samples.group == code)].mean() for code in (1, 0))
        ratios.append(protected / others)
        accuracies.append((predictions.y_pred == samples.y)[here].mean())
    assert ratios == [2.0, 0.5]
    assert means["tasks_compared"] == 2  # in C only three rows are protected
    assert means["task_selection_ratio"] == pytest.approx(1.25)
    assert means["task_accuracy"] == pytest.approx(np.mean(accuracies))
    assert means["pooled_selection_ratio"] == pytest.approx((33 / 43) / (57 / 67))
    assert task_means(plan_tasks(samples, seed=0), samples, predictions, 3)["tasks_compared"] == 3


def test_chances_of_selection_count_as_such():
    samples = make_samples()
    coin = Predictions.from_decision(np.where(samples.protected, 0.2, 0.4), seed=0)
    assert selection_ratio(samples, coin) == pytest.approx(0.5)
    means = task_means(plan_tasks(samples, seed=0), samples, coin, 10)
    assert means["task_selection_ratio"] == pytest.approx(0.5)
    right = [np.where(samples.y == 1, coin.decision, 1 - coin.decision)[state == STATES].mean() for state in "AB"]
    assert means["task_accuracy"] == pytest.approx(np.mean(right))


def test_where_none_of_the_others_is_selected_the_ratio_is_undefined_and_does_not_count():
    samples = make_samples()
    nobody = Predictions(np.zeros(110, dtype=np.int64))
    means = task_means(plan_tasks(samples, seed=0), samples, nobody, 10)
    assert means["tasks_compared"] == 2
    assert np.isnan([means["task_selection_ratio"], means["pooled_selection_ratio"]]).all()
    only_b = Predictions(np.where(STATES == "B", decide(samples), 0))
    assert task_means(plan_tasks(samples, seed=0), samples, only_b, 10)["task_selection_ratio"] == 0.5
    assert np.isnan(task_means(plan_tasks(samples, seed=0), samples, only_b, 50)["task_accuracy"])


@dataclass(frozen=True)
class Scripted:
    """Select everybody, or nobody."""

    name = "scripted"
    everybody: bool = parameter(False, "whom to select")
    grid = ({"everybody": False}, {"everybody": True})

    def fit(self, train, validation, *, seed):
        """Return the predictor."""
        return lambda inputs: Predictions(np.full(len(inputs), int(self.everybody)))


def test_the_choice_is_that_of_tuned_if_asked_for():
    rows = make_samples()
    split = Split(rows, rows, rows)
    (plain,) = ByTask().run(split, Scripted(), lambda purpose: 7)
    (tuned,) = ByTask(tuned=True).run(split, Scripted(), lambda purpose: 7)
    assert list(plain.predictions) == [""]
    assert list(tuned.predictions) == ["everybody=False", "everybody=True"]
    assert tuned.chosen == "everybody=True"  # nobody selected is no parity
    assert tuned.values["task_selection_ratio"] == 1.0


def test_data_without_a_key_have_no_tasks():
    rows = make_samples(keys=False)
    with pytest.raises(NotApplicable, match="the data carry no key such as age or state"):
        list(ByTask().run(Split(rows, rows, rows), Constant(), lambda purpose: 7))
