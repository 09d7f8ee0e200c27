"""The command ``fairbench lines``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import examples, run_argument, session_options


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench lines runs/table1",
        "fairbench lines runs/table1 --baseline logistic --workers 2",
    ),
)
@run_argument
@click.option(
    "--baseline", metavar="METHOD", help="The method that others are compared with.  [default: the run's, or mlp]"
)
@session_options
def lines(run_directory: Path, baseline: Optional[str], plugin: tuple[str, ...], **options: Any) -> int:
    """Draw the reference lines of a run, and run the methods that they lack.

    The lines go through stored rows: those of the baseline and of the method 'attainable', on the run's own splits.
    What is finished stays as it is; the run's tables then have verdicts.
    """
    from dataclasses import replace

    from fairbench.cli.running import run_and_report, session
    from fairbench.running.rundir import load_results
    from fairbench.running.session import suite_of
    from fairbench.running.store import run_folder

    path = run_folder(run_directory)
    suite = suite_of(load_results(path))
    opened = session(options, plugin, suite.own())
    planned = opened.plan(replace(suite, reference=True, baseline=suite.baseline if baseline is None else baseline))
    return run_and_report(opened, planned, path, "lines")
