"""The command ``fairbench verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import (
    cell_options,
    data_dir_option,
    examples,
    json_option,
    offline_option,
    plugin_option,
    print_rows,
    run_argument,
    said_after,
    say,
)

if TYPE_CHECKING:
    from fairbench.running.verify import Verified

TOLD = 3  # differences of a cell


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench verify runs/table1 --cells 5",
        "fairbench verify runs/table1 --all --workers 2 --json",
    ),
)
@run_argument
@click.option("--cells", type=click.IntRange(min=1), default=5, show_default=True, help="Number of cells to draw.")
@click.option("--all", "every", is_flag=True, help="Execute all finished cells.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the draw, to draw the same cells again.  [default: any]")
@cell_options
@data_dir_option
@offline_option
@json_option
@plugin_option
def verify(
    run_directory: Path,
    cells: int,
    every: bool,
    seed: Optional[int],
    as_json: bool,
    plugin: tuple[str, ...],
    **options: Any,
) -> int:
    """Execute finished cells again and compare them with what is stored.

    Every stored value and prediction must come out exactly, with the plugins and data that are here now. A cell whose
    plugins or data are not here, or that meets a limit, is not compared. The exit status is 0 if all cells hold, and 1
    otherwise. The run is never written to.
    """
    import random

    from fairbench.cli.progress import reading_progress
    from fairbench.cli.running import session
    from fairbench.running.session import own_tables
    from fairbench.running.verify import verify
    from fairbench.texts import counted

    opened = session(options, plugin, own_tables(run_directory))
    drawn = random.SystemRandom().randrange(10**6) if seed is None else seed
    with reading_progress() as advance:
        found = verify(run_directory, opened, None if every else cells, drawn, advance)
    holding, left = sum(one.holds for one in found), sum(not one.executed for one in found)
    how = "all finished cells" if every else f"cells drawn with --seed {drawn}"
    said = f"{how}: {holding} of {counted(len(found), 'cell')} {'holds' if len(found) == 1 else 'hold'}"
    with said_after(f"{said}, {left} could not be compared" if left else said):
        print_rows([_row(one, as_json) for one in found], as_json)
        if not as_json:
            for one in found:
                if not one.holds:
                    place = f"{one.cell.place}, {one.cell.method}, repeat {one.cell.repeat}"
                    say(f"{place}: {_differences(one)}", err=False)
            for what in dict.fromkeys(what for one in found for what in one.changed):
                say(f"changed since: {what}", err=False)
    return 0 if holding == len(found) else 1


def _row(one: Verified, whole: bool) -> dict[str, Any]:
    """Return a row of the table, or the ``whole`` of it."""
    row = {
        "dataset": one.cell.place,
        "method": str(one.cell.method),
        "repeat": one.cell.repeat,
        "holds": "yes" if one.holds else "no" if one.executed else "not compared",
        "values": one.values,
        "unequal": len(one.unequal),
        "largest difference": max((by for *_, by in one.unequal if by is not None), default=0.0),
    }
    if not whole:
        return row
    more = {"scenario": str(one.cell.scenario), "tuning": one.cell.tuning, "fit": one.cell.fit}
    return {**row, **more, "differences": _differences(one), "changed since": list(one.changed)}


def _differences(one: Verified) -> str:
    told = [f"{what} is {stored} in the run and {now} now" for what, stored, now, _ in one.unequal[:TOLD]]
    left = len(one.unequal) - TOLD
    return one.problem or "; ".join([*told, *([f"{left} more"] if left > 0 else [])])
