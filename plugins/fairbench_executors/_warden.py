"""A process that leaves nothing behind: a warden watches over a worker, and ends all that the worker has started.

A plugin can start processes of its own. They do not end with the worker that started them, nor does the system end them
when somebody kills the run. So each worker is the child of a small process that runs no plugin's code. It adopts what
the worker's children leave behind, and kills all of them when the worker ends or the run is gone.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Callable

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def watched(close: Callable[[], None]) -> None:
    """Return in a fork of this process, the worker; in this process watch over it, and end as it ends.

    The worker and all that it has started are killed when this process is told to end (SIGTERM) or its parent is gone.

    Args:
        close: closes what only the worker uses; called in this process.
    """
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)  # the number arrives in ``woken``
    warden = os.getpid()
    worker = os.fork()
    if worker:
        close()
        if not LINUX:
            with suppress(OSError):  # the worker does the same; whoever comes first
                os.setpgid(worker, worker)
        status = _end_of(worker, woken)
        _kill_all(worker)
        _end_like(status)
    signal.set_wakeup_fd(-1)
    os.close(woken)
    os.close(wake)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should somebody kill the warden
        if os.getppid() != warden:  # it was gone before we asked
            os._exit(1)
    else:
        os.setpgid(0, 0)  # so that its children can be killed with it


def children(process: int) -> list[int]:
    """Return the children of a process by number, on Linux; none if it has ended."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with suppress(ProcessLookupError), open(f"/proc/{process}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        if os.path.exists(f"/proc/{process}/task/{process}"):  # the kernel keeps no such list
            return [other for other in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(other) == process]
    return found


def _parent(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _end_of(worker: int, woken: int) -> int:
    """Return the status of the worker when it has ended, or that of a SIGTERM when it must."""
    parent = multiprocessing.parent_process()
    ends = [woken] if parent is None else [woken, parent.sentinel]
    while True:
        ready = wait(ends)
        told = signal.SIGTERM in os.read(woken, 512) if woken in ready else False
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            return status
        if told or len(ready) > (woken in ready):
            return signal.SIGTERM


def _kill_all(worker: int) -> None:
    """Kill the worker and all that it has started, and wait until they are gone."""
    if not LINUX:
        with suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
    while True:  # the children of what is killed become ours
        for child in children(os.getpid()) if LINUX else ():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _end_like(status: int) -> None:
    """End this process with the status of the worker."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker has written its own
        with suppress(OSError):  # nobody can handle SIGKILL
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))
