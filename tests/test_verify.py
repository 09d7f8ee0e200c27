"""``fairbench verify``: stored cells are executed again; what differs is said, and the run is only read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from leaving_data import people

from fairbench.cells import Cell, Choice
from fairbench.records import DONE, Record
from fairbench.running.equality import unequal
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store

RUN = ["run", "--methods", "coin,mlp[epochs=2]", "--datasets", "synthetic[rows=300]", "--repeats", "2"]
RUN += ["--metrics", "accuracy,demographic_parity_difference", "--workers", "1", "--out", "r"]
ONE = ["--workers", "1"]
LOCAL = """
import os
import time
from dataclasses import dataclass
import numpy as np
from fairbench.api import Predictions, hookimpl

@dataclass(frozen=True)
class Mine:
    \"\"\"Select everybody, or nobody.\"\"\"
    name = "mine"
    def fit(self, train, validation, *, seed):
        while "MINE_IS_STUCK" in os.environ:
            time.sleep(60)
        return lambda inputs: Predictions(np.full(len(inputs.X), 1))

@hookimpl
def fairbench_methods():
    return [Mine]
"""


def changed(change):
    """Replace what is stored of one cell of the method ``coin``."""
    with Store(Path("r") / FILE_NAME, create=True) as store:
        key = next(one.cell.key for one in store.records() if one.cell.method.name == "coin")
        one = store.measured(key)
        store.add(change(one))
        return one


def rows(out):
    return [json.loads(line) for line in out.splitlines()]


def test_all_cells_hold_and_the_run_is_only_read(fairbench):
    assert fairbench(*RUN)[0] == 0
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("r").iterdir()}
    Path("r").chmod(0o500)
    try:
        status, out, err = fairbench("verify", "r", "--all", *ONE)
    finally:
        Path("r").chmod(0o700)
    assert status == 0, out
    assert "all finished cells: 4 of 4 cells hold" in err
    assert out.count("holds: yes") == 4  # a list: a table of these methods would be too wide
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("r").iterdir()} == before


def test_a_draw_can_be_repeated_with_its_seed(fairbench):
    assert fairbench(*RUN)[0] == 0
    _, first, err = fairbench("verify", "r", "--cells", "2", "--json", *ONE)
    seed = err.partition("--seed ")[2].partition(":")[0]
    _, second, _ = fairbench("verify", "r", "--cells", "2", "--seed", seed, "--json", *ONE)
    assert rows(first) == rows(second)
    assert len(rows(first)) == 2
    draws = {fairbench("verify", "r", "--cells", "1", "--seed", seed, "--json", *ONE)[1] for seed in range(8)}
    assert len(draws) > 1


def test_a_value_that_does_not_come_out_again_is_shown_with_both_numbers(fairbench):
    assert fairbench(*RUN)[0] == 0

    def change(one):
        values = [value._replace(value=value.value + 2**-40) if value.value else value for value in one.record.values]
        return Measured(replace(one.record, values=tuple(values)), one.predictions)

    stored = changed(change).record
    status, out, err = fairbench("verify", "r", "--all", "--json", *ONE)
    assert status == 1
    assert "3 of 4 cells hold" in err
    (row,) = [row for row in rows(out) if row["holds"] == "no"]
    assert (row["method"], row["unequal"]) == ("coin", sum(bool(value.value) for value in stored.values))
    assert row["largest difference"] == pytest.approx(2**-40, rel=1e-3)
    first = next(value for value in stored.values if value.value)
    assert f"is {first.value + 2**-40!r} in the run and {first.value!r} now" in row["differences"]
    status, out, _ = fairbench("verify", "r", "--all", *ONE)
    assert status == 1
    assert "synthetic[rows=300] by group, coin" in out


def test_a_run_whose_own_tables_are_no_table_is_refused(fairbench):
    assert fairbench(*RUN)[0] == 0
    run = json.loads(Path("r/run.json").read_text())
    run["suite"]["data"] = ["loans"]
    Path("r/run.json").write_text(json.dumps(run))
    for words in (["verify", "r", *ONE], ["export-model", "r", "coin/synthetic/0", "--out", "m"], ["lines", "r"]):
        status, _, err = fairbench(*words)
        assert (status, "data is ['loans']; it must be a table" in err) == (2, True), err


def test_a_prediction_that_does_not_come_out_again_is_shown(fairbench):
    assert fairbench(*RUN)[0] == 0

    def change(one):
        ((place, (truth, made)),) = one.predictions.items()
        y_pred = made.y_pred.copy()
        y_pred[7] = 1 - y_pred[7]
        return Measured(one.record, {place: (truth, type(made)(y_pred, made.y_score, made.decision))})

    changed(change)
    status, out, _ = fairbench("verify", "r", "--all", "--json", *ONE)
    assert status == 1
    (row,) = [row for row in rows(out) if row["holds"] == "no"]
    assert row["differences"].startswith("the number of selected rows (decisions differ in 1 of 45) is ")


def test_what_another_rule_would_choose_from_must_come_out_again():
    """Whoever makes up what a rule saw on validation can choose points by their test values."""
    seen = {"validation_selected": (1.0, 2.0), "validation_rows": (3.0, 4.0), "validation_order": (0.0,)}
    told = {**seen, "trials": (2.0,), "fits": (2.0,), "loss": (0.5,)}
    record = Record(Cell(Choice("d"), Choice("m"), "sex", 0), DONE, diagnostics=told)

    def differs(**others):
        return unequal(Measured(record, {}), Measured(replace(record, diagnostics={**told, **others}), {}))

    assert differs(loss=(0.4,)) == []
    assert differs(validation_order=()) == []  # of a run before it was kept
    for name, numbers in told.items():
        if name != "loss":
            (found,) = differs(**{name: (*numbers[:-1], 9.0)})
            what = f"number {len(numbers)} of the diagnostic {name}"
            assert found == (what, str(numbers[-1]), "9.0", None)
    assert differs(fits=(2.0, 1.0))[0][1:3] == ("nothing", "1.0")


def test_other_versions_and_code_and_data_are_told_apart(fairbench):
    assert fairbench(*RUN)[0] == 0
    changed(lambda one: Measured(replace(one.record, versions={"fairbench-harness": "0.0.1"}), one.predictions))
    run = json.loads(Path("r/run.json").read_text())
    run["sources"]["fairbench_metrics"]["sha256"] = "1" * 64
    run["datasets"]["synthetic[rows=300]"] = "2" * 64
    Path("r/run.json").write_text(json.dumps(run))
    status, out, _ = fairbench("verify", "r", "--all", *ONE)
    assert status == 0  # the values hold all the same
    assert "changed since: fairbench-harness 0.0.1 -> " in out
    assert "changed since: code of fairbench_metrics (sha256 111111111111… -> " in out
    assert "changed since: data of synthetic[rows=300] (digest 222222222222… -> " in out


def test_a_method_that_is_gone_is_not_compared_and_one_that_fails_does_not_hold(fairbench):
    Path("mine.py").write_text(LOCAL)
    grid = ["--methods", "mine", "--plugin", "mine.py"]
    assert fairbench(*RUN, *grid)[0] == 0
    status, out, err = fairbench("verify", "r", "--all", *ONE)
    assert status == 1
    assert "mine, repeat 0: no method is named 'mine'" in out
    assert f"; the run has it from a local file: give --plugin {Path('mine.py').absolute()}" in out
    assert (out.count("holds: yes"), out.count("holds: not compared")) == (4, 2)
    assert "all finished cells: 4 of 6 cells hold, 2 could not be compared" in err
    Path("mine.py").write_text(LOCAL.replace("return lambda", "raise ValueError('not today')\n        lambda"))
    status, out, err = fairbench("verify", "r", "--all", "--plugin", "mine.py", *ONE)
    assert status == 1
    assert "mine, repeat 0: failed: ValueError: not today" in out
    assert "changed since: method mine " in out
    assert "all finished cells: 4 of 6 cells hold\n" in err


def test_a_run_without_finished_cells_is_refused(fairbench):
    assert fairbench(*RUN)[0] == 0
    Path("r/results.sqlite").unlink()
    Store(Path("r/results.sqlite"), create=True).close()
    status, _, err = fairbench("verify", "r", *ONE)
    assert status == 2
    assert "no cell of r is done, so there is nothing to verify" in err


@pytest.mark.parametrize(
    ("option", "value", "words", "sound"),
    [
        ("--timeout", "soon", "--timeout is 'soon'; it must be a number of seconds", "1s"),
        ("--memory-limit", "much", "--memory-limit is 'much'; it must be an amount of memory", "1G"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused_kindly(fairbench, option, value, words, sound):
    assert fairbench(*RUN)[0] == 0
    status, _, err = fairbench("verify", "r", option, value, *ONE)
    assert (status, words in err) == (2, True), err
    status, _, err = fairbench("verify", "r", option, sound, "--executor", "serial")
    assert (status, "cannot" in err) == (2, True), err


@pytest.mark.long
def test_a_cell_that_exceeds_a_limit_is_not_compared(fairbench, monkeypatch):
    Path("mine.py").write_text(LOCAL)
    mine = ["--plugin", "mine.py", *ONE]
    assert fairbench("run", "--methods", "mine", *RUN[3:], *mine)[0] == 0
    monkeypatch.setenv("MINE_IS_STUCK", "1")
    status, out, err = fairbench("verify", "r", "--cells", "1", "--timeout", "1", *mine)
    assert (status, "timed out: " in out) == (1, True), out
    assert "0 of 1 cell holds, 1 could not be compared" in err


@pytest.mark.long
@pytest.mark.parametrize("error", ["NotApplicable", "DataError"])
def test_a_cell_whose_data_are_not_here_is_not_compared_and_says_why(fairbench, error):
    Path("people.py").write_text(people("not Path('there').exists()", error))
    Path("there").touch()
    grid = ["--datasets", "people", "--plugin", "people.py"]
    assert fairbench(*RUN, *grid)[0] == 0
    Path("there").unlink()
    words = [sys.executable, "-m", "fairbench", "verify", "r", "--all", "--plugin", "people.py", *ONE]
    again = subprocess.run(words, capture_output=True, text=True, check=False)  # where nothing is loaded yet
    assert again.returncode == 1
    assert "people by sex, coin, repeat 0: the people have left" in again.stdout
    assert "all finished cells: 4 of 8 cells hold, 4 could not be compared" in again.stderr
