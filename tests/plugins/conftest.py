"""What the tests of executors share."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.fixture
def tasks(monkeypatch):
    """Return the tasks as a module that workers can import too: multiprocessing hands them this process's sys.path."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("executor_tasks")
