"""The options that declare a table of one's own, and how it was understood, as a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

import click

from fairbench.cli.options import GivenPath, print_rows, say

if TYPE_CHECKING:
    from fairbench.data.own.declaration import OwnData
    from fairbench.data.own.prepared import Prepared

OPTIONS = ("label", "favorable", "protected", "drop", "kinds", "bins")


def own_data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data`` and what is said of its columns; the command has ``--group`` already."""
    options = [
        click.option(
            "--data",
            type=GivenPath(),
            metavar="FILE",
            help="A table of your own, CSV or Parquet; --group names its sensitive columns.",
        ),
        click.option("--label", metavar="COLUMN", help="Of --data: the column to predict."),
        click.option("--favorable", metavar="VALUE", help="Of --data: the label that is good for the person."),
        click.option(
            "--protected",
            multiple=True,
            metavar="COLUMN=GROUP",
            help="Of --data: an attribute's protected group.  [default: lowest share of favourable labels]",
        ),
        click.option("--drop", multiple=True, metavar="LIST", help="Of --data: columns to leave out."),
        click.option(
            "--kind",
            "kinds",
            multiple=True,
            metavar="COLUMN=KIND",
            help="Of --data: number, category or date, where the guess is wrong, e.g. 'zip=category'.",
        ),
        click.option(
            "--bin",
            "bins",
            multiple=True,
            metavar="COLUMN=EDGES",
            help="Of --data: edges between the groups of a numeric attribute, e.g. 'age=25,45,65'.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def declared_data(options: dict[str, Any]) -> Optional[OwnData]:
    """Return the table that a command's options declare; None without ``--data``.

    Raises:
        UsageError: something is said of a table, and there is none, or an option has another form.
        SuiteError: the declaration lacks something, or contradicts itself.
    """
    from fairbench.data.own.declaration import declared, name_of

    if options["data"] is None:
        for name in OPTIONS:
            if options[name]:
                raise click.UsageError(f"--{name.rstrip('s')} says something of a table of your own; add --data FILE.")
        return None
    for name in ("label", "group"):
        if not options[name]:
            example = {"label": "paid", "group": "sex"}[name]
            raise click.UsageError(f"--data needs --{name}: name the column, e.g. --{name} {example}.")
    attributes = [name for text in options["group"] for name in listed_columns(text)]
    table = {
        "file": options["data"],
        "label": options["label"],
        "favorable": options["favorable"] or "",
        "group": list(dict.fromkeys(attributes)),
        "protected": by_column("--protected", options["protected"]),
        "drop": [name for text in options["drop"] for name in listed_columns(text)],
        "kinds": by_column("--kind", options["kinds"]),
        "bin": _bins(options["bins"]),
    }
    return declared(name_of(options["data"]), table, f"--data {options['data']}")


def listed_columns(text: str) -> list[str]:
    """Return the names in a list with commas between; one that holds a comma is put in quotes.

    Raises:
        SuiteError: a quote or a bracket is left open.
    """
    from fairbench.notation import split_outside

    return [_unquoted(item) for item in split_outside(text, ",")]


def _unquoted(text: str) -> str:
    from fairbench.notation import parse_value

    return str(parse_value(text)) if text[:1] in ("'", '"') else text


def by_column(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """Return what lists such as ``sex=female,race=B`` say of columns; what holds a comma or ``=`` is put in quotes.

    Raises:
        UsageError: an item has another form, or a column is named twice.
        SuiteError: a quote or a bracket is left open.
    """
    from fairbench.notation import split_outside

    found: dict[str, str] = {}
    for item in (item for text in texts for item in split_outside(text, ",")):
        column = split_outside(item, "=")[0]
        value = item[len(column) :].lstrip()[1:].strip()
        if not column or not value:
            raise click.UsageError(f"{option} {item!r}: write COLUMN=VALUE.")
        if _unquoted(column) in found:
            raise click.UsageError(f"{option} names {column!r} twice.")
        found[_unquoted(column)] = _unquoted(value)
    return found


def _bins(texts: tuple[str, ...]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for text in texts:
        column, _, edges = (part.strip() for part in text.rpartition("="))
        if not column or not edges:
            raise click.UsageError(f"--bin {text!r}: write COLUMN=EDGES, e.g. age=25,45,65.")
        if _unquoted(column) in found:
            raise click.UsageError(f"--bin names {column!r} twice; write all edges in one list, e.g. age=25,45,65.")
        found[_unquoted(column)] = _edges(column, edges)
    return found


def _edges(column: str, text: str) -> list[float]:
    try:
        return [int(edge) if edge.strip().lstrip("-").isdigit() else float(edge) for edge in text.split(",")]
    except ValueError as error:
        raise click.UsageError(
            f"--bin {column}={text}: write numbers with commas between, e.g. age=25,45,65."
        ) from error


def print_own_data(table: Prepared) -> None:
    """Print on stderr how a table was understood, and what is to be doubted."""
    for sentence in table.said:
        say(sentence)
    rows = [
        {
            "column": column.name,
            "taken as": f"{column.use}{f', {column.kind}' if column.kind and column.use != 'left out' else ''}",
            "different": f"{column.different:,}",
            "missing": f"{column.missing:,}",
            "for example": ", ".join(example[:20] for example in column.examples),
            "remark": column.remark,
        }
        for column in table.columns
    ]
    print_rows(rows, as_json=False, err=True)
    for sentence in table.warnings:
        say(f"warning: {table.own.name}: {sentence}")


def confirm(data: Optional[str], yes: bool) -> None:
    """Ask whether the columns of ``--data`` are meant so, if a person is there to answer.

    Raises:
        UsageError: they are not.
    """
    if data is None or yes or not _is_watched():
        return
    if not click.confirm("Is this how the columns are meant?", default=True, err=True):
        raise click.UsageError(
            "Nothing was run. Correct the columns with --kind, --bin, --drop, --protected, --favorable."
        )


def _is_watched() -> bool:
    """Return whether a person can read what is asked, and answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()
