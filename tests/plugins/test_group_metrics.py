"""Worst-group accuracy and the two ways to collapse."""

from __future__ import annotations

import fairlearn.metrics
import numpy as np
import pytest
from fairbench_metrics.collapse import constant_classifier, group_only_classifier
from fairbench_metrics.worst_group import accuracy_difference, worst_group_accuracy
from sklearn.metrics import accuracy_score

from fairbench.api import Predictions, Samples, Schema, Undefined


def samples(group, y):
    names = tuple(f"g{code}" for code in range(max(group) + 1))
    return Samples(np.zeros((len(y), 1)), np.array(group), Schema(("x",), names, 0), np.array(y))


@pytest.mark.parametrize("n_groups", [2, 3])
def test_accuracies_of_groups_are_fairlearns(n_groups):
    random = np.random.default_rng(n_groups)
    rows = samples(random.integers(0, n_groups, 300), random.integers(0, 2, 300))
    y_pred = random.integers(0, 2, 300)
    frame = fairlearn.metrics.MetricFrame(
        metrics=accuracy_score, y_true=rows.y, y_pred=y_pred, sensitive_features=rows.group
    )
    assert worst_group_accuracy(rows, Predictions(y_pred)) == pytest.approx(frame.group_min(), abs=1e-12)
    assert accuracy_difference(rows, Predictions(y_pred)) == pytest.approx(
        frame.difference(method="between_groups"), abs=1e-12
    )


def test_one_group_alone_has_no_worst(eight_rows, eight_predictions):
    one = eight_rows.select(eight_rows.group == 0)
    for metric in (worst_group_accuracy, accuracy_difference):
        with pytest.raises(Undefined, match="only group 'other' has rows"):
            metric(one, eight_predictions.select(eight_rows.group == 0))
    assert worst_group_accuracy(eight_rows, eight_predictions) == 0.5  # protected: 2 of 4, others 3 of 4


GROUP, Y = [0] * 40 + [1] * 40, [0, 1] * 40


@pytest.mark.parametrize(
    ("y_pred", "constant", "group_only"),
    [
        ([1] * 80, 1, 0),
        ([0] * 80, 1, 0),
        ([1] * 40 + [0] * 40, 0, 1),
        ([0] * 38 + [1] * 2 + [1] * 40, 0, 1),  # 5% of the first group selected: nearly nobody
        ([0] * 37 + [1] * 3 + [1] * 40, 0, 0),  # 7.5%: a group that is not decided as one
        ([0, 1] * 40, 0, 0),
    ],
)
def test_collapsed_classifiers_are_told_from_others(y_pred, constant, group_only):
    rows, predictions = samples(GROUP, Y), Predictions(np.array(y_pred))
    assert constant_classifier(rows, predictions) == constant
    assert group_only_classifier(rows, predictions) == group_only


def test_a_rare_label_that_is_found_is_no_collapse():
    # 5% of each group are positive, and all are found: nearly nobody is selected, and the classifier is perfect
    y = ([1] * 5 + [0] * 95) * 2
    rows = samples([0] * 100 + [1] * 100, y)
    assert constant_classifier(rows, Predictions(np.array(y))) == 0
    assert constant_classifier(rows, Predictions(np.zeros(200, int))) == 1


def test_a_group_with_one_label_counts_by_that_label():
    rows = samples([0, 0, 1, 1], [0, 1, 1, 1])
    assert group_only_classifier(rows, Predictions(np.array([0, 0, 1, 1]))) == 1


def test_a_coin_is_a_constant_and_one_for_each_group_is_the_group():
    rows, chance = samples(GROUP, Y), np.array([0.3] * 40 + [0.3] * 40)
    assert constant_classifier(rows, Predictions.from_decision(chance, seed=0)) == 1
    assert group_only_classifier(rows, Predictions.from_decision(chance, seed=0)) == 0
    chance[40:] = 0.6
    assert constant_classifier(rows, Predictions.from_decision(chance, seed=0)) == 0
    assert group_only_classifier(rows, Predictions.from_decision(chance, seed=0)) == 1


def test_groups_that_are_decided_alike_in_the_same_way_are_not_told_apart_by_the_group():
    # 39 of 398 rows with y = 0 of one group are selected, and 39 of 398 with y = 1 of the other: each is near to nobody
    # by the mean of both rates, and all together are not
    few, many = 2, 398
    group, y = [0] * (few + many) + [1] * (few + many), [0] * few + [1] * many + [1] * few + [0] * many
    chosen = np.zeros(2 * (few + many), int)
    chosen[few : few + 39] = chosen[2 * few + many : 2 * few + many + 39] = 1
    rows, predictions = samples(group, y), Predictions(chosen)
    assert (constant_classifier(rows, predictions), group_only_classifier(rows, predictions)) == (0, 0)


def test_a_constant_is_not_the_group_too():
    rows = samples([0] * 98 + [1] * 2, [0, 1] * 50)
    predictions = Predictions(np.array([0] * 98 + [1] * 2))
    assert (constant_classifier(rows, predictions), group_only_classifier(rows, predictions)) == (1, 0)


def test_without_rows_there_is_nothing_to_diagnose():
    none = samples([0, 1], [0, 1]).select(np.zeros(2, dtype=bool))
    with pytest.raises(Undefined, match="there are no rows"):
        constant_classifier(none, Predictions(np.zeros(0, int)))
