"""One thread, as in a run; and the fakes, which lie beside the tests that are imported by path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Let sums be taken in one order, and small matrices without threads that wait for each other."""
    with threadpool_limits(1):
        yield
