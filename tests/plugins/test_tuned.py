"""The tuned scenario: one rule, by validation alone, and every configuration measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from fairbench_baselines.constant import Constant
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_scenarios.tuned import Tuned, configurations_of

from fairbench.api import Fitted, NotApplicable, Predictions, Samples, Schema, Split, parameter


def make_samples(n: int = 100) -> Samples:
    """Return rows of which the first half is in group 0; y alternates, and the feature says which row it is."""
    schema = Schema(("row",), ("a", "b"), 1)
    return Samples(np.arange(n, dtype=np.float32)[:, None], np.arange(n) * 2 // n, schema, np.arange(n) % 2)


@dataclass(frozen=True)
class Scripted:
    """Select all rows with y = 1, a share ``even`` of them in group 1; ``wrong`` gives up as much in group 0."""

    name = "scripted"
    even: float = parameter(1.0, "share selected in group 1")
    grid = tuple({"even": even} for even in (1.0, 0.9, 0.5, 0.0))

    def fit(self, train, validation, *, seed):
        """Return a predictor that needs no fit, and says which configuration it is of."""

        def predict(inputs):
            y = inputs.X[:, 0].astype(int) % 2
            decision = np.where(inputs.group == 1, self.even * y, y).astype(float)
            return Predictions.from_decision(decision, seed=0)

        return Fitted({"": predict}, "", {"even": [self.even]})


def outcome(method, validation: Samples, **parameters):
    """Return the only outcome of the scenario."""
    rows = make_samples()
    split = Split(rows, validation, rows)
    (only,) = Tuned(**parameters).run(split, method, lambda purpose: 7)
    return only


def test_the_most_accurate_configuration_that_is_even_enough_is_chosen_and_all_are_measured():
    validation = make_samples()
    found = outcome(Scripted(), validation)
    assert list(found.predictions) == ["even=1.0", "even=0.9", "even=0.5", "even=0.0"]
    assert found.chosen == "even=1.0"
    assert found.diagnostics == {"even": [1.0]}
    flipped = Samples(validation.X, validation.group, validation.schema, 1 - validation.y)  # selecting less is right
    assert outcome(Scripted(), flipped).chosen == "even=0.9"  # 0.5 and 0.0 are more accurate, but not even
    assert outcome(Scripted(), flipped, least_ratio=0.4).chosen == "even=0.5"


def test_without_an_even_configuration_the_most_even_is_chosen():
    method = Scripted()
    validation = make_samples().select(np.r_[1:50:2, 50:100])  # group 0 has only y = 1, and is all selected
    assert outcome(method, validation).chosen == "even=1.0"  # ratio 0.5, the others have less


def test_where_nobody_is_selected_there_is_no_parity():
    @dataclass(frozen=True)
    class Nobody(Scripted):
        name = "nobody"
        grid = ({"even": 0.0}, {"even": 1.0})

        def fit(self, train, validation, *, seed):
            share = self.even * 0.4
            return lambda inputs: Predictions.from_decision(np.where(inputs.group == 1, share, share / 2), seed=0)

    assert outcome(Nobody(), make_samples()).chosen == "even=1.0"


def test_a_method_without_a_grid_is_fitted_as_it_is():
    assert list(outcome(Constant(), make_samples()).predictions) == [""]


def test_a_grid_beyond_the_budget_is_not_applicable():
    with pytest.raises(NotApplicable, match="scripted declares 4 configurations, but the budget is 3"):
        outcome(Scripted(), make_samples(), budget=3)


@pytest.mark.parametrize(("method", "count"), [(FairMAML(), 12), (FFML(), 12), (MaskedFTML(), 4)])
def test_meta_learners_declare_grids_within_the_budget(method, count):
    found = configurations_of(method)
    assert len(found) == len(set(found.values())) == count
