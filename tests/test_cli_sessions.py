"""What a run directory knows of the sessions that filled it: kept cells, changed code, unfinished runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fairbench.running.store import Store

THREE = ["--methods", "constant", "--datasets", "synthetic[rows=300]", "--workers", "1", "--repeats", "3"]
ONE = [*THREE[:-1], "1"]

PLUGIN = '''"""A method that says the same of everybody."""

from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Same:
    """Say the same of everybody."""

    name = "same"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.full(len(inputs), 1))


@hookimpl
def fairbench_methods():
    return [Same]
'''
LOCAL = ["--methods", "same", "--datasets", "synthetic[rows=300]", "--repeats", "2", "--workers", "1"]


@pytest.fixture
def plugin_file(tmp_path):
    path = tmp_path / "same.py"
    path.write_text(PLUGIN)
    return path


def test_a_run_says_how_many_cells_it_kept(fairbench, plugin_file):
    first, again = (fairbench("run", *LOCAL, "--plugin", "same.py", "--out", "r") for _ in range(2))
    assert "finished before" not in first[2]
    assert "2 of 2 cells were finished before\n" in again[2]


@pytest.mark.long
def test_a_plugin_file_mended_after_a_failure_gets_a_new_dated_directory(fairbench, plugin_file, tmp_path):
    plugin_file.write_text(PLUGIN.replace("np.full(len(inputs), 1)", "missing"))
    status, _, err = fairbench("run", *LOCAL, "--plugin", "same.py")
    assert status == 1
    (failed,) = (tmp_path / "runs").iterdir()
    assert f"; 'fairbench export runs/{failed.name}' has every reason in full (column reason)" in err
    assert "NameError: name 'missing' is not defined" in fairbench("export", failed)[1]
    assert fairbench("run", *LOCAL, "--plugin", "same.py")[0] == 1
    assert list((tmp_path / "runs").iterdir()) == [failed]
    plugin_file.write_text(PLUGIN)
    command = [sys.executable, "-m", "fairbench", "run", *LOCAL, "--plugin", "same.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize("command", ["export", "rescore"])
def test_long_rows_of_an_unfinished_run_say_so_on_stderr(fairbench, tmp_path, command):
    fairbench("run", *THREE, "--out", "r")
    assert fairbench(command, "r")[2] == ""
    whole = (tmp_path / "r/results.sqlite").rename(tmp_path / "whole.sqlite")
    with Store(whole) as before, Store(tmp_path / "r/results.sqlite", create=True) as after:
        after.add(before.measured(min(before.finished())))
    assert fairbench(command, "r")[2] == "2 of 3 cells not run yet (1 of 3 repeats complete)\n"


def test_plugins_and_run_json_say_whether_the_compiled_part_is_used(fairbench, tmp_path, monkeypatch):
    from fairbench_projection._solver import pair

    fairbench("run", *ONE, "--out", "r")
    assert json.loads((tmp_path / "r/run.json").read_text())["sessions"][-1]["compiled"] is pair.COMPILED
    said = "the projection of two groups is compiled\n"
    assert (said in fairbench("plugins")[1]) is pair.COMPILED
    monkeypatch.setitem(sys.modules, "fairbench_projection._solver._pair", None)
    monkeypatch.delattr("fairbench_projection._solver._pair", raising=False)
    assert "the projection of two groups is not compiled and therefore slower" in fairbench("plugins")[1]
