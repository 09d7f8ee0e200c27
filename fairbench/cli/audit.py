"""The command that checks whether a method uses what it has not been given."""

from __future__ import annotations

import click

from fairbench.cli.options import complete_choices, examples, json_option, plugin_option, print_rows


@click.command(
    epilog=examples(
        "fairbench audit faalgrad",
        "fairbench audit 'acme_gap[rounds=5]' --plugin acme_gap.py --json",
    )
)
@click.argument("method", shell_complete=complete_choices("methods"))
@json_option
@plugin_option
def audit(method: str, as_json: bool, plugin: tuple[str, ...]) -> int:
    """Check whether METHOD knows test labels.

    It runs on data made for the audit: redrawing the test labels must not change its predictions.
    """
    from fairbench.testing.audit.verdict import FOUND, audit, shortened

    findings = shortened(audit(method, plugin))
    print_rows([finding._asdict() for finding in findings], as_json)
    return 1 if any(finding.result == FOUND for finding in findings) else 0
