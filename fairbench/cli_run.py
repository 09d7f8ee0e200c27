"""What commands that run cells share: the executor, the data, progress, and a directory to write to."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from fairbench.cells import Cell, Choice
    from fairbench.registry import Registry
    from fairbench.results import Results
    from fairbench.resume import Plan
    from fairbench.run import CellRunner

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


def warn_of(registry: Registry) -> None:
    """Say on stderr which plugins cannot be used, and what is to be mended about others."""
    for sentence in registry.advice:
        click.echo(f"warning: {sentence}", err=True)
    for problem in registry.problems:
        click.echo(f"warning: plugin {problem} is {problem.state}: {problem.problem}", err=True)


def print_cells(cells: Sequence[Cell], as_json: bool) -> None:
    """Print a plan: a line for each cell on stdout, their number on stderr."""
    from fairbench.cells import show_params

    if as_json:
        for cell in cells:
            click.echo(cell.to_json())
        return
    for cell in cells:
        scale = f"scale={cell.preparation.scale}"
        shown = [cell.method.name, show_params(cell.method.params)]
        if cell.scenario.name != "holdout":
            shown.append(str(cell.scenario))
        click.echo("  ".join([cell.key[:8], str(cell.dataset), cell.group, scale, f"repeat {cell.repeat}", *shown]))
    click.echo(f"{len(cells)} cells", err=True)


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
    from fairbench.files import DataSource
    from fairbench.run import CellRunner

    files = tuple(map(os.path.abspath, plugin))  # a workbench is kept by them, and the current folder may change
    return CellRunner(DataSource(options["data_dir"], options["offline"]), files)


def run_plan(plan: Plan, path: Path, registry: Registry, runner: CellRunner, options: dict[str, Any]) -> bool:
    """Run what the directory does not hold yet; return whether the user has interrupted it.

    Raises:
        DataError: a dataset is damaged or has changed since the directory was begun.
        StoreError: the directory cannot be written; what was written before stays.
    """
    from fairbench import rundir
    from fairbench.checkpoints import FOLDER
    from fairbench.cli_progress import cell_progress, download_progress
    from fairbench.growth import measure_more
    from fairbench.run import gather, run_cells

    runner = replace(runner, partial=path.absolute() / FOLDER)
    chosen = chosen_executor(registry, options, len(plan.cells))
    executor = registry.build("executors", chosen)
    with download_progress() as progress:
        available = gather(plan.cells, runner, progress)
    for label, reason in {**available.skipped, **available.failed}.items():
        click.echo(f"{label} is left out: {reason.strip().splitlines()[-1]}", err=True)
    with rundir.writing(path, plan, available, registry, sys.argv[1:], str(chosen)) as opened:
        for sentence in opened.kept.said:
            click.echo(sentence, err=True)
        finished = [cell for cell in plan.cells if cell.key in opened.kept.keys]
        kept = {cell.key for cell in measure_more(finished, opened.store, runner.workbench, available.digests)}
        if kept:
            click.echo(f"{len(kept)} of {len(plan.cells)} cells were finished before", err=True)
        with cell_progress(len(plan.cells), len(kept)) as advance:
            try:
                with closing(run_cells(plan.cells, available, runner, executor, opened.store, kept)) as records:
                    for record in records:
                        advance(record)
            except KeyboardInterrupt:
                return True
    return False


def summary(results: Results, path: Path, interrupted: bool) -> str:
    """Return how many cells are done, where everything lies, why cells failed, and how an interrupted run goes on."""
    counts = {
        status: sum(record.status == status for record in results.records) for status in ("done", "skipped", "failed")
    }
    parts = ", ".join(f"{count} {status}" for status, count in counts.items())
    reasons = f"; 'fairbench export {path}' has the tracebacks (column reason)" if counts["failed"] else ""
    ending = f"; interrupted: the same command with --out {path} goes on" if interrupted else ""
    return f"{results.planned} cells: {parts}; everything is in {path}{reasons}{ending}"


def say_unfinished(results: Results) -> None:
    """Say on stderr how many cells have not been run yet, if any."""
    if results.unfinished:
        click.echo(results.unfinished, err=True)


def exit_status(results: Results, interrupted: bool) -> int:
    """Return 130 after Ctrl-C, 1 if a cell failed or none is done, else 0."""
    statuses = {record.status for record in results.records}
    if interrupted:
        return INTERRUPTED
    return 1 if "failed" in statuses or "done" not in statuses else 0
