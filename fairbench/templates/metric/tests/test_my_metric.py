"""The metric keeps fairbench's rules, and has the values that are worked out here by hand."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest

from fairbench.api import Predictions, Samples, Schema, Undefined
from fairbench.testing import CHECKS
from my_metric.metric import fairbench_metrics, my_metric

SCHEMA = Schema(feature_names=("x",), group_names=("a", "b"), protected=1)
SAMPLES = Samples(np.zeros((6, 1)), np.array([0, 0, 0, 1, 1, 1]), SCHEMA, np.array([1, 0, 0, 1, 1, 0]))


@pytest.mark.parametrize("check", CHECKS["metrics"])
def test_it_keeps_the_rules(check: Callable[[Any], Any]) -> None:
    for metric in fairbench_metrics():
        check(metric)


def test_one_of_two_selected_is_right_in_one_group_and_both_in_the_other() -> None:
    assert my_metric(SAMPLES, Predictions(np.array([1, 1, 0, 1, 1, 0]))) == 0.5


def test_a_group_of_which_nobody_is_selected_makes_it_undefined() -> None:
    with pytest.raises(Undefined, match="nobody of group 'b' is selected"):
        my_metric(SAMPLES, Predictions(np.array([1, 1, 0, 0, 0, 0])))
