"""What a worker process runs: it answers items until it is told to stop, or its parent is gone."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from contextlib import suppress
from functools import lru_cache
from multiprocessing import current_process
from multiprocessing.connection import Connection
from typing import Any, Callable

from fairbench_executors._warden import watched

READY = b""  # a worker's word that it has loaded what the function needs
RETURNED, RAISED = "returned", "raised"  # as in fairbench.api, which a warden need not import


def work(pipe: Connection, leash: Connection) -> None:
    """Say when all is loaded, then answer items until the pipe is closed; this is what a worker runs.

    Args:
        pipe: brings the pickled function and then the items, and takes the answers.
        leash: of the worker's warden.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    current_process().daemon = False  # a daemon may have no children, as torch's DataLoader starts; its warden ends all
    watched(leash, pipe.close)
    process = os.getpid()
    try:
        function = pipe.recv_bytes()
        with suppress(BaseException):  # each item will say why
            _function(function)
        pipe.send_bytes(READY)
        while True:
            number, item = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
            outcome = _answer(function, item)
            if os.getpid() != process:  # a fork that the item made has come back
                os._exit(1)
            pipe.send_bytes(pickle.dumps((number, *outcome)))
    except (EOFError, OSError):  # the parent wants nothing more
        leave_children(daemons=False)


def leave_children(*, daemons: bool) -> None:
    """Let multiprocessing forget processes that it has started here, of which it ends daemons at its exit.

    For others it would wait.
    """
    children = multiprocessing.process._children  # type: ignore[attr-defined]  # there is no public way
    children -= {child for child in children if daemons or not child.daemon}


@lru_cache(maxsize=1)
def _function(pickled: bytes) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301 - from our own parent
    return function


def _answer(function: bytes, item: bytes) -> tuple[str, bytes, str]:
    """Return whether the function returned, what it returned or raised, pickled, and its traceback."""
    try:
        return RETURNED, pickle.dumps(_function(function)(pickle.loads(item))), ""  # noqa: S301 - from our own parent
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its item
        return RAISED, pickled_error(error), traceback.format_exc()


def pickled_error(error: BaseException) -> bytes:
    """Return an exception, pickled; nothing if it cannot be, so that the traceback stands for it."""
    try:
        return pickle.dumps(error)
    except Exception:
        return b""
