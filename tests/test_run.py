"""Running cells: statuses, values, resumption, and the same numbers whatever the order and the number of workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairbench.choices import parse_choices
from fairbench.data.files import DataSource
from fairbench.errors import DataError, StoreError
from fairbench.plugins.loading import load_plugins
from fairbench.records import CRASHED, DONE, FAILED, SKIPPED
from fairbench.running.cell import CellRunner, run_cell
from fairbench.running.grid import Availability, gather, run_cells
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan

FILES = tuple(str(Path(__file__).parent / "broken" / name) for name in ("misbehaving.py", "dying.py"))
RUNNER = CellRunner(DataSource(None, offline=True), FILES)
SMALL = "synthetic[rows=300]"


@pytest.fixture(scope="module")
def registry():
    return load_plugins(FILES)[0]


def cells_of(registry, *methods, datasets=(SMALL,), repeats=1, **changes):
    return plan(Suite("x", datasets, methods, repeats=repeats, **changes), registry)


def overall(record, metric, point=None):
    (value,) = [
        value
        for value in record.values
        if value.metric == metric and value.group == "" and value.point == (record.chosen if point is None else point)
    ]
    return value


def test_a_done_cell_has_every_metric_and_its_predictions(registry):
    (cell,) = cells_of(registry, "constant")
    measured = run_cell(cell, RUNNER.workbench)
    record = measured.record
    assert record.status == DONE, record.reason
    assert {value.metric for value in record.values} == set(registry.names("metrics"))
    ((_, (truth, predictions)),) = measured.predictions.items()
    assert overall(record, "accuracy").value == np.mean(truth.y == predictions.y_pred)
    assert overall(record, "n").value == len(truth.y) == 45
    assert {value.group for value in record.values if value.metric == "n"} == {"", *truth.group_names}
    assert record.versions["fairbench-harness"]


def test_every_operating_point_is_measured_and_one_is_chosen(registry):
    (cell,) = cells_of(registry, "threshold[epochs=3]")
    record = run_cell(cell, RUNNER.workbench).record
    points = {value.point for value in record.values}
    assert points == {f"threshold={tenth / 10}" for tenth in range(1, 11)}
    assert record.chosen in points


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("raises", FAILED, "ValueError: the matrix is singular"),
        ("refuses", SKIPPED, "needs four groups, there are 2"),
        ("too_few", FAILED, "method too_few returned 3 predictions for 45 rows"),
        ("peeks", FAILED, "AttributeError: 'Inputs' object has no attribute 'y'"),
    ],
)
def test_what_goes_wrong_in_a_cell_stays_in_its_record(registry, method, status, reason):
    (cell,) = cells_of(registry, method)
    measured = run_cell(cell, RUNNER.workbench)
    assert measured.record.status == status
    assert reason in measured.record.reason
    assert not measured.predictions
    assert not measured.record.values
    assert measured.record.versions["fairbench-harness"]
    assert measured.record.seconds > 0 < measured.record.cpu_seconds


def test_an_undefined_metric_is_null_with_its_reason(registry):
    (cell,) = cells_of(registry, "constant")
    record = run_cell(cell, RUNNER.workbench).record
    assert overall(record, "undefined_metric")[4:] == (None, "there is nothing to measure")
    assert overall(record, "nan_metric")[4:] == (None, "the metric returned nan")


def test_an_unknown_attribute_skips_the_cell(registry):
    (cell,) = cells_of(registry, "constant")
    record = run_cell(replace(cell, group="income"), RUNNER.workbench).record
    assert (record.status, record.reason) == (
        SKIPPED,
        "synthetic has no sensitive attribute 'income'; it has: group",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan_features", "feature 'a' is missing"),
        ("one_group", "'sex' has one group, 'f'"),
        ("one_class", "all 40 labels are 0"),
        ("load_raises", "KeyError: 'income'"),
        ("loads_nothing", "loads_nothing: load() returned a NoneType; it must return a Dataset"),
        ("own_partition", "tiny: overlap is 'pool', but of the 40 and 40 rows of two repeats 40 are the same"),
    ],
)
def test_a_dataset_that_cannot_be_used_stops_a_run_of_its_own_and_only_fails_beside_others(registry, name, message):
    alone = cells_of(registry, "constant", datasets=(name,))
    with pytest.raises(DataError, match=re.escape(message)):
        gather(alone, RUNNER)
    available = gather(cells_of(registry, "constant", datasets=(name, SMALL)), RUNNER)
    assert message in available.failed[name]
    assert list(available.digests) == [SMALL]


def test_what_is_measured_of_a_dataset_stands_beside_its_own_notes(registry, monkeypatch):
    monkeypatch.setattr(
        "fairbench.running.grid.measured_notes", lambda dataset: (f"{len(dataset.y)} rows were looked at.",)
    )
    available = gather(cells_of(registry, "constant", datasets=(SMALL, "sklearn-diabetes")), RUNNER)
    assert [len(notes) for notes in available.notes.values()] == [1, 3]
    assert available.notes["sklearn-diabetes"][-1] == "442 rows were looked at."


def test_a_missing_dataset_is_skipped_with_its_reason(registry, monkeypatch, tmp_path):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path))
    available = gather(cells_of(registry, "constant", datasets=("german", SMALL)), RUNNER)
    assert "german/german.data: not found in" in available.skipped["german"]
    assert "offline" in available.skipped["german"]


def run_all(cells, path, executor, available=None):
    """Run the cells into a store; return every value and every predicted byte by cell."""
    registry, _ = load_plugins(FILES)
    (choice,) = parse_choices(executor)
    available = available or gather(cells, RUNNER)
    with Store(path, create=True) as store:
        yielded = list(run_cells(cells, available, RUNNER, registry.build("executors", choice), store))
        stored = store.records([cell.key for cell in cells])
        packed = {
            record.cell.key: [
                (
                    key,
                    made.y_pred.tobytes(),
                    made.decision.tobytes(),
                    None if made.y_score is None else made.y_score.tobytes(),
                )
                for key, (_, made) in sorted(store.predictions(record.cell.key).items())
            ]
            for record in stored
        }
    return yielded, {record.cell.key: record.values for record in stored}, packed


METHODS = ("constant", "mlp[epochs=4]", "faalgrad[epochs=4,inner_steps=2]", "threshold[epochs=4]", "global_random")


@pytest.mark.long
def test_the_same_bytes_whatever_the_workers_and_the_order(registry, tmp_path):
    cells = cells_of(registry, *METHODS, repeats=2)
    _, values, packed = run_all(cells, tmp_path / "a.sqlite", "serial")
    _, values2, packed2 = run_all(cells[::-1], tmp_path / "b.sqlite", "processes[workers=2]")
    assert len(packed) == 10
    assert packed == packed2
    assert values == values2


def test_finished_cells_are_not_run_again_and_others_are(registry, tmp_path):
    cells = cells_of(registry, "constant", "raises", "refuses")
    first, _, _ = run_all(cells, tmp_path / "s.sqlite", "serial")
    again, values, _ = run_all(cells, tmp_path / "s.sqlite", "serial")
    assert [record.cell.method.name for record in first] == ["constant", "raises", "refuses"]
    assert [record.cell.method.name for record in again] == ["raises", "refuses"]
    assert len(values) == 3


@pytest.mark.long
def test_a_method_that_kills_its_worker_costs_only_its_own_cell(registry, tmp_path):
    cells = cells_of(registry, "dies", "constant")
    records, _, _ = run_all(cells, tmp_path / "s.sqlite", "processes[workers=2]")
    statuses = {record.cell.method.name: record.status for record in records}
    assert statuses == {"dies": CRASHED, "constant": DONE}
    (dead,) = [record for record in records if record.status == CRASHED]
    assert dead.reason == "the worker process was killed by SIGKILL (out of memory?), 2 times"


def test_cells_of_unusable_datasets_are_recorded_with_the_reason(registry, tmp_path):
    cells = cells_of(registry, "constant", datasets=(SMALL, "german", "one_group"))
    available = replace(
        Availability({SMALL: "0"}), skipped={"german": "no network"}, failed={"one_group": "'sex' has one group, 'f'"}
    )
    records, _, _ = run_all(cells, tmp_path / "s.sqlite", "serial", available)
    assert {(record.cell.dataset.name, record.status, record.reason) for record in records} == {
        ("synthetic", DONE, ""),
        ("german", SKIPPED, "no network"),
        ("one_group", FAILED, "'sex' has one group, 'f'"),
    }


def test_a_store_that_cannot_be_written_stops_the_run_and_keeps_what_is_done(registry, tmp_path):
    cells = cells_of(registry, "constant", repeats=3)
    serial = registry.build("executors", parse_choices("serial")[0])
    with Store(tmp_path / "s.sqlite", create=True) as store:
        running = run_cells(cells, gather(cells, RUNNER), RUNNER, serial, store)
        next(running)
        store._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="cannot be written"):
            next(running)
        assert len(store.finished()) == 1


@pytest.mark.long
def test_one_worker_uses_one_thread_whatever_is_loaded_later():
    code = (
        "from fairbench.running.cell import CellRunner; from fairbench.data.files import DataSource\n"
        "CellRunner(DataSource(None, offline=True)).workbench\n"
        "import torch, scipy.linalg, sklearn.cluster; from threadpoolctl import threadpool_info\n"
        "print(sorted({pool['num_threads'] for pool in threadpool_info()}), torch.get_num_threads())"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=free, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[1] 1"
