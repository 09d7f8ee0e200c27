"""Metrics and report keep fairbench's rules; values are held against AIF360's."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.api import Cell, Choice, Predictions, Record, Results, Samples, Schema, Undefined, Value
from fairbench.testing import CHECKS, example_split
from inequality.entropy import between_group_entropy, fairbench_metrics, generalized_entropy
from inequality.table import fairbench_reports, render


@pytest.mark.parametrize("check", CHECKS["metrics"])
def test_the_metrics_keep_the_rules(check):
    for metric in fairbench_metrics():
        check(metric)


@pytest.mark.parametrize("check", CHECKS["reports"])
def test_the_report_keeps_the_rules(check):
    for report in fairbench_reports():
        check(report)


def four(y, favourable=1):
    return Samples(np.zeros((4, 1)), np.array([0, 0, 1, 1]), Schema(("x",), ("a", "b"), 0, favourable), np.array(y))


def test_values_by_hand():
    # benefits 2, 1, 1, 0 with mean 1: ((2² + 1 + 1 + 0) / 4 - 1) / 2 = .25; means by group 1.5 and .5: .125
    samples, predictions = four([0, 1, 1, 1]), Predictions(np.array([1, 1, 1, 0]))
    assert generalized_entropy(samples, predictions) == pytest.approx(0.25)
    assert between_group_entropy(samples, predictions) == pytest.approx(0.125)


def test_the_favourable_label_decides_what_a_benefit_is():
    # now 1 is bad: the benefits are 0, 1, 1, 2
    samples = four([0, 1, 1, 1], favourable=0)
    assert generalized_entropy(samples, Predictions(np.array([1, 1, 1, 0]))) == pytest.approx(0.25)
    assert generalized_entropy(samples, Predictions(np.array([1, 1, 1, 1]))) == pytest.approx(
        (3 / 4 / (3 / 4) ** 2 - 1) / 2
    )


def test_without_any_benefit_they_are_undefined():
    for metric in (generalized_entropy, between_group_entropy):
        with pytest.raises(Undefined, match="the benefits of all 4 rows are 0"):
            metric(four([1, 1, 1, 1]), Predictions(np.zeros(4, dtype=int)))


def test_they_agree_with_aif360():
    library = pytest.importorskip("aif360.sklearn.metrics")
    samples = example_split(rows=1000).train
    y_pred = (samples.X[:, 0] > 0.3).astype(int)
    predictions = Predictions(y_pred)
    told = library.generalized_entropy_error(samples.y, y_pred, alpha=2)
    assert generalized_entropy(samples, predictions) == pytest.approx(float(told))
    import pandas

    index = pandas.Index(samples.group, name="group")
    told = library.between_group_generalized_entropy_error(
        pandas.Series(samples.y, index=index), pandas.Series(y_pred, index=index), prot_attr="group", alpha=2
    )
    assert between_group_entropy(samples, predictions) == pytest.approx(float(told))


def record(method, repeat, total, between):
    cell = Cell(Choice("people"), Choice(method), "sex", repeat, metrics=("generalized_entropy",))
    values = [("generalized_entropy", total), ("between_group_entropy", between)]
    return Record(cell, "done", values=tuple(Value(0, "", "", name, value) for name, value in values))


def test_the_report_shows_the_share_between_groups():
    records = [record("plain", 0, 0.2, 0.1), record("plain", 1, 0.2, 0.05), record("fair", 0, 0.1, 0.0)]
    assert render(Results(records, {}, 3, {})).splitlines()[2:] == [
        "| method | repeats | entropy | between groups | share |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| fair | 1 | 0.1000 | 0.0000 | 0.0% |",
        "| plain | 2 | 0.2000 | 0.0750 | 37.5% |",
    ]
    assert render(Results([Record(records[0].cell, "skipped", "why")], {}, 1, {})) == ""
