"""The command ``fairbench export-model``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import GivenPath, data_dir_option, examples, offline_option, plugin_option, run_argument, say


@click.command(
    "export-model",
    cls=Command,
    epilog=examples(
        "fairbench export-model runs/table1 4f3a --out model",
        "fairbench export-model runs/table1 threshold/compas/0 --out model",
    ),
)
@run_argument
@click.argument("cell")
@click.option(
    "--out", required=True, type=GivenPath(path_type=Path, file_okay=False), help="New folder for the model's files."
)
@data_dir_option
@offline_option
@plugin_option
def export_model(run_directory: Path, cell: str, out: Path, plugin: tuple[str, ...], **options: Any) -> None:
    """Write the fitted model of a finished cell.

    CELL is the beginning of its key, or method/dataset/repeat. A run stores predictions and no models, so the cell is
    fitted again, and its test predictions must equal the stored ones. The files hold no pickle; fairbench.load_model
    reads them. The run is never written to.
    """
    from fairbench.cli.running import session
    from fairbench.models.exporting import chosen_cell, export_model
    from fairbench.running.session import own_tables

    chosen = chosen_cell(run_directory, cell)  # before the session says how it took a table
    opened = session(options, plugin, own_tables(run_directory))
    model = export_model(run_directory, chosen, opened, out)
    say(
        f"{chosen.method.name} on {chosen.place}, repeat {chosen.repeat}, is in {out}; it predicts from raw columns:",
        err=False,
    )
    say(", ".join(model.columns), err=False)
