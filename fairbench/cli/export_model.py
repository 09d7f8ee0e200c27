"""The command ``fairbench export-model``."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fairbench.cli.options import GivenPath, data_dir_option, examples, offline_option, plugin_option, say


@click.command(
    "export-model",
    epilog=examples(
        "fairbench export-model runs/table1 4f3a --out model",
        "fairbench export-model runs/table1 threshold/compas/0 --out model",
    ),
)
@click.argument("run_directory", metavar="RUN", type=GivenPath(path_type=Path))
@click.argument("cell")
@click.option(
    "--out", required=True, type=GivenPath(path_type=Path, file_okay=False), help="New folder for the model's files."
)
@data_dir_option
@offline_option
@plugin_option
def export_model(
    run_directory: Path, cell: str, out: Path, data_dir: Optional[Path], offline: bool, plugin: tuple[str, ...]
) -> None:
    """Write the fitted model of a finished cell.

    CELL is the beginning of its key, or method/dataset/repeat. A run stores predictions and no models, so the cell is
    fitted again, and its test predictions must equal the stored ones. The files hold no pickle; fairbench.load_model
    reads them. The run is never written to.
    """
    from fairbench.cli.running import Terminal
    from fairbench.data.own.declaration import declared
    from fairbench.models.exporting import chosen_cell, export_model
    from fairbench.running.runfile import read_run
    from fairbench.running.session import Session, Settings
    from fairbench.running.store import run_folder

    own = read_run(run_folder(run_directory))["suite"].get("data", {})
    settings = Settings(
        data_dir=data_dir,
        offline=offline,
        plugins=plugin,
        own=tuple(declared(name, table, f"{run_directory}: suite.data.{name}") for name, table in own.items()),
    )
    chosen = chosen_cell(run_directory, cell)
    model = export_model(run_directory, chosen, Session(settings, Terminal()), out)
    say(
        f"{chosen.method.name} on {chosen.place}, repeat {chosen.repeat}, is in {out}; it predicts from raw columns:",
        err=False,
    )
    say(", ".join(model.columns), err=False)
