"""``fairbench merge``: runs from several machines become one, or are refused by what contradicts."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fairbench.records import FAILED
from fairbench.running.merge import merge
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store

SMALL = ["--datasets", "synthetic[rows=300]", "--metrics", "accuracy,selection_rate", "--workers", "1"]
LOCAL = """
from dataclasses import dataclass
import numpy as np
from fairbench.api import Predictions, hookimpl

@dataclass(frozen=True)
class Mine:
    \"\"\"Select everybody, or nobody.\"\"\"
    name = "mine"
    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.full(len(inputs.X), {label}))

@hookimpl
def fairbench_methods():
    return [Mine]
"""


@pytest.fixture
def machine(fairbench):
    """Return a function that runs methods and repeats into a directory."""

    def run(out, methods, repeats=2, *more):
        status, _, err = fairbench("run", "--methods", methods, "--repeats", repeats, *SMALL, *more, "--out", out)
        assert status == 0, err
        return Path(out)

    return run


def edited(path, change):
    """Change what ``run.json`` says."""
    run = json.loads((path / "run.json").read_text())
    change(run)
    (path / "run.json").write_text(json.dumps(run))


def changed(path, method, **values):
    """Replace the record of a method's first repeat."""
    with Store(path / FILE_NAME, create=True) as store:
        (key,) = [one.cell.key for one in store.records() if (one.cell.method.name, one.cell.repeat) == (method, 0)]
        before = store.measured(key)
        store.add(Measured(replace(before.record, **values), before.predictions))
    return before.record


def test_other_methods_and_repeats_become_the_run_that_one_machine_makes(fairbench, machine):
    machine("a", "constant", 2)
    machine("b", "constant,always_1", 1)
    before = [(path / name).read_bytes() for path in (Path("a"), Path("b")) for name in (FILE_NAME, "run.json")]
    status, out, _ = fairbench("merge", "a", "b", "--out", "c")
    assert (status, out) == (0, "c: 3 done of 3 planned cells; 1 cell in more than one run\n")
    assert before == [(path / name).read_bytes() for path in (Path("a"), Path("b")) for name in (FILE_NAME, "run.json")]
    assert fairbench("store", "check", "c")[0] == 0
    machine("one", "constant,always_1", 2)
    grid = ["run", "--methods", "constant,always_1", "--repeats", "2", *SMALL, "--out", "c"]
    status, _, err = fairbench(*grid)
    assert status == 0
    assert "3 of 4 cells were finished before" in err

    def exported(name):
        lines = fairbench("export", name, "--format", "jsonl")[1].splitlines()
        return [{key: value for key, value in json.loads(line).items() if "seconds" not in key} for line in lines]

    assert exported("c") == exported("one")
    sessions = json.loads(Path("c/run.json").read_text())["sessions"]
    assert [session["command"][2] for session in sessions] == ["constant", "constant,always_1", "constant,always_1"]


def test_a_failed_cell_that_another_run_finished_is_done_in_either_order(fairbench, machine):
    machine("a", "constant")
    machine("b", "constant")
    changed(Path("a"), "constant", status=FAILED, reason="ValueError: no", values=())
    for number, order in enumerate([("a", "b"), ("b", "a")]):
        status, out, _ = fairbench("merge", *order, "--out", f"c{number}")
        assert (status, out) == (0, f"c{number}: 2 done of 2 planned cells; 2 cells in more than one run\n")


def test_the_record_with_more_metrics_is_kept(machine):
    machine("a", "constant")
    machine("b", "constant", 2, "--metrics", "accuracy,selection_rate,roc_auc")
    for number, order in enumerate([("a", "b"), ("b", "a")]):
        merge([Path(name) for name in order], Path(f"c{number}"))
        with Store(Path(f"c{number}") / FILE_NAME) as store:
            assert {"roc_auc" in one.cell.metrics for one in store.records()} == {True}


def test_other_values_of_one_cell_are_refused_and_both_are_named(fairbench, machine):
    machine("a", "constant")
    machine("b", "constant")
    with Store(Path("a") / FILE_NAME) as store:
        values = next(one.values for one in store.records() if one.cell.repeat == 0)
    others = tuple(one._replace(value=0.125) if one.metric == "accuracy" and not one.group else one for one in values)
    changed(Path("b"), "constant", values=others)
    (accuracy,) = [one.value for one in values if one.metric == "accuracy" and not one.group]
    status, _, err = fairbench("merge", "a", "b", "--out", "c")
    assert status == 2
    assert "a and b cannot be merged: the cell of dataset synthetic[rows=300] by group, method constant" in err
    assert f"repeat 0 differs: accuracy is {accuracy!r} in a and 0.125 in b; 'fairbench verify RUN'" in err
    assert not Path("c").exists()


