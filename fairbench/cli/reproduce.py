"""The command ``fairbench reproduce``: a paper's tables and figures run again, published numbers beside measured."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import (
    GivenPath,
    complete_choices,
    dry_run_options,
    examples,
    names_option,
    out_option,
    print_rows,
    said_after,
    say,
    session_options,
)
from fairbench.cli.show import paper_parts
from fairbench.system.writing import replace_file

if TYPE_CHECKING:
    from fairbench.papers.reproduced import Reproduced
    from fairbench.plugins.registry import Registry
    from fairbench.running.cell import CellRunner

DOCUMENT, VALUES = "reproduction.md", "reproduction.csv"


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench reproduce faalgrad --dry-run",
        "fairbench reproduce faalgrad:table1 --quick --datasets compas,german",
        "fairbench reproduce faalgrad --document docs/reproductions/faalgrad.md",
    )
    + "\n\nTo continue an interrupted reproduction, give the same command again. Other tables of the paper can be "
    "added to a directory.",
)
@click.argument("paper", metavar="PAPER[:PART,...]", shell_complete=complete_choices("papers"))
@click.option(
    "--quick", is_flag=True, help="Use as many repeats as the paper has runs.  [default: more for some tables]"
)
@click.option(
    "--times",
    type=click.IntRange(min=1),
    help="Multiply the paper's number of runs by this factor, in every table; overrides --quick.",
)
@names_option("--datasets", "datasets", "Run only these datasets.  [default: the paper's]")
@out_option("Run directory.  [default: runs/reproduce-PAPER]")
@click.option(
    "--document",
    type=GivenPath(path_type=Path, dir_okay=False),
    help="Also write the document here, and its figures to a folder beside it: docs/x.md, docs/x/figure2-paper.png.",
)
@dry_run_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the comparisons, or with --dry-run the cells.")
@session_options
def reproduce(paper: str, plugin: tuple[str, ...], **options: Any) -> int:
    """Rerun a paper's tables and figures.

    PAPER alone stands for all of them. Published and measured numbers are shown side by side.
    """
    from fairbench.cli.running import dry_run, exit_status, session, summary
    from fairbench.cli.signals import interrupt_advises
    from fairbench.papers.grids import plan_reproduction
    from fairbench.papers.reproduced import Reproduced
    from fairbench.running.resume import Plan
    from fairbench.running.rundir import RUNS, choose_directory

    opened = session(options, plugin)
    registry = opened.registry
    _refuse_empty_parts(paper, registry)
    times = options["times"] or (1 if options["quick"] else None)
    reproduction = plan_reproduction(paper, registry, times=times, datasets=options["datasets"])
    cells = reproduction.cells
    for sentence in reproduction.left_out:
        say(sentence)
    asked = {"name": f"reproduce {reproduction.paper.name}", "parts": paper, "repeats": reproduction.repeats}
    plan = Plan.of(asked, cells, registry, grows=True, accept=options["accept_changes"])
    path = choose_directory(plan, options["out"] or RUNS / f"reproduce-{reproduction.paper.name}")
    if options["dry_run"]:
        dry_run(opened, plan, path, options)
        return 0
    with interrupt_advises(path):
        ended = opened.run(plan, path, sys.argv[1:])
        outcome = Reproduced.of(reproduction, ended.results)
        whole = not (ended.interrupt or ended.stopped)
        if whole:
            _write(outcome, opened.runner, path, _command(paper, plugin, options), options["document"])
        ended = replace(ended, results=outcome.results)
        with said_after(summary(ended)):
            if whole:
                _show(outcome, options["as_json"])
    return exit_status(ended)


def _refuse_empty_parts(text: str, registry: Registry) -> None:
    """Refuse ``paper:`` and ``paper:table1,``; without the colon all parts are meant.

    Raises:
        SuiteError: a part is empty; the message lists the valid ones.
        UnknownName: there is no such paper.
    """
    from fairbench.errors import SuiteError

    name, colon, wanted = text.partition(":")
    if colon and not all(part.strip() for part in wanted.split(",")):
        known = ", ".join(row["part"] for row in paper_parts(registry.paper(name)))
        raise SuiteError(
            f"{text!r} names an empty part; write {name}:PART,... with parts of {known}, or {name} for all"
        )


def _command(paper: str, plugin: tuple[str, ...], options: dict[str, Any]) -> str:
    """Return the command with the options that change the document, without those for where and how to run."""
    words = ["fairbench", "reproduce", paper]
    if options["times"]:
        words += ["--times", str(options["times"])]
    elif options["quick"]:
        words += ["--quick"]
    for option, value in (("--datasets", options["datasets"]), ("--document", options["document"])):
        words += [option, str(value)] if value else []
    for file in plugin:
        words += ["--plugin", file]
    return shlex.join(words)


def _write(outcome: Reproduced, runner: CellRunner, path: Path, command: str, document: Optional[Path]) -> None:
    """Write document, values and figures into the run directory, and the document to a second place if requested.

    Raises:
        StoreError: a place cannot be written.
    """
    from fairbench.analysis.export import write
    from fairbench.errors import StoreError
    from fairbench.papers.document import render
    from fairbench.papers.figures import FOLDER, draw_all

    try:
        drawn = draw_all(outcome, runner.workbench, path, lambda what: click.echo(f"drawing {what}", err=True))
        replace_file(path / DOCUMENT, render(outcome, drawn, command, FOLDER).encode("utf-8"))
        values = io.StringIO()
        write(outcome.lines(), values, "csv")
        replace_file(path / VALUES, values.getvalue().encode("utf-8"))
        if document is not None:
            folder = document.with_suffix("") if document.suffix else document.with_name(f"{document.name}-figures")
            folder.mkdir(parents=True, exist_ok=True)
            for picture in drawn.pictures:
                for suffix in (".png", ".svg"):
                    shutil.copyfile(path / FOLDER / f"{picture.stem}{suffix}", folder / f"{picture.stem}{suffix}")
            document.write_text(render(outcome, drawn, command, folder.name), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the document cannot be written: {error}; the results are kept in {path}") from error
    for sentence in drawn.left_out:
        say(sentence)
    say(f"the document is {document or path / DOCUMENT}")


def _show(outcome: Reproduced, as_json: bool) -> None:
    """Print the summaries, or every comparison as a line of JSON."""
    from fairbench.analysis.export import write
    from fairbench.papers import summaries

    if as_json:
        write(outcome.lines(), sys.stdout, "jsonl")
        return
    protocols, claims = summaries.claims(outcome)
    for claim, *judged in claims:
        click.echo(claim)
        for protocol, judgement in zip(protocols[1:], judged):
            click.echo(f"  {protocol}: {judgement}")
    for sentence in outcome.without_interval():
        click.echo(sentence)
    for headings, rows in (summaries.verdicts(outcome), summaries.coins(outcome)):
        if rows:
            click.echo()
            print_rows([dict(zip(headings, row)) for row in rows], as_json=False)
