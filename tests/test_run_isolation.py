"""No cell sees what another did to its data or to the process, and none ends the run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.choices import parse_choices
from fairbench.data.alike import decides_alike
from fairbench.data.files import DataSource
from fairbench.errors import Unstorable
from fairbench.plugins.executing import RETURNED, Ended
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILED, Parts
from fairbench.running.cell import CellRunner, run_cell
from fairbench.running.grid import gather, run_cells
from fairbench.running.outcomes import LONGEST
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan

FILES = (str(Path(__file__).parent / "broken" / "meddling.py"),)
RUNNER = CellRunner(DataSource(None, offline=True), FILES)
SMALL = "synthetic[rows=300]"


@pytest.fixture(scope="module")
def registry():
    return load_plugins(FILES)[0]


def cells_of(registry, *methods, datasets=(SMALL,), metrics=("accuracy",), **changes):
    return plan(Suite("x", datasets, methods, metrics=metrics, repeats=1, **changes), registry)


def ran(registry, *methods, **changes):
    return [run_cell(cell, RUNNER.workbench) for cell in cells_of(registry, *methods, **changes)]


# -------------------------------------------------------------------- data


@pytest.mark.parametrize("array", ["X", "y", "group"])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_method_that_writes_to_its_inputs_fails_by_name_and_harms_nobody(registry, part, array):
    if (part, array) == ("test", "y"):
        pytest.skip("no predictor gets the labels")
    before = ran(registry, "learns_labels")[0]
    cell = ran(registry, f"overwrites[part={part},array={array}]")[0]
    after = ran(registry, "learns_labels")[0]
    words = {"train": "training", "validation": "validation", "test": "test"}
    assert (cell.record.status, cell.predictions) == (FAILED, {})
    assert cell.record.reason == (
        f"method overwrites wrote to its inputs: {array} of the {words[part]} part changed; "
        "copy what you want to change, e.g. with .copy()"
    )
    assert before.record.values == after.record.values
    ((_, (truth, made)),) = before.predictions.items()
    ((_, (truth2, made2)),) = after.predictions.items()
    assert np.array_equal(truth.y, truth2.y)
    assert np.array_equal(made.y_score, made2.y_score)


def test_a_method_that_writes_through_torch_fails_by_name(registry):
    (cell,) = ran(registry, "overwrites_by_torch")
    assert cell.record.reason.startswith("method overwrites_by_torch wrote to its inputs: y of the training part")


def test_a_method_that_renames_groups_fails_by_name_and_harms_nobody(registry):
    cell, other = ran(registry, "renames", "learns_labels")
    assert "method renames wrote to its inputs: the names of features or groups changed" in cell.record.reason
    assert other.record.status == DONE


def test_a_metric_that_writes_to_the_samples_fails_the_cell(registry):
    cell, other = (*ran(registry, "constant", metrics=("overwriting",)), *ran(registry, "constant"))
    assert "a metric wrote to the samples that it measured: overwriting changed y; copy" in cell.record.reason
    assert other.record.status == DONE


@pytest.mark.parametrize(
    ("name", "what"), [("y_pred", "predictions"), ("decision", "predictions"), ("group", "samples")]
)
def test_a_metric_that_writes_to_what_the_next_one_reads_fails_the_cell(registry, name, what):
    (cell,) = ran(registry, "logistic", metrics=(f"overwriting_{name}", "accuracy"))
    assert (cell.record.status, cell.predictions) == (FAILED, {})
    assert f"wrote to the {what} that it measured: overwriting_{name} changed {name}" in cell.record.reason


def test_operating_points_that_share_a_buffer_are_stored_as_each_was(registry):
    (cell,) = ran(registry, "points")
    made = {point: made for (_, point), (_, made) in cell.predictions.items()}
    assert {point: (set(p.y_pred), set(p.y_score)) for point, p in made.items()} == {
        "nobody": ({0}, {0.0}),
        "everybody": ({1}, {1.0}),
    }


# -------------------------------------------------------------------- the process


@pytest.mark.long
@pytest.mark.parametrize("executor", ["serial", "processes[workers=2]"])
def test_what_a_cell_changes_is_put_back_and_said_in_its_remarks(registry, executor, tmp_path, capfd):
    cells = cells_of(registry, "changes_dtype", "mlp[epochs=1]")
    folder = os.getcwd()
    records = {record.cell.method.name: record for record in run_all(cells, tmp_path, executor)}
    assert records["changes_dtype"].remarks == (
        "while method changes_dtype ran, the working directory and torch's default dtype were changed; "
        "they were put back",
    )
    assert (records["mlp"].status, records["mlp"].remarks) == (DONE, ())
    assert (torch.get_default_dtype(), os.getcwd()) == (torch.float32, folder)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "changing\n")


def run_all(cells, folder, executor, runner=RUNNER):
    registry, _ = load_plugins(FILES)
    (choice,) = parse_choices(executor)
    with Store(folder / "s.sqlite", create=True) as store:
        return list(run_cells(cells, gather(cells, runner), runner, registry.build("executors", choice), store))


ENDS = {
    "exit": "SystemExit: bye",
    "base": "BaseException: as odd as can be",
    "alarm": "TimeoutError: SIGALRM: an alarm set here went off",
    "surrogate": "ValueError: lone \\udc80",
    "itself": "ValueError: invalid literal for int() with base 10: 'x'",
}


@pytest.mark.long
@pytest.mark.parametrize("executor", ["serial", "processes[workers=2]"])
def test_nothing_but_its_own_cell_is_lost_however_a_method_ends(registry, executor, tmp_path):
    cells = cells_of(registry, *(f"ends[how={how}]" for how in ENDS), "ends[how=fork]", "constant")
    records = {str(record.cell.method.params.get("how")): record for record in run_all(cells, tmp_path, executor)}
    assert {how: record.status for how, record in records.items()} == {
        **dict.fromkeys(ENDS, FAILED),
        "fork": DONE,
        "None": DONE,
    }
    for how, reason in ENDS.items():
        assert reason in records[how].reason
        assert records[how].reason.startswith("Traceback")


def test_a_long_reason_loses_its_middle(registry):
    (cell,) = ran(registry, "ends[how=long]")
    assert LONGEST <= len(cell.record.reason) < LONGEST + 100
    assert cell.record.reason.startswith("Traceback")
    assert cell.record.reason.endswith("xxx\n")
    assert "characters are left out" in cell.record.reason


# -------------------------------------------------------------------- what cannot be stored


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("yields_nothing", "scenario yields_nothing yielded no outcome; there is nothing to measure"),
        ("odd_points[kind=tuple]", "method constant: an operating point is named by a tuple, (1, 2)"),
        ("odd_points[kind=three]", "method constant: two operating points are named '3'"),
        ("odd_points[kind=lone]", "method constant: the operating point '\\ud800' cannot be written as UTF-8"),
    ],
)
def test_what_a_store_cannot_hold_fails_the_cell_in_a_sentence(registry, scenario, reason, tmp_path):
    (cell,) = cells_of(registry, "constant", scenarios=(scenario,))
    (record,) = run_all([cell], tmp_path, "serial")
    assert record.status == FAILED
    assert record.reason.startswith(reason)


def test_numpy_numbers_name_operating_points(registry):
    (cell,) = ran(registry, "constant", scenarios=("odd_points[kind=numpy]",))
    assert cell.record.status == DONE, cell.record.reason
    assert {value.point for value in cell.record.values} == {"0.5", "2"}
    assert cell.record.chosen == "0.5"


def test_a_record_that_the_store_refuses_becomes_a_failed_one(registry, tmp_path, monkeypatch):
    add = Store.add

    def picky(self, measured):
        if measured.record.status == DONE:
            raise Unstorable("a value is of a kind that no column has")
        add(self, measured)

    monkeypatch.setattr(Store, "add", picky)
    (record,) = run_all(cells_of(registry, "constant"), tmp_path, "serial")
    assert (record.status, record.reason) == (FAILED, "a value is of a kind that no column has")


class Swaps:
    """An executor that answers every cell with the result of the first."""

    def map(self, function, items, limits):
        result = function(items[0])
        yield from (Ended(item, RETURNED, result) for item in items)


def test_the_result_of_another_cell_is_not_taken_for_a_cells_own(registry, tmp_path):
    cells = cells_of(registry, "constant", "points")
    with Store(tmp_path / "s.sqlite", create=True) as store:
        first, second = run_cells(cells, gather(cells, RUNNER), RUNNER, Swaps(), store)
    assert (first.status, second.status, second.cell) == (DONE, FAILED, cells[1])
    assert "the executor returned something other" in second.reason


# -------------------------------------------------------------------- what a record says


def test_a_record_has_the_sizes_of_its_parts_and_says_who_decides_alike(registry):
    constant, points, labels = ran(registry, "constant", "points", "mlp[epochs=20]")
    assert constant.record.parts == Parts(210, 45, 45, "pool")
    assert constant.record.alike == ((0, ""),)
    assert points.record.alike == ((0, "nobody"), (0, "everybody"))
    ((_, (truth, made)),) = labels.predictions.items()
    assert not decides_alike(truth.y, made)
    assert labels.record.alike == ()


# -------------------------------------------------------------------- custody


@pytest.mark.long
@pytest.mark.parametrize("executor", ["serial", "processes[workers=2]"])
def test_other_data_than_those_that_the_run_began_with_are_refused(registry, executor, tmp_path):
    cells = cells_of(registry, "constant", "points")
    runner = replace(RUNNER, data={SMALL: "0123456789abcdef"})
    records = run_all(cells, tmp_path, executor, runner)
    assert [record.status for record in records] == [FAILED, FAILED]
    assert records[0].reason.startswith(
        "synthetic[rows=300] changed during the run: its digest was 0123456789ab… when the run began, and"
    )


@pytest.mark.long
@pytest.mark.parametrize("executor", ["serial", "processes[workers=2]"])
def test_other_code_than_that_which_the_run_began_with_is_refused(registry, executor, tmp_path):
    cells = cells_of(registry, "constant", "points")
    runner = replace(RUNNER, code={"method points": "0123456789abcdef"})
    records = {record.cell.method.name: record for record in run_all(cells, tmp_path, executor, runner)}
    assert (records["constant"].status, records["points"].status) == (DONE, FAILED)
    assert records["points"].reason.startswith(
        "the code of method points changed during the run: its sha256 was 0123456789ab… when"
    )
