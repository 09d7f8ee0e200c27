"""What the tests of executors ask about processes; they import this by its name."""

from __future__ import annotations

import os
import time
from pathlib import Path

PATIENCE = 300.0  # seconds for what takes far less than one unless the machine is overloaded


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; one whose parent is dead may wait for init to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(pids) -> None:
    """Wait until processes have ended, at least one, which are given by number or by files of that name."""
    pids = [int(getattr(pid, "name", pid)) for pid in pids]
    assert pids
    wait_until(lambda: all(map(is_gone, pids)))
