"""The commands ``fairbench data ...``: where the raw files are, whether they are sound, and how to get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairbench.cli.commands import Group
from fairbench.cli.options import (
    GivenPath,
    complete_name,
    data_dir_option,
    examples,
    json_option,
    offline_option,
    plugin_option,
    print_rows,
)
from fairbench.data.checksums import one_line

if TYPE_CHECKING:
    from fairbench.data.files import DataSource
    from fairbench.data.sources import DataFile

SOUND, DAMAGED, MISSING = "sound", "damaged", "missing"


@click.group(cls=Group)
def data() -> None:
    """Find, download and verify raw data files."""


@data.command(
    "list",
    short_help="List raw files and where they are.",
    epilog=examples("fairbench data list", "fairbench data list --json --data-dir raw"),
)
@data_dir_option
@plugin_option
@json_option
def list_files(data_dir: Path | None, plugin: tuple[str, ...], as_json: bool) -> None:
    """List each dataset's raw files: size, state, where they were found and where they came from."""
    _show(list(_rows((), data_dir, plugin)), as_json)


@data.command(
    short_help="Compare raw files with their digests.",
    epilog=examples("fairbench data verify", "fairbench data verify adult german --json"),
)
@click.argument("names", nargs=-1, shell_complete=complete_name("datasets"))
@data_dir_option
@plugin_option
@json_option
def verify(names: Sequence[str], data_dir: Path | None, plugin: tuple[str, ...], as_json: bool) -> None:
    """Compare all copies of raw files of NAMES (default: all datasets) with their digests; exit 1 if one is damaged."""
    rows = list(_rows(names, data_dir, plugin, every_copy=True))
    _show(rows, as_json)
    damaged = [row for row in rows if row["state"] == DAMAGED]
    for row in damaged:
        doubt = f" ({row['doubt']})" if row["doubt"] else ""
        message = (
            f"{row['path']}: sha256 is {row['sha256']}, expected {row['expected']}{doubt}; replace or remove the file"
        )
        click.echo(one_line(message), err=True)
    if damaged:
        raise click.exceptions.Exit(1)


@data.command(
    short_help="Download missing raw files.",
    epilog=examples("fairbench data fetch", "fairbench data fetch adult german"),
)
@click.argument("names", nargs=-1, shell_complete=complete_name("datasets"))
@data_dir_option
@offline_option
@plugin_option
def fetch(names: Sequence[str], data_dir: Path | None, offline: bool, plugin: tuple[str, ...]) -> None:
    """Download the missing raw files of NAMES; exit 1 if a file cannot be obtained.

    Each file is printed with its path and its origin.

    The default is all datasets except large image sets such as colored_mnist, which must be named. Without NAMES,
    files that only a user can supply ('fairbench data add') do not count as missing.
    """
    from fairbench.cli.progress import download_progress
    from fairbench.data.files import DataSource, fetch_all

    files = {name: files for name, files in _files(names, plugin, only_by_name=False).items() if files}
    source = DataSource(data_dir, offline, plugin)
    with download_progress() as progress:
        fetched = fetch_all(files, source, progress)
    had_all = True
    for name, outcome in fetched.items():
        if isinstance(outcome, Exception):
            had_all &= not names and any(file.obtain for file in files[name])
            click.echo(one_line(f"{name}: {outcome}"), err=True)
        else:
            for file in files[name]:
                origin = next(copy.origin for copy in source.copies(file) if copy.path == outcome[file.path])
                _print_line(name, outcome[file.path], origin)
    if not had_all:
        raise click.exceptions.Exit(1)


@data.command(
    short_help="Import raw files that you already have.",
    epilog=examples("fairbench data add health HHP_release3.zip", "fairbench data add adult downloads/adult"),
)
@click.argument("name", shell_complete=complete_name("datasets"))
@click.argument("source", type=GivenPath(exists=True, path_type=Path))
@click.option(
    "--into",
    type=GivenPath(file_okay=False, path_type=Path),
    help="Folder to copy to, for use with --data-dir or FAIRBENCH_DATA.  [default: the user's cache]",
)
@plugin_option
def add(name: str, source: Path, into: Path | None, plugin: tuple[str, ...]) -> None:
    """Copy the raw files of NAME from SOURCE, a folder or a zip file, if all are there with the right digests."""
    from fairbench.data.adding import add_files
    from fairbench.data.files import cache_dir

    files = [file for files in _files((name,), plugin).values() for file in files]
    for path in add_files(files, source, into or cache_dir()):
        _print_line(name, path)


