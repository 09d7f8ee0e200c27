"""A run directory: the store, and ``run.json`` that says what produced it."""

from __future__ import annotations

import datetime
import itertools
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Optional

from fairbench.errors import StoreError, SuiteError
from fairbench.plugins.registry import LOCAL, Registry
from fairbench.records import DONE, Results
from fairbench.running.checkpoints import FOLDER, Checkpoint
from fairbench.running.grid import Availability
from fairbench.running.holding import held, now
from fairbench.running.hotcopy import state_of
from fairbench.running.packed import PackedValues
from fairbench.running.references import reference_methods
from fairbench.running.resume import Comparison, Kept, Plan, compare
from fairbench.running.runfile import FORMAT, RUN_FILE, read_run, write_run
from fairbench.running.store import FILE_NAME, Outline, Store, run_folder
from fairbench.version import __version__, compiled

RUNS = Path("runs")
LIBRARIES = (
    *("numpy", "scipy", "pandas", "scikit-learn", "torch", "higher", "fairlearn", "aif360"),
    *("matplotlib", "shap"),
)


def choose_directory(plan: Plan, out: Optional[Path]) -> Path:
    """Return the directory for a run: ``out``, or an unfinished run of the same plan and code, or a new dated one.

    Raises:
        SuiteError: ``out`` holds cells that the plan lacks, or finished cells of other code.
        StoreError: what ``out`` holds cannot be read.
    """
    if out is not None:
        earlier = _earlier(out)
        compare(plan, earlier, _outlines(out) if earlier else {}, {}, out)
        return out
    unfinished = [path for path in sorted(RUNS.glob(f"*-{plan.digest[:8]}")) if _is_unfinished(path, plan)]
    if unfinished:  # a clock may have jumped: the one with the most cells, not with the latest date, goes on
        return unfinished[0] if len(unfinished) == 1 else max(unfinished, key=lambda path: len(_outlines(path)))
    name = re.sub(r"[^a-z0-9]+", "-", plan.name.lower())[:60].strip("-") or "run"  # no name of a file is endless
    begin = f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{name}"
    names = itertools.chain([begin], (f"{begin}-{number}" for number in itertools.count(2)))
    places = (RUNS / f"{name}-{plan.digest[:8]}" for name in names)
    return next(place for place in places if not place.exists())  # another may have begun within this second


def _is_unfinished(path: Path, plan: Plan) -> bool:
    """Return whether a directory holds an unfinished run of the same plan and code."""
    try:
        earlier = read_run(path)
    except StoreError:
        return False  # nobody has named it
    same = earlier["plan"] == plan.digest and (plan.accept or earlier.get("sources") == plan.sources)
    return same and not earlier["sessions"][-1]["finished"]


def _earlier(path: Path) -> dict[str, Any]:
    """Return what ``run.json`` says, empty if the directory is new; refuse a store without ``run.json``."""
    if (path / RUN_FILE).exists():
        return read_run(path)
    if (path / FILE_NAME).exists():
        raise SuiteError(f"{path} holds a {FILE_NAME} but no {RUN_FILE}; choose another --out")
    return {}


def _outlines(path: Path) -> dict[str, Outline]:
    """Return what the store says about its cells; empty if it cannot be read, which the next write reports."""
    try:
        return _outlined(path / FILE_NAME, state_of(path / FILE_NAME))
    except (OSError, StoreError):
        return {}


@lru_cache(maxsize=1)
def _outlined(file: Path, state: tuple[Any, ...]) -> dict[str, Outline]:
    """Return what a store says about its cells; it is read anew when its ``state`` has changed."""
    with Store(file) as store:
        return store.outline()


def load_results(path: Path) -> Results:
    """Return everything that a run directory holds, finished or not.

    A cell whose plugins had another version than in the run's last session is left out: it must be run again.
    """
    path = run_folder(path)
    run = read_run(path)
    comparison = Comparison(run)
    with Store(path / FILE_NAME) as store:
        every, listings = store.contents(run["cells"])
        records = [
            record for record in every if record.status != DONE or not comparison.others(record.cell, record.versions)
        ]
    # What a scenario measured itself has no heading and no direction: tables leave it out, exports have it.
    shapes = dict.fromkeys(PackedValues.of(record.values).shape for record in records)
    labels = {metric: (metric, "neither") for shape in shapes for metric, _ in shape.metrics}
    labels.update({name: (heading, better) for name, (heading, better) in run["labels"].items()})
    return Results(records, run, run["planned"], labels, path, listings=listings)


