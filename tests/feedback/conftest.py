"""One thread, as in a run; and the fakes, which lie beside the tests that are imported by path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sklearn  # noqa: F401 - its threads can be limited once it is loaded
import torch
from fairbench_feedback import _memory
from threadpoolctl import threadpool_limits

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Let sums be taken in one order, and small matrices without threads that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _forgetful(request, monkeypatch):
    """Let every fit be made anew, so that what repeats itself does so by its seeds; tests may ask for ``memory``."""
    if "memory" not in request.fixturenames:
        monkeypatch.setattr(_memory, "LIMIT", 0)


@pytest.fixture
def memory():
    """Return the memory of fits, which is empty before and after."""
    _memory._fits.clear()
    yield _memory
    _memory._fits.clear()
