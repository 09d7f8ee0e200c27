"""What a scenario measures itself stands beside the metrics' values, and survives rescoring."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from added_components import added

from fairbench.analysis.export import rescored
from fairbench.analysis.values import Measured
from fairbench.data.files import DataSource
from fairbench.data.rows import Predictions
from fairbench.plugins.components import Fitted, Outcome
from fairbench.records import DONE, FAILED, POOL, Parts, Results
from fairbench.running.cell import CellRunner, Workbench, run_cell
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.suite import Suite, plan


@dataclass(frozen=True)
class Counts:
    """Measure two things at two steps, one of them without a number."""

    name: ClassVar[str] = "counts"
    clash: bool = False

    def run(self, split, method, seed) -> Iterator[Outcome]:
        for step in (0, 1):
            made = {point: Predictions(np.ones(len(split.test))) for point in ("a", "b")}
            values = {"rows_seen": 10.0 * step, "nothing": float("nan")}
            yield Outcome(split.test, made, "b", step, values={"accuracy": 1.0} if self.clash else values)


@dataclass(frozen=True)
class OneBuffer:
    """Write the predictions of every operating point into the same arrays."""

    name: ClassVar[str] = "one_buffer"

    def fit(self, train, validation, *, seed):
        y_pred, numbers = np.zeros(10**4, dtype=np.int64), np.zeros(10**4)

        def predictor(share):
            def predict(inputs):
                n = len(inputs)
                y_pred[:n], numbers[:n] = share == 1, share
                return Predictions(y_pred[:n], numbers[:n], numbers[:n])

            return predict

        return Fitted({f"share={share}": predictor(share) for share in (1, 0.5, 0.25)}, "share=1")


@pytest.fixture(scope="module")
def registry():
    with added(scenarios=[Counts], methods=[OneBuffer]) as registry:
        yield registry


def measured(registry, scenario="counts", method="constant", metric="accuracy"):
    (cell,) = plan(Suite("x", ("synthetic[rows=300]",), (method,), (scenario,), (metric,), repeats=1), registry)
    runner = CellRunner(DataSource(None, offline=True))
    return run_cell(cell, Workbench(registry, runner.source))


def test_a_scenarios_values_are_those_of_the_chosen_point_and_all_rows(registry):
    record = measured(registry).record
    assert record.status == DONE, record.reason
    own = [value for value in record.values if value.metric != "accuracy"]
    assert [(value.step, value.point, value.group, value.metric, value.value) for value in own] == [
        (0, "b", "", "rows_seen", 0.0),
        (0, "b", "", "nothing", None),
        (1, "b", "", "rows_seen", 10.0),
        (1, "b", "", "nothing", None),
    ]
    assert own[1].reason == "the scenario measured nan"


def test_a_value_may_not_have_a_metrics_name(registry):
    record = measured(registry, "counts[clash=true]").record
    assert record.status == FAILED
    assert "scenario counts measured accuracy, but a metric has that name" in record.reason


def test_rescoring_keeps_what_no_metric_can_measure(registry, tmp_path):
    result = measured(registry)
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(result)
    results = Results([result.record], {}, 1, {})
    (record,) = rescored(results, tmp_path, registry, "selection_rate").records
    names = {value.metric for value in record.values}
    assert names == {"rows_seen", "nothing", "selection_rate"}


def test_operating_points_that_share_a_buffer_are_stored_each_as_it_was_made(registry, tmp_path):
    result = measured(registry, "holdout", "one_buffer", "selection_rate")
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(result)
        stored = store.predictions(result.record.cell.key)
    for share in (1, 0.5, 0.25):
        point = f"share={share}"
        assert {value.value for value in result.record.values if value.point == point and not value.group} == {share}
        _, made = stored[0, point]
        assert (set(made.decision), set(made.y_score), set(made.y_pred)) == ({share}, {share}, {share == 1})


def test_a_record_says_its_parts_its_groups_and_what_decides_alike(registry):
    record = measured(registry).record
    assert record.parts == Parts(210, 45, 45, POOL)
    assert [name for name, _ in record.supports] == ["protected", "unprotected"]
    assert sum(rows for _, rows in record.supports) == 45
    assert record.alike == ((0, "a"), (0, "b"), (1, "a"), (1, "b"))
    assert Measured(record).decides_alike()
    assert not Measured(dataclasses.replace(record, chosen="c")).decides_alike()
    assert not Measured(dataclasses.replace(record, alike=record.alike[:2])).decides_alike()  # at the first step alone
