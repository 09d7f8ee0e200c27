"""The commands that read a run directory: ``report``, ``export`` and ``rescore``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import Shown, complete_name, examples, names_option, plugin_option, run_argument, say
from fairbench.cli.reports import read_results, write_reports
from fairbench.errors import printable

if TYPE_CHECKING:
    from fairbench.analysis.values import LongRow


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench report runs/table1",
        "fairbench report runs/table1 --format latex > table1.tex",
        "fairbench report runs/table1 --metrics accuracy,dp --methods faalgrad,threshold",
        "fairbench report runs/table1 --definitions aif360 --format markdown",
        "fairbench report runs/field --rule 'max accuracy subject to eo <= 0.05'",
    ),
)
@run_argument
@click.option(
    "--format",
    "name",
    default="terminal",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_name("reports"),
    help="Report to print ('fairbench list reports' shows all).",
)
@click.option(
    "--definitions",
    metavar="NAME",
    help="Show fairness measures as another library defines and names them: fairlearn, aif360, ffb, ffml, fair-maml "
    "or boundary-covariance.",
)
@click.option(
    "--rule",
    metavar="TEXT",
    help="Let this rule choose among the stored operating points, by what was seen of them on validation.",
)
@names_option("--metrics", "metrics", "Show only these metrics; dp and eo stand for the two differences.")
@names_option("--methods", "methods", "Show only these methods, e.g. 'faalgrad[split=config1],threshold'.")
@names_option("--datasets", "datasets", "Show only these datasets.")
@plugin_option
def report(
    run_directory: Path,
    name: str,
    definitions: Optional[str],
    rule: Optional[str],
    metrics: Optional[str],
    methods: Optional[str],
    datasets: Optional[str],
    plugin: tuple[str, ...],
) -> None:
    """Print a run's tables.

    Tables are as wide as the terminal, or COLUMNS; where a table of verdicts is too wide, its columns move to tables
    below, the verdict last of all. Verdicts are those of the whole run, whatever is shown of it. The default format
    also writes every report that is a file into the run directory, unless --definitions, --rule or a choice of methods,
    datasets or metrics is given.
    """
    from fairbench.analysis.definitions import find_view, viewed
    from fairbench.analysis.filtered import filtered
    from fairbench.analysis.rechosen import chosen_by
    from fairbench.plugins.loading import load_plugins
    from fairbench.running.rundir import load_results
    from fairbench.running.store import run_folder
    from fairbench.system.collector import uncollected
    from fairbench.system.output import output_on_stderr

    click.get_current_context().with_resource(uncollected(ending=True))
    registry, _ = load_plugins(plugin, kind="reports")
    chosen = registry.report(name)
    if definitions is not None:
        find_view(definitions)  # refused before the run is read
    run_directory = run_folder(run_directory)
    results = load_results(run_directory)
    if rule is not None:
        results = chosen_by(results, rule)
    if definitions is not None:
        results = viewed(results, definitions)
    results = filtered(results, methods=methods, datasets=datasets, metrics=metrics)
    with output_on_stderr():
        made = chosen.render(results)
    if isinstance(made, bytes) and sys.stdout.isatty():
        file = f"{name}{chosen.suffix or '.png'}"
        raise click.UsageError(f"{name} is an image; write it to a file: ... --format {name} > {file}")
    if not made:
        say(f"{run_directory} has nothing for the report {name!r} to show")
    if isinstance(made, str) and (name == "terminal" or sys.stdout.isatty()):
        made = printable(made)
    click.echo(made, nl=isinstance(made, str))
    if name == "terminal" and definitions is None and rule is None and results.whole is None:
        write_reports(results, registry, run_directory)
        say(f"written to {run_directory}: report.*")


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench export runs/table1 --format csv > values.csv",
        "fairbench export runs/table1 --format jsonl --predictions > predictions.jsonl",
    ),
)
@run_argument
@click.option(
    "--format",
    "name",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="Format of the rows.",
)
@click.option(
    "--predictions", "what", flag_value="predictions", help="Print the stored test predictions, with y and group."
)
@click.option("--diagnostics", "what", flag_value="diagnostics", help="Print the curves recorded during training.")
@click.option(
    "--spreadsheet", is_flag=True, help="Put an apostrophe before any text that a spreadsheet would run as a formula."
)
def export(run_directory: Path, name: str, what: Optional[str], spreadsheet: bool) -> None:
    """Print every stored value as a row.

    A row names dataset, method, parameters, repeat, point, group and metric beside the value.
    """
    from fairbench.analysis import export as exporting
    from fairbench.analysis import values

    if spreadsheet and name != "csv":
        raise click.UsageError("--spreadsheet is for --format csv; spreadsheets do not run JSON lines")
    results = read_results(run_directory)
    rows: Iterable[LongRow]
    columns: tuple[str, ...]
    if what == "predictions":
        rows, columns = exporting.prediction_rows(results, run_directory), exporting.PREDICTED
    elif what == "diagnostics":
        rows, columns = exporting.diagnostic_rows(results), exporting.DIAGNOSED
    else:
        rows, columns = values.rows(results), values.COLUMNS
    exporting.write(rows, Shown(sys.stdout), name, spreadsheet, columns)


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench rescore runs/table1",
        "fairbench rescore runs/table1 --metrics accuracy,acme_gap --plugin acme_gap.py",
    ),
)
@run_argument
@names_option("--metrics", "metrics", "Metrics to compute.", default="all")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of CSV.")
@plugin_option
def rescore(run_directory: Path, metrics: str, as_json: bool, plugin: tuple[str, ...]) -> None:
    """Recompute metrics from stored predictions.

    They are printed in the form of 'fairbench export'; the run itself does not change.
    """
    from fairbench.analysis import export as exporting
    from fairbench.analysis import values
    from fairbench.plugins.loading import load_plugins
    from fairbench.system.output import output_on_stderr

    registry, _ = load_plugins(plugin)
    results = read_results(run_directory)
    with output_on_stderr():
        results = exporting.rescored(results, run_directory, registry, metrics)
    exporting.write(values.rows(results), Shown(sys.stdout), "jsonl" if as_json else "csv", columns=values.COLUMNS)
