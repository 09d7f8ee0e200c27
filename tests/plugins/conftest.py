"""What the tests of executors share."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from process_helpers import PATIENCE, is_gone


@pytest.fixture
def tasks(monkeypatch):
    """Return the tasks as a module that workers can import too: multiprocessing hands them this process's sys.path.

    No process is killed because it takes its time to end.
    """
    monkeypatch.setattr("fairbench_executors._nursery.GRACE", PATIENCE)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("executor_tasks")


@pytest.fixture
def hours_pass(monkeypatch):
    """Return a function of a folder: while a process runs that has left a file there, looks at the clock take an hour.

    That is the clock of executors in this process.
    """

    def there(folder):
        looks = []

        def clock():
            looks.extend(path for path in folder.iterdir() if not is_gone(int(path.name)))
            return time.monotonic() + 3600 * len(looks)

        monkeypatch.setattr("fairbench_executors._pool.time", SimpleNamespace(monotonic=clock))

    return there
