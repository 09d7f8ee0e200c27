"""What is kept of earlier sessions when a run continues: cells with the same code and data.

A run directory never mixes two versions of code or data in one mean without saying so:

- another *version* of a plugin: its finished cells are run again, and the user is told; a local file's version is the
  digest of its code;
- other code under the *same* version: refused;
- either is accepted with ``--accept-changes`` (another version is not), which ``run.json`` keeps;
- other *data* of finished cells: refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fairbench.cells import Cell
from fairbench.errors import DataError, SuiteError
from fairbench.plugins.code_digest import changes, core_code, digest_of
from fairbench.plugins.kinds import component_label
from fairbench.plugins.registry import BUILT_IN, LOCAL, SHORT, Registry
from fairbench.records import DONE
from fairbench.running.store import Outline
from fairbench.running.suite import plan_digest
from fairbench.texts import counted
from fairbench.version import __version__

CORE = "fairbench"  # the name of its own code among components and sources


@dataclass(frozen=True)
class Plan:
    """What a run will execute in one directory.

    Args:
        suite: what was requested, as ``run.json`` records it; it has a ``name``.
        cells: all cells of the plan.
        components: the source of each component that affects the cells' numbers, and of fairbench itself.
        sources: distribution, version, sha256 and files of each source.
        grows: whether the directory can hold other cells of a suite with the same name, which are then kept.
        accept: whether finished cells are kept although the code has changed within a version.
    """

    suite: Mapping[str, Any]
    cells: Sequence[Cell]
    components: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grows: bool = False
    accept: bool = False

    @classmethod
    def of(
        cls, suite: Mapping[str, Any], cells: Sequence[Cell], registry: Registry, *, grows: bool, accept: bool
    ) -> Plan:
        """Return the plan with the digests of all code that affects the cells' numbers."""
        components, sources = {CORE: CORE}, {CORE: _source(BUILT_IN, __version__, core_code())}
        unlike = {cell.alike: cell for cell in cells}.values()
        for kind, name in sorted({component for cell in unlike for component in cell.components}):
            origin = registry.origin(kind, name)
            components[component_label(kind, name)] = origin.source
            if origin.source not in sources:
                sources[origin.source] = _source(origin.distribution, origin.code_version, origin.files)
        return cls(suite, cells, components, sources, grows, accept)

    @property
    def name(self) -> str:
        """Return the suite's name."""
        return str(self.suite["name"])

    @property
    def code(self) -> dict[str, str]:
        """Return the digest of the code of each component, and of fairbench's own."""
        return {name: self.sources[source]["sha256"] for name, source in self.components.items()}

    @property
    def origins(self) -> dict[str, Any]:
        """Return what ``run.json`` records about the code."""
        return {"components": dict(self.components), "sources": dict(self.sources)}

    @cached_property
    def digest(self) -> str:
        """Return the hash of cells and metrics."""
        return plan_digest(self.cells)

    def sources_of(self, cell: Cell) -> frozenset[str]:
        """Return the sources of all code that affects a cell's numbers."""
        if cell.alike not in self._sources_of:
            names = [CORE, *(component_label(*component) for component in cell.components)]
            self._sources_of[cell.alike] = frozenset(self.components[name] for name in names)
        return self._sources_of[cell.alike]

    @cached_property
    def _sources_of(self) -> dict[tuple[Any, ...], frozenset[str]]:
        return {}

    @cached_property
    def keys(self) -> set[str]:
        """Return the keys of the cells."""
        return {cell.key for cell in self.cells}


def _source(distribution: str, version: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "distribution": distribution,
        "version": str(version),
        "sha256": digest_of(files),
        "files": dict(files),
    }


class Other(NamedTuple):
    """A component of a finished cell that has changed: component, source, and the versions then (if any) and now."""

    component: str
    source: str
    before: Optional[str]
    now: str


