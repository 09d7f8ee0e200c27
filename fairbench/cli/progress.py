"""Progress bars, on stderr and only when a person is watching."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from fairbench.records import FAILURES, Record


def _console() -> Console:
    """Return stderr, silent when nobody is watching: rich before 14.3 ends even a disabled bar with an empty line."""
    console = Console(stderr=True)
    console.quiet = not console.is_terminal
    return console


@contextmanager
def cell_progress(total: int, finished: int) -> Iterator[Callable[[Record], None]]:
    """Show cells done, cells failed and the time left; yields a function to call with each record."""
    failed = 0
    console = _console()
    with Progress(
        TextColumn("cells"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
        console=console,
        disable=console.quiet,
        transient=True,
    ) as progress:
        task = progress.add_task("cells", total=total, completed=finished, failed=0, last="")

        def advance(record: Record) -> None:
            nonlocal failed
            failed += record.status in FAILURES
            cell = record.cell
            progress.update(task, advance=1, failed=failed, last=f"{cell.dataset.name} {cell.method.name}")

        yield advance


@contextmanager
def download_progress() -> Iterator[Callable[[str, int, Optional[int]], None]]:
    """Show each download's bytes and speed, or print one line when it starts if nobody is watching.

    Yields a function of (what is fetched, bytes received, total bytes if known).
    """
    tasks: dict[str, TaskID] = {}
    console = _console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=console.quiet,
        transient=True,
    ) as progress:

        def received(path: str, size: int, total: Optional[int]) -> None:
            if path not in tasks:
                tasks[path] = progress.add_task(path, total=total)
                if console.quiet:
                    print(f"fetching {path}", file=sys.stderr)
            progress.update(tasks[path], completed=size)

        yield received


@contextmanager
def reading_progress() -> Iterator[Callable[[int, int], None]]:
    """Show how many cells have been read and the time left; yields a function of how many they are, and of how many."""
    console = _console()
    with Progress(
        TextColumn("cells"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=console.quiet,
        transient=True,
    ) as progress:
        task = progress.add_task("cells", total=None)

        def advance(number: int, total: int) -> None:
            progress.update(task, completed=number, total=total)

        yield advance
