"""What commands that run cells share: the executor, the data, progress, and a directory to write to."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fairbench.cli.options import say

if TYPE_CHECKING:
    from pathlib import Path

    from fairbench.cells import Cell, Choice
    from fairbench.plugins.registry import Registry
    from fairbench.records import Results
    from fairbench.running.cell import CellRunner
    from fairbench.running.resume import Plan

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


class Terminated(KeyboardInterrupt):
    """SIGTERM has come; it ends a run as Ctrl-C does."""


def status_of(interrupt: BaseException) -> int:
    """Return the exit status after an interrupt, or after click's word for one."""
    terminated = isinstance(interrupt, Terminated) or isinstance(interrupt.__cause__, Terminated)
    return 128 + signal.SIGTERM if terminated else INTERRUPTED


def _raise_terminated(number: int, frame: Any) -> NoReturn:
    raise Terminated


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM interrupt the block, unless it is ignored or someone else's."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def warn_of(registry: Registry) -> None:
    """Say on stderr which plugins cannot be used, and what is to be mended about others."""
    for sentence in registry.advice:
        say(f"warning: {sentence}")
    for problem in registry.problems:
        say(f"warning: plugin {problem} is {problem.state}: {problem.problem}")


def warn_of_imports(registry: Registry) -> None:
    """Say on stderr which plugins changed a setting of the process when they were imported."""
    for plugin in registry.plugins:
        if plugin.changed:
            what = ", ".join(plugin.changed)
            say(f"warning: plugin {plugin} changed {what} when it was imported; it was put back")


def print_cells(cells: Sequence[Cell], as_json: bool) -> None:
    """Print a plan: a line for each cell on stdout, their number on stderr."""
    from fairbench.notation import show_params

    if as_json:
        for cell in cells:
            click.echo(cell.to_json())
        return
    for cell in cells:
        scale = f"scale={cell.preparation.scale}"
        shown = [cell.method.name, show_params(cell.method.params)]
        if cell.scenario.name != "holdout":
            shown.append(str(cell.scenario))
        say("  ".join([cell.key[:8], str(cell.dataset), cell.group, scale, f"repeat {cell.repeat}", *shown]), err=False)
    click.echo(f"{len(cells)} cell{'' if len(cells) == 1 else 's'}", err=True)


def chosen_executor(registry: Registry, options: dict[str, Any], cells: int) -> Choice:
    """Return the executor that ``--executor`` or ``--workers`` name; a single worker runs in this process."""
    from fairbench.cells import Choice
    from fairbench.choices import parse_choices
    from fairbench.errors import SuiteError

    if options["executor"]:
        choices = parse_choices(options["executor"])
        if len(choices) != 1:
            raise SuiteError(f"--executor names {len(choices)} executors; name one")
        return choices[0]
    workers = min(options["workers"] or registry.get("executors", "processes")().workers, cells)
    return Choice("processes", {"workers": workers}) if workers > 1 else Choice("serial")


def cell_runner(options: dict[str, Any], plugin: tuple[str, ...]) -> CellRunner:
    """Return what runs cells with the data that ``--data-dir`` and ``--offline`` allow."""
    from fairbench.data.files import DataSource
    from fairbench.running.cell import CellRunner

    files = tuple(map(os.path.abspath, plugin))  # a workbench is kept by them, and the current folder may change
    return CellRunner(DataSource(options["data_dir"], options["offline"], plugin), files)


def run_plan(plan: Plan, path: Path, registry: Registry, runner: CellRunner, options: dict[str, Any]) -> int:
    """Run what the directory does not hold yet; return 0, or an exit status if the run was interrupted.

    Raises:
        DataError: a dataset is damaged or has changed since the directory was begun.
        StoreError: the directory cannot be written; what was written before stays.
    """
    with _sigterm_interrupts():
        return _run_plan(plan, path, registry, runner, options)


def _run_plan(plan: Plan, path: Path, registry: Registry, runner: CellRunner, options: dict[str, Any]) -> int:
    from fairbench.cli.progress import cell_progress, download_progress
    from fairbench.running import rundir
    from fairbench.running.cell import gather, run_cells
    from fairbench.running.checkpoints import FOLDER
    from fairbench.running.growth import measure_more
    from fairbench.system.isolation import process_state_kept
    from fairbench.texts import last_line

    warn_of_imports(registry)
    chosen = chosen_executor(registry, options, len(plan.cells))
    executor = registry.build("executors", chosen)
    with download_progress() as progress:
        available = gather(plan.cells, runner, progress)
    for label, reason in {**available.skipped, **available.failed}.items():
        say(f"{label} is left out: {last_line(reason)}")
    # A worker loads code and data by itself: it must know which.
    runner = replace(runner, partial=path.absolute() / FOLDER, code=plan.code, data=available.digests)
    remarks: set[str] = set()
    with rundir.writing(path, plan, available, registry, sys.argv[1:], str(chosen)) as opened:
        for sentence in opened.kept.said:
            say(sentence)
        finished = [cell for cell in plan.cells if cell.key in opened.kept.keys]
        with process_state_kept():  # metrics run here
            kept = {cell.key for cell in measure_more(finished, opened.store, runner.workbench, available.digests)}
        if kept:
            cells, verb = "cell" if len(plan.cells) == 1 else "cells", "was" if len(kept) == 1 else "were"
            click.echo(f"{len(kept)} of {len(plan.cells)} {cells} {verb} finished before", err=True)
        with cell_progress(len(plan.cells), len(kept)) as advance:
            try:
                with closing(run_cells(plan.cells, available, runner, executor, opened.store, kept)) as records:
                    for record in records:
                        advance(record)
                        for remark in record.remarks:
                            if remark not in remarks:
                                say(f"warning: {remark}")
                                remarks.add(remark)
            except KeyboardInterrupt as interrupt:
                return status_of(interrupt)
    return 0


def summary(results: Results, path: Path, interrupted: int) -> str:
    """Return how many cells are done, where everything lies, why cells failed, and how an interrupted run goes on."""
    counts = {
        status: sum(record.status == status for record in results.records) for status in ("done", "skipped", "failed")
    }
    counts["not run"] = results.planned - len(results.records)
    parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count > 0 or status != "not run")
    reasons = f"; 'fairbench export {path}' has the tracebacks (column reason)" if counts["failed"] else ""
    ending = f"; interrupted: the same command with --out {path} goes on" if interrupted else ""
    cells = f"{results.planned} cell{'' if results.planned == 1 else 's'}"
    return f"{cells}: {parts}; everything is in {path}{reasons}{ending}"


def say_unfinished(results: Results) -> None:
    """Say on stderr how many cells have not been run yet, if any."""
    if results.unfinished:
        click.echo(results.unfinished, err=True)


def exit_status(results: Results, interrupted: int) -> int:
    """Return an interrupted run's status, 1 if a cell failed, is missing or none is done, else 0."""
    statuses = {record.status for record in results.records}
    if interrupted:
        return interrupted
    return 1 if "failed" in statuses or "done" not in statuses or results.unfinished else 0