@data.command(
    short_help="Print where raw files are, or belong.",
    epilog=examples("fairbench data path adult", "fairbench data path german --data-dir raw"),
)
@click.argument("name", shell_complete=complete_name("datasets"))
@data_dir_option
@plugin_option
def path(name: str, data_dir: Path | None, plugin: tuple[str, ...]) -> None:
    """Print where each raw file of NAME is, or where to put it; exit 1 if one is missing or damaged."""
    from fairbench.data.files import DataSource, cache_dir

    rows, told = list(_rows((name,), data_dir, plugin)), ""
    for row in rows:
        _print_line(row["path"] or cache_dir() / row["file"])
        if row["state"] != SOUND:
            advice = row["obtain"] or f"{DataSource(plugins=plugin).command('fetch', name)} downloads it"
            said = f"{row['file']} is {row['state']}{f'; {advice}' if advice != told else ''}"
            click.echo(one_line(said), err=True)
            told = advice
    if any(row["state"] != SOUND for row in rows):
        raise click.exceptions.Exit(1)


def _print_line(*texts: object) -> None:
    """Print texts separated by tabs, without anything that a terminal would act on."""
    click.echo("\t".join(one_line(str(text)) for text in texts))


def _files(names: Sequence[str], plugin: tuple[str, ...], only_by_name: bool = True) -> dict[str, tuple[DataFile, ...]]:
    """Return the files of the named datasets, or of all (``only_by_name``: including those that must be named).

    When all are asked for, datasets that cannot be built without parameters are left out, and stderr says so.

    Raises:
        UnknownName: there is no such dataset, or no such parameter.
        SuiteError: a parameter is missing or does not fit.
    """
    from fairbench.cells import Choice
    from fairbench.choices import parse_choices
    from fairbench.plugins.loading import load_plugins

    registry, problems = load_plugins(plugin)
    if names:
        choices = [choice for name in names for choice in parse_choices(name)]
        files = {str(choice): tuple(registry.dataset(choice).files) for choice in choices}
        for choice in choices:
            if not files[str(choice)]:
                advice = f"'fairbench show dataset {choice.name}' says what it is made from"
                click.echo(one_line(f"{choice} has no raw files to fetch or add; {advice}"), err=True)
        return files
    for problem in problems:
        click.echo(one_line(f"plugin {problem} cannot be used: {problem.problem}"), err=True)
    files = {}
    for name in registry.names("datasets"):
        if getattr(registry.get("datasets", name), "only_by_name", False) and not only_by_name:
            continue
        lacks = registry.lacks("datasets", name)
        if lacks:
            click.echo(one_line(f"{name} is left out: {lacks}"), err=True)
        else:
            files[name] = tuple(registry.dataset(Choice(name)).files)
    return files


def _rows(
    names: Sequence[str], data_dir: Path | None, plugin: tuple[str, ...], every_copy: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a row for each copy of the files of the named datasets, or of all; see ``file_rows``."""
    from fairbench.data.files import DataSource

    return file_rows(_files(names, plugin), DataSource(data_dir), every_copy)


def file_rows(
    files_by_dataset: Mapping[str, Sequence[DataFile]], source: DataSource, every_copy: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a row for each copy of each file: all copies, or the one that a run would find first."""
    for name, files in files_by_dataset.items():
        for file in files:
            row: dict[str, Any] = {"dataset": name, "file": file.path, "bytes": file.bytes, "expected": file.sha256}
            row.update(obtain=file.obtain, doubt=file.doubt)
            copies = list(source.copies(file))
            for copy in copies if every_copy else copies[:1]:
                state = SOUND if copy.sha256 == file.sha256 else DAMAGED
                found = {"place": copy.place, "path": str(copy.path), "sha256": copy.sha256, "origin": copy.origin}
                yield {**row, "state": state, **found}
            if not copies:
                yield {**row, "state": MISSING, "place": None, "path": None, "sha256": None, "origin": None}


def _show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_rows(rows, as_json)
        return
    titles = ("dataset", "file", "bytes", "state", "path", "origin")
    cells: list[tuple[str, ...]] = [titles]
    cells += [tuple("" if row[title] is None else one_line(str(row[title])) for title in titles) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for line in cells:
        aligned = (
            f"{text:{'>' if title == 'bytes' else '<'}{width}}" for title, text, width in zip(titles, line, widths)
        )
        click.echo("  ".join(aligned).rstrip())
