"""The command ``fairbench compare``: what changed between two runs, and a gate for continuous integration."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import GivenPath, examples, names_option
from fairbench.errors import printable

FORMATS = ["text", "markdown", "json"]


def _least(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """Return least effects by metric; one without a name is of all others."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = map(str.strip, text.rpartition("="))
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not (value >= 0 and math.isfinite(value)):
            raise click.BadParameter(
                f"{text!r}: {number!r} is not a number of at least 0; write 0.01 or accuracy=0.01", context, parameter
            )
        if name in found:
            raise click.BadParameter(
                f"{text!r}: {name or 'all metrics'} is given twice; give it once", context, parameter
            )
        found[name] = value
    return found


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench compare runs/before runs/after",
        "fairbench compare runs/main runs/branch --gate --least 0.01 --least log_loss=0.05",
        "fairbench compare runs/before runs/after --metrics accuracy --format markdown > changes.md",
    )
    + "\n\nExit status: 0; with --gate 1 if the gate fails; 2 for bad input.",
)
@click.argument("run_a", metavar="RUN_A", type=GivenPath(path_type=Path))
@click.argument("run_b", metavar="RUN_B", type=GivenPath(path_type=Path))
@names_option("--methods", "methods", "Compare only these methods.  [default: all]")
@names_option("--datasets", "datasets", "Compare only these datasets.  [default: all]")
@names_option("--metrics", "metrics", "Compare only these metrics.  [default: all]")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print it."
)
@click.option(
    "--gate",
    "gated",
    is_flag=True,
    help="Fail if a value of RUN_B is worse beyond its interval and the least effect, or missing.",
)
@click.option(
    "--least",
    callback=_least,
    multiple=True,
    metavar="[METRIC=]CHANGE",
    help="With --gate, the least effect: changes up to this size pass.  [default: 0]",
)
@click.option("--allow-missing", is_flag=True, help="With --gate, pass although RUN_B lacks cells or values of RUN_A.")
def compare(
    run_a: Path,
    run_b: Path,
    methods: Optional[str],
    datasets: Optional[str],
    metrics: Optional[str],
    form: str,
    gated: bool,
    least: dict[str, float],
    allow_missing: bool,
) -> int:
    """Show what changed from RUN_A to RUN_B.

    Repeats with the same seeds and the same test rows are compared one by one.
    """
    from fairbench.analysis.compared import compare_runs
    from fairbench.analysis.compared_shown import as_markdown, as_plain, as_text
    from fairbench.analysis.gate import gate, least_effects
    from fairbench.analysis.wanted import Wanted
    from fairbench.running.rundir import load_results

    if (least or allow_missing) and not gated:
        raise click.UsageError("--least and --allow-missing belong to --gate; give --gate too")
    wanted = Wanted.of(methods or "", datasets or "", metrics or "")
    first, second = load_results(run_a), load_results(run_b)
    compared = compare_runs(first, second, wanted)
    if gated:
        least = least_effects(compared, least)
    found = gate(compared, least, allow_missing) if gated else None
    if form == "json":
        click.echo(json.dumps(as_plain(compared, found, least), allow_nan=False))
    else:
        shown = as_text if form == "text" else as_markdown
        click.echo(printable(shown(compared, found, least)), nl=False)
    for results, path in ((first, run_a), (second, run_b)):
        if results.unfinished:
            click.echo(f"{path}: {results.unfinished}", err=True)
    return 0 if found is None or found.passed else 1
