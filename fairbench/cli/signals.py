"""How signals end a command, and the exit status they give."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C, as in shells


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; it ends a run as Ctrl-C does."""


def advice_of(interrupt: BaseException) -> str:
    """Return what to do after an interrupt, or after click's exception for one; empty if nothing is known."""
    return " ".join(map(str, (interrupt.__cause__ or interrupt).args))


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


@contextmanager
def interrupt_advises(out: Path) -> Iterator[None]:
    """Let an interrupt of the block, which works on a run directory, carry what ``advice_of`` returns."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(f"to continue, give the same command with --out {out}") from None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM for a moment."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
