"""What the tests of executors share."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from process_helpers import PATIENCE


@pytest.fixture
def tasks(monkeypatch):
    """Return the tasks as a module that workers can import too: multiprocessing hands them this process's sys.path.

    No process is killed because it takes its time to end.
    """
    monkeypatch.setattr("fairbench_executors._nursery.GRACE", PATIENCE)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("executor_tasks")


@pytest.fixture
def an_hour_passes(monkeypatch):
    """Return a function of a condition; once it holds, it is an hour later for the executors of this process."""
    from fairbench_executors import _pool

    def when(condition):
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + (3600 if condition() else 0))
        monkeypatch.setattr(_pool, "time", clock)

    return when
