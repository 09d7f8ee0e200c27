"""Which stored value is meant: the chosen operating point, the last step, the group, and all groups of the dataset."""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fairbench.analysis.columns import series
from fairbench.analysis.values import (
    COLUMNS,
    NOT_MEASURED,
    Estimate,
    Measured,
    alike_count,
    by_method,
    cell_row,
    chosen_points,
    estimate,
    finished,
    frame,
    identity,
    planned_repeats,
    rows,
    sections,
    shown_parameters,
    supports,
)
from fairbench.cells import Cell, Choice, Preparation
from fairbench.records import DONE, FAILED, SKIPPED, Record, Results, Value

LACKS = "group 'c' has no row in the test part"


def record(*values, repeat=0, method="mlp", chosen="best", status=DONE, **fields):
    """Return a record of these values, each (step, point, group, metric, value[, reason])."""
    choice = method if isinstance(method, Choice) else Choice(method)
    cell = Cell(Choice("adult"), choice, "sex", repeat)
    return Record(cell, status, values=tuple(Value(*value) for value in values), chosen=chosen, **fields)


GENERATIONS = record(
    (0, "best", "", "accuracy", 0.9),
    (0, "best", "a", "accuracy", 0.91),
    (0, "best", "b", "accuracy", 0.89),
    (0, "other", "", "accuracy", 0.1),
    (2, "best", "", "accuracy", 0.7),
    (2, "best", "a", "accuracy", 0.71),
    (2, "other", "", "accuracy", 0.2),
    (2, "other", "b", "accuracy", 0.3),
    (1, "best", "", "accuracy", 0.8),
)


def numbers(*values):
    return [None if value is None else value.value for value in values]


def test_the_chosen_point_at_the_last_step_over_all_rows_is_meant_if_nothing_is_said():
    measured = Measured(GENERATIONS)
    assert measured.last_step == 2
    assert measured.points == ["best", "other"]
    assert measured.groups == ["a", "b"]
    assert measured.value("accuracy") == Value(2, "best", "", "accuracy", 0.7)
    assert numbers(measured.value("accuracy", step=0), measured.value("accuracy", step=1)) == [0.9, 0.8]
    assert numbers(measured.value("accuracy", point="other"), measured.value("accuracy", "a")) == [0.2, 0.71]
    assert measured.whole("accuracy", "b", step=0) == 0.89
    assert measured.whole("accuracy", "b", step=2, point="other") == 0.3
    assert Measured(dataclasses.replace(GENERATIONS, chosen="other")).whole("accuracy") == 0.2


def test_what_was_not_measured_is_none():
    measured = Measured(GENERATIONS)
    for found in (
        measured.value("log_loss"),
        measured.value("accuracy", step=3),
        measured.value("accuracy", point="nosuch"),
        measured.value("log_loss", "a"),  # the group has rows, as its accuracy shows
        measured.value("accuracy", "a", step=1),  # no group has values at that step
        measured.whole("log_loss"),
    ):
        assert found is None
    empty = Measured(record(status=SKIPPED))
    assert (empty.last_step, empty.points, empty.groups) == (0, [], [])
    assert empty.value("accuracy") is empty.value("accuracy", "a") is None


def test_a_group_without_values_beside_others_has_no_rows_at_that_step_and_point():
    measured = Measured(GENERATIONS)
    assert measured.value("accuracy", "b") == Value(
        2, "best", "b", "accuracy", None, "group 'b' has no row in the test part"
    )
    assert measured.value("accuracy", "a", point="other").reason == "group 'a' has no row in the test part"
    assert measured.value("anything", "nosuch", step=0).point == "best"
    assert measured.whole("accuracy", "b") is None


def test_a_value_over_fewer_groups_is_not_whole():
    measured = Measured(record((0, "best", "", "gap", 0.3, LACKS), (0, "best", "", "ratio", None, "0/0")))
    assert measured.value("gap").value == 0.3
    assert (measured.whole("gap"), measured.whole("ratio")) == (None, None)
    assert [measured.value(name).lacking for name in ("gap", "ratio")] == [LACKS, ""]
    assert Value(0, "", "", "gap", 0.3).lacking == ""


def test_it_decides_alike_by_its_chosen_point_at_the_last_step_or_the_one_asked_for():
    here = dataclasses.replace(GENERATIONS, alike=((0, "best"), (2, "other")))
    assert not Measured(here).decides_alike()
    assert [Measured(here).decides_alike(step) for step in (0, 1, 2)] == [True, False, False]
    other = dataclasses.replace(here, chosen="other")
    assert Measured(other).decides_alike()
    assert alike_count([here, other, other]) == 2
    assert Measured(record(alike=((0, "best"),))).decides_alike()  # values or not


