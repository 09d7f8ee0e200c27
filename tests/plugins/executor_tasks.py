"""What the tests of executors send to worker processes, which import it by this module's name."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


class TwoPartError(Exception):
    """Pickles, but cannot be unpickled: its __init__ wants more than the message that pickle passes."""

    def __init__(self, where: str, what: str) -> None:
        """Join the parts."""
        super().__init__(f"{where}: {what}")


def square(item: int) -> int:
    """Return the square."""
    return item * item


def pid(item: int) -> int:
    """Return the worker's process id."""
    return os.getpid()


def threads(item: str) -> str | None:
    """Return the worker's value of an environment variable."""
    return os.environ.get(item)


def kill_self(item: int) -> int:
    """Die by SIGKILL of item 3, every time."""
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def exit_with_status(item: int) -> int:
    """Leave without an answer."""
    os._exit(item)


def kill_self_once(marker: str) -> str:
    """Die by SIGKILL if the marker file is not there yet, after leaving it."""
    path = Path(marker)
    if not path.exists():
        path.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{path.read_text()} then {os.getpid()}"


def fail(item: str) -> int:
    """Raise what the item names, or return what cannot be pickled."""
    if item == "value":
        raise ValueError("no such luck")
    if item == "two":
        raise TwoPartError("here", "this")
    if item == "exit":
        sys.exit("a library called exit")
    if item == "interrupt":
        raise KeyboardInterrupt
    if item == "unpicklable":
        return lambda: 1
    return len(item)


def work_long(folder: str) -> str:
    """Say that work has begun by a file named after this process, then take a minute over it."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)
    return folder


def quick_or_long(item: str) -> str:
    """Return "quick" at once; be long over anything else."""
    return item if item == "quick" else work_long(item)
