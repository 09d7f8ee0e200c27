"""The command ``fairbench lines``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Optional

import click

from fairbench.cli.options import (
    GivenPath,
    accept_option,
    data_dir_option,
    examples,
    executor_options,
    offline_option,
    plugin_option,
    say,
    wait_option,
)
from fairbench.cli.reports import write_reports
from fairbench.errors import printable


@click.command(
    epilog=examples(
        "fairbench lines runs/table1",
        "fairbench lines runs/table1 --baseline logistic --workers 2",
    )
)
@click.argument("run_directory", metavar="RUN", type=GivenPath(path_type=Path))
@click.option(
    "--baseline", metavar="METHOD", help="The method that others are compared with.  [default: the run's, or mlp]"
)
@executor_options
@accept_option
@wait_option
@data_dir_option
@offline_option
@plugin_option
def lines(run_directory: Path, baseline: Optional[str], plugin: tuple[str, ...], **options: Any) -> int:
    """Draw the reference lines of a run, and run the methods that they lack.

    The lines go through stored rows: those of the baseline and of the method 'attainable', on the run's own splits.
    What is finished stays as it is; the run's tables then have verdicts.
    """
    from dataclasses import replace

    from fairbench.cli.running import exit_status, session, summary
    from fairbench.cli.signals import interrupt_advises
    from fairbench.running.rundir import load_results
    from fairbench.running.session import suite_of
    from fairbench.running.store import run_folder

    path = run_folder(run_directory)
    suite = suite_of(load_results(path))
    opened = session(options, plugin, suite.own())
    planned = opened.plan(replace(suite, reference=True, baseline=suite.baseline if baseline is None else baseline))
    with interrupt_advises(path):
        ended = opened.run(planned, path, sys.argv[1:])
        write_reports(ended.results, opened.registry, path)
        click.echo(printable(str(opened.registry.report("lines").render(ended.results))))
        say(summary(ended))
    return exit_status(ended)
