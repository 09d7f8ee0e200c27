"""What several commands share: options, shell completion, and rows as JSON or as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import click

Command = Callable[..., Any]


def plugin_option(command: Command) -> Command:
    """Add ``--plugin``, which may be given several times."""
    return click.option(
        "--plugin",
        multiple=True,
        metavar="FILE",
        type=click.Path(),
        help="A local plugin file; may be given several times.",
    )(command)


def executor_options(command: Command) -> Command:
    """Add ``--workers`` and ``--executor``."""
    executor = click.option(
        "--executor", metavar="NAME", help="Where cells run, e.g. 'processes[workers=2]'; overrides --workers."
    )
    workers = click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Worker processes, one thread each.  [default: the machine's cores]",
    )
    return workers(executor(command))


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that is asked for raw data files first.  [default: FAIRBENCH_DATA, then the user's cache]",
)
offline_option = click.option("--offline", is_flag=True, help="Download nothing.  [default: download what is missing]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.  [default: a table]")


def examples(*lines: str) -> str:
    """Return a help text's last paragraph, which click must not wrap."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def complete_choices(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a completion for a comma-separated list of names of a kind."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from fairbench.names import known_names

        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known_names(kind) if name.startswith(last)]

    return complete


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print rows as JSON lines, or as a table as wide as the terminal (100 columns where there is none)."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo("none", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(rows[0]):
        table.add_column(name, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 100
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
