"""A process that leaves nothing behind: a warden watches over a worker, and ends all that the worker has started.

A plugin can start processes of its own. They do not end with the worker that started them, nor does the system end them
when somebody kills the run. So each worker is the child of a small process that runs no plugin's code. It adopts what
the worker's children leave behind, and kills all of them when the worker ends or the run is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Callable

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def watched(leash: Connection, close: Callable[[], None], outlived: bool = False) -> None:
    """Return in a fork of this process, the worker; in this process watch over it, and end after it.

    The worker and all that it has started are killed when this process is told to end: by SIGTERM, or by a message or
    the end of file on its leash, which comes when the process at the other end is gone.

    Args:
        leash: is told the number of this process, and later the exit code of the worker; closed in the worker.
        close: closes what only the worker uses; called in this process.
        outlived: whether what the worker has started may outlive it; by default it is killed before the exit code is
            told.
    """
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    else:
        os.setpgid(0, 0)  # else it is killed with the group of the process that started it
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)  # the number arrives in ``woken``
    warden = os.getpid()
    _tell(leash, warden)
    worker = os.fork()
    if worker:
        close()
        if not LINUX:
            with suppress(OSError):  # the worker does the same; whoever comes first
                os.setpgid(worker, worker)
        code = _wait_for(worker, woken, leash)
        if outlived:
            _tell(leash, code)
            _wait_for(0, woken, leash)
        _kill_all(worker)
        if not outlived:
            _tell(leash, code)
        os._exit(0)
    leash.close()
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


def _tell(leash: Connection, number: int) -> None:
    with suppress(OSError):  # nobody is there
        leash.send_bytes(b"%d" % number)


def _wait_for(worker: int, woken: int, leash: Connection) -> int:
    """Return the exit code of the worker when it has ended, or that of a SIGTERM when it must.

    If the worker is 0, wait until no child is left.
    """
    told = False
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if ended:
            if ended == worker:
                return os.waitstatus_to_exitcode(status)
        elif told:
            return -signal.SIGTERM
        else:
            ready = wait([woken, leash])
            told = leash in ready or signal.SIGTERM in os.read(woken, 512)


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
