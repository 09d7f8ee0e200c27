"""Stacked training against single training, and the scenario that uses it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from fairbench_meta.faalgrad import FaAlGrad
from fairbench_scenarios.sweep import Sweep, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.api import NotApplicable, Options, Predictions, Range
from fairbench.data.examples import example_split

SPLIT = example_split()
# float32 rounds to 6e-8 of a value; after 12 epochs of Adam, whose first steps have the size of the rate whatever the
# gradient's, that has grown to 1e-5 at most in scores and losses of order one.
ROUNDING = 1e-4


def scores(fitted) -> np.ndarray:
    """Return the scores of the test part."""
    return fitted.points[""](SPLIT.test.inputs).y_score


@settings(max_examples=12)
@given(
    split=st.sampled_from(["config1", "config2", "proportions"]),
    inner_steps=st.sampled_from([0, 1, 3]),
    hidden=st.sampled_from([(), (8,), (5, 4)]),
    activation=st.sampled_from(["relu", "tanh"]),
    first_order=st.booleans(),
    rates=st.lists(st.tuples(st.floats(1e-3, 0.3), st.floats(1e-3, 0.02)), min_size=2, max_size=5),
    seed=st.integers(0, 9),
)
def test_members_of_a_stack_equal_single_fits_up_to_rounding(
    split, inner_steps, hidden, activation, first_order, rates, seed
) -> None:
    shape = FaAlGrad(split=split, inner_steps=inner_steps, hidden=hidden, activation=activation, epochs=12)
    shape = replace(shape, first_order=first_order, patience=12)
    settings_ = [replace(shape, inner_lr=inner, outer_lr=outer) for inner, outer in rates]
    together = shape.fit_together(settings_, SPLIT.train, SPLIT.validation, seed=seed)
    for one, stacked in zip(settings_, together):
        alone = one.fit(SPLIT.train, SPLIT.validation, seed=seed)
        assert alone.diagnostics.keys() == stacked.diagnostics.keys()
        for name, curve in alone.diagnostics.items():
            np.testing.assert_allclose(stacked.diagnostics[name], curve, atol=ROUNDING, rtol=0, err_msg=name)
        np.testing.assert_allclose(scores(stacked), scores(alone), atol=ROUNDING, rtol=0)


def test_a_member_that_stops_keeps_its_best_weights_while_others_train_on() -> None:
    shape = FaAlGrad(epochs=60, patience=2)
    members = [replace(shape, outer_lr=lr) for lr in (0.5, 1e-4, 0.3)]
    together = shape.fit_together(members, SPLIT.train, SPLIT.validation, seed=0)
    lengths = [len(fitted.diagnostics["validation_loss"]) for fitted in together]
    assert len(set(lengths)) > 1
    assert lengths[1] == 60
    assert max(lengths[0], lengths[2]) < 60
    for one, stacked in zip(members, together):
        alone = one.fit(SPLIT.train, SPLIT.validation, seed=0)
        assert len(stacked.diagnostics["validation_loss"]) == len(alone.diagnostics["validation_loss"])
        np.testing.assert_allclose(scores(stacked), scores(alone), atol=ROUNDING, rtol=0)


def test_configurations_of_other_shapes_are_separated_and_come_back_in_order() -> None:
    base = FaAlGrad(epochs=5)
    mixed = [replace(base, inner_steps=steps, inner_lr=lr) for lr in (0.01, 0.2) for steps in (1, 2, 0)]
    mixed.append(replace(base, hidden=(3,)))  # alone in its shape
    for one, stacked in zip(mixed, base.fit_together(mixed, SPLIT.train, SPLIT.validation, seed=0)):
        np.testing.assert_allclose(scores(stacked), scores(one.fit(SPLIT.train, SPLIT.validation, seed=0)), atol=1e-4)


def test_a_member_that_diverges_is_named() -> None:
    wild = replace(FaAlGrad(epochs=3), outer_lr=1e38)
    split = dataclasses.replace(SPLIT)
    with pytest.raises(ArithmeticError, match=r"setting 2 of 2, with inner_lr=0.01 and outer_lr=1e\+38, was never"):
        wild.fit_together([FaAlGrad(epochs=3), wild], split.train, split.validation, seed=0)


@dataclass(frozen=True)
class Dial:
    """Select rows whose first feature reaches the cut."""

    name = "dial"
    ranges: ClassVar = {"cut": Range(-1.0, 1.0), "flip": Options(False, True)}
    cut: float = 9.0
    flip: bool = False

    def fit(self, train, validation, *, seed):
        def predict(inputs):
            return Predictions.from_score(np.where((inputs.X[:, 0] >= self.cut) != self.flip, 0.9, 0.1))

        return predict


@dataclass(frozen=True)
class Together(Dial):
    """The same, fitted together."""

    lost: bool = False

    def fit_together(self, configurations, train, validation, *, seed):
        return [one.fit(train, validation, seed=seed) for one in configurations][self.lost :]


def swept(method, trials: int = 7):
    """Return the outcome of a sweep."""
    (outcome,) = Sweep(trials=trials).run(SPLIT, method, lambda purpose: len(purpose))
    return outcome


def test_a_sweep_is_the_same_whether_a_method_fits_together_or_not() -> None:
    one, other = swept(Dial()), swept(Together())
    assert list(one.predictions) == list(other.predictions)
    assert one.chosen == other.chosen
    assert len(one.predictions) == 7
    assert "as given" in one.predictions
    assert one.diagnostics["trials"] == [7.0]
    for label, made in one.predictions.items():
        np.testing.assert_array_equal(made.y_pred, other.predictions[label].y_pred)
    best = one.diagnostics["validation_accuracy"]
    assert len(set(best)) > 1


def test_a_method_without_ranges_is_fitted_once() -> None:
    @dataclass(frozen=True)
    class Plain:
        name = "plain"

        def fit(self, train, validation, *, seed):
            return Dial().fit(train, validation, seed=seed)

    assert list(swept(Plain()).predictions) == ["as given"]


def test_too_few_fits_are_refused() -> None:
    with pytest.raises(ValueError, match="fit_together returned 6 fits for 7 configurations; it must return one for"):
        swept(Together(lost=True))


def test_faalgrad_sweeps_its_learning_rates_as_one_computation() -> None:
    outcome = swept(FaAlGrad(epochs=4), trials=5)
    assert len(outcome.predictions) == 5


def test_faalgrad_refuses_together_what_it_refuses_alone() -> None:
    one_side = SPLIT.train.select(SPLIT.train.protected)
    pair = [FaAlGrad(inner_lr=lr) for lr in (0.1, 0.2)]
    with pytest.raises(NotApplicable, match="both the support and the query set need rows"):
        pair[0].fit_together(pair, one_side, SPLIT.validation, seed=0)


def test_draws_cover_a_range_and_are_even_over_the_logarithm_where_it_says_so() -> None:
    random = np.random.default_rng(0)
    spaces = {"a": Range(1e-3, 1e1, log=True), "b": Range(0.0, 2.0), "n": Range(1, 3), "o": Options("x", "y")}
    drawn = [draw(spaces, random) for _ in range(2000)]
    logs = np.log10([place["a"] for place in drawn])
    assert -3 <= logs.min() < -2.9
    assert 0.9 < logs.max() <= 1
    assert np.mean(logs) == pytest.approx(-1, abs=0.15)  # the standard error is 0.026
    assert np.mean([place["b"] for place in drawn]) == pytest.approx(1, abs=0.07)  # 0.013
    counts = np.bincount([place["n"] for place in drawn], minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 550  # of 667 expected
    assert {place["o"] for place in drawn} == {0, 1}
