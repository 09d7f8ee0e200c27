"""What a scenario may hand over: odd names become texts or are refused, odd numbers too."""

from __future__ import annotations

import decimal
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fairbench.api import UNKNOWN_GROUP, Metric, Outcome, Predictions, Undefined
from fairbench.cells import Cell, Choice
from fairbench.errors import Unstorable
from fairbench.records import DONE, Record
from fairbench.running.outcomes import checked, measure, measured, number, said, storable

RECORD = Record(Cell(Choice("data"), Choice("m"), "sex", 0), DONE)


class Unshowable:
    def __repr__(self):
        raise KeyError("no")


class UnspeakableError(Exception):
    def __str__(self):
        raise KeyError("no")


@pytest.fixture
def outcome(eight_rows, eight_predictions):
    return Outcome(eight_rows, {"": eight_predictions}, "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((kind(0.5), 0.5) for kind in (float, np.float16, np.float32, np.float64, decimal.Decimal, torch.tensor)),
        *((kind(2), 2.0) for kind in (int, np.int8, np.uint64, torch.tensor)),
        *((value, 1.0) for value in (True, np.True_, np.array([1]), torch.ones(1))),
        (10**400, math.inf),
    ],
)
def test_numbers_of_every_library_are_numbers(value, expected):
    found = number(value, "it")
    assert (type(found), found) == (float, expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "it is None, None; a number is needed"),
        ("0.5", "it is a str, '0.5'; a number is needed"),
        (np.str_("0.5"), "it is a str_"),
        (b"1", "it is a bytes"),
        (1j, "it is a complex, 1j"),
        (np.complex128(1), "it is a complex128"),
        (np.arange(2), "it is a ndarray, array([0, 1])"),
        (torch.ones(2), "it is a Tensor"),
        (np.ma.masked_all(2), "it is a MaskedArray"),
        ([0.5], "it is a list, [0.5]"),
        (pd.NA, "it is a NAType, <NA>"),
        (Unshowable(), "it is an Unshowable, whose repr raises KeyError"),
    ],
)
def test_what_is_no_single_number_is_refused(value, message):
    with pytest.raises(Unstorable) as caught:
        number(value, "it")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("length", "shown"), [(78, f"'{'x' * 78}'"), (79, f"'{'x' * 79}…")])
def test_80_characters_are_shown_of_what_is_refused(length, shown):
    with pytest.raises(Unstorable) as caught:
        number("x" * length, "it")
    assert str(caught.value) == f"it is a str, {shown}; a number is needed"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, np.float32("inf"), torch.tensor(-math.inf)])
def test_no_value_that_is_not_finite_is_kept(outcome, value, eight_rows, eight_predictions):
    metric = Metric("m", lambda samples, predictions: value, by_group=True)
    assert {found.value for found in measure(eight_rows, eight_predictions, [metric])} == {None}
    odd = replace(outcome, values={"v": value}, diagnostics={"d": [value, 1]})
    record = measured(RECORD, checked(odd, "method m", None), [])
    ((*_, name, kept, reason),) = record.values
    assert (name, kept, reason) == ("v", None, f"the scenario measured {float(value)}")
    assert record.diagnostics == {"d": (None, 1.0)}


@pytest.mark.parametrize(
    "value", [np.ma.masked, np.ma.array(0.5, mask=True), np.ma.array([0.5], mask=[True])], ids=["masked", "0-d", "1-d"]
)
def test_what_is_masked_is_undefined(outcome, value, eight_rows, eight_predictions):
    metric = Metric("m", lambda samples, predictions: value)
    ((*_, kept, reason),) = measure(eight_rows, eight_predictions, [metric])
    assert (kept, reason) == (None, "the metric returned nan")
    curve = np.ma.array([1, 2], mask=[False, True])
    record = measured(RECORD, checked(replace(outcome, diagnostics={"d": curve}), "m", None), [])
    assert record.diagnostics == {"d": (1.0, None)}
    assert number(np.ma.array([0.5], mask=[False]), "it") == 0.5


def test_names_and_numbers_become_plain(outcome, eight_predictions):
    odd = replace(
        outcome,
        predictions={np.str_("a"): eight_predictions, np.float64(0.5): eight_predictions, 3: eight_predictions},
        chosen=np.int64(3),
        step=np.int16(7),
        values={np.str_("v"): np.float32(0.5)},
        diagnostics={"loss": np.array([1, 2], np.float32)},
    )
    plain = checked(odd, "method m", 6)
    assert list(plain.predictions) == ["a", "0.5", "3"]
    assert {type(point) for point in plain.predictions} == {type(plain.chosen)} == {str}
    assert (plain.chosen, type(plain.step), plain.step) == ("3", int, 7)
    assert (plain.values, plain.diagnostics) == ({"v": 0.5}, {"loss": (1.0, 2.0)})


