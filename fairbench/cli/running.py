"""What the commands that run cells share: a session that shows its progress, and the summary at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from fairbench.cells import Cell
from fairbench.cli.options import said_after, say
from fairbench.cli.own import print_own_data
from fairbench.cli.progress import cell_progress, download_progress
from fairbench.cli.reports import write_reports
from fairbench.cli.signals import interrupt_advises, status_of
from fairbench.data.own.declaration import OwnData
from fairbench.data.own.prepared import Prepared
from fairbench.errors import printable
from fairbench.notation import show_params
from fairbench.plugins.executing import NO_LIMITS, Limits
from fairbench.quantities import bytes_of, seconds_of
from fairbench.records import CRASHED, FAILED, FAILURES, OUT_OF_MEMORY, TIMED_OUT
from fairbench.running.finished import Finished
from fairbench.running.resume import Plan
from fairbench.running.session import Observer, Session, Settings, chosen_executor
from fairbench.texts import counted

_AS_GIVEN = ("workers", "fail_fast", "data_dir", "offline", "accept_changes", "wait")  # settings of the same name
FAILURE_STATUS = {FAILED: 1, TIMED_OUT: 3, OUT_OF_MEMORY: 4, CRASHED: 5}  # exit status if cells failed in one way only


def print_cells(cells: Sequence[Cell], as_json: bool) -> None:
    """Print a plan: a line for each cell on stdout, their number on stderr."""
    if as_json:
        for cell in cells:
            click.echo(cell.to_json())
        return
    for cell in cells:
        scale = f"scale={cell.preparation.scale}"
        assumed = [cell.preparation.assumption] if cell.preparation.assumption else []
        within = [*assumed, f"repeat {cell.repeat}"]
        within += [f"{what} {number}" for what, number in (("tuning", cell.tuning), ("fit", cell.fit)) if number]
        shown = [cell.method.name, show_params(cell.method.params)]
        if cell.scenario.name != "holdout":
            shown.append(str(cell.scenario))
        say(
            "  ".join([cell.key[:8], str(cell.dataset), cell.group, scale, *within, *shown]),
            err=False,
        )
    click.echo(counted(len(cells), "cell"), err=True)


def dry_run(session: Session, planned: Plan, path: Path, options: Mapping[str, Any]) -> None:
    """Print a plan and how long it will take; with ``--probe``, try a cell of each kind that has never run here.

    Args:
        session: what would run it.
        planned: the plan.
        path: the run directory, which may hold some of it already.
        options: of the command.

    Raises:
        SuiteError: the executor cannot enforce the limits; refused now rather than later.
    """
    from fairbench.running.estimate import estimate, finished, history, probe

    executor, _ = session.built_executor(len(planned.cells))
    print_cells(planned.cells, options["as_json"])
    records = history(path, {str(cell.dataset) for cell in planned.cells})
    if options["probe"]:
        records += probe(session, planned, records)
    done = finished(path)
    left = [cell for cell in planned.cells if cell.key not in done]
    say(estimate(left, records, getattr(executor, "workers", 1)))


class Terminal(Observer):
    """Prints a session's messages on stderr, and shows progress there when a person is watching."""

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        say(sentence)

    def own_data(self, table: Prepared) -> None:
        """Print how each column of a table was taken."""
        print_own_data(table)

    @contextmanager
    def downloads(self) -> Iterator[Any]:
        """Show bytes and speed of downloads."""
        with download_progress() as progress:
            yield progress

    @contextmanager
    def cells(self, planned: int, finished: int) -> Iterator[Any]:
        """Say how many cells were finished before, and show the progress of the others."""
        if finished:
            click.echo(f"{finished} of {planned} cells were finished before", err=True)
        with cell_progress(planned, finished) as advance:
            yield advance


def session(options: Mapping[str, Any], plugin: tuple[str, ...], own: Sequence[OwnData] = ()) -> Session:
    """Return a session with a command's options, and say which plugins cannot be used.

    Args:
        options: of the command; those of ``session_options`` that it does not have stay at their defaults.
        plugin: paths of local plugin files.
        own: tables of the user's own.

    Raises:
        DataError: a table does not fit what is said of it.
        SuiteError: ``--executor`` does not name exactly one executor, or a limit is no duration or size.
    """
    limits = Limits(
        seconds_of("--timeout", options.get("timeout")),
        bytes_of("--memory-limit", options.get("memory_limit")),
        options.get("retries", NO_LIMITS.retries),
    )
    settings = Settings(
        executor=chosen_executor(options.get("executor")),
        limits=limits,
        budget=seconds_of("--budget", options.get("budget")),
        plugins=plugin,
        own=tuple(own),
        **{name: options[name] for name in _AS_GIVEN if name in options},
    )
    return Session(settings, Terminal())


def run_and_report(opened: Session, planned: Plan, path: Path, report: str) -> int:
    """Run what a directory lacks of a plan, write its reports and print one; return the exit status.

    Args:
        opened: the session.
        planned: the plan.
        path: the run directory.
        report: the one to print, by name.
    """
    with interrupt_advises(path):
        ended = opened.run(planned, path, sys.argv[1:])
        write_reports(ended.results, opened.registry, path)
        with said_after(summary(ended)):
            click.echo(printable(str(opened.registry.report(report).render(ended.results))))
    return exit_status(ended)


def summary(ended: Finished) -> str:
    """Return how many cells are done, where everything is, why cells failed, and how to go on after an early end."""
    parts = ", ".join(f"{count} {status}" for status, count in ended.counts.items())
    reasons = f"; 'fairbench export {ended.path}' has every reason in full (column reason)" if ended.failures else ""
    early = "interrupted:" if ended.interrupt else f"{ended.stopped};" if ended.stopped else ""
    goes_on = f"; {early} to continue, give the same command with --out {ended.path}" if early else ""
    whole = f" ({ended.results.whole_repeats})" if ended.results.whole_repeats else ""
    planned = ended.results.planned
    return f"{counted(planned, 'cell')}: {parts}{whole}; everything is in {ended.path}{reasons}{goes_on}"


def exit_status(ended: Finished) -> int:
    """Return an interrupted run's status, that of failures of one kind only, 1 if anything else is amiss, or 0."""
    if ended.interrupt:
        return status_of(ended.interrupt)
    kinds = [FAILURE_STATUS[kind] for kind in FAILURES if ended.counts.get(kind)]
    if len(kinds) == 1:
        return kinds[0]
    return 0 if ended.complete else 1
