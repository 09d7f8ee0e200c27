"""A cluster of dask whose scheduler or workers are killed while it runs cells."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from random import Random

import pytest
from fault_helpers import GRID, PATIENCE, SERIAL, WORKER_ROUNDS, kill_a_worker, wait_until

Client = pytest.importorskip("distributed", reason="the extra dask is not installed").Client
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="the tests read /proc"),
]


@contextmanager
def started(folder, *arguments, **variables):
    """Start a program in a session of its own, of which nothing is left at the end."""
    command, quiet = (
        [sys.executable, "-m", *map(str, arguments)],
        {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL},
    )
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, **variables}, start_new_session=True, **quiet
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


@contextmanager
def cluster(folder, permits):
    """Start a scheduler and two workers, which are started again when they are killed; yield its address and both."""
    place = folder / "scheduler.json"
    place.unlink(missing_ok=True)
    common = ("--scheduler-file", place, "--no-dashboard")
    with started(folder, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common) as scheduler:
        wait_until(lambda: place.exists() and "address" in place.read_text())
        (address,) = re.findall(r'"address": "(tcp:[^"]*)"', place.read_text())
        settings = ("--nworkers", "2", "--nthreads", "1", "--local-directory", folder / "dask")
        with started(folder, "distributed.cli.dask_worker", *common, *settings, **permits.settings) as worker:
            with Client(address, timeout=PATIENCE, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=PATIENCE)  # the run would not wait for long
            yield f"dask[scheduler={address},batch=4]", scheduler, worker


def ends_well(nursery, count, folder, kept):
    assert nursery.run([*GRID, *SERIAL], folder).status == 0
    assert count.look(folder, kept).keys() == count.truth.keys()
    assert count.sound()


def test_workers_of_dask_that_are_killed_cost_no_finished_cell(nursery, permits, tally, tmp_path):
    count, kept = tally("kill -9 of workers of dask"), {}
    with cluster(tmp_path, permits) as (executor, _, worker):
        run = nursery.start([*GRID, "--executor", executor], tmp_path)
        for number in WORKER_ROUNDS:
            chance = Random(number)
            permits.let(run, chance.randint(1, 4))
            time.sleep(chance.uniform(0, 0.1))
            kill_a_worker(run, worker.pid, chance)
            kept = count.round(tmp_path, kept)
        run.signal(signal.SIGINT)  # the rest can be quicker
        run.wait()
        run.wait_until_nothing_is_left()
    assert "Traceback" not in run.err
    ends_well(nursery, count, tmp_path, kept)


def test_a_scheduler_of_dask_that_is_killed_is_named_and_costs_no_finished_cell(nursery, permits, tally, tmp_path):
    count, kept = tally("kill -9 of the scheduler of dask"), {}
    for number in WORKER_ROUNDS[::3]:
        chance = Random(number)
        with cluster(tmp_path, permits) as (executor, scheduler, _):
            run = nursery.start([*GRID, "--executor", executor], tmp_path)
            permits.let(run, chance.randint(0, 6))
            time.sleep(chance.uniform(0, 0.2))
            scheduler.kill()
            assert run.wait() == 2, run.err
        assert "the dask scheduler" in run.err
        assert "Traceback" not in run.err
        kept = count.round(tmp_path, kept)
    assert kept
    ends_well(nursery, count, tmp_path, kept)