def test_a_series_has_whole_values_alone_by_repeat():
    records = [
        record((0, "best", "", "gap", 0.1), (0, "best", "a", "gap", 0.7), repeat=4),
        record((0, "best", "", "gap", 0.2, LACKS), repeat=1),
        record((0, "best", "", "gap", None, "undefined"), repeat=2),
        record((0, "other", "", "gap", 0.4), (1, "best", "", "gap", 0.5), repeat=0),
        record(repeat=3, status=FAILED),
    ]
    assert series(records, "gap") == {4: 0.1, 0: 0.5}
    assert series(records, "gap", "a") == {4: 0.7}
    assert series(records, "gap", step=0, point="other") == {0: 0.4}
    assert series(records, "gap", step=1) == {0: 0.5}
    assert finished([*records, record(status=SKIPPED)]) == records[:4]


def test_an_estimate_is_over_whole_values_and_counts_what_it_leaves_out():
    def value(number, reason=""):
        return Value(0, "", "", "gap", number, reason)

    found = estimate([value(0.2), value(0.5, LACKS), value(None, "why"), value(0.4), None])
    assert found == Estimate(
        pytest.approx(0.3), pytest.approx(0.02**0.5), 2, 2, "why (and the like)", 1, LACKS, fewer=False
    )
    assert estimate([None, None]) == Estimate(None, None, 0, 2, NOT_MEASURED)
    assert estimate([value(0.2)]) == Estimate(0.2, None, 1)
    assert estimate([]) == Estimate(None, None, 0)
    alone = estimate([value(0.5, LACKS), value(0.3, LACKS), value(None, "why")])
    assert (alone.mean, alone.n, alone.undefined, alone.partial, alone.fewer) == (pytest.approx(0.4), 2, 1, 2, True)
    unlike = estimate([value(0.5, LACKS), value(0.3, "group 'd' lacks too")])
    assert unlike == Estimate(None, None, 0, partial=2, lacking=f"{LACKS} (and the like)")


def test_plain_numbers_make_an_estimate():
    assert Estimate.of(iter([0.1, 0.3])) == Estimate(pytest.approx(0.2), pytest.approx(0.02**0.5), 2)
    assert Estimate.of([0.1]) == Estimate(0.1, None, 1)
    assert Estimate.of([]) == Estimate(None, None, 0)


def test_supports_are_those_of_the_splits_which_methods_share():
    sizes = {0: (("a", 30), ("b", 2)), 1: (("a", 28), ("b", 4))}
    both = [
        record(repeat=repeat, method=method, supports=sizes[repeat]) for method in ("mlp", "tree") for repeat in (1, 0)
    ]
    silent = record(repeat=1, method="skipped")
    assert supports([*both, silent]) == {"a": (30, 28), "b": (2, 4)}
    assert supports([silent]) == {}


def test_chosen_points_are_counted_the_most_frequent_first():
    assert chosen_points([record(chosen=point) for point in "abbcb"]) == [("b", 3), ("a", 1), ("c", 1)]


@pytest.mark.parametrize(
    ("run", "expected", "alone"),
    [
        ({"suite": {"repeats": 5}}, 5, 5),
        ({"suite": {"repeats": 1}}, 2, 1),
        ({"suite": {}}, 2, 0),
        ({"suite": []}, 2, 0),
        ({}, 2, 0),
    ],
)
def test_planned_repeats_are_the_suites_or_those_that_are_there(run, expected, alone):
    records = [record(repeat=0), record(repeat=7), record(repeat=7, method="tree")]
    assert planned_repeats(Results(records, run, 3, {})) == expected
    assert planned_repeats(Results([], run, 0, {})) == alone


def test_what_may_be_compared_is_of_one_scenario_dataset_attribute_and_preparation():
    cell = record().cell
    apart = [
        cell,
        dataclasses.replace(cell, scenario=Choice("stream")),
        dataclasses.replace(cell, dataset=Choice("adult", {"rows": 5})),
        dataclasses.replace(cell, group="race"),
        dataclasses.replace(cell, preparation=Preparation(stratify=True)),
    ]
    together = [dataclasses.replace(one, repeat=1, method=Choice("tree")) for one in apart]
    records = [Record(one, DONE) for one in (*apart, *together)]
    assert sections(records) == [[records[place], records[place + 5]] for place in range(5)]


def test_tables_show_what_tells_scenarios_apart_or_all_that_fits_on_a_line():
    long = {"costly": "adversarial_debiasing fairgrad: 1; lfr: 0" * 3, "trials": 4}
    short = Choice("selected", {"rule": "max accuracy"})
    assert shown_parameters([Choice("sweep", long), short, short]) == {"sweep": set(), "selected": {"rule"}}
    both = [Choice("sweep", long), Choice("sweep", {**long, "trials": 20})]
    assert shown_parameters(both) == {"sweep": {"trials"}}
    assert shown_parameters([]) == {}