class Comparison:
    """Finished cells compared with the code of a run; cells that are alike are compared once."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        """Take components, sources and accepted changes, as in ``run.json``; where it says nothing, nothing differs."""
        self._components, self._sources = run.get("components", {}), run.get("sources", {})
        self._accepted = run.get("accepted", [])
        self._found: dict[tuple[Any, ...], list[Other]] = {}

    def others(self, cell: Cell, versions: Mapping[str, str]) -> list[Other]:
        """Return the components of a finished cell that had another version, or came from another source.

        Args:
            cell: the cell, with the metrics that it was measured by.
            versions: of its record.
        """
        alike = *cell.alike, *sorted(versions.items())
        if alike not in self._found:
            self._found[alike] = list(self._others(cell, versions))
        return self._found[alike]

    def _others(self, cell: Cell, versions: Mapping[str, str]) -> Iterator[Other]:
        for name in [CORE, *(component_label(*component) for component in cell.components)]:
            source = self._sources.get(self._components.get(name))
            if source is None:
                continue
            local = source["distribution"] == LOCAL
            before = versions.get(name if local else source["distribution"])
            came_from_a_file = not local and name in versions
            if before not in self._equals(source["version"]) or came_from_a_file:
                yield Other(name, self._components[name], None if came_from_a_file else before, source["version"])

    def _equals(self, version: str) -> set[str]:
        """Return the versions whose cells are kept with those of a version: itself, and those accepted for it."""
        equal = {version}
        for change in reversed(self._accepted):
            if change["after"][:SHORT] in equal:
                equal.add(change["before"][:SHORT])
        return equal


@dataclass(frozen=True)
class Kept:
    """What is kept of the earlier sessions.

    Args:
        keys: the plan's finished cells that are kept.
        lacking: those of them that have not been measured by all of the plan's metrics.
        spoiled: the plan's other cells that depend on what has changed; their finished steps are discarded.
        said: what the user must be told, in sentences.
        accepted: changes of code despite which finished cells are kept, as ``run.json`` records them.
    """

    keys: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()
    spoiled: frozenset[str] = frozenset()
    said: tuple[str, ...] = ()
    accepted: tuple[dict[str, Any], ...] = ()


def compare(
    plan: Plan,
    earlier: Mapping[str, Any],
    outlines: Mapping[str, Outline],
    digests: Mapping[str, str],
    path: Path,
    when: str = "",
) -> Kept:
    """Compare a plan with what a run directory holds.

    Args:
        plan: the plan of this session.
        earlier: what ``run.json`` says; empty for a new directory.
        outlines: what the store says about each cell.
        digests: digests of the current data, as far as they are loaded.
        path: the directory, for messages.
        when: now, for the record of an accepted change.

    Raises:
        SuiteError: the directory holds cells that the plan lacks, or finished cells of other code.
        DataError: it holds finished cells of other data.
    """
    if not earlier:
        return Kept()
    _check_plan(plan, earlier, path)
    done = {key: outline for key, outline in outlines.items() if outline.status == DONE}
    comparison = Comparison({**plan.origins, "accepted": earlier.get("accepted", [])})
    kept: dict[str, Cell] = {}
    again: dict[str, int] = {}  # why -> number of cells
    stay: dict[tuple[str, str], int] = {}  # source and version that was accepted -> number of cells
    for cell in plan.cells:
        outline = done.get(cell.key)
        if outline is not None:
            measured = _measured(cell, outline.metrics)
            differing = comparison.others(measured, outline.versions)
            if not differing or (plan.accept and all(_is_local(plan, other) for other in differing)):
                kept[cell.key] = measured
                for what in {(other.source, other.before or "") for other in differing}:
                    stay[what] = stay.get(what, 0) + 1
            else:
                for why in {_why(other, plan, earlier) for other in differing}:
                    again[why] = again.get(why, 0) + 1
    outside = sorted(done.keys() - plan.keys)
    changed = _changed_packages(plan, earlier)
    data = {name for name, digest in digests.items() if earlier.get("datasets", {}).get(name, digest) != digest}
    _check_data(data, kept.values(), outside, earlier, digests, path)
    accepted = [
        _change(when, plan, earlier, source, before["sha256"], len(resting))
        for source, before in changed.items()
        if (resting := [*(key for key, cell in kept.items() if _rests(plan, cell, {source})), *outside])
    ]
    if accepted and not plan.accept:
        raise SuiteError("; ".join(_refusal(change, plan, path) for change in accepted) + f"; {_ADVICE}")
    accepted += [_change(when, plan, earlier, source, before, count) for (source, before), count in stay.items()]
    spoiled = [
        cell.key
        for cell in plan.cells
        if cell.key not in kept and (str(cell.dataset) in data or _rests(plan, cell, changed))
    ]
    said = tuple(f"{why}: {_count(cells)} {'is' if cells == 1 else 'are'} run again" for why, cells in again.items())
    lacking = frozenset(cell.key for cell in plan.cells if cell.key in kept and kept[cell.key] is not cell)
    return Kept(frozenset(kept), lacking, frozenset(spoiled), said, tuple(accepted))


def _measured(cell: Cell, metrics: tuple[str, ...]) -> Cell:
    """Return the cell with those of its metrics by which it was measured; the cell itself if it lacks none."""
    if cell.metrics == metrics or {*cell.metrics} <= {*metrics}:
        return cell
    return replace(cell, metrics=tuple(name for name in cell.metrics if name in metrics))


_ADVICE = "use a new --out, or --accept-changes, which keeps the cells and says so in run.json and under the tables"


def _is_local(plan: Plan, other: Other) -> bool:
    return plan.sources[other.source]["distribution"] == LOCAL and other.before is not None


def _change(when: str, plan: Plan, earlier: Mapping[str, Any], source: str, before: str, cells: int) -> dict[str, Any]:
    """Return a change of code despite which finished cells are kept, as ``run.json`` records it."""
    after, files = plan.sources[source]["sha256"], _changed_files(plan, earlier, source, before)
    return {"when": when, "source": source, "files": files, "before": before, "after": after, "cells": cells}


def _changed_files(plan: Plan, earlier: Mapping[str, Any], source: str, before: str) -> str:
    """Return which files of a source changed, in words, if the last session had the code that a cell was run with."""
    for component, name in plan.components.items():
        then = earlier["sources"].get(earlier["components"].get(component), {}) if name == source else {}
        if then and then["sha256"].startswith(before):
            return changes(then["files"], plan.sources[source]["files"])
    return "other code"


def _why(other: Other, plan: Plan, earlier: Mapping[str, Any]) -> str:
    """Return why a finished cell is run again."""
    distribution = plan.sources[other.source]["distribution"]
    if other.before is None:
        return f"{other.component} now comes from another distribution ({distribution} {other.now})"
    if distribution == LOCAL:
        files = _changed_files(plan, earlier, other.source, other.before)
        return f"{other.component}: {files} (--accept-changes would keep its cells)"
    return f"{distribution} {other.before} -> {other.now}"


def _check_plan(plan: Plan, earlier: Mapping[str, Any], path: Path) -> None:
    """Refuse a directory of an older fairbench, or with cells that the plan lacks."""
    if "components" not in earlier:
        raise SuiteError(
            f"{path} was started by an older fairbench, which did not record all that a run depends on; "
            f"'fairbench report {path}' and 'fairbench export {path}' read it; to run more, use a new --out"
        )
    theirs = earlier["cells"]
    left = [key for key in theirs if key not in plan.keys]
    if not left or (plan.grows and earlier["suite"]["name"] == plan.name):
        return
    command = earlier["sessions"][-1].get("command", [])  # of a session from Python there is none
    last = f" (its last command was: {shlex.join(['fairbench', *command])})" if command else ""
    suite, verb = f"{earlier['suite']['name']}, {counted(len(theirs), 'cell')}", "is" if len(left) == 1 else "are"
    raise SuiteError(
        f"{path} holds a run of another suite ({suite}), and {len(left)} of its cells {verb} not among the "
        f"{len(plan.cells)} of this one; a run can grow: also name what it already has{last}, "
        "or choose another --out"
    )


def _changed_packages(plan: Plan, earlier: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the record of each source whose code has changed under the same version."""
    changed = {}
    for component, name in plan.components.items():
        before = earlier["sources"].get(earlier["components"].get(component))
        now = plan.sources[name]
        same = before and [before["distribution"], before["version"]] == [now["distribution"], now["version"]]
        if same and before["sha256"] != now["sha256"]:
            changed[name] = before
    return changed


