"""CPU time of this process, and of the processes that work for it."""

from __future__ import annotations

import os
import time

_helpers = [0.0]  # seconds of helpers that are still running; of those that ended, the system keeps count


def add_helper_seconds(seconds: float) -> None:
    """Count CPU seconds that a helper process, which goes on, has spent for this one."""
    _helpers[0] += seconds


def cpu_seconds() -> float:
    """Return CPU seconds of this process, of the processes that it waited for, and of its helpers."""
    ended = os.times()  # process_time does not count the processes that this one started and waited for
    return time.process_time() + ended.children_user + ended.children_system + _helpers[0]
