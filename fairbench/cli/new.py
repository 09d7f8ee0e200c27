"""The command ``fairbench new``: a package to begin a plugin with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import GivenPath, NamedChoice, examples, say
from fairbench.templates import TEMPLATES, write_package


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench new method mine",
        "fairbench new dataset loans --into plugins",
    ),
)
@click.argument("kind", type=NamedChoice(TEMPLATES))
@click.argument("name")
@click.option(
    "--into",
    type=GivenPath(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder to put the package in; made if it is not there.  [default: the current folder]",
)
def new(kind: str, name: str, into: Path) -> None:
    """Write a package with a new component.

    NAME is the name of a KIND that nobody has yet. The package can be installed: it has one small component that works,
    a test that passes, and a README with the next commands.
    """
    from fairbench.plugins.loading import load_plugins

    registry, _ = load_plugins()
    folder = write_package(kind, name, into, registry)
    place = str(folder) if folder.is_absolute() else f".{os.sep}{folder}"
    lines = [f"{folder} is a package with the {kind} {name!r}, in {folder / 'src' / name / f'{kind}.py'}; next:"]
    lines += [
        f"  pip install -e {shlex.quote(place)}",
        f"  fairbench check {name}",
        f"  pytest {shlex.quote(str(folder))}",
    ]
    say("\n".join(lines), err=False)
