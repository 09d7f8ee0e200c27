"""The command that gives a finished run its reference lines, and the options of ``run`` that leave them out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairbench.running.rundir import load_results
from fairbench.running.store import FILE_NAME, Store

GRID = ("--methods", "logistic,threshold[epochs=2]", "--datasets", "synthetic[rows=400]", "--repeats", "2")
METRICS = ("--metrics", "accuracy,demographic_parity_difference")
RUN = ("run", *GRID, *METRICS, "--workers", "1", "--out", "out")


def flat(text):
    return " ".join(text.split())


def ran(path="out"):
    """Return method and repeat of every stored cell, with the time that it took."""
    return {(r.cell.method.name, r.cell.repeat): r.seconds for r in load_results(Path(path)).records}


@pytest.fixture
def finished(fairbench):
    """A run without reference methods."""
    status, out, err = fairbench(*RUN)
    assert status == 0, err
    assert "no verdict" not in flat(out)
    return fairbench


def test_a_finished_run_gets_its_lines_and_keeps_what_it_has(finished):
    before = ran()
    assert {name for name, _ in before} == {"logistic", "threshold"}
    status, out, err = finished("lines", "out", "--baseline", "logistic", "--workers", "1")
    assert status == 0, err
    after = ran()
    assert {key: after[key] for key in before} == before
    assert {name for name, _ in after} == {"logistic", "threshold", "attainable"}
    said = flat(out)
    assert "baseline logistic (named by the suite), 2 repeats attainable: 2 repeats," in said
    assert "demographic parity difference coin common threshold attainable room" in said
    assert "equalized odds difference coin" not in said  # not measured
    assert "attainable, tolerance for the demographic parity difference" in said
    assert "6 cells: 6 done" in flat(err)
    run = json.loads(Path("out/run.json").read_text())
    assert (run["suite"]["baseline"], run["suite"]["reference"]) == ("logistic", True)

    status, table, err = finished("report", "out", "--format", "terminal")
    assert status == 0, err
    assert "DP diff.: accuracy above the coin of logistic and a constant" in flat(table)
    assert ran() == after

    status, again, err = finished("lines", "out", "--workers", "1")  # the baseline stays
    assert status == 0, err
    assert again == out
    assert ran() == after


def test_a_baseline_that_does_not_exist_changes_nothing(finished):
    before = Path("out/run.json").read_bytes()
    for name, message in (("logistc", "did you mean 'logistic'"), ("mlp,logistic", "names 2 methods; name one")):
        status, out, err = finished("lines", "out", "--baseline", name)
        assert (status, out) == (2, "")
        assert message in flat(err)
    assert Path("out/run.json").read_bytes() == before


def test_a_run_of_another_command_is_refused(finished):
    run = json.loads(Path("out/run.json").read_text())
    run["suite"] = {"name": "faalgrad", "grids": 3}
    Path("out/run.json").write_text(json.dumps(run))
    status, _, err = finished("lines", "out")
    assert status == 2
    assert "only a run of 'fairbench run' can be extended; this one was made by another command" in flat(err)


def test_a_damaged_store_and_a_folder_without_a_run_are_told(finished):
    store = Path("out") / FILE_NAME
    store.write_bytes(store.read_bytes()[:3000])
    for command in (
        ("lines", "out"),
        ("report", "out", "--format", "lines"),
        ("report", "out", "--format", "terminal"),
    ):
        status, _, err = finished(*command)
        assert status == 2
        assert "damaged" in err
    status, _, err = finished("lines", "nowhere")
    assert status == 2
    assert "nowhere" in err


def test_a_run_without_finished_cells_has_no_lines_to_show(finished):
    path = Path("out") / FILE_NAME
    path.unlink()
    with Store(path, create=True):
        pass
    status, out, err = finished("report", "out", "--format", "lines")
    assert status == 0, err
    assert "there are no lines to show" in flat(out)


def test_a_run_adds_its_reference_methods_by_itself_and_says_what_they_cost(fairbench, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE")
    status, out, err = fairbench(*RUN, "--baseline", "logistic")
    assert status == 0, err
    assert {name for name, _ in ran()} == {"logistic", "threshold", "attainable"}
    said = flat(out)
    assert "DP diff.: accuracy above the coin of logistic and a constant" in said
    assert "On synthetic[rows=400] by group, 2 repeats: of 1 method, compared at its own demographic parity" in said
    assert "added for the reference lines: attainable;" in said


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_run_can_leave_them_out(fairbench, monkeypatch, how):
    more = ()
    if how == "option":
        monkeypatch.delenv("FAIRBENCH_NO_REFERENCE")
        more = ("--no-reference",)
    status, out, err = fairbench(*RUN, *more, "--dry-run")
    assert status == 0, err
    assert "attainable" not in out
    assert "mlp" not in out


def test_the_baseline_of_a_run_is_checked_before_anything_runs(fairbench):
    status, _, err = fairbench(*RUN, "--baseline", "nothing")
    assert status == 2
    assert "no method is named 'nothing'" in err
    assert not Path("out").exists()


def test_python_has_the_same_arguments(fairbench, monkeypatch):
    import fairbench as package

    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE")
    shared = {"datasets": "synthetic[rows=300]", "methods": "constant", "metrics": "accuracy", "repeats": 1}
    found = package.run(**shared, reference=False, out="p", workers=1, quiet=True)
    assert {record.cell.method.name for record in found.results.records} == {"constant"}
    grown = package.run(**shared, baseline="logistic", out="p", workers=1, quiet=True)
    assert {r.cell.method.name for r in grown.results.records} == {"constant", "logistic", "attainable"}
