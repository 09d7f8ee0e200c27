"""The kinds of components that a plugin can supply."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of component, with its plural and singular."""

    plural: str
    singular: str


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("datasets", "dataset"),
        Kind("methods", "method"),
        Kind("metrics", "metric"),
        Kind("scenarios", "scenario"),
        Kind("reports", "report"),
        Kind("executors", "executor"),
        Kind("papers", "paper"),
    )
}


def component_label(kind: str, name: str) -> str:
    """Return ``method threshold``."""
    return f"{KINDS[kind].singular} {name}"
