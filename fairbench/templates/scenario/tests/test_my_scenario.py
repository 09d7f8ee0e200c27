"""The scenario keeps fairbench's rules, and gives the method as many rows as it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import pytest

from fairbench.api import Inputs, Predictions, Predictor, Samples
from fairbench.testing import CHECKS, example_split
from my_scenario.scenario import MyScenario


@dataclass(frozen=True)
class Counting:
    """A method whose score is a thousandth of the number of its training rows."""

    name = "counting"

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Count the rows."""

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(np.full(len(inputs), len(train) / 1000))

        return predict


@pytest.mark.parametrize("check", CHECKS["scenarios"])
def test_it_keeps_the_rules(check: Callable[[Any], Any]) -> None:
    check(MyScenario)


@pytest.mark.parametrize(("share", "rows"), [(0.25, 42), (1.0, 168), (0.0, 1)])
def test_the_method_is_given_a_share_of_the_training_rows(share: float, rows: int) -> None:
    split = example_split()
    (outcome,) = MyScenario(share=share).run(split, Counting(), len)
    assert len(split.train) == 168
    assert outcome.samples is split.test
    score = outcome.predictions[outcome.chosen].y_score
    assert score is not None
    assert (score == rows / 1000).all()
