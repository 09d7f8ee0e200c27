"""What several commands share: arguments and options, shell completion, and rows as JSON or as a table."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Callable, Optional, TextIO

import click

from fairbench.errors import LONGEST, did_you_mean, printable

Command = Callable[..., Any]
WIDTH, NARROWEST = 100, 40  # of tables: where there is no terminal, and at least


def plugin_option(command: Command) -> Command:
    """Add ``--plugin``, which can be given several times."""
    return click.option(
        "--plugin",
        multiple=True,
        metavar="FILE",
        type=GivenPath(),
        help="A local plugin file; can be given several times.",
    )(command)


def names_option(option: str, kind: str, help_text: str, default: Optional[str] = None) -> Callable[[Command], Command]:
    """Return an option for a comma-separated list of choices of a kind; if it is repeated, the lists add up.

    No list can be empty, and names complete. The command sees one list, or None.
    """

    def checked(context: click.Context, parameter: click.Parameter, lists: tuple[str, ...]) -> Optional[str]:
        from fairbench.choices import parse_choices
        from fairbench.errors import SuiteError

        try:
            for names in lists:
                parse_choices(names)
        except SuiteError as error:
            raise click.BadParameter(str(error), context, parameter) from error
        return ",".join(lists) or None

    return click.option(
        option,
        multiple=True,
        metavar="NAME" if kind == "executors" else "LIST",
        callback=checked,
        shell_complete=complete_choices(kind),
        default=None if default is None else [default],
        show_default=default is not None,
        help=help_text,
    )


class NamedChoice(click.Choice):  # type: ignore[type-arg]  # generic from click 8.2 on
    """One of some names; a name that is nearly one of them is told which."""

    def convert(self, value: Any, parameter: Optional[click.Parameter], context: Optional[click.Context]) -> Any:
        """Refuse another name, with the nearest; see ``click.Choice``."""
        if value not in self.choices:
            known = ", ".join(map(str, self.choices))
            self.fail(
                f"{value!r} is not one of {known}{did_you_mean(str(value), map(str, self.choices))}", parameter, context
            )
        return super().convert(value, parameter, context)


class GivenPath(click.Path):
    """A path that is not empty: ``--out "$FOLDER"`` is when the variable is not set, and Path("") means ``.``."""

    def convert(self, value: Any, parameter: Optional[click.Parameter], context: Optional[click.Context]) -> Any:
        """Refuse an empty path; see ``click.Path``."""
        if not str(value).strip():
            self.fail("the path is empty; write '.' for the current folder", parameter, context)
        return super().convert(value, parameter, context)


def cell_options(command: Command) -> Command:
    """Add ``--workers``, ``--executor`` and what limits a cell; ``cell_settings`` reads them."""
    executor = names_option(
        "--executor", "executors", "How cells are run, e.g. 'processes[workers=2]'; overrides --workers."
    )
    workers = click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Worker processes, one thread each.  [default: the machine's cores]",
    )
    limits = (
        workers,
        click.option("--timeout", metavar="TIME", help="Stop a cell after this time: 90, 10m, 2h.  [default: never]"),
        click.option(
            "--memory-limit", metavar="SIZE", help="Stop a cell whose process holds more: 500M, 2G.  [default: never]"
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            default=1,
            show_default=True,
            help="How often a cell is tried again whose process has died.",
        ),
    )
    command = executor(command)
    for option in reversed(limits):
        command = option(command)
    return command


data_dir_option = click.option(
    "--data-dir",
    type=GivenPath(exists=True, file_okay=False, path_type=Path),
    help="Folder to search first for raw data files.  [default: FAIRBENCH_DATA, then the user's cache]",
)
offline_option = click.option("--offline", is_flag=True, help="Download nothing.  [default: download what is missing]")


def only_with_dry_run(context: click.Context, parameter: click.Parameter, given: bool) -> bool:
    """Refuse a flag that means nothing without ``--dry-run``."""
    if given and not context.params.get("dry_run"):
        raise click.BadParameter("it belongs to --dry-run; give both", context, parameter)
    return given


def dry_run_options(command: Command) -> Command:
    """Add ``--dry-run`` and ``--probe``; the function ``dry_run`` does what they ask for."""
    dry = click.option(
        "--dry-run", is_flag=True, is_eager=True, help="Print the cells and how long they will take, and run nothing."
    )
    probe = click.option(
        "--probe",
        is_flag=True,
        callback=only_with_dry_run,
        help="With --dry-run, run a cell of each method and dataset that never ran here, for at most a minute each.",
    )
    return dry(probe(command))


def session_options(command: Command) -> Command:
    """Add what commands that run or continue a plan share; ``session`` reads it."""
    options = (
        cell_options,
        click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails."),
        click.option(
            "--budget", metavar="TIME", help="Stop the run after this time; repeats are run one after the other."
        ),
        click.option(
            "--accept-changes",
            is_flag=True,
            help="Keep finished cells although the code has changed within a version, and say so under the tables.",
        ),
        click.option(
            "--wait",
            is_flag=True,
            help="Wait for another run that is writing to the directory.  [default: end with a message that names it]",
        ),
        data_dir_option,
        offline_option,
        plugin_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.  [default: a table]")
run_argument = click.argument("run_directory", metavar="RUN", type=GivenPath(path_type=Path))


def out_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option ``--out``, the directory of a run that is made or continued."""
    return click.option("--out", type=GivenPath(path_type=Path, file_okay=False), help=help_text)


