"""The commands ``fairbench store check``, ``fairbench store salvage`` and ``fairbench merge``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairbench.cli.commands import Command, Group
from fairbench.cli.options import GivenPath, examples, plugin_option, run_argument, say

if TYPE_CHECKING:
    from fairbench.running.salvage import Checked

_out = click.option(
    "--out",
    type=GivenPath(path_type=Path, file_okay=False),
    required=True,
    metavar="NEW",
    help="The new run directory; it must not exist, or be empty.",
)


@click.group(
    cls=Group,
    epilog=examples("fairbench store check runs/table1", "fairbench store salvage runs/table1 --out runs/saved"),
)
def store() -> None:
    """Look after the results of a run: find damage, and save what is sound."""


@store.command(epilog=examples("fairbench store check runs/table1"))
@run_argument
def check(run_directory: Path) -> int:
    """Compare everything in a run with its checksums.

    Prints a line for each damaged cell, and how much is sound. The exit status is 1 if anything is damaged. Nothing is
    written: the directory may be read-only, or left by a run that was killed.
    """
    from fairbench.cli.progress import reading_progress
    from fairbench.running.salvage import check

    with reading_progress() as advance:
        checked = check(run_directory, advance)
    for sentence in checked.damaged:
        say(sentence, err=False)
    advice = f"; 'fairbench store salvage {run_directory} --out NEW' copies what is sound" if checked.damaged else ""
    say(f"{_counts(checked)}{advice}", err=False)
    return 1 if checked.damaged else 0


@store.command(epilog=examples("fairbench store salvage runs/table1 --out runs/saved"))
@run_argument
@_out
@plugin_option
def salvage(run_directory: Path, out: Path, plugin: tuple[str, ...]) -> int:
    """Copy the sound cells of a damaged run into a new one.

    The damaged run is not changed. To run what could not be saved, continue the new one: give the run's command again,
    with --out NEW. The exit status is 1 if anything was lost.
    """
    from fairbench.cli.progress import reading_progress
    from fairbench.plugins.loading import load_plugins
    from fairbench.running.salvage import salvage

    registry, _ = load_plugins(plugin)
    with reading_progress() as advance:
        checked = salvage(run_directory, out, registry, advance)
    for sentence in checked.damaged:
        say(sentence, err=False)
    say(f"copied to {out}: {_counts(checked)}", err=False)
    if checked.planned is None:
        say(
            f"without a sound run.json {out} lacks the suite, the digests of code and data, the notes on datasets and "
            "the sessions: 'fairbench report RUN' and 'fairbench export RUN' read it, but it cannot be continued",
            err=False,
        )
    elif checked.sound < checked.planned:
        say(f"to run the others, give the run's command again with --out {out}", err=False)
    return 1 if checked.damaged else 0


def _counts(checked: Checked) -> str:
    """Return in words what is sound."""
    from fairbench.texts import counted

    by_status = ", ".join(f"{number} {status}" for status, number in sorted(checked.cells.items()))
    parts = [
        f"{counted(checked.sound, 'sound cell')}{f' ({by_status})' if by_status else ''}",
        counted(checked.predictions, "prediction"),
        counted(len(checked.test_parts), "test part"),
    ]
    if checked.lost:
        parts.append(counted(len(checked.lost), "damaged cell"))
    if checked.planned is not None and checked.planned > checked.sound:
        missing = checked.planned - checked.sound - len(checked.lost)
        parts += [f"{counted(missing, 'planned cell')} not there"] if missing > 0 else []
    return f"{checked.path}: {', '.join(parts)}"


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench merge runs/machine1 runs/machine2 --out runs/all",
        "fairbench merge runs/monday runs/tuesday runs/wednesday --out runs/all",
    ),
)
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True, type=GivenPath(path_type=Path))
@_out
def merge(runs: tuple[Path, ...], out: Path) -> None:
    """Join runs of one suite from several machines.

    Each may have run other methods, datasets or repeats. Runs are refused if their code or data differ, or if they
    have different values for the same cell. The new run can be reported, exported and continued; the others stay as
    they are.
    """
    from fairbench.cli.progress import reading_progress
    from fairbench.running.merge import merge
    from fairbench.texts import counted

    with reading_progress() as advance:
        merged = merge(runs, out, advance)
    by_status = ", ".join(f"{number} {status}" for status, number in sorted(merged.cells.items()))
    shared = f"; {counted(merged.shared, 'cell')} in more than one run" if merged.shared else ""
    say(f"{out}: {by_status} of {counted(merged.planned, 'planned cell')}{shared}", err=False)
