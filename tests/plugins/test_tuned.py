"""The tuned scenario: one rule, by validation alone, and every configuration measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from fairbench_baselines.constant import Constant
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_scenarios.selected import Selected
from fairbench_scenarios.tuned import FOUR_FIFTHS, Tuned, configurations_of

from fairbench.api import (
    UNKNOWN_GROUP,
    Fitted,
    NotApplicable,
    Predictions,
    Samples,
    Schema,
    Split,
    SuiteError,
    parameter,
)
from fairbench.choices import parse_choices
from fairbench.plugins.loading import load_plugins


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
    seen = {"validation_rows", "validation_selected"}
    told = {name: said for name, said in found.diagnostics.items() if name not in seen}
    assert told == {"even": [1.0], "trials": [4.0], "fits": [4.0], "infeasible": [0.0]}
    assert seen < found.diagnostics.keys()
    flipped = Samples(validation.X, validation.group, validation.schema, 1 - validation.y)  # selecting less is right
    assert outcome(Scripted(), flipped).chosen == "even=0.9"  # 0.5 and 0.0 are more accurate, but not even
    assert outcome(Scripted(), flipped, least_ratio=0.4).chosen == "even=0.5"


def test_without_an_even_configuration_the_most_even_is_chosen():
    method = Scripted()
    validation = make_samples().select(np.r_[1:50:2, 50:100])  # group 0 has only y = 1, and is all selected
    found = outcome(method, validation)
    assert found.chosen == "even=1.0"  # ratio 0.5, the others have less
    assert found.diagnostics["infeasible"] == [1.0]


def test_without_a_row_of_known_group_nothing_is_chosen():
    part = make_samples()
    hidden = replace(part, group=np.full(len(part), UNKNOWN_GROUP))
    with pytest.raises(NotApplicable, match="the group of none of the 100 validation rows is known"):
        outcome(Scripted(), hidden)


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


def test_another_rule_chooses_another_configuration():
    validation = make_samples()
    flipped = Samples(validation.X, validation.group, validation.schema, 1 - validation.y)  # selecting less is right
    assert outcome(Scripted(), flipped, rule="max accuracy").chosen == "even=0.0"
    assert outcome(Scripted(), flipped, rule="min dp").chosen == "even=1.0"
    assert outcome(Scripted(), flipped, rule="max accuracy subject to dp <= 0.05").chosen == "even=0.9"
    assert outcome(Scripted(), flipped, rule="max accuracy subject to dp <= 0.05 (upper)").chosen == "even=1.0"


def test_least_ratio_is_short_for_the_rule_that_it_becomes():
    assert Tuned() == Tuned(least_ratio=0.8) == Tuned(rule=FOUR_FIFTHS.upper())
    short = Tuned(least_ratio=0.5)
    assert (short.rule, short.least_ratio) == ("max accuracy subject to dp ratio >= 0.5", None)
    assert short == Tuned(rule="max accuracy subject to dp ratio>=0.5")
    with pytest.raises(
        SuiteError, match=r"least_ratio=0.5 is short for the rule .* and the rule is 'min dp'; give only"
    ):
        Tuned(least_ratio=0.5, rule="min dp")


@dataclass(frozen=True)
class Sweeping:
    """Offer two points, and choose the first: all with y = 1, or so of the first group alone."""

    name = "sweeping"
    grid = ({},)

    def fit(self, train, validation, *, seed):
        def predict(inputs, share):
            y = inputs.X[:, 0].astype(int) % 2
            return Predictions.from_decision(np.where(inputs.group == 1, share * y, y).astype(float), seed=0)

        shares = {"uneven": 0.0, "even": 1.0}
        points = {name: lambda inputs, share=share: predict(inputs, share) for name, share in shares.items()}
        return Fitted(points, "uneven", {"curve": [3.0]})


def test_all_points_of_a_fit_can_be_judged_by_the_rule():
    found = outcome(Sweeping(), make_samples(), rule="min dp")
    assert (list(found.predictions), found.chosen) == (["uneven"], "uneven")  # the method's own choice
    found = outcome(Sweeping(), make_samples(), rule="min dp", points="all")
    assert (list(found.predictions), found.chosen) == (["uneven", "even"], "even")
    assert found.diagnostics["curve"] == [3.0]


def test_the_points_of_one_fit_are_chosen_from_by_a_named_rule():
    rows = make_samples()
    (found,) = Selected("min dp").run(Split(rows, rows, rows), Sweeping(), lambda purpose: 7)
    assert (list(found.predictions), found.chosen) == (["uneven", "even"], "even")
    told = {name: said for name, said in found.diagnostics.items() if not name.startswith("validation_")}
    assert told == {"curve": [3.0], "trials": [1.0], "fits": [1.0], "infeasible": [0.0]}


@pytest.mark.parametrize("scenario", ["tuned", "selected", "search"])
def test_a_rule_is_typed_without_quotes_and_spelled_out_in_the_plan(scenario):
    registry, _ = load_plugins()
    typed = f"{scenario}[rule=Max accuracy subject to dp <= .1 (upper)|min eo|knee]"
    rules = [registry.complete("scenarios", choice).params["rule"] for choice in parse_choices(typed)]
    assert rules == ["max accuracy subject to dp <= 0.1 (upper)", "min eo", "knee dp"]
    (choice,) = parse_choices(f"{scenario}[rule='min dp']")
    whole = registry.complete("scenarios", choice)
    assert parse_choices(str(whole)) == [whole]
    (wrong,) = parse_choices(f"{scenario}[rule=min pd]")
    with pytest.raises(SuiteError, match="'min pd' is not a selection rule; rules are written like 'max accuracy'"):
        registry.complete("scenarios", wrong)
