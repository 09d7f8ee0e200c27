"""The cells of a plan: their data is gathered, an executor gets what is left, and every answer is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairbench.cells import Choice
from fairbench.data.files import DataSource
from fairbench.errors import DataError, NotApplicable, Unstorable
from fairbench.plugins.executing import RAISED, RETURNED, Ended, Limits
from fairbench.plugins.loading import load_plugins
from fairbench.records import CRASHED, DONE, FAILED, OUT_OF_MEMORY, TIMED_OUT
from fairbench.running.cell import CellRunner, Workbench, status_of
from fairbench.running.grid import gather, run_cells
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan

FILES = tuple(str(Path(__file__).parent / "broken" / name) for name in ("misbehaving.py", "odd_runs.py"))
RUNNER = CellRunner(DataSource(None, offline=True), FILES)
SMALL = "synthetic[rows=300]"


@pytest.fixture(scope="module")
def registry():
    return load_plugins(FILES)[0]


def cells_of(registry, *methods, datasets=(SMALL,), repeats=1):
    return plan(Suite("x", datasets, methods, metrics=("accuracy",), repeats=repeats), registry)


class Watched:
    """An executor that keeps what it is given, and whether it was closed; ``answers`` stand in for cells' results."""

    def __init__(self, answers=()):
        self.answers, self.closed = dict(answers), False

    def map(self, function, items, limits):
        self.items, self.limits = items, limits
        try:
            for item in items:
                yield self.answers.get(item.method.name) or Ended(item, RETURNED, function(item))
        finally:
            self.closed = True


def test_an_executor_gets_what_is_left_and_checkpoints_of_failed_cells_stay(registry, tmp_path):
    cells = cells_of(registry, "coin", "constant", "raises", "refuses")
    runner = replace(RUNNER, partial=tmp_path / "partial")
    (tmp_path / "partial").mkdir()
    for cell in cells:
        runner.checkpoint(cell).path.write_bytes(b"")
    executor, limits = Watched(), Limits(seconds=99.0)
    with Store(tmp_path / "s.sqlite", create=True) as store:
        done = {cells[0].key}
        records = list(run_cells(cells, gather(cells, runner), runner, executor, store, done, limits))
        assert [record.cell for record in records] == executor.items == cells[1:]
        assert store.records([cell.key for cell in cells]) == records
    assert (executor.limits, executor.closed) == (limits, True)
    assert [path.name for path in (tmp_path / "partial").iterdir()] == [f"{cells[2].key}.npz"]


def test_an_exception_of_a_worker_is_told_with_its_traceback(registry, tmp_path):
    (cell,) = cells_of(registry, "constant")
    error = KeyboardInterrupt("from the method")
    error.__cause__ = RuntimeError("Traceback (most recent call last):\n  in fit\nKeyboardInterrupt: from the method\n")
    answers = {"constant": Ended(cell, RAISED, None, error)}
    with Store(tmp_path / "s.sqlite", create=True) as store:
        (record,) = run_cells([cell], gather([cell], RUNNER), RUNNER, Watched(answers), store)
    assert (record.status, record.reason) == (FAILED, str(error.__cause__))


def test_a_cell_without_an_answer_fails_with_how_it_ended(registry, tmp_path):
    cells = cells_of(registry, "constant", "coin", "logistic", "mlp", "threshold", "raises")
    answers = {
        "constant": Ended(cells[0], CRASHED, None, RuntimeError("its process is gone")),
        "coin": Ended(cells[1], RETURNED, "done"),
        "logistic": Ended(cells[2], TIMED_OUT, None, TimeoutError("stopped after 5 s")),
        "mlp": Ended(cells[3], OUT_OF_MEMORY),
        "threshold": Ended(cells[4], RAISED, None, MemoryError("while it was sent")),
        "raises": Ended(cells[5], RAISED, None, OSError("while it was sent")),
    }
    with Store(tmp_path / "s.sqlite", create=True) as store:
        records = list(run_cells(cells, gather(cells, RUNNER), RUNNER, Watched(answers), store))
    assert [(record.status, record.reason) for record in records] == [
        (CRASHED, "its process is gone"),
        (FAILED, "the executor returned something other than this cell's result"),
        (TIMED_OUT, "stopped after 5 s"),
        (OUT_OF_MEMORY, "the executor gave no reason"),
        (OUT_OF_MEMORY, "MemoryError: while it was sent"),
        (FAILED, "OSError: while it was sent"),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError("Unable to allocate 7 TiB"), OUT_OF_MEMORY),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), OUT_OF_MEMORY),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), OUT_OF_MEMORY),
        (RuntimeError("the matrix is singular"), FAILED),
    ],
)
def test_an_exception_that_says_that_memory_ran_out_is_told_apart(error, status):
    assert status_of(error) == status