def test_other_predictions_of_one_cell_are_refused(machine, fairbench):
    machine("a", "constant")
    machine("b", "constant")
    with Store(Path("b") / FILE_NAME, create=True) as store:
        key = next(iter(store.outline()))
        one = store.measured(key)
        ((place, (truth, made)),) = one.predictions.items()
        store.add(Measured(one.record, {place: (truth, type(made)(1 - made.y_pred))}))
    status, _, err = fairbench("merge", "a", "b", "--out", "c")
    assert status == 2
    words = "differs: the number of selected rows (decisions differ in 45 of 45) is 0 in a and 45 in b; "
    assert words in err


CONFLICTS = {
    r"synthetic\[rows=300\] has the digest 0000": lambda run: run["datasets"].update({"synthetic[rows=300]": "0" * 64}),
    r"fairbench is of fairbench-harness \S+ \(sha256 \w+…\) in a and of fairbench-harness 9.9 \(": lambda run: run[
        "sources"
    ]["fairbench"].update(version="9.9"),
    r"fairbench_metrics is of fairbench-harness \S+ \(sha256 \w+…\) in a and of .* \(sha256 1111": lambda run: run[
        "sources"
    ]["fairbench_metrics"].update(sha256="1" * 64),
    "different suites: baseline is '' in a and 'mlp' in b": lambda run: run["suite"].update(baseline="mlp"),
    "different suites: parameters.any.mlp.lr is 1 in a and 2 in b": lambda run: run["suite"].update(
        parameters={"any": {"mlp": {"lr": 2}}}
    ),
    "b cannot be merged: it does not say which code made it": lambda run: run.pop("components"),
}


@pytest.mark.parametrize("words", CONFLICTS)
def test_runs_that_contradict_each_other_are_refused_by_what_does(fairbench, machine, words):
    import re

    machine("a", "constant", 1)
    edited(Path("a"), lambda run: run["suite"].update(parameters={"any": {"mlp": {"lr": 1}}}))
    machine("b", "always_1", 1)
    edited(Path("b"), lambda run: run["suite"].update(parameters={"any": {"mlp": {"lr": 1}}}))
    edited(Path("b"), CONFLICTS[words])
    status, _, err = fairbench("merge", "a", "b", "--out", "c")
    assert status == 2
    pattern = words.replace("0000", r"\w+… in a and 0000") if "digest" in words else words
    assert re.search(pattern, err), err
    assert not Path("c").exists()


def test_a_local_file_may_lie_elsewhere_but_not_hold_other_code(fairbench, machine, tmp_path):
    for name, label in (("here", 1), ("there", 1), ("other", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(LOCAL.replace("{label}", str(label)))
        machine(name[0], "mine", 1, "--plugin", f"{name}/mine.py")
    assert fairbench("merge", "h", "t", "--out", "c")[0] == 0
    status, _, err = fairbench("merge", "h", "o", "--out", "d")
    assert status == 2
    assert "h and o cannot be merged: method mine is of local file (sha256 " in err


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (["a"], "only a is named; name at least two runs to merge"),
        (["a", "./a"], "only a is named; name at least two runs to merge"),
        (["a", "nowhere"], "nowhere/results.sqlite does not exist"),
    ],
)
def test_what_cannot_be_joined_is_refused(fairbench, machine, runs, words):
    machine("a", "constant", 1)
    status, _, err = fairbench("merge", *runs, "--out", "c")
    assert status == 2
    assert words in err
    assert not Path("c").exists()


def test_a_damaged_run_is_refused_and_what_is_there_is_not_overwritten(fairbench, machine):
    machine("a", "constant", 1)
    machine("b", "always_1", 1)
    status, _, err = fairbench("merge", "a", "b", "--out", "b")
    assert status == 2
    assert "b is not empty" in err
    with closing(sqlite3.connect(Path("b") / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE predictions SET y_pred = x'00'")
    status, _, err = fairbench("merge", "a", "b", "--out", "c")
    assert status == 2
    assert "b/results.sqlite is damaged: the cell of " in err
    assert not (Path("c") / "results.sqlite").exists()