def _rests(plan: Plan, cell: Cell, sources: Collection[str]) -> bool:
    """Return whether a component of a cell comes from one of the sources."""
    return bool(sources) and not plan.sources_of(cell).isdisjoint(sources)


def _refusal(change: Mapping[str, Any], plan: Plan, path: Path) -> str:
    using = [name for name, source in plan.components.items() if source == change["source"]]
    named = using[0] if len(using) == 1 else f"{using[0]} and {len(using) - 1} more"
    return (
        f"the code of {named} has changed since {_count(change['cells'])} of {path} ran: {change['files']} "
        f"(sha256 {change['after'][:12]}…, then {change['before'][:12]}…)"
    )


def _check_data(
    changed: Collection[str],
    kept: Collection[Cell],
    outside: Sequence[str],
    earlier: Mapping[str, Any],
    digests: Mapping[str, str],
    path: Path,
) -> None:
    """Refuse changed data of finished cells."""
    for name in changed:
        resting = sum(str(cell.dataset) == name for cell in kept) + len(outside)
        if resting:
            raise DataError(
                f"{name} has changed since {_count(resting)} of {path} ran: digest {digests[name][:12]}…, "
                f"then {earlier['datasets'][name][:12]}…; use a new --out"
            )


def _count(cells: int) -> str:
    return counted(cells, "finished cell")