def test_workers_are_closed_when_a_run_is_left(registry, tmp_path):
    cells, executor = cells_of(registry, "constant", repeats=2), Watched()
    with Store(tmp_path / "s.sqlite", create=True) as store:
        running = run_cells(cells, gather(cells, RUNNER), RUNNER, executor, store)
        next(running)
        running.close()
    assert executor.closed


def test_of_a_record_that_cannot_be_stored_the_versions_stay(registry, tmp_path, monkeypatch):
    add = Store.add

    def picky(self, measured):
        if measured.record.status == DONE:
            raise Unstorable("no column has it")
        add(self, measured)

    monkeypatch.setattr(Store, "add", picky)
    cells = cells_of(registry, "constant")
    with Store(tmp_path / "s.sqlite", create=True) as store:
        (record,) = run_cells(cells, gather(cells, RUNNER), RUNNER, Watched(), store)
    assert (record.status, record.reason) == (FAILED, "no column has it")
    assert record.versions["fairbench-harness"]


@pytest.mark.parametrize(
    ("error", "where", "reason"),
    [
        (NotApplicable("not here"), "skipped", "not here"),
        (DataError("damaged"), "failed", "damaged"),
        (SystemExit("bye"), "failed", "SystemExit: bye"),
        (ValueError("odd"), "failed", "ValueError: odd"),
    ],
)
def test_a_dataset_that_cannot_be_loaded_is_told_apart_from_one_that_does_not_apply(
    registry, monkeypatch, error, where, reason
):
    loaded = Workbench.dataset

    def dataset(self, choice):
        if choice.name == "sklearn-diabetes":
            raise error
        return loaded(self, choice)

    monkeypatch.setattr(Workbench, "dataset", dataset)
    available = gather(cells_of(registry, "constant", datasets=("sklearn-diabetes", SMALL)), RUNNER)
    assert getattr(available, where)["sklearn-diabetes"].rstrip().endswith(reason)
    assert len(available.skipped) + len(available.failed) == 1
    assert list(available.digests) == list(available.notes) == [SMALL]
    alone = cells_of(registry, "constant", datasets=("sklearn-diabetes",))
    if where == "failed":
        with pytest.raises(DataError, match=reason):
            gather(alone, RUNNER)
    else:
        assert gather(alone, RUNNER).skipped == {"sklearn-diabetes": reason}


def test_ctrl_c_ends_the_gathering(registry, monkeypatch):
    def interrupted(self, choice):
        raise KeyboardInterrupt

    monkeypatch.setattr(Workbench, "dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gather(cells_of(registry, "constant"), RUNNER)


def test_a_run_begins_with_what_is_loaded_now_and_names_every_dataset_at_fault(registry):
    bench = RUNNER.workbench
    bench.code, bench.data = {"method constant": "0"}, {SMALL: "0"}
    available = gather(cells_of(registry, "constant"), RUNNER)
    assert available.digests == {SMALL: bench.digest(Choice("synthetic", {"rows": 300}))}
    assert (bench.code, bench.data) == ({}, {})
    with pytest.raises(DataError) as raised:
        gather(cells_of(registry, "constant", datasets=("one_group", "load_raises")), RUNNER)
    first, second = str(raised.value).split("\n")
    assert "'sex' has one group, 'f'" in first
    assert second == "KeyError: 'income'"


def test_files_are_fetched_for_each_dataset_by_its_label(registry, monkeypatch):
    calls = []

    def fetch_all(files, source, progress):
        calls.append((files, source, progress))
        return {**{label: {} for label in files}, "german": DataError("a damaged copy")}

    monkeypatch.setattr("fairbench.running.grid.fetch_all", fetch_all)
    monkeypatch.setattr("fairbench.running.grid.known_references", lambda spec: ([spec], ()))
    available = gather(cells_of(registry, "constant", datasets=(SMALL, "german")), RUNNER, "progress")
    expected = {label: registry.dataset(Choice(label.split("[")[0])).files for label in (SMALL, "german")}
    assert calls == [(expected, RUNNER.source, "progress")]
    assert available.failed == {"german": "a damaged copy"}
    assert available.references == {SMALL: [registry.dataset(Choice("synthetic", {"rows": 300}))]}
