"""The command ``fairbench claims``: the claims that a paper makes of its runs, recomputed and judged."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import GivenPath, examples, out_option, say, session_options
from fairbench.cli.reports import read_results
from fairbench.errors import printable

if TYPE_CHECKING:
    from fairbench.papers.claims import Judgement
    from fairbench.records import Results


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench claims benchmarks/claims/claims.toml",
        "fairbench claims claims.toml --run runs/paper",
        "fairbench claims claims.toml --run runs/paper --format json",
    )
    + "\n\nExit status: 0 if the run is finished and every claim holds; 1 if a claim does not hold, is not told apart "
    "or cannot be judged, or if cells have not been run yet; 2 for bad input; 130 after Ctrl-C.",
)
@click.argument("file", type=GivenPath(path_type=Path))
@click.option(
    "--run",
    "run_directory",
    metavar="RUN",
    type=GivenPath(path_type=Path),
    help="Judge this finished run, and run nothing.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="How to print the claims.",
)
@out_option("Run directory of the suite.  [default: a dated one under runs/]")
@session_options
def claims(file: Path, run_directory: Optional[Path], form: str, plugin: tuple[str, ...], **options: Any) -> int:
    """Recompute and judge the claims of a FILE.

    The suite that it names is run, or continued; or a finished run is judged.
    """
    from fairbench.cli.running import exit_status, session, summary
    from fairbench.cli.signals import interrupt_advises
    from fairbench.papers.claim_files import judge_run, read_claim_file, suite_path
    from fairbench.plugins.loading import load_plugins
    from fairbench.running.rundir import choose_directory
    from fairbench.running.session import chosen_suite

    if run_directory is not None:
        if options["out"] is not None:
            raise click.UsageError("--run judges a finished run, and --out is for one to be made; give one of them")
        registry, _ = load_plugins(plugin)
        results = read_results(run_directory)
        found = read_claim_file(file, registry, results)
        return _show(judge_run(found, results, registry), results, file, form)
    suite = chosen_suite(suite_path(file), {})
    opened = session(options, plugin, suite.own())
    found = read_claim_file(file, opened.registry)
    planned = opened.plan(suite)
    path = choose_directory(planned, options["out"])
    with interrupt_advises(path):
        ended = opened.run(planned, path, sys.argv[1:])
    say(summary(ended))
    if ended.interrupt or ended.stopped:
        return exit_status(ended)
    return _show(judge_run(found, ended.results, opened.registry), ended.results, file, form)


def _show(judgements: Sequence[Judgement], results: Results, file: Path, form: str) -> int:
    """Print the claims, and return the exit status."""
    from fairbench.papers.claims import HOLDS
    from fairbench.papers.claims_shown import as_markdown, as_plain

    if form == "json":
        click.echo(json.dumps(as_plain(judgements, results, str(file)), allow_nan=False))
    else:
        click.echo(printable(as_markdown(judgements, results, str(file))), nl=False)
    hold = all(judgement.standing == HOLDS for judgement in judgements)
    return 0 if hold and not results.unfinished else 1
