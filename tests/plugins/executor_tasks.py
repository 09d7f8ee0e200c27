"""What the tests of executors send to worker processes, which import it by this module's name."""

from __future__ import annotations

import ctypes
import multiprocessing
import operator
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np

HOUR = 3600.0  # seconds: longer than any test waits
draws: list[tuple[float, float]] = []


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
    """Say that work has begun by a file named after this process, then take an hour over it."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(HOUR)
    return folder


def quick_or_long(item: str) -> str:
    """Return "quick" at once; be long over anything else."""
    return item if item == "quick" else work_long(item)


def hold_the_interpreter(folder: str) -> str:
    """Say that work has begun, then let no other thread of this process run for an hour."""
    Path(folder, str(os.getpid())).touch()
    ctypes.PyDLL(None).sleep(int(HOUR))  # PyDLL keeps the interpreter's lock
    return folder


def fork_and_return(item: str) -> str:
    """Return from two processes if the item is a folder: (the child, or 0 without one; the worker)."""
    child = os.fork() if os.path.isdir(item) else 0
    if os.path.isdir(item) and not child:
        return "the child's answer"
    return f"{child} {os.getpid()}"


def die_and_leave_a_child(item: str) -> str:
    """Exit with status 3 if the item is a folder, and leave a child there that holds all that was open."""
    if os.path.isdir(item):
        child = os.fork()
        if not child:
            time.sleep(HOUR)
            os._exit(0)
        Path(item, str(child)).touch()
        os._exit(3)
    return item


def fill(mebibytes: int) -> int:
    """Hold so much memory; for long if it is much."""
    held = b"x" * (mebibytes * 2**20)
    time.sleep(HOUR if mebibytes > 100 else 0.01)
    return len(held) // 2**20


def fill_with_a_child(mebibytes: int) -> int:
    """Hold so much memory, and let a fork that shares it hold as much again of its own for long."""
    held = b"x" * (mebibytes * 2**20)
    child = os.fork()
    if not child:
        own = b"y" * (mebibytes * 2**20)
        time.sleep(HOUR)
        os._exit(len(own) > 0)
    os.waitpid(child, 0)
    return len(held)


def share_with_a_fork(mebibytes: int) -> int:
    """Hold so much memory, and let a fork share all of it for a moment."""
    held = b"x" * (mebibytes * 2**20)
    child = os.fork()
    if not child:
        time.sleep(0.5)
        os._exit(0)
    os.waitpid(child, 0)
    return len(held) // 2**20


def start_a_child(item: str) -> str:
    """Start a process in a session of its own, and say so by a file named after it; "PATH long" works long then."""
    folder, _, how = item.partition(" ")
    child = subprocess.Popen(["sleep", str(HOUR)], start_new_session=True)
    Path(folder, str(child.pid)).touch()
    if how:
        time.sleep(HOUR)
    return item


def doubled_by_a_child(item: int) -> int:
    """Return twice the item, which a process that multiprocessing starts has computed, as torch's DataLoader does."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(operator.mul, (item, 2))


def leave_a_child(item: str) -> str:
    """Start a process by multiprocessing, and say so by a file named after it."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(HOUR,))
    child.start()
    Path(item, str(child.pid)).touch()
    return item


def kill_the_dask_worker(item: str) -> str:
    """Kill the process that hands this one its items if the item is "kill"; return any other."""
    if item == "kill":
        os.kill(ancestors()[4], signal.SIGKILL)
        time.sleep(HOUR)
    return item


def ancestors() -> list[int]:
    """Return this process, its warden, their nursery, its warden, who started it, and so on."""
    found = [os.getpid()]
    while found[-1] > 1:
        found.append(int(Path(f"/proc/{found[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
    return found


def family(item: str) -> tuple[list[int], bool, int]:
    """Return the ancestors of this process, whether it is a fork of its nursery, and its sockets; "kill" kills it."""
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    found = ancestors()
    commands = {Path(f"/proc/{process}/cmdline").read_bytes() for process in (found[0], found[2])}
    files = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    return found, len(commands) == 1, sum(file.startswith("socket:") for file in files)


def drawn(item: int) -> tuple[int, tuple[float, float]]:
    """Return this process, and what numpy's and Python's global generators drew when it was asked first."""
    if not draws:
        draws.append((np.random.random(), random.random()))
    time.sleep(0.02)
    return os.getpid(), draws[0]


def kill_the_nursery(item: str) -> str:
    """Kill the nursery of this worker if the item is "nursery", its warden if it is "warden", or itself on "kill"."""
    if item in ("nursery", "warden"):
        os.kill(ancestors()[2 if item == "nursery" else 3], signal.SIGKILL)
        time.sleep(0.5)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def anything(item: str) -> str:
    """Do what the item says; return any other."""
    if item == "kill":
        kill_self(3)
    if item == "long":
        time.sleep(HOUR)
    if item == "fill":
        fill(600)
    if item in ("value", "two", "exit", "unpicklable"):
        return fail(item)
    return item


def load_as_a_cell_does(folder: str) -> Callable[[str], Any]:
    """Return ``family`` after all plugins have been loaded as for a cell; say so by a file."""
    from fairbench.data.files import DataSource
    from fairbench.running.cell import CellRunner

    _ = CellRunner(DataSource()).workbench
    Path(folder, str(os.getpid())).touch()
    return family


def first_of(anything: Any, item: int) -> int:
    """Return the item."""
    return item


def load(what: str) -> Callable[[int], int]:
    """Exit on "exit", take an hour on "long"; return ``slow_square`` if the file that is named can be made first."""
    if what == "exit":
        os._exit(9)
    if what == "long":
        time.sleep(HOUR)
    with Path(what).with_name("starts").open("a") as file:
        file.write("x")
    try:
        os.close(os.open(what, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        os._exit(9)
    return slow_square


def load_until_told(folder: str) -> Callable[[int], int]:
    """Say that loading has begun, by a file; return ``square`` when there is another one."""
    Path(folder, "begun").touch()
    while not Path(folder, "end").exists():
        time.sleep(0.01)
    return square


def slow_square(item: int) -> int:
    """Return the square after a moment."""
    time.sleep(0.05)
    return item * item
