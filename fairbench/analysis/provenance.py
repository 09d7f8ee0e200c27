"""What produced two runs, where they differ: versions, platform, digests of data and code, and the suites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from fairbench.cells import canonical
from fairbench.records import Results

SHOWN = 12  # hexadecimal digits of a digest
HOST = ("python", "platform", "machine")


@dataclass(frozen=True)
class Told:
    """What differs between two runs, and how it was in each; None where a run does not have it."""

    what: str
    before: Optional[str]
    after: Optional[str]


def provenance(first: Results, second: Results) -> Iterator[Told]:
    """Yield what differs between what produced the two runs; of several sessions the last one counts."""
    one, other = dict(_facts(first.run)), dict(_facts(second.run))
    for what in dict.fromkeys([*one, *other]):
        if one.get(what) != other.get(what):
            yield Told(what, one.get(what), other.get(what))


def _facts(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sessions = run.get("sessions") or [{}]
    last = sessions[-1]
    for name in HOST:
        if last.get(name):
            yield name, str(last[name])
    for library, version in {**last.get("plugins", {}), **last.get("versions", {})}.items():
        yield f"version of {library}", str(version)
    for dataset, digest in run.get("datasets", {}).items():
        yield f"digest of dataset {dataset}", str(digest)[:SHOWN]
    for name, source in run.get("sources", {}).items():
        yield f"code of {name}", str(source.get("sha256", ""))[:SHOWN]
    for key, value in run.get("suite", {}).items():
        if value not in (None, [], {}):
            yield f"suite: {key}", value if isinstance(value, str) else canonical(value)
