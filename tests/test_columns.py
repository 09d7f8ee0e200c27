"""The columns of many records: the numbers of the functions for one record, to the last bit."""

from __future__ import annotations

import math
import statistics
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.analysis.columns import Columns, estimate_over, series
from fairbench.analysis.spread import exact_sd, mean_of, moments
from fairbench.analysis.values import Measured, estimate
from fairbench.cells import Cell, Choice
from fairbench.records import DONE, Record, Value
from fairbench.running.packed import PackedValues

METRICS, GROUPS, POINTS, STEPS = ("accuracy", "gap"), ("", "a", "b"), ("", "p", "q"), (0, 3)
FRACTIONS = st.floats(0, 1) | st.sampled_from([0.5, 5e-324, 1e-300])


@st.composite
def values(draw):
    """Return some of the values that a cell can have, a few undefined or over fewer groups."""
    places = st.tuples(*map(st.sampled_from, (STEPS, POINTS, GROUPS, METRICS)))
    found = []
    for place in draw(st.lists(places, max_size=8, unique=True)):
        kind = draw(st.sampled_from("nnnup"))
        number, reason = {"n": "", "u": "no row", "p": "without group b"}[kind], draw(FRACTIONS)
        found.append(Value(*place, None if kind == "u" else reason, number))
    return tuple(found)


@st.composite
def records(draw):
    """Return records with the values of few shapes, as plain and as packed values."""
    cell = Cell(Choice("d"), Choice("m"), "sex", 0)
    shapes, found = draw(st.lists(values(), min_size=1, max_size=3)), []
    for number, kind in enumerate(draw(st.lists(st.integers(0, 9), max_size=6))):
        here = tuple(
            value._replace(value=draw(FRACTIONS)) if value.value is not None else value
            for value in shapes[kind % len(shapes)]
        )
        kept = PackedValues.of(here) if draw(st.booleans()) else here
        placed = cell.placed(number // draw(st.sampled_from([1, 2])), 0, 0, str(number))
        found.append(Record(placed, DONE, values=kept, chosen=draw(st.sampled_from(POINTS))))
    return found


ASKED = {
    "group": st.sampled_from(GROUPS),
    "step": st.sampled_from([None, *STEPS]),
    "point": st.sampled_from([None, *POINTS]),
}


@given(several=records(), metric=st.sampled_from([*METRICS, "other"]), asked=st.fixed_dictionaries(ASKED))
def test_columns_are_what_measured_finds(several, metric, asked):
    one_by_one = [Measured(record).whole(metric, **asked) for record in several]
    column = Columns(several).column(metric, **asked).tolist()
    assert [None if math.isnan(number) else number for number in column] == one_by_one
    by_repeat = {}
    for record, number in zip(several, one_by_one):
        if number is not None:
            by_repeat.setdefault(record.cell.repeat, []).append(number)
    expected = {repeat: statistics.fmean(numbers) for repeat, numbers in by_repeat.items()}
    assert series(several, metric, **asked) == expected
    assert list(series(several, metric, **asked)) == list(expected)


@given(several=records(), metric=st.sampled_from(METRICS), group=st.sampled_from(GROUPS))
def test_estimates_are_those_of_the_values(several, metric, group):
    measured = [Measured(record) for record in several]
    found = Columns(several).estimate(metric, group)
    assert found == estimate([one.value(metric, group) for one in measured])
    assert found == estimate_over(measured, metric, group)


def test_columns_are_a_sequence_of_their_records():
    record = Record(Cell(Choice("d"), Choice("m"), "sex", 2), DONE)
    columns = Columns([record, record])
    assert (len(columns), columns[0], columns[:1], list(columns)) == (2, record, (record,), [record, record])
    assert Columns.of(columns) is columns
    assert columns.repeats == [2, 2]


NUMBERS = st.lists(FRACTIONS | st.floats(-1e300, 1e300), min_size=2, max_size=20)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.11, statistics.stdev rounds twice")
@given(NUMBERS)
def test_standard_deviation_is_the_exact_one(numbers):
    expected = statistics.stdev(numbers)
    if expected == 0 or expected > sys.float_info.min:
        assert exact_sd(numbers) == expected


def test_standard_deviation_is_rounded_once():
    assert exact_sd([0.45, 0.08, 0.32]) == 0.1877054430040145  # the root of the rounded variance ends in 448
    assert exact_sd([0.25] * 7) == 0.0
    assert math.isnan(exact_sd([0.5, math.nan]))


@given(NUMBERS.filter(lambda numbers: max(map(abs, numbers)) < 1e100))
def test_moments_are_those_of_numpy(numbers):
    array = np.array(numbers)
    assert moments(array) == (array.mean(), array.std(ddof=1))
    assert mean_of(array) == array.mean()
