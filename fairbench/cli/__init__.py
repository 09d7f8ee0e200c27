"""The command line: parse, call, render. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import click

from fairbench.cli import audit as cli_audit
from fairbench.cli import data as cli_data
from fairbench.cli import reproduce as cli_reproduce
from fairbench.cli import show as cli_show
from fairbench.cli.options import (
    GivenPath,
    Shown,
    accept_option,
    complete_name,
    data_dir_option,
    examples,
    executor_options,
    names_option,
    offline_option,
    plugin_option,
    say,
)
from fairbench.cli.reports import write_reports
from fairbench.cli.running import (
    cell_runner,
    chosen_executor,
    exit_status,
    print_cells,
    run_plan,
    say_unfinished,
    status_of,
    summary,
    warn_of,
)
from fairbench.errors import FairbenchError, printable
from fairbench.plugins.namesake import namesake_warning
from fairbench.version import __version__

if TYPE_CHECKING:
    from fairbench.running.suite import Suite


def main() -> None:
    """Run the command line; a mistake of the user's becomes one message and exit status 2, never a traceback."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # sums are taken in one order, whatever the machine; processes give the parallelism
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is replaced; a file keeps its code
            stream.reconfigure(errors="replace" if stream.isatty() else "backslashreplace")
    if "_FAIRBENCH_COMPLETE" not in os.environ and (warning := namesake_warning()):
        say(f"warning: {warning}")
    try:
        status = cli.main(prog_name="fairbench", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        say(shown.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as interrupt:
        click.echo("fairbench: interrupted", err=True)
        sys.exit(status_of(interrupt))
    except FairbenchError as error:
        say(f"fairbench: {error}")
        sys.exit(2)


class _Commands(click.Group):
    """The commands; the reader of a pipe, such as head, may leave when it has seen enough."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command, with exit status 0 if its reader has left; click's own is 1."""
        try:
            status = super().invoke(context)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
            return 0
        return status


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples("fairbench run --methods faalgrad,threshold --datasets all", "fairbench list methods"),
)
@click.version_option(__version__, message="fairbench %(version)s")
def cli() -> None:
    """Benchmark fairness methods: the same splits for all, real data, and every number beside its reference."""


cli.add_command(cli_data.data)
cli.add_command(cli_reproduce.reproduce)
cli.add_command(cli_audit.audit)
for _command in (cli_show.list_components, cli_show.show, cli_show.plugins, cli_show.check, cli_show.completion):
    cli.add_command(_command)


def _attributes(context: click.Context, parameter: click.Parameter, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty name, which would stand for each dataset's own attribute."""
    for group in groups:
        if not all(name.strip() for name in group.split(",")):
            raise click.BadParameter(f"{group!r} has an empty name; leave the option out for each dataset's own")
    return groups


def _suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose or override the parts of a suite."""
    options = [
        names_option("--methods", "methods", "Methods, e.g. 'faalgrad[split=config1|config2],threshold', or 'all'."),
        names_option(
            "--datasets",
            "datasets",
            "Datasets, e.g. 'compas,adult[missing=category]', or 'all' (but large images and users' folders).",
        ),
        names_option("--scenarios", "scenarios", "Scenarios.  [default: holdout]"),
        names_option("--metrics", "metrics", "Metrics.  [default: all]"),
        click.option(
            "--group",
            multiple=True,
            metavar="ATTRIBUTE",
            callback=_attributes,
            help="Sensitive attribute; 'race,sex' for combinations.  [default: each dataset's]",
        ),
        click.option("--repeats", type=click.IntRange(min=1), help="Number of splits.  [default: 5]"),
        click.option(
            "--scale",
            multiple=True,
            type=click.Choice(["standard", "none"]),
            help="Scaling of numeric features.  [default: standard]",
        ),
        click.option(
            "--sensitive-as-feature/--sensitive-hidden",
            default=None,
            help="Put the group among the features.  [default: hidden]",
        ),
        click.option(
            "--stratify/--no-stratify",
            default=None,
            help="Keep the shares of label and group in all parts.  [default: no]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command(
    epilog=examples(
        "fairbench run --methods faalgrad,threshold --datasets all",
        "fairbench run benchmarks/faalgrad-table1.toml --workers 2 --out runs/table1",
    )
    + "\n\nA run that was interrupted goes on where it stopped when the same command is given again. A directory can "
    "grow: the same --out with one more method, dataset, metric or repeat runs only what is new."
)
@click.argument("suite", required=False, type=GivenPath(path_type=Path))
@_suite_options
@click.option(
    "--out", type=GivenPath(path_type=Path, file_okay=False), help="Run directory.  [default: a dated one under runs/]"
)
@executor_options
@accept_option
@click.option("--dry-run", is_flag=True, help="Print the cells and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: the cells as JSON lines.")
@data_dir_option
@offline_option
@plugin_option
def run(suite: Optional[Path], plugin: tuple[str, ...], **options: Any) -> int:
    """Run a grid of methods, datasets and repeats, from a SUITE file or from options, and print its tables."""
    from fairbench.plugins.loading import load_plugins
    from fairbench.running import rundir
    from fairbench.running.resume import Plan
    from fairbench.running.suite import left_out, plan

    chosen = _chosen_suite(suite, options)
    registry, _ = load_plugins(plugin)
    warn_of(registry)
    cells = plan(chosen, registry)
    for sentence in left_out(chosen, registry):
        say(sentence)
    if options["dry_run"]:
        registry.build("executors", chosen_executor(registry, options, len(cells)))  # refused now rather than later
        print_cells(cells, options["as_json"])
        return 0
    planned = Plan.of(chosen.to_dict(), cells, registry, grows=False, accept=options["accept_changes"])
    path = rundir.choose_directory(planned, options["out"])
    interrupted = run_plan(planned, path, registry, cell_runner(options, plugin), options)
    results = rundir.load_results(path)
    write_reports(results, registry, path)
    click.echo(printable(str(registry.report("terminal").render(results))))
    say(summary(results, path, interrupted))
    return exit_status(results, interrupted)


def _chosen_suite(path: Optional[Path], options: dict[str, Any]) -> Suite:
    """Return the suite of the file and the options; an option wins over the file."""
    from dataclasses import replace

    from fairbench.running.suite import Suite, default_parameters, read_suite

    given: dict[str, Any] = {}
    for name in ("methods", "datasets", "scenarios", "metrics", "sensitive_as_feature"):
        if options[name] is not None:
            given[name] = (options[name],)
    for name in ("group", "scale"):
        if options[name]:
            given[name] = options[name]
    for name in ("repeats", "stratify"):
        if options[name] is not None:
            given[name] = options[name]
    if path is not None:
        return replace(read_suite(path), **given)
    for name in ("methods", "datasets"):
        if name not in given:
            raise click.UsageError(
                f"Give a suite file, or both --methods and --datasets ({name} is missing). See 'fairbench run --help'."
            )
    return Suite(name=given["methods"][0], parameters=default_parameters(), **given)


@cli.command(
    epilog=examples(
        "fairbench report runs/table1",
        "fairbench report runs/table1 --format latex > table1.tex",
    )
)
@click.argument("run_directory", metavar="RUN", type=GivenPath(path_type=Path))
@click.option(
    "--format",
    "name",
    default="terminal",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_name("reports"),
    help="A report ('fairbench list reports').",
)
@plugin_option
def report(run_directory: Path, name: str, plugin: tuple[str, ...]) -> None:
    """Print a run's tables; the default also writes every report that is a file into the run directory."""
    from fairbench.plugins.loading import load_plugins
    from fairbench.running.rundir import load_results
    from fairbench.running.store import run_folder
    from fairbench.system.output import output_on_stderr

    registry, _ = load_plugins(plugin)
    chosen = registry.report(name)
    run_directory = run_folder(run_directory)
    results = load_results(run_directory)
    with output_on_stderr():
        made = chosen.render(results)
    if isinstance(made, bytes) and sys.stdout.isatty():
        raise click.UsageError(f"{name} is a picture; write it to a file: ... --format {name} > report{chosen.suffix}")
    if not made:
        say(f"{run_directory} has nothing for the report {name!r} to show")
    if isinstance(made, str) and (name == "terminal" or sys.stdout.isatty()):
        made = printable(made)
    click.echo(made, nl=isinstance(made, str))
    if name == "terminal":
        write_reports(results, registry, run_directory)
        say(f"written to {run_directory}: report.*")


@cli.command(
    epilog=examples(
        "fairbench export runs/table1 --format csv > values.csv",
        "fairbench export runs/table1 --format jsonl --predictions > predictions.jsonl",
    )
)
@click.argument("run_directory", metavar="RUN", type=GivenPath(path_type=Path))
@click.option(
    "--format", "name", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="Form of the rows."
)
@click.option("--predictions", "what", flag_value="predictions", help="The stored test predictions, with y and group.")
@click.option("--diagnostics", "what", flag_value="diagnostics", help="Curves recorded while training.")
@click.option(
    "--spreadsheet", is_flag=True, help="Put an apostrophe before each text that a spreadsheet would run as a formula."
)
def export(run_directory: Path, name: str, what: Optional[str], spreadsheet: bool) -> None:
    """Print every stored value as one long row: dataset, method, parameters, repeat, point, group, metric, value."""
    from fairbench.analysis import export as exporting
    from fairbench.analysis import values
    from fairbench.running.rundir import load_results

    if spreadsheet and name != "csv":
        raise click.UsageError("--spreadsheet is for --format csv; no spreadsheet runs what is in JSON lines")
    results = load_results(run_directory)
    say_unfinished(results)
    if what == "predictions":
        rows = exporting.prediction_rows(results, run_directory)
    elif what == "diagnostics":
        rows = exporting.diagnostic_rows(results)
    else:
        rows = values.rows(results)
    exporting.write(rows, Shown(sys.stdout), name, spreadsheet)


@cli.command(
    epilog=examples(
        "fairbench rescore runs/table1",
        "fairbench rescore runs/table1 --metrics accuracy,acme_gap --plugin acme_gap.py",
    )
)
@click.argument("run_directory", metavar="RUN", type=GivenPath(path_type=Path))
@names_option("--metrics", "metrics", "Metrics to compute.", default="all")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of CSV.")
@plugin_option
def rescore(run_directory: Path, metrics: str, as_json: bool, plugin: tuple[str, ...]) -> None:
    """Compute metrics anew from a run's stored predictions and print them as long rows; nothing is changed."""
    from fairbench.analysis import export as exporting
    from fairbench.analysis import values
    from fairbench.plugins.loading import load_plugins
    from fairbench.running.rundir import load_results
    from fairbench.system.output import output_on_stderr

    registry, _ = load_plugins(plugin)
    with output_on_stderr():
        results = exporting.rescored(load_results(run_directory), run_directory, registry, metrics)
    say_unfinished(results)
    exporting.write(values.rows(results), Shown(sys.stdout), "jsonl" if as_json else "csv")
