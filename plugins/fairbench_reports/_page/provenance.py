"""What produced a run: commands, versions, digests and the rule of the seeds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairbench.api import Results
from fairbench_reports._foot import one_line


@dataclass(frozen=True)
class Provenance:
    """What produced a run.

    Args:
        commands: that made it or went on with it, as they are typed.
        facts: a name and a value each.
        versions: distribution and version.
        datasets: dataset and SHA-256 of what was loaded.
        sources: package, version, and SHA-256 of its code.
    """

    commands: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    datasets: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str, str], ...]


def provenance(results: Results) -> Provenance:
    """Return what ``run.json`` says about how a run was produced."""
    run = results.run
    sessions = [session for session in run.get("sessions", ()) if isinstance(session, Mapping)]
    commands = dict.fromkeys(_command(session) for session in sessions if session.get("command"))
    versions = {name: version for session in sessions for name, version in session.get("versions", {}).items()}
    sources = run.get("sources", {})
    return Provenance(
        tuple(commands),
        tuple((name, one_line(str(value))) for name, value in _facts(run, sessions) if value),
        tuple(_texts(versions)),
        tuple(_texts(run.get("datasets", {}))),
        tuple(
            (one_line(name), one_line(str(known.get("version", ""))), one_line(str(known.get("sha256", ""))))
            for name, known in sources.items()
            if isinstance(known, Mapping)
        ),
    )


def _command(session: Mapping[str, Any]) -> str:
    return one_line("fairbench " + " ".join(shlex.quote(str(word)) for word in session["command"]))


def _facts(run: Mapping[str, Any], sessions: list[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    yield "suite", run.get("suite", {}).get("name")
    yield "plan (SHA-256)", run.get("plan")
    yield "seeds", run.get("seeds")
    for name, key in (("started", "started"), ("ended", "ended"), ("executor", "executor"), ("Python", "python")):
        yield name, ", ".join(dict.fromkeys(str(session[key]) for session in sessions if session.get(key)))
    yield "platform", ", ".join(dict.fromkeys(str(each["platform"]) for each in sessions if each.get("platform")))


def _texts(pairs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in pairs.items():
        yield one_line(str(name)), one_line(str(value))
