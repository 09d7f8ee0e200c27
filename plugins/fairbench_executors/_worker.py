"""What a worker process of ``processes`` runs: it answers items until it is told to stop, or its parent is gone."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from typing import Any, Callable

PR_SET_PDEATHSIG = 1


def work(pipe: Connection, function: bytes, parent: int | None) -> None:
    """Answer items until the pipe is closed; this is what a worker runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent is not None:
        _be_killed_with(parent)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    process = os.getpid()
    try:
        while True:
            number, item = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
            outcome = _answer(function, item)
            if os.getpid() != process:  # a fork that the item made has come back
                os._exit(1)
            pipe.send_bytes(pickle.dumps((number, process, *outcome)))
    except (EOFError, OSError):
        return  # the parent wants nothing more


def _be_killed_with(parent: int) -> None:
    """Ask the system to kill this process with its parent, even while an item lets no other thread run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)


def _end_with_parent() -> None:
    """End this process, in the middle of an item if need be, when its parent is gone, if the system does not."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@lru_cache(maxsize=1)
def _function(pickled: bytes) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301 - from our own parent
    return function


def _answer(function: bytes, item: bytes) -> tuple[bool, bytes, str]:
    """Return whether the function returned, what it returned or raised, pickled, and its traceback."""
    try:
        payload = pickle.dumps(_function(function)(pickle.loads(item)))  # noqa: S301 - from our own parent
        return True, payload, ""
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its item
        text = traceback.format_exc()
        try:
            payload = pickle.dumps(error)
        except Exception:
            payload = b""  # which cannot be read, so that the traceback stands for it
        return False, payload, text
