"""The command that checks whether a method uses what it has not been given, and audits predictions of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import GivenPath, complete_choices, examples, json_option, plugin_option, print_rows, say
from fairbench.cli.own import by_column, listed_columns


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench audit predictions.csv --label y --prediction p --group sex,race",
        "fairbench audit applicants.csv --score points --group sex --exclude-small --bundle audit-2024",
        "fairbench audit faalgrad",
        "fairbench audit 'acme_gap[rounds=5]' --plugin acme_gap.py --json",
    ),
)
@click.argument("target", shell_complete=complete_choices("methods"))
@click.option("--label", metavar="COLUMN", help="What really happened.  [default: nobody knows]")
@click.option("--prediction", metavar="COLUMN", help="Decisions, with two values such as 0 and 1.")
@click.option("--score", metavar="COLUMN", help="Scores, high where the favourable outcome is likely.")
@click.option("--threshold", type=float, help="Select the rows whose score is at least this.")
@click.option(
    "--group", multiple=True, metavar="LIST", help="Sensitive attributes; they are compared one by one and together."
)
@click.option(
    "--favorable", metavar="VALUE", help="The outcome that is good for the person.  [default: 1, yes or true]"
)
@click.option(
    "--protected",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="The protected category of an attribute; can be given several times.",
)
@click.option("--baseline", metavar="COLUMN", help="Decisions of a reference model, for verdicts.  [default: none]")
@click.option(
    "--exclude-small",
    is_flag=True,
    help="Leave categories with fewer than 2% of the rows out of comparisons, and list them.",
)
@click.option(
    "--bundle",
    metavar="DIR",
    type=GivenPath(path_type=Path),
    help="Write numbers, data digest, versions and command into a new folder, for others to recompute.",
)
@json_option
@plugin_option
def audit(target: str, as_json: bool, plugin: tuple[str, ...], **options: Any) -> int:
    """Audit predictions in a file, or check whether a method knows test labels.

    If TARGET is a CSV or Parquet file, the groups in it are compared: metrics, gaps, impact ratios. If it is a method,
    it runs on data made for the audit: redrawing the test labels must not change its predictions.
    """
    from fairbench.data.own.reading import names_a_file

    if names_a_file(target):
        return _predictions(Path(target), as_json, plugin, options)
    given = [name for name, value in options.items() if value not in (None, (), False)]
    if given:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} belongs to an audit of predictions, and {target!r} is taken for a method "
            "as there is no such file; name a CSV or Parquet file, or leave the option out"
        )
    from fairbench.testing.audit.verdict import FOUND, shortened
    from fairbench.testing.audit.verdict import audit as audit_method

    findings = shortened(audit_method(target, plugin))
    print_rows([finding._asdict() for finding in findings], as_json)
    return 1 if any(finding.result == FOUND for finding in findings) else 0


def _predictions(path: Path, as_json: bool, plugin: tuple[str, ...], options: dict[str, Any]) -> int:
    from fairbench.analysis.audit import audit_predictions, metric_plugins
    from fairbench.analysis.audited import Question, read_audited
    from fairbench.analysis.bundle import about, check_bundle, tables, write_bundle
    from fairbench.cli.audit_tables import print_audit

    bundle: Optional[Path] = options.pop("bundle")
    groups = dict.fromkeys(name for names in options.pop("group") for name in listed_columns(names))
    if "" in groups:
        raise click.UsageError("--group has an empty name; leave it out")
    question = Question(
        path,
        groups=tuple(groups),
        protected=by_column("--protected", options.pop("protected")),
        threshold=options.pop("threshold"),
        exclude_small=options.pop("exclude_small"),
        **{name: value or "" for name, value in options.items()},
    )
    if bundle is not None:
        check_bundle(bundle)
    registry = metric_plugins(plugin)
    for warning in registry.warnings:
        say(f"warning: {warning}")
    found = audit_predictions(read_audited(question), registry)
    told = about(found, registry, plugin)
    try:
        if as_json:
            print_rows([{"table": "about", **told}], True)
            print_rows([{"table": name, **row} for name, rows in tables(found).items() for row in rows], True)
        else:
            print_audit(found, told)
    finally:  # also if that cannot be printed
        if bundle is not None:
            write_bundle(bundle, found, registry, plugin)
            say(f"written to {bundle}: numbers, data digest, versions and command")
    return 0
