"""What a session is told of where cells run, and worker processes that load ahead of it."""

from __future__ import annotations

import multiprocessing
import sys

import pytest
from fairbench_executors import _nursery

import fairbench
from fairbench.cells import Choice
from fairbench.errors import UnknownName
from fairbench.plugins.executing import Limits
from fairbench.plugins.loading import load_plugins
from fairbench.running.session import Session
from fairbench.running.settings import Settings

PROCESSES = Choice("processes", {"workers": 1})


@pytest.mark.parametrize(
    ("settings", "cells", "expected"),
    [
        (Settings(workers=2), 9, Choice("processes", {"workers": 2})),
        (Settings(workers=2), 1, Choice("serial")),
        (Settings(workers=1), 9, Choice("serial")),
        (Settings(workers=1, limits=Limits(seconds=1)), 9, PROCESSES),
        (Settings(workers=1, budget=9.0), 9, PROCESSES),
        (Settings(workers=2, executor=Choice("dask")), 9, Choice("dask")),
    ],
)
def test_a_single_worker_is_this_process_unless_something_is_limited(settings, cells, expected):
    assert settings.executor_for(cells, load_plugins()[0]) == expected


@pytest.mark.parametrize("settings", [Settings(workers=1), Settings(executor=Choice("slurm"))])
def test_nothing_loads_ahead_of_an_executor_that_cannot(settings):
    assert Session(settings, soon=True).warm is None
    assert Session(Settings(executor=PROCESSES)).warm is None


def test_an_executor_that_there_is_not_is_refused_as_before():
    session = Session(Settings(executor=Choice("proceses")), soon=True)
    assert session.warm is None
    with pytest.raises(UnknownName, match="did you mean 'processes'"):
        session.built_executor(1)


@pytest.mark.skipif(sys.platform != "linux", reason="only there are workers forked")
@pytest.mark.parametrize("timeout", [None, "60s"])
def test_a_run_takes_its_worker_from_what_has_loaded_ahead(tmp_path, monkeypatch, timeout):
    started = []
    start = _nursery.spawned
    monkeypatch.setattr(_nursery, "spawned", lambda *what: started.append(what) or start(*what))
    made = fairbench.run(
        methods="constant",
        datasets="synthetic[rows=300]",
        repeats=2,
        executor="processes[workers=1]",
        timeout=timeout,
        out=tmp_path,
    )
    assert made.complete
    assert len(started) == 1
    assert multiprocessing.active_children() == []


PROBE = '''
from dataclasses import dataclass
import sys
from fairbench.api import hookimpl

@dataclass(frozen=True)
class Probe:
    """Say what the workbench of this process knows of the run."""
    name = "probe"

    def fit(self, train, validation, *, seed):
        frame = sys._getframe()
        while "workbench" not in frame.f_locals:
            frame = frame.f_back
        bench = frame.f_locals["workbench"]
        raise RuntimeError(f"{bench.scratch is not None} {bool(bench.code)} {len(bench.data)}")

@hookimpl
def fairbench_methods():
    return [Probe]
'''


def test_workers_know_what_a_run_knows_only_after_they_began_to_load(tmp_path):
    """Its private folder, where datasets are shared, and the digests of code and data that it began with."""
    plugin = tmp_path / "probe.py"
    plugin.write_text(PROBE)
    made = fairbench.run(
        methods="probe",
        datasets="synthetic[rows=300]",
        repeats=2,
        workers=2,
        plugins=[plugin],
        reference=False,
        metrics="accuracy",
        out=tmp_path / "run",
    )
    assert {record.reason.splitlines()[-1] for record in made.results.records} == {"RuntimeError: True True 1"}


@pytest.mark.skipif(sys.platform != "linux", reason="only there are workers forked")
def test_what_has_loaded_ahead_ends_with_a_run_that_does_not_need_it(tmp_path):
    made = fairbench.run(methods="constant", datasets="synthetic[rows=300]", repeats=1, workers=2, out=tmp_path)
    assert made.complete
    assert multiprocessing.active_children() == []
