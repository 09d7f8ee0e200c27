"""Reading the results of a run, and writing the reports that are files beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairbench.cli.options import say
from fairbench.errors import NotApplicable
from fairbench.system.output import output_on_stderr
from fairbench.system.writing import replace_file

if TYPE_CHECKING:
    from fairbench.plugins.registry import Registry
    from fairbench.records import Results


def read_results(path: Path) -> Results:
    """Return the results of a run directory, and say on stderr how many cells have not been run yet, if any.

    Raises:
        StoreError: it is no run directory, or it is damaged.
    """
    from fairbench.running.rundir import load_results

    results = load_results(path)
    if results.unfinished:
        click.echo(results.unfinished, err=True)
    return results


def write_reports(results: Results, registry: Registry, path: Path) -> None:
    """Write every report that has a file suffix and something to show into the run directory.

    A read-only directory, or a missing library that a report needs, is a warning and not an error.
    """
    for name in registry.names("reports"):
        report = registry.report(name)
        if report.suffix:
            target = path / f"report{report.suffix}"
            try:
                with output_on_stderr():
                    made = report.render(results)
                if made:
                    replace_file(target, made if isinstance(made, bytes) else made.encode("utf-8"))
            except (OSError, NotApplicable) as error:
                say(f"warning: {target} was not written: {error}")