@dataclass(frozen=True)
class Opened:
    """A run directory that only this process writes to.

    Args:
        store: its cells.
        kept: what is kept of earlier sessions.
        done: keys of the cells that are done, to be filled by whoever runs them: the run is finished when it has all.
        unmeasured: keys of those that were finished with fewer metrics, and failed with more; to be filled likewise.
    """

    store: Store
    kept: Kept
    done: set[str] = field(default_factory=set)
    unmeasured: set[str] = field(default_factory=set)


@contextmanager
def writing(
    path: Path,
    plan: Plan,
    available: Availability,
    registry: Registry,
    command: Sequence[str],
    executor: str,
    waiting: Optional[Callable[[str], None]] = None,
) -> Iterator[Opened]:
    """Lock a run directory for writing: create or reopen it, and record when this session began and ended.

    The directory is examined again here, since another run may have written to it in the meantime.

    Args:
        path: the directory.
        plan: what to run in it.
        available: its datasets.
        registry: the components.
        command: what the user typed.
        executor: what runs the cells.
        waiting: is told whom it waits for if another run holds the directory; by default nobody waits.

    Raises:
        StoreError: the directory cannot be written, or another run holds it.
        SuiteError: it holds cells that the plan lacks, or finished cells of other code.
        DataError: it holds finished cells of other data.
    """
    with held(path, waiting):
        earlier, when = _earlier(path), now()
        outlines = {}
        if (path / FILE_NAME).exists():
            Store(path / FILE_NAME, create=True).close()  # plays back what a killed run left, and renews an old store
            outlines = _outlined(path / FILE_NAME, state_of(path / FILE_NAME))
        kept = compare(plan, earlier, outlines, available.digests, path, when)
        run = _opened(plan, earlier, kept, available, registry, command, executor, when)
        for cell in plan.cells:
            if cell.key in kept.spoiled:
                Checkpoint(path / FOLDER / f"{cell.key}.npz", cell).remove()
        write_run(path, run)  # before the store, so that a run killed at any moment is known by its suite
        with Store(path / FILE_NAME, create=True) as store:
            opened = Opened(store, kept)
            yield opened
            session = run["sessions"][-1]
            session["ended"] = now()
            if all(cell.key in opened.done for cell in plan.cells if str(cell.dataset) in available.digests):
                session["finished"] = session["ended"]
            write_run(path, run)


def _opened(
    plan: Plan,
    earlier: Mapping[str, Any],
    kept: Kept,
    available: Availability,
    registry: Registry,
    command: Sequence[str],
    executor: str,
    when: str,
) -> dict[str, Any]:
    """Return the content of ``run.json`` with a new session."""
    labels = {
        name: [registry.metric(name).label.strip() or name, registry.metric(name).better]
        for name in sorted(set().union(*{cell.metrics for cell in plan.cells}))
    }
    keys = dict.fromkeys([*(earlier.get("cells", []) if plan.grows else []), *(cell.key for cell in plan.cells)])
    components = {**earlier.get("components", {}), **plan.components}
    sources = {**earlier.get("sources", {}), **plan.sources}
    usable = [plugin for plugin in registry.plugins if not plugin.problem]
    session = {
        "started": when,
        "ended": "",
        "finished": "",
        "command": list(command),
        "executor": executor,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "versions": {"fairbench-harness": __version__, **_versions()},
        "compiled": compiled(),
        "plugins": {
            **{plugin.distribution: str(plugin.version) for plugin in usable if plugin.distribution != LOCAL},
            **{plugin.name: plugin.sha256 for plugin in usable if plugin.distribution == LOCAL},
        },
    }
    references = reference_methods(registry, (cell.method.name for cell in plan.cells))
    return {
        "format": FORMAT,
        "fairbench": __version__,
        "suite": dict(plan.suite),
        "plan": plan.digest,
        "planned": len(keys),
        "datasets": {**earlier.get("datasets", {}), **available.digests},
        "notes": {
            **earlier.get("notes", {}),
            **{label: list(map(str, notes)) for label, notes in available.notes.items()},
        },
        "references": {
            **earlier.get("references", {}),
            **{label: points for label, points in available.references.items() if points},
        },
        "base_rates": {**earlier.get("base_rates", {}), **available.base_rates},
        "reference_methods": sorted({*earlier.get("reference_methods", []), *references}),
        "components": components,
        "sources": {name: source for name, source in sources.items() if name in components.values()},
        "accepted": [*earlier.get("accepted", []), *kept.accepted],
        "unavailable": dict(available.skipped),
        "labels": {**earlier.get("labels", {}), **labels},
        "seeds": "sha256 of (purpose, dataset, group, repeat[, tuning, fit]), first 4 bytes",
        "sessions": [*earlier.get("sessions", []), session],
        "cells": list(keys),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
