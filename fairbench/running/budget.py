"""The time that a session may take: when it is used up, the session is stopped as by Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

GLANCE = 1.0  # seconds between two looks at the clock: a wait may be measured by one that can be set


class Budget:
    """Seconds from now, by a clock that nobody can set.

    Args:
        seconds: None for any time.
    """

    def __init__(self, seconds: Optional[float]) -> None:
        """Start the clock."""
        self.end = None if seconds is None else time.monotonic() + seconds
        self._interrupting = False

    @property
    def used_up(self) -> bool:
        """Return whether the time is up."""
        return self.end is not None and time.monotonic() >= self.end

    @property
    def stopped(self) -> bool:
        """Return whether a KeyboardInterrupt comes from here and not from the user."""
        return self._interrupting

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in the block when the time is up.

        Only the main thread can be interrupted; elsewhere, look at ``used_up``. Nothing is raised after the block.
        """
        if self.end is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        leaving, closed = threading.Event(), threading.Lock()
        timer = threading.Thread(target=self._watch, args=(leaving, closed, threading.get_ident()), daemon=True)
        before = signal.getsignal(signal.SIGINT)
        if before == signal.SIG_IGN:  # e.g. of a shell's background job
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            timer.start()  # the time may be up already
            yield
        finally:
            with closed:
                leaving.set()
            if before == signal.SIG_IGN:
                signal.signal(signal.SIGINT, before)

    def _watch(self, leaving: threading.Event, closed: threading.Lock, main: int) -> None:
        while self.end is not None and not self.used_up:
            if leaving.wait(min(GLANCE, max(0.0, self.end - time.monotonic()))):
                return
        with closed:
            if not leaving.is_set():
                self._interrupting = True
                signal.pthread_kill(main, signal.SIGINT)  # it ends a system call, too