def test_repeats_of_one_method_belong_together_whatever_the_order_of_its_parameters():
    one, same, other = (Choice("mlp", params) for params in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}))
    assert identity(one) == identity(same) != identity(other)
    assert identity(Choice("tree", one.params)) != identity(one)
    records = [record(method=method, repeat=repeat) for repeat, method in enumerate((one, other, same))]
    assert by_method(records) == [[records[0], records[2]], [records[1]]]


def test_rows_and_frame_have_every_value_and_a_row_for_each_cell_without_one():
    choice = Choice("mlp", {"epochs": 3})
    done = record((0, "best", "", "gap", 0.25), (0, "other", "a", "gap", None, "why"), method=choice, seconds=2.0)
    failed = record(repeat=1, status=FAILED, method=choice)
    results = Results([done, dataclasses.replace(failed, reason="it broke")], {}, 2, {})
    first, second, third = rows(results)
    assert tuple(first) == tuple(second) == tuple(third) == COLUMNS
    assert [row["chosen"] for row in (first, second, third)] == [True, False, False]
    assert (first["parameters"], first["value"], first["seconds"], first["status"]) == ("epochs=3", 0.25, 2.0, DONE)
    assert (second["group"], second["value"], second["reason"]) == ("a", None, "why")
    assert (third["point"], third["group"]) == ("", "")
    assert (third["step"], third["metric"], third["value"], third["reason"]) == (None, "", None, "it broke")
    assert third["cell"] == failed.cell.key != first["cell"] == done.cell.key

    table = frame(results)
    assert tuple(table.columns) == COLUMNS
    assert table["value"].isna().tolist() == [False, True, True]
    assert table["step"].isna().tolist() == [False, False, True]
    assert (str(table["step"].dtype), str(table["value"].dtype)) == ("Int64", "float64")
    assert table[table.chosen & (table.group == "")]["value"].tolist() == [0.25]


def test_a_row_tells_a_cell_from_others():
    method, stream = Choice("mlp", {"lr": 0.1}), Choice("stream", {"steps": 2})
    preparation = Preparation("none", True, False)
    cell = Cell(Choice("adult", {"rows": 5}), method, "sex", 3, preparation, stream, fit=2)
    assert cell_row(cell) == {
        "scenario": "stream[steps=2]",
        "dataset": "adult[rows=5]",
        "sensitive": "sex",
        "scale": "none",
        "sensitive_as_feature": True,
        "stratify": False,
        "group_known": 1.0,
        "group_at_prediction": True,
        "method": "mlp",
        "parameters": "lr=0.1",
        "repeat": 3,
        "tuning": 0,
        "fit": 2,
    }


def test_a_run_without_values_is_a_frame_with_all_columns():
    for records in ([], [record(status=FAILED)]):
        table = frame(Results(records, {}, len(records), {}))
        assert (len(table), tuple(table.columns)) == (len(records), COLUMNS)
        assert (str(table["step"].dtype), str(table["value"].dtype)) == ("Int64", "float64")


NUMBERS = some.one_of(some.none(), some.floats(0, 1))
VALUES = some.builds(
    Value,
    some.integers(0, 2),
    some.sampled_from(["best", "other"]),
    some.sampled_from(["", "a", "b"]),
    some.sampled_from(["gap", "accuracy"]),
    NUMBERS,
    some.sampled_from(["", LACKS]),
)


@given(some.lists(VALUES, max_size=12, unique_by=lambda value: value[:4]), some.sampled_from(["best", "other"]))
def test_look_ups_find_what_a_search_through_all_values_finds(values, chosen):
    measured = Measured(record(*values, chosen=chosen))
    last = max((value.step for value in values), default=0)
    for metric in ("gap", "accuracy"):
        wanted = [v for v in values if (v.step, v.point, v.group, v.metric) == (last, chosen, "", metric)]
        assert measured.value(metric) == (wanted[0] if wanted else None)
        assert measured.whole(metric) == (wanted[0].whole if wanted else None)
        for value in (value for value in values if value.metric == metric):
            assert measured.value(metric, value.group, step=value.step, point=value.point) == value


@given(some.lists(some.one_of(some.none(), VALUES), max_size=8))
def test_every_repeat_is_in_the_mean_or_counted_as_left_out(values):
    found = estimate(values)
    left_out = found.undefined + (0 if found.fewer else found.partial)
    assert found.n + left_out == len(values)
    used = [v.value for v in values if v is not None and v.value is not None and (found.fewer or not v.reason)]
    assert found.mean == (pytest.approx(statistics.fmean(used)) if used and found.n else None)


def test_reading_values_needs_neither_pandas_nor_matplotlib_nor_torch():
    code = "import sys, fairbench.api.analysis; print(*{'pandas', 'matplotlib', 'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
