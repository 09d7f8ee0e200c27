"""The choice of validation beside that of an oracle that sees the test part."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.api import Predictions, Results, Rule, Samples, Schema
from fairbench.api.analysis import optimism, rule_of, selection, stored_rows
from fairbench.cells import Cell, Choice
from fairbench.records import DONE, Record, Value
from fairbench.running.store import FILE_NAME, Measured, Store, Truth

RULE = "max accuracy subject to dp <= 0.1"
Y = np.tile([1, 0], 20)
GROUP = np.repeat([0, 1], 20)
POINTS = {  # of 10 rows with y = 1 in each group, so many are selected
    "fair": (6, 6),  # accuracy .8, gap 0
    "uneven": (10, 8),  # accuracy .95, gap .1
    "accurate": (10, 10),  # accuracy 1, gap 0
    "wrong": (10, 0),  # accuracy .75, gap .5
}


def predictions(first, second):
    chosen = np.zeros(40, dtype=int)
    for group, n in enumerate((first, second)):
        chosen[np.flatnonzero((group == GROUP) & (Y == 1))[:n]] = 1
    return Predictions(chosen)


def made(tmp_path, chosen, points=POINTS, rule=RULE, group=GROUP, repeat=0, **diagnostics):
    """Return a stored record that chose so, and its results."""
    samples = Samples(np.zeros((40, 1), dtype=np.float32), group, Schema(("x",), ("a", "b"), 1), Y)
    params = {} if rule is None else {"rule": rule}
    cell = Cell(Choice("adult"), Choice("m"), "sex", repeat, scenario=Choice("selected", params), metrics=("accuracy",))
    values = tuple(Value(0, point, "", "accuracy", 0.5) for point in points)
    record = Record(cell, DONE, values=values, chosen=chosen, diagnostics=diagnostics)
    truth = Truth.of(samples)
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(Measured(record, {(0, point): (truth, predictions(*n)) for point, n in points.items()}))
    return record, Results([record], {}, 1, {}, tmp_path)


def found(tmp_path, *arguments, **options):
    record, results = made(tmp_path, *arguments, **options)
    with stored_rows(results) as rows:
        return optimism(rows, record)


def test_the_oracle_applies_the_same_rule_to_the_test_part(tmp_path):
    best = found(tmp_path, "uneven", infeasible=(0.0,))
    assert best.points == 4
    assert (best.accuracy, best.gap) == pytest.approx((0.95, 0.1))
    assert (best.oracle_accuracy, best.oracle_gap) == (1.0, 0.0)
    assert (best.in_accuracy, best.in_gap) == pytest.approx((0.05, -0.1))
    assert (best.infeasible, best.oracle_infeasible) == (False, False)


def test_a_choice_that_breaks_the_condition_on_test_can_beat_the_oracle_in_accuracy(tmp_path):
    points = {"fair": POINTS["fair"], "skewed": (10, 7)}  # accuracy .925, gap .15
    best = found(tmp_path, "skewed", points)
    assert (best.in_accuracy, best.in_gap) == pytest.approx((-0.125, -0.15))
    assert best.infeasible is None  # not recorded


def test_one_point_leaves_nothing_to_gain_and_an_infeasible_oracle_is_marked(tmp_path):
    best = found(tmp_path, "wrong", {"wrong": POINTS["wrong"]}, infeasible=(1.0,))
    assert (best.points, best.in_accuracy, best.in_gap) == (1, 0.0, 0.0)
    assert (best.infeasible, best.oracle_infeasible) == (True, True)


@pytest.mark.parametrize("rule", [None, "something else", 7])
def test_without_a_rule_there_is_no_oracle(tmp_path, rule):
    record, results = made(tmp_path, "fair", rule=rule)
    assert rule_of(record) is None
    with stored_rows(results) as rows:
        assert optimism(rows, record) is None


def test_without_stored_predictions_there_is_none(tmp_path):
    record, _ = made(tmp_path, "fair")
    with stored_rows(Results([record], {}, 1, {})) as rows:
        assert optimism(rows, record) is None
        assert selection(rows, [record]) is None
    assert rule_of(record) == Rule.parse(RULE)


def test_a_test_part_with_one_group_has_no_gap(tmp_path):
    alone = np.zeros(40, dtype=int)
    assert found(tmp_path, "fair", group=alone) is None  # the rule cannot be applied
    (tmp_path / "b").mkdir()
    best = found(tmp_path / "b", "fair", rule="max accuracy", group=alone)
    assert (best.gap, best.oracle_gap, best.in_gap) == (None, None, None)
    assert best.in_accuracy == pytest.approx(0.2)


def test_over_repeats_it_is_a_mean_with_its_spread_and_the_numbers_of_points(tmp_path):
    records, results = [], None
    fewer = {name: POINTS[name] for name in ("fair", "accurate")}
    for repeat, (chosen, points, marked) in enumerate(
        [("uneven", POINTS, 1.0), ("accurate", fewer, 0.0), ("fair", fewer, 1.0)]
    ):
        folder = tmp_path / str(repeat)
        folder.mkdir()
        record, _ = made(folder, chosen, points, repeat=repeat, infeasible=(marked,))
        records.append((record, folder))
    with Store(tmp_path / FILE_NAME, create=True) as store:
        for record, folder in records:
            with Store(folder / FILE_NAME) as one:
                store.add(Measured(record, one.predictions(record.cell.key)))
    results = Results([record for record, _ in records], {}, 3, {}, tmp_path)
    with stored_rows(results) as rows:
        whole = selection(rows, results.records)
    assert (whole.repeats, whole.points, whole.infeasible) == (3, (2, 4), 2)
    assert whole.in_accuracy.mean == pytest.approx((0.05 + 0 + 0.2) / 3)
    assert whole.in_gap.mean == pytest.approx(-0.1 / 3)
    assert whole.accuracy.n == 3
    assert whole.in_accuracy.sd == pytest.approx(np.std([0.05, 0, 0.2], ddof=1))
