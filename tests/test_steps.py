"""A cell of several steps keeps what every step gave; a resumed one counts the time of both sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from added_components import added

from fairbench.cells import Cell, Choice
from fairbench.data.files import DataSource
from fairbench.data.preparation import split_dataset
from fairbench.data.rows import Predictions
from fairbench.plugins.components import Metric, Outcome
from fairbench.records import DONE
from fairbench.running.cell import CellRunner, measure, run_cell
from fairbench.running.checkpoints import Progress


@dataclass(frozen=True)
class Curves:
    """Two steps, each with a curve of its own; the second needs the first's state."""

    name: ClassVar[str] = "curves_by_step"

    def run(self, split, method, seed) -> Iterator[Outcome]:
        SPLITS.append(split)
        yield self._outcome(split, 0)
        yield self._outcome(split, 1)

    def resume(self, split, method, seed, step, state) -> Iterator[Outcome]:
        yield self._outcome(split, 1)

    def _outcome(self, split, step):
        made = {"": Predictions(np.ones(len(split.test)))}
        state = {} if step == 0 else None
        return Outcome(split.test, made, "", step, {f"curve {step}": [float(step)]}, state=state)


SPLITS: list = []


@pytest.fixture
def runner(tmp_path):
    SPLITS.clear()
    with added(scenarios=[Curves]):
        yield CellRunner(DataSource(None, offline=True), partial=tmp_path / "partial")


CELL = Cell(
    Choice("synthetic", {"rows": 200}),
    Choice("constant"),
    "group",
    0,
    scenario=Choice("curves_by_step"),
    metrics=("accuracy",),
)


def test_diagnostics_of_earlier_steps_stay(runner):
    record = run_cell(CELL, runner.workbench).record
    assert record.status == DONE, record.reason
    assert record.diagnostics == {"curve 0": (0.0,), "curve 1": (1.0,)}


def test_the_seconds_of_a_resumed_cell_are_those_of_both_sessions(runner):
    checkpoint = runner.checkpoint(CELL)
    versions = run_cell(CELL, runner.workbench, checkpoint).record.versions
    saved = checkpoint.load(versions)
    checkpoint.save(Progress(saved.measured, saved.step, saved.state, 1000.0, 500.0))
    record = run_cell(CELL, runner.workbench, checkpoint).record
    assert 1000 < record.seconds < 1900
    assert 500 < record.cpu_seconds < 900


def test_the_split_is_seeded_as_a_split(runner):
    run_cell(CELL, runner.workbench)
    dataset = runner.workbench.dataset(CELL.dataset)
    expected = split_dataset(dataset, group="group", seed=CELL.seed("split"), preparation=CELL.preparation)
    np.testing.assert_array_equal(SPLITS[0].test.X, expected.test.X)
    np.testing.assert_array_equal(SPLITS[0].test.rows, expected.test.rows)


def test_only_a_metric_that_asks_for_it_is_measured_within_each_group(eight_rows, eight_predictions):
    plain = Metric("plain", lambda samples, predictions: 0.5)
    split_up = Metric("split_up", lambda samples, predictions: 0.5, by_group=True)
    values = measure(eight_rows, eight_predictions, [plain, split_up])
    assert [(value.metric, value.group) for value in values] == [
        ("plain", ""),
        ("split_up", ""),
        ("split_up", "other"),
        ("split_up", "protected"),
    ]
