"""The command line: parse, call, render. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from fairbench.cli.audit import audit
from fairbench.cli.claims import claims
from fairbench.cli.commands import Group
from fairbench.cli.compare import compare
from fairbench.cli.data import data
from fairbench.cli.export_model import export_model
from fairbench.cli.lines import lines
from fairbench.cli.new import new
from fairbench.cli.options import examples, say
from fairbench.cli.output import OutputError, drop_output, name_output_errors, open_closed_streams
from fairbench.cli.plugins import plugins
from fairbench.cli.power import power
from fairbench.cli.report import export, report, rescore
from fairbench.cli.reproduce import reproduce
from fairbench.cli.run import run
from fairbench.cli.show import check, completion, list_components, show
from fairbench.cli.signals import advice_of, sigterm_interrupts, status_of, undisturbed
from fairbench.cli.store import merge, store
from fairbench.cli.verify import verify
from fairbench.errors import FairbenchError
from fairbench.plugins.namesake import namesake_warning
from fairbench.system.threads import ask_for_one_thread
from fairbench.version import __version__


def main() -> None:
    """Run the command line; a user's mistake becomes one message and exit status 2, never a traceback."""
    ask_for_one_thread()
    open_closed_streams()
    name_output_errors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is replaced; a file keeps its code
            stream.reconfigure(errors="replace" if stream.isatty() else "backslashreplace")
    try:
        with sigterm_interrupts():
            if "_FAIRBENCH_COMPLETE" not in os.environ and (warning := namesake_warning()):
                say(f"warning: {warning}")
            status = cli.main(prog_name="fairbench", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        say(shown.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as interrupt:
        with undisturbed():
            say(": ".join(filter(None, ["fairbench: interrupted", advice_of(interrupt)])))
        sys.exit(status_of(interrupt))
    except OutputError as error:
        drop_output()
        say(f"fairbench: {error.strerror}")
        sys.exit(1)
    except FairbenchError as error:
        say(f"fairbench: {error}")
        sys.exit(2)


class _Commands(Group):
    """The commands; the reader of a pipe, such as ``head``, can close it early."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command, with exit status 0 if its reader has closed the pipe; click's own is 1."""
        try:
            status = super().invoke(context)
            sys.stdout.flush()
        except BrokenPipeError:
            drop_output()
            return 0
        return status


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples("fairbench run --methods faalgrad,threshold --datasets all", "fairbench list methods"),
)
@click.version_option(__version__, message="fairbench %(version)s")
def cli() -> None:
    """Benchmark fairness methods: the same splits for all, real data, and reference values beside every number."""


for _command in (
    run,
    power,
    report,
    compare,
    export,
    export_model,
    rescore,
    store,
    merge,
    verify,
    lines,
    reproduce,
    claims,
    data,
    list_components,
    show,
    plugins,
    check,
    audit,
    new,
    completion,
):
    cli.add_command(_command)
