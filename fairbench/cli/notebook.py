"""Progress in a notebook: one line that is rewritten, where a terminal would have a bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Callable, Optional

from fairbench.cli.running import Terminal
from fairbench.records import FAILURES, Record

OFTEN = 0.5  # seconds between two lines; each is a message to the front end

Update = Callable[[str], None]


class Notebook(Terminal):
    """Prints a session's messages, and rewrites one line with the number of cells that have ended."""

    def __init__(self, show: Callable[[str], Update]) -> None:
        """Take what shows a first text and returns what replaces it."""
        self._show = show

    @contextmanager
    def cells(self, planned: int, finished: int) -> Iterator[Any]:
        """Say how far the run is, and at the end that it has ended."""
        ended, failed, last = finished, 0, time.monotonic()
        update = self._show(_line(ended, planned, failed, "starting"))

        def advance(record: Record) -> None:
            nonlocal ended, failed, last
            ended, failed = ended + 1, failed + (record.status in FAILURES)
            if time.monotonic() - last >= OFTEN:
                last = time.monotonic()
                update(_line(ended, planned, failed, f"last: {record.cell.dataset.name}, {record.cell.method.name}"))

        try:
            yield advance
        finally:
            update(_line(ended, planned, failed, "done" if ended == planned else "stopped"))


def _line(ended: int, planned: int, failed: int, what: str) -> str:
    failures = f", {failed} failed" if failed else ""
    return f"{ended} of {planned} cells{failures}; {what}"


def notebook() -> Optional[Notebook]:
    """Return the observer of the notebook that this process works for; None if it works for none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if not hasattr(shell, "kernel"):
        return None
    display = import_module("IPython.display").display

    def show(text: str) -> Update:
        handle = display({"text/plain": text}, raw=True, display_id=True)

        def update(new: str) -> None:
            if handle is not None:
                handle.update({"text/plain": new}, raw=True)

        return update

    return Notebook(show)
