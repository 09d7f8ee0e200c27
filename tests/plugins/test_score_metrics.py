"""The metrics of scores against scikit-learn and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from fairbench_metrics.scores import log_loss, mean_score_difference

from fairbench.api import Predictions, Samples, Schema, Undefined


def make(score: list[float], group: list[int], y: list[int]) -> tuple[Samples, Predictions]:
    features = np.zeros((len(y), 1), dtype=np.float32)
    names = tuple(f"g{code}" for code in range(max([*group, 1]) + 1))
    return Samples(features, np.array(group), Schema(("x",), names, 0), np.array(y)), Predictions.from_score(score)


def test_log_loss_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    score, y = random.random(300), random.integers(0, 2, 300)
    score[:2], y[:2] = (0.0, 1.0), (1, 0)  # both infinitely wrong, but for the clipping
    theirs = sklearn.metrics.log_loss(y, score)
    assert log_loss(*make(score, [0, 1] * 150, y)) == pytest.approx(theirs, rel=1e-12)  # sums in another order


def test_log_loss_of_the_base_rate_is_the_entropy() -> None:
    samples, predictions = make([0.25] * 4, [0, 0, 1, 1], [0, 1, 0, 0])
    assert log_loss(samples, predictions) == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))


def test_mean_score_difference_by_hand_and_apart_from_the_decisions() -> None:
    # means 0.5, 0.4 and 0.7; everybody's decision is as in the others' groups, so their gap would be 0
    samples, predictions = make([0.9, 0.1, 0.7, 0.1, 1.0, 0.4], [0, 0, 1, 1, 2, 2], [0, 1] * 3)
    assert mean_score_difference(samples, predictions) == pytest.approx(0.3)
    assert [predictions.y_pred[samples.group == code].mean() for code in range(3)] == [0.5] * 3


def test_a_group_without_rows_does_not_count_and_one_group_is_undefined() -> None:
    assert mean_score_difference(*make([0.2, 0.6], [0, 2], [0, 1])) == pytest.approx(0.4)
    with pytest.raises(Undefined, match="only group 'g1' has rows"):
        mean_score_difference(*make([0.2, 0.6], [1, 1], [0, 1]))


@pytest.mark.parametrize("metric", [log_loss, mean_score_difference])
def test_without_scores_there_is_no_value(metric) -> None:
    samples, predictions = make([0.2, 0.6], [0, 1], [0, 1])
    with pytest.raises(Undefined, match="gives no score"):
        metric(samples, Predictions(predictions.y_pred))


def test_log_loss_of_no_rows_is_undefined() -> None:
    samples, predictions = make([0.2, 0.6], [0, 1], [0, 1])
    nobody = np.zeros(0, dtype=int)
    with pytest.raises(Undefined, match="there are no rows"):
        log_loss(samples.select(nobody), predictions.select(nobody))
