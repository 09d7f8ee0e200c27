"""How signals end a command, and the exit status they give."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C, as in shells


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; it ends a run as Ctrl-C does."""


def status_of(interrupt: BaseException) -> int:
    """Return the exit status after an interrupt, or after click's exception for one."""
    terminated = isinstance(interrupt, Terminated) or isinstance(interrupt.__cause__, Terminated)
    return 128 + signal.SIGTERM if terminated else INTERRUPTED


def _raise_terminated(number: int, frame: Any) -> NoReturn:
    raise Terminated


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM interrupt the block, unless it is ignored or already has a handler."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
