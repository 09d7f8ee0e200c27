"""One writer for a run directory: others wait or are told who it is; a killed writer, or a clock, blocks nobody."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys

import pytest

from fairbench.running import rundir
from fairbench.running.holding import HOLDER, held

RUN = ["run", "--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "2", "--workers", "1"]
HOLDING = """
import sys, time
from pathlib import Path
from fairbench.running.holding import held
with held(Path("r")):
    print("held", flush=True)
    time.sleep(100000)
"""


def test_a_run_that_finds_another_is_told_which(fairbench, tmp_path):
    with held(tmp_path / "r"):
        status, _, err = fairbench(*RUN, "--out", "r")
    assert status == 2
    assert f"another run is writing to r (process {os.getpid()} on " in err
    assert "wait for it with --wait, or choose another directory with --out" in err
    assert fairbench(*RUN, "--out", "r")[0] == 0
    assert not (tmp_path / "r" / HOLDER).exists()


@pytest.mark.parametrize("content", ["", "[1]", '{"process": "x"}', "\x00"])
def test_a_holder_that_cannot_be_read_is_not_named(fairbench, tmp_path, content):
    with held(tmp_path / "r"):
        (tmp_path / "r" / HOLDER).write_text(content)
        _, _, err = fairbench(*RUN, "--out", "r")
    assert "another run is writing to r; wait for it with --wait" in err


def test_no_link_is_written_through(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "mine").write_text("untouched")
    (tmp_path / "r" / HOLDER).symlink_to(tmp_path / "mine")
    with held(tmp_path / "r"):
        assert (tmp_path / "mine").read_text() == "untouched"


@pytest.mark.long
def test_a_run_waits_until_the_other_is_gone_and_a_killed_one_blocks_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRBENCH_PLUGINS", "fairbench_baselines,fairbench_datasets,fairbench_metrics,"
                       "fairbench_reports,fairbench_scenarios,fairbench_executors")  # fmt: skip
    pipes = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDING], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        command = [sys.executable, "-m", "fairbench", *RUN, "--out", "r", "--wait"]
        with subprocess.Popen(command, **pipes) as waiting:
            said = next(line for line in waiting.stderr if "another run" in line)
            assert f"writing to r (process {holder.pid} on " in said
            assert said.endswith("; waiting until it has ended\n")
            assert waiting.poll() is None
            assert not (tmp_path / "r" / "run.json").exists()
            holder.kill()
            _, err = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, err
    assert "2 cells: 2 done" in err


def unfinished(fairbench, tmp_path, name, cells):
    """Write a dated directory with some of the two cells of an unfinished run."""
    path = tmp_path / "runs" / name
    assert fairbench(*RUN, "--out", path)[0] == 0
    run = json.loads((path / "run.json").read_text())
    run["sessions"][-1]["finished"] = ""
    (path / "run.json").write_text(json.dumps(run))
    if not cells:
        (path / "results.sqlite").unlink()
    return path, run["plan"][:8]


def test_of_two_unfinished_runs_the_one_with_more_cells_goes_on_whatever_their_dates(fairbench, tmp_path):
    path, plan = unfinished(fairbench, tmp_path, "x", 2)
    path.rename(tmp_path / "runs" / f"2001-01-01-000000-constant-{plan}")
    path, _ = unfinished(fairbench, tmp_path, "y", 0)
    path.rename(tmp_path / "runs" / f"2040-01-01-000000-constant-{plan}")
    status, _, err = fairbench(*RUN)
    assert status == 0
    assert "2 of 2 cells were finished before" in err
    assert f"everything is in runs/2001-01-01-000000-constant-{plan}" in err


def test_a_clock_that_is_put_back_overwrites_no_run_and_hides_no_session(fairbench, tmp_path, monkeypatch):
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2020, 1, 1, tzinfo=tz)

    assert fairbench(*RUN, "--out", "r")[0] == 0
    monkeypatch.setattr(rundir.datetime, "datetime", Clock)
    assert fairbench(*RUN, "--methods", "always_0", "--out", "r")[0] == 0
    sessions = json.loads((tmp_path / "r" / "run.json").read_text())["sessions"]
    assert [session["started"] > "2021" for session in sessions] == [True, False]
    assert all(session["finished"] for session in sessions)
    for _ in range(2):  # at the same time, by this clock
        assert fairbench(*RUN)[0] == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    begins = {name.rsplit("-", 1)[0] for name in names}
    assert begins == {"2020-01-01-000000-constant", "2020-01-01-000000-constant-2"}
