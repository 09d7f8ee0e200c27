"""Stored cells executed again, with today's plugins and data, and compared to the last bit; the run is only read."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from fairbench.cells import Cell
from fairbench.errors import DataError, FairbenchError, SuiteError, UnknownName
from fairbench.plugins.kinds import component_label
from fairbench.plugins.registry import LOCAL
from fairbench.records import DONE, OUT_OF_MEMORY, TIMED_OUT
from fairbench.running.equality import Unequal, unequal
from fairbench.running.grid import Availability, gather, run_cells
from fairbench.running.resume import CORE, Plan
from fairbench.running.runfile import read_run
from fairbench.running.salvage import Advance
from fairbench.running.session import Session
from fairbench.running.store import FILE_NAME, Measured, Store, run_folder
from fairbench.system.generators import generators_kept
from fairbench.system.threads import one_thread
from fairbench.texts import counted, error_line


@dataclass(frozen=True)
class Verified:
    """What came of executing a stored cell again.

    Args:
        cell: the cell.
        values: number of stored values.
        unequal: what differs; the first of each pair is stored.
        changed: versions, code and data that differ from those of the run, in words.
        problem: why there is nothing to compare; empty if there is.
        executed: whether the cell could be executed to its end: not where its plugins or data are not here, or it met
            a limit, which says nothing about what is stored.
    """

    cell: Cell
    values: int
    unequal: Sequence[Unequal] = ()
    changed: Sequence[str] = ()
    problem: str = ""
    executed: bool = True

    @property
    def holds(self) -> bool:
        """Return whether all that is stored came out again."""
        return not self.unequal and not self.problem


def verify(
    path: Path, session: Session, count: Optional[int], seed: int, advance: Optional[Advance] = None
) -> list[Verified]:
    """Execute some finished cells of a run again and compare every stored value and prediction exactly.

    Args:
        path: the run directory, or its store.
        session: plugins, data and executor.
        count: how many cells, drawn at random; None for all.
        seed: of the draw.
        advance: is told how far this is.

    Raises:
        SuiteError: no cell is done, or the executor cannot enforce the limits.
        StoreError: the run cannot be read, or a cell that was drawn is damaged.
    """
    path = run_folder(path)
    run = read_run(path)
    with Store(path / FILE_NAME) as store:
        done = sorted(store.finished())
        if not done:
            raise SuiteError(f"no cell of {path} is done, so there is nothing to verify")
        drawn = done if count is None else random.Random(seed).sample(done, min(count, len(done)))  # noqa: S311
        kept = {key: store.measured(key) for key in drawn}
        position = {key: place for place, key in enumerate(run["cells"])}
        kept = dict(sorted(kept.items(), key=lambda item: position.get(item[0], len(position))))
    problems = {key: _unknown(session, one.record.cell, run) for key, one in kept.items()}
    cells = [one.record.cell for key, one in kept.items() if not problems[key]]
    planned = Plan.of({"name": "verify"}, cells, session.registry, grows=False, accept=False)
    try:
        available = gather(cells, session.runner)
    except DataError as error:  # none can be used
        available = Availability(failed={str(cell.dataset): str(error) for cell in cells})
    lacking = {**available.skipped, **available.failed}
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / FILE_NAME, create=True) as again:
        _execute(cells, available, session, again, advance)
        found = []
        for key, stored in kept.items():
            now = None if problems[key] else again.measured(key)
            changed = () if problems[key] else tuple(_changed(stored, run, planned, available, session))
            problem = problems[key] or error_line(lacking.get(str(stored.record.cell.dataset), ""))
            found.append(_compared(stored, now, changed, problem))
    return found


def _unknown(session: Session, cell: Cell, run: Mapping[str, Any]) -> str:
    """Return why a cell cannot be executed with the plugins that are here; empty if it can."""
    try:
        for kind, name in cell.components:
            session.registry.get(kind, name)
        session.registry.dataset(cell.dataset)
        session.registry.build("methods", cell.method)
        session.registry.build("scenarios", cell.scenario)
    except UnknownName as error:
        file = run.get("components", {}).get(f"{error.kind} {error.name}", "")
        local = run.get("sources", {}).get(file, {}).get("distribution") == LOCAL
        return f"{error}; the run has it from a local file: give --plugin {file}" if local else str(error)
    except FairbenchError as error:
        return str(error)
    return ""


def _execute(
    cells: Sequence[Cell], available: Availability, session: Session, store: Store, advance: Optional[Advance]
) -> None:
    executor, _ = session.built_executor(len(cells))
    with one_thread(), generators_kept():
        records = run_cells(cells, available, session.runner, executor, store, frozenset(), session.settings.limits)
        with closing(records):
            for number, _ in enumerate(records, 1):
                if advance:
                    advance(number, len(cells))


def _compared(stored: Measured, now: Optional[Measured], changed: Sequence[str], problem: str) -> Verified:
    cell, values = stored.record.cell, len(stored.record.values)
    if now is None or problem:
        return Verified(cell, values, (), changed, problem, executed=False)
    record = now.record
    if record.status != DONE:
        executed = record.status not in (TIMED_OUT, OUT_OF_MEMORY)
        return Verified(cell, values, (), changed, f"{record.status}: {error_line(record.reason)}", executed)
    lacking = {value[:4] for value in stored.record.values} - {value[:4] for value in record.values}
    if lacking:
        return Verified(cell, values, (), changed, f"{counted(len(lacking), 'stored value')} did not come out again")
    return Verified(cell, values, tuple(unequal(stored, now)), changed)


def _changed(
    stored: Measured, run: Mapping[str, Any], planned: Plan, available: Availability, session: Session
) -> Iterator[str]:
    """Yield in words which versions, code and data are others than the run's."""
    cell, versions = stored.record.cell, session.registry.versions(stored.record.cell)
    for name in sorted({*versions, *stored.record.versions}):
        before, now = stored.record.versions.get(name, "none"), versions.get(name, "none")
        if before != now:
            yield f"{name} {before} -> {now}"
    components, sources = run.get("components", {}), run.get("sources", {})
    told = set()
    for label in [CORE, *(component_label(*component) for component in cell.components)]:
        source, origin = planned.sources[planned.components[label]], planned.components[label]
        before = sources.get(components.get(label), source)
        if before["sha256"] != source["sha256"] and before["version"] == source["version"] and origin not in told:
            told.add(origin)
            yield f"code of {origin} (sha256 {before['sha256'][:12]}… -> {source['sha256'][:12]}…)"
    label = str(cell.dataset)
    digest, seen = run.get("datasets", {}).get(label, ""), available.digests.get(label, "")
    if digest and seen and digest != seen:
        yield f"data of {label} (digest {digest[:12]}… -> {seen[:12]}…)"
