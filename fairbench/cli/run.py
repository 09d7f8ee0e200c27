"""The command ``fairbench run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import (
    GivenPath,
    dry_run_options,
    examples,
    names_option,
    only_with_dry_run,
    out_option,
    session_options,
)
from fairbench.cli.own import confirm, declared_data, own_data_options


def _suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose or override the parts of a suite."""
    options = [
        names_option("--methods", "methods", "Methods, e.g. 'faalgrad[split=config1|config2],threshold', or 'all'."),
        names_option(
            "--datasets",
            "datasets",
            "Datasets, e.g. 'compas,adult[missing=category]', or 'all' (except large images and photographs).",
        ),
        names_option("--scenarios", "scenarios", "Scenarios.  [default: holdout]"),
        names_option("--metrics", "metrics", "Metrics.  [default: all]"),
        click.option(
            "--group",
            multiple=True,
            metavar="ATTRIBUTE",
            help="Sensitive attribute, or 'race,sex' for combinations.  [default: each dataset's]",
        ),
        click.option("--repeats", type=click.IntRange(min=1), help="Number of splits.  [default: 5]"),
        click.option(
            "--tunings",
            type=click.IntRange(min=1),
            help="Divisions into training and validation part for each split.  [default: 1]",
        ),
        click.option(
            "--fits", type=click.IntRange(min=1), help="Fits for each of these, with other seeds.  [default: 1]"
        ),
        click.option(
            "--scale",
            multiple=True,
            type=click.Choice(["standard", "none"]),
            help="Scaling of numeric features.  [default: standard]",
        ),
        click.option(
            "--sensitive-as-feature/--sensitive-hidden",
            default=None,
            help="Include the group in the features.  [default: hidden]",
        ),
        click.option(
            "--stratify/--no-stratify",
            default=None,
            help="Keep the proportions of label and group in all parts.  [default: no]",
        ),
        click.option(
            "--group-known",
            multiple=True,
            type=click.FloatRange(0, 1),
            metavar="SHARE",
            help="Share of training and validation rows whose group is known, e.g. 0.1.  [default: 1]",
        ),
        click.option(
            "--group-at-prediction/--no-group-at-prediction",
            default=None,
            help="Whether the group of a row is known when it is predicted.  [default: known]",
        ),
        click.option(
            "--baseline",
            metavar="METHOD",
            help="The method that others are compared with, e.g. 'logistic'.  [default: mlp]",
        ),
        click.option(
            "--no-reference",
            is_flag=True,
            help="Do not add the methods that reference lines need (the baseline and 'attainable'); "
            "FAIRBENCH_NO_REFERENCE=1 does the same.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench run --methods faalgrad,threshold --datasets all",
        "fairbench run benchmarks/faalgrad-table1.toml --workers 2 --out runs/table1",
        "fairbench run --data loans.csv --label paid --favorable yes --group sex --methods all",
    )
    + "\n\nTo continue an interrupted run, give the same command again. A directory can grow: the same --out with one "
    "more method, dataset, metric or repeat runs only what is new."
    "\n\nExit status: 0 if every cell is done or was skipped; 1 if a cell failed, timed out, ran out of memory or "
    "crashed, if cells are missing or if none is done; 2 for bad input; 130 after Ctrl-C, 143 after SIGTERM.",
)
@click.argument("suite", required=False, type=GivenPath(path_type=Path))
@_suite_options
@own_data_options
@click.option("--yes", is_flag=True, help="Do not ask whether the columns of --data are meant as guessed.")
@out_option("Run directory.  [default: a dated one under runs/]")
@dry_run_options
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=only_with_dry_run,
    help="With --dry-run, print the cells as JSON lines.",
)
@session_options
def run(suite: Optional[Path], plugin: tuple[str, ...], **options: Any) -> int:
    """Run methods on datasets and print tables.

    The grid of methods, datasets and repeats comes from a SUITE file, from options, or from both.
    """
    from fairbench.cli.running import dry_run, run_and_report, session
    from fairbench.running.rundir import choose_directory
    from fairbench.running.session import chosen_suite

    chosen = chosen_suite(suite, _given(suite, options))
    opened = session(options, plugin, chosen.own())
    planned = opened.plan(chosen)
    if not options["dry_run"]:
        confirm(options["data"], options["yes"])
    path = choose_directory(planned, options["out"])
    if options["dry_run"]:
        dry_run(opened, planned, path, options)
        return 0
    return run_and_report(opened, planned, path, "terminal")


def _given(suite: Optional[Path], options: dict[str, Any]) -> dict[str, Any]:
    """Return the suite fields given as options."""
    own = declared_data(options)
    for name in ("methods", "datasets") if own is None else ("methods",):
        if suite is None and options[name] is None:
            raise click.UsageError(
                f"Give a suite file, or both --methods and --datasets or --data ({name} is missing). "
                "See 'fairbench run --help'."
            )
    listed = ("methods", "datasets", "scenarios", "metrics", "sensitive_as_feature", "stratify", "group_at_prediction")
    given = {name: (options[name],) for name in listed if options[name] is not None}
    plain = ("group", "scale", "group_known", "repeats", "tunings", "fits", "baseline")
    reference = {"reference": False} if options["no_reference"] else {}
    data = {"data": {own.name: own.to_dict()}} if own else {}
    return {**given, **reference, **data, **{name: options[name] for name in plain}}
