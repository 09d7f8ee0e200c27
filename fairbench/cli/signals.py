"""How signals end a command, and the exit status they give."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C, as in shells
AGAIN = 0.01  # seconds after which an interrupt that was ignored is raised again


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
    """Let SIGTERM interrupt the block, unless it is ignored or already has a handler; no interrupt of it is lost."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        with _ignored_interrupts_raised_again():
            yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _ignored_interrupts_raised_again() -> Iterator[None]:
    """Raise an interrupt again that came while a destructor or the like ran, whose errors Python says and ignores."""
    before = sys.unraisablehook

    def hook(ignored: Any) -> None:
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            before(ignored)
            return
        number = signal.SIGTERM if issubclass(ignored.exc_type, Terminated) else signal.SIGINT
        again = threading.Timer(AGAIN, signal.pthread_kill, (threading.main_thread().ident, number))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


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