def examples(*lines: str) -> str:
    """Return the last paragraph of a help text, which click must not wrap."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def complete_name(kind: Optional[str] = None) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a completion for one name of a kind, by default of the kind that the command's first argument names."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from fairbench.cli.completion import known_names

        names = known_names(kind or f"{context.params['kind']}s")
        return [name for name in names if name.startswith(incomplete) and name != "all"]

    return complete


def complete_choices(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a completion for a comma-separated list of names of a kind."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from fairbench.cli.completion import known_names

        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known_names(kind) if name.startswith(last)]

    return complete


def say(text: object, err: bool = True) -> None:
    """Print a message, or a result, that may contain text from outside: names, paths, other people's errors."""
    click.echo(printable(str(text), LONGEST if err else 0), err=err)


@contextmanager
def said_after(text: str) -> Iterator[None]:
    """Say a text after what the block prints, and also if that cannot be printed: what was done is not lost."""
    try:
        yield
    finally:
        say(text)


class Shown:
    """A text stream for data: a terminal must not obey control characters; a file or pipe gets them unchanged."""

    def __init__(self, file: TextIO) -> None:
        """Wrap a stream."""
        self.file, self.careful = file, file.isatty()

    def write(self, text: str) -> int:
        """Write a text, with control characters spelled out on a terminal."""
        return self.file.write(printable(text) if self.careful else text)


def terminal_width() -> int:
    """Return how many letters fit on a line of the terminal, or of COLUMNS; 100 where there is neither."""
    return max(get_terminal_size((WIDTH, 24)).columns, NARROWEST)


def folded(text: str) -> str:
    """Return a text with its paragraphs folded to the terminal; those that fit, or hold indented lines, stay."""
    width = terminal_width()
    paragraphs = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        if max(map(len, lines)) > width and not any(line.startswith(" ") for line in lines):
            lines = textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool, err: bool = False) -> None:
    """Print rows as JSON lines, or as a table as wide as the terminal; where words would be cut, as a list."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    if not rows:
        click.echo("none", err=True)
        return
    width = terminal_width()
    texts = [{name: _cell(value) for name, value in row.items()} for row in rows]
    least = [_longest_word([name, *(row[name] for row in texts)]) for name in texts[0]]
    first = next(iter(texts[0]))
    least[0] = max(len(first), *(len(row[first]) for row in texts))  # it is never folded
    if sum(least) + 2 * (len(least) - 1) > width:
        for row in texts:
            click.echo(_as_list(row, width), err=err)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(rows[0]):
        table.add_column(name, overflow="fold", no_wrap=number == 0)
    for row in texts:
        table.add_row(*row.values())
    console = Console(highlight=False, markup=False, width=width)
    with console.capture() as printed:  # rich would end the program once the reader has closed the pipe
        console.print(table)
    click.echo(printed.get(), nl=False, err=err)


def _longest_word(texts: Sequence[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)


def _as_list(row: dict[str, str], width: int) -> str:
    """Return a row as its first value, with the others below it, each after its name."""
    first, *others = row
    lines = [row[first]]
    for name in others:
        if row[name]:
            wrapper = textwrap.TextWrapper(width, initial_indent="  ", subsequent_indent="    ")
            wrapper.break_long_words = wrapper.break_on_hyphens = False
            lines += wrapper.wrap(f"{name}: {row[name]}")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return printable(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value), LONGEST)