MADE = Predictions(np.zeros(8, int))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictions": {None: MADE}, "chosen": None}, "method m: an operating point is named by None, None; use a"),
        ({"predictions": {(1, 2): MADE}}, "method m: an operating point is named by a tuple, (1, 2)"),
        ({"predictions": {3: MADE, "3": MADE}, "chosen": 3}, "method m: two operating points are named '3'"),
        ({"predictions": {"\udc80": MADE}}, "method m: the operating point '\\udc80' cannot be written as UTF-8"),
        ({"predictions": {"a": MADE}, "chosen": "b"}, "method m: the chosen operating point 'b' is not among ['a']"),
        ({"predictions": {}}, "method m: the chosen operating point '' is not among []"),
        ({"predictions": {"": np.zeros(8)}}, "method m: its predictor returned a ndarray; it must return Predictions"),
        ({"predictions": {"": Predictions(np.zeros(3, int))}}, "method m returned 3 predictions for 8 rows"),
        ({"diagnostics": {3: [1.0]}}, "a diagnostic is named by an int, 3; use a text"),
        ({"diagnostics": {"d": 1.0}}, "the diagnostic 'd' is 1.0; a sequence of numbers is needed"),
        ({"diagnostics": {"d": "12"}}, "the diagnostic 'd' is '12'; a sequence of numbers is needed"),
        ({"diagnostics": {"d": [1.0, "2"]}}, "the diagnostic 'd' is a str, '2'; a number is needed"),
        ({"values": {("v",): 1.0}}, "a value is named by a tuple, ('v',); use a text"),
        ({"values": {"\ud800": 1.0}}, "the name of a value, '\\ud800' cannot be written as UTF-8"),
        ({"values": {"v": None}}, "the scenario's 'v' is None, None; a number is needed"),
        ({"step": "1"}, "the scenario's step is '1'; it must be an integer"),
        ({"step": -1}, "the scenario's step is -1; it must be 0 or above"),
        ({"step": 2**63}, "the scenario's step is 9223372036854775808; it must be 0 or above"),
    ],
)
def test_what_no_store_can_hold_is_refused(outcome, changes, message):
    with pytest.raises(Unstorable) as caught:
        checked(replace(outcome, **changes), "method m", None)
    assert str(caught.value).startswith(message)


def test_rows_of_unknown_group_are_not_measured(outcome):
    """A code of -1 would count as the last group where a metric indexes by it."""
    group = outcome.samples.group.copy()
    group[2] = UNKNOWN_GROUP
    with pytest.raises(Unstorable, match="rows whose group is not known; only known_rows can be measured"):
        checked(replace(outcome, samples=replace(outcome.samples, group=group)), "method m", None)


def test_steps_rise(outcome):
    assert checked(replace(outcome, step=4), "method m", 3).step == 4
    with pytest.raises(Unstorable, match="the scenario's step is 4; it must be above 4, the step before"):
        checked(replace(outcome, step=4), "method m", 4)


def test_what_is_no_outcome_is_refused():
    with pytest.raises(Unstorable, match="the scenario yielded a dict; it must yield an Outcome for each step"):
        checked({}, "method m", None)


def test_texts_can_always_be_written(eight_rows, eight_predictions):
    def undefined(samples, predictions):
        raise Undefined("odd \udc80")

    (value,) = measure(eight_rows, eight_predictions, [Metric("m", undefined)])
    assert value.reason == "odd \\udc80"
    assert storable("a" * 20_000) == "a" * 20_000
    assert storable("a" + "b" * 20_000 + "c") == f"a{'b' * 9_999}\n[... 2 characters are left out ...]\n{'b' * 9_999}c"
    assert said(UnspeakableError()) == "UnspeakableError, whose message cannot be shown (KeyError)"


def test_a_step_that_only_saves_its_state_needs_no_predictions_and_its_number_is_free(outcome):
    saves = replace(outcome, predictions={}, step=0, state={"trials": np.zeros(3)})
    assert checked(saves, "method m", after=4).step == 0
    with pytest.raises(Unstorable, match=r"the chosen operating point '' is not among \[\]"):
        checked(replace(saves, state=None), "method m", after=None)
    with pytest.raises(Unstorable, match="step is -1"):
        checked(replace(saves, step=-1), "method m", after=None)
    assert measured(RECORD, checked(saves, "method m", after=None), []).values == ()
