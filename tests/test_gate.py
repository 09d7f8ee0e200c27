"""The gate: which changes from one run to another let a check fail."""

from __future__ import annotations

from functools import partial

import pytest
from compared_runs import deciding, found, run_in
from stored_runs import DP, drawn_parts, noisy

from fairbench.analysis.compared import compare_runs
from fairbench.analysis.gate import gate, least_effects
from fairbench.analysis.wanted import Wanted
from fairbench.errors import SuiteError, UnknownName


@pytest.fixture
def runs(tmp_path):
    return partial(run_in, tmp_path)


def test_the_gate_fails_on_what_is_worse_beyond_its_interval_and_the_least_effect(runs):
    one, other = runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.2, 0)})
    worse = compare_runs(one, other, Wanted.of("", "", "accuracy"))
    lost = -found(worse).difference.value
    assert not gate(worse, {}).passed
    assert [change.metric for change in gate(worse, {}).worse] == ["accuracy"]
    assert not gate(worse, {"": lost - 1e-9}).passed
    assert gate(worse, {"": lost + 1e-9}).passed
    assert [change.metric for change in gate(worse, {"": 1}).small] == ["accuracy"]
    assert gate(worse, {"accuracy": 1}).passed
    assert not gate(worse, {"": 1, "accuracy": 0}).passed, "a metric's own least effect goes before the others'"
    assert gate(compare_runs(other, one, Wanted.of("", "", "accuracy")), {}).passed


def test_a_least_effect_may_be_named_by_an_alias(runs):
    compared = compare_runs(runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.2, 0)}))
    assert least_effects(compared, {"": 0.5, "DP": 0.1}) == {"": 0.5, DP: 0.1}
    with pytest.raises(SuiteError, match="demographic_parity_difference is given twice"):
        least_effects(compared, {DP: 0.2, "dp": 0.1})
    with pytest.raises(UnknownName, match="no metric compared here is named 'd'"):
        least_effects(compared, {"d": 0.1})


def test_the_gate_knows_that_a_gap_gets_worse_as_it_grows(runs):
    one = runs({"mlp": deciding(0.1, 0, (0.0, 0.0))})
    other = runs({"mlp": deciding(0.1, 0, (0.0, 0.6))})
    wanted = Wanted.of("", "", f"{DP},selection_rate")
    wider = gate(compare_runs(one, other, wanted), {})
    assert [change.metric for change in wider.worse] == [DP]
    assert wider.undirected == ("selection_rate",)
    assert gate(compare_runs(other, one, wanted), {}).passed


def test_a_large_change_within_its_interval_passes(runs):
    values = iter([0.1, 0.4, 0.1, 0.4, 0.1, 0.4])
    one = runs({"mlp": deciding(0.1, 0)}, drawn_parts(repeats=2))
    other = runs({"mlp": lambda repeat, samples: noisy(samples, flips=next(values), seed=3)}, drawn_parts(repeats=2))
    compared = compare_runs(one, other, Wanted.of("", "", "accuracy"))
    assert found(compared).difference.value < -0.05
    assert gate(compared, {}).passed
    assert found(compare_runs(other, one, Wanted.of("", "", "accuracy"))).reading == "not told apart"


def test_a_gate_that_can_check_nothing_fails(runs):
    run = runs({"mlp": deciding(0.1, 0)})
    assert not gate(compare_runs(run, run, Wanted.of("", "", "selection_rate")), {}).passed
