"""Standard streams that are closed, and a standard output on a full disk: one message, and no finished work is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

RUN = ("run", "--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1")
FULL = "fairbench: the output cannot be written: No space left on device; make room, or send it elsewhere\n"

pytestmark = pytest.mark.long


@pytest.fixture
def shell(tmp_path):
    """Run a command with redirections of the shell; return its status, stdout and stderr."""

    def run(*arguments, streams, unbuffered=""):
        environment = {**os.environ, "FAIRBENCH_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": unbuffered}
        line = ["bash", "-c", f'exec "$@" {streams}', "bash", sys.executable, "-m", "fairbench", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_disk_is_one_message_and_the_run_says_where_everything_is(shell, tmp_path):
    status, _, err = shell(*RUN, "--out", "r", streams=">/dev/full")
    assert (status, err) == (1, f"1 cell: 1 done, 0 skipped, 0 failed; everything is in r\n{FULL}")
    assert (tmp_path / "r" / "report.csv").is_file()
    for command in (["report", "r"], ["export", "r"], ["list", "methods", "--json"], ["--version"]):
        assert shell(*command, streams=">/dev/full") == (1, "", FULL), command
    assert shell("export", "r", streams=">/dev/full", unbuffered="1") == (1, "", FULL)
    status, _, err = shell("verify", "r", "--all", "--workers", "1", streams=">/dev/full")
    assert (status, err) == (1, f"all finished cells: 1 of 1 cell holds\n{FULL}")
    (tmp_path / "p.csv").write_text("y,p,sex\n" + "1,1,f\n0,1,m\n1,0,m\n0,0,f\n" * 10)
    audit = ("audit", "p.csv", "--label", "y", "--prediction", "p", "--group", "sex", "--bundle", "b")
    assert shell(*audit, streams=">/dev/full")[0] == 1
    assert (tmp_path / "b" / "audit.json").is_file()


def test_closed_streams_hinder_nobody(shell, tmp_path):
    status, _, err = shell(*RUN, "--out", "r", streams=">&-")
    assert (status, err) == (0, "1 cell: 1 done, 0 skipped, 0 failed; everything is in r\n")
    for command in (["report", "r"], ["export", "r"], ["list", "methods"], ["--help"]):
        status, _, err = shell(*command, streams=">&-")
        assert (status, "Traceback" in err) == (0, False), err
    assert shell(*RUN, "--out", "all", streams="<&- >&- 2>&-") == (0, "", "")
    assert (tmp_path / "all" / "report.csv").is_file()
    rows = {name: shell("export", name, "--predictions", streams="")[1] for name in ("r", "all")}
    assert rows["r"] == rows["all"] != ""
