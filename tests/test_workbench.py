"""What cells share within a process, and what each begins with: data, splits, seeds, and the run's own code."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.cells import Choice, Preparation
from fairbench.data.files import DataSource
from fairbench.data.rows import UNKNOWN_GROUP
from fairbench.errors import DataError
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILED
from fairbench.running.cell import (
    SPLITS_KEPT,
    CellRunner,
    Refused,
    Workbench,
    _Clock,
    _put_back,
    _workbench,
    run_cell,
)
from fairbench.running.checkpoints import Checkpoint
from fairbench.running.suite import Suite, plan
from fairbench.seeding import derive_seed
from fairbench.system.generators import seed_generators

FILES = tuple(str(Path(__file__).parent / "broken" / name) for name in ("misbehaving.py", "odd_runs.py"))
RUNNER = CellRunner(DataSource(None, offline=True), FILES)
SMALL = "synthetic[rows=300]"


@pytest.fixture(scope="module")
def registry():
    return load_plugins(FILES)[0]


@pytest.fixture
def own_workbench():
    """Leave no workbench behind that holds what a test gave it: tests of other files in this process share it."""
    _workbench.cache_clear()
    yield
    _workbench.cache_clear()


def cells_of(registry, *methods, datasets=(SMALL,), repeats=1):
    return plan(Suite("x", datasets, methods, metrics=("accuracy",), repeats=repeats), registry)


def test_the_last_few_splits_are_kept_and_older_ones_are_made_anew_alike(registry):
    bench = Workbench(registry, RUNNER.source)
    cells = cells_of(registry, "constant", repeats=SPLITS_KEPT + 1)
    kept = [bench.own_split(cell).kept for cell in cells]
    assert [bench.own_split(cell).kept for cell in cells[1:]] == kept[1:]
    again = bench.own_split(cells[0])
    assert again.kept is not kept[0]
    assert np.array_equal(again.split.test.X, kept[0].own().split.test.X)
    assert bench.dataset(cells[0].dataset) is bench.dataset(cells[1].dataset)


def test_a_split_is_given_without_the_groups_that_are_assumed_to_be_unknown(registry):
    (cell,) = cells_of(registry, "constant")
    bench, partly = Workbench(registry, RUNNER.source), replace(cell, preparation=Preparation(group_known=0.25))
    whole, seen = bench.split(cell), bench.split(partly)
    known = seen.train.group != UNKNOWN_GROUP
    assert known.sum() == round(0.25 * len(whole.train))
    assert (whole.train.group != UNKNOWN_GROUP).all()
    assert (seen.test.group == whole.test.group).all()


def test_a_loader_that_draws_at_random_gives_the_same_and_what_it_changes_is_put_back_and_said(registry):
    (cell,) = cells_of(registry, "constant", datasets=("changes_on_load",))
    bench = Workbench(registry, RUNNER.source)
    drawn = np.random.RandomState(derive_seed("load", "changes_on_load")).random_sample(60)
    assert bench.dataset(cell.dataset).X["a"].tolist() == drawn.tolist()
    said = ("while dataset changes_on_load was loaded, numpy's error state was changed; it was put back",)
    assert bench.remarks(cell.dataset) == said
    assert bench.remarks(Choice("never_loaded")) == ()
    assert run_cell(cell, bench).record.remarks == said


def test_what_a_loader_returns_is_a_dataset(registry):
    bench = Workbench(registry, RUNNER.source)
    with pytest.raises(DataError, match=r"^no_dataset: load\(\) returned a DataFrame; it must return a Dataset$"):
        bench.dataset(Choice("no_dataset"))


def test_global_generators_are_seeded_by_the_cell(registry):
    seed_generators(5)
    assert random.random() == random.Random(5).random()
    assert np.random.random() == np.random.RandomState(5).random_sample()
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(5))
    (cell,) = cells_of(registry, "global_random")
    ((_, made),) = run_cell(cell, RUNNER.workbench).predictions.values()
    assert set(made.y_score) == {np.random.RandomState(cell.seed("global")).random_sample()}


def test_what_was_changed_is_listed_in_a_sentence():
    assert _put_back("it ran", []) == ()
    assert _put_back("it ran", ["a"]) == ("while it ran, a was changed; it was put back",)
    assert _put_back("it ran", ["a", "b", "c"]) == ("while it ran, a, b and c were changed; they were put back",)


@pytest.mark.usefixtures("own_workbench")
def test_a_cell_runs_with_what_the_run_began_with(registry, tmp_path):
    (cell,) = cells_of(registry, "constant")
    origin = registry.origin("methods", "constant").sha256
    runner = replace(RUNNER, code={"method constant": origin, "method mlp": "0"}, partial=tmp_path)
    assert runner(cell).record.status == DONE
    assert runner.workbench.code == runner.code
    assert runner.checkpoint(cell) == Checkpoint(tmp_path / f"{cell.key}.npz", cell)
    assert RUNNER.checkpoint(cell) is None
    runner = replace(runner, code={"metric accuracy": "0" * 64})
    runner.workbench._checked.clear()
    record = runner(cell).record
    seen = registry.origin("metrics", "accuracy").sha256
    assert (record.status, record.reason) == (
        FAILED,
        f"the code of metric accuracy changed during the run: its sha256 was {'0' * 12}… when the run "
        f"began, and is {seen[:12]}… now; run the command again with a new --out",
    )


def test_code_is_compared_once_with_what_the_run_began_with(registry):
    (cell,) = cells_of(registry, "constant")
    bench = Workbench(registry, RUNNER.source)
    assert (bench.code, bench.data) == ({}, {})
    bench.check_code(cell)
    bench.code = {"method constant": registry.origin("methods", "constant").sha256}
    bench.check_code(cell)
    bench.code = {"method constant": "0"}  # it has been compared
    bench.check_code(cell)
    other = Workbench(registry, RUNNER.source)
    other.code = bench.code
    with pytest.raises(Refused, match="the code of method constant changed during the run"):
        other.check_code(cell)


def test_the_clock_counts_from_its_start_and_adds_what_was_spent_before(monkeypatch):
    now = iter([(100.0, 10.0), (103.0, 11.0), (104.0, 12.0)])
    monkeypatch.setattr(_Clock, "_now", staticmethod(lambda: next(now)))
    clock = _Clock()
    assert clock.spent() == (3.0, 1.0)
    clock.earlier = 1000.0, 500.0
    assert clock.spent() == (1004.0, 502.0)
