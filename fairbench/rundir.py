"""A run directory: the store, and ``run.json`` that says what produced it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Optional

from fairbench.cells import Cell
from fairbench.errors import DataError, StoreError, SuiteError
from fairbench.registry import Registry
from fairbench.results import Results
from fairbench.run import Availability
from fairbench.store import FILE_NAME, Store
from fairbench.suite import plan_digest
from fairbench.version import __version__, compiled

RUN_FILE = "run.json"
RUNS = Path("runs")
_NEEDED = {"suite": dict, "plan": str, "planned": int, "labels": dict, "sessions": list, "cells": list}
LIBRARIES = (
    *("numpy", "scipy", "pandas", "scikit-learn", "torch", "higher", "fairlearn", "aif360"),
    *("matplotlib", "shap"),
)


@dataclass(frozen=True)
class Plan:
    """What is to be run into one directory.

    Args:
        suite: what was asked for, as ``run.json`` keeps it; it has a ``name``.
        cells: all that is to be run.
        code: what ``local_code`` says of the cells.
        grows: whether the directory may hold other cells of a suite of the same name, which then stay.
    """

    suite: Mapping[str, Any]
    cells: Sequence[Cell]
    code: Mapping[str, str] = field(default_factory=dict)
    grows: bool = False

    @property
    def name(self) -> str:
        """Return the suite's name."""
        return str(self.suite["name"])

    def changed(self, earlier: Mapping[str, Any]) -> list[str]:
        """Return the components whose local files are not what they were in an earlier session."""
        before = earlier.get("code", {})
        return [name for name, digest in self.code.items() if before.get(name, digest) != digest]


def local_code(cells: Sequence[Cell], registry: Registry) -> dict[str, str]:
    """Return the sha256 of the local plugin file behind each component of the cells that comes from one."""
    used = {("metric", name) for cell in cells for name in cell.metrics}
    for cell in cells:
        used |= {("dataset", cell.dataset.name), ("method", cell.method.name), ("scenario", cell.scenario.name)}
    digests = {f"{kind} {name}": registry.origin(f"{kind}s", name).sha256 for kind, name in sorted(used)}
    return {name: digest for name, digest in digests.items() if digest}


def choose_directory(plan: Plan, out: Optional[Path]) -> Path:
    """Return the directory for a run: ``out``, or an unfinished run of the same plan and code, or a new dated one.

    Raises:
        SuiteError: ``out`` holds a run of another plan, or of components whose local files have changed since.
    """
    digest = plan_digest(plan.cells)
    if out is not None:
        if (out / RUN_FILE).is_file():
            earlier = read_run(out)
            if earlier["plan"] != digest and not (plan.grows and earlier["suite"]["name"] == plan.name):
                raise SuiteError(
                    f"{out} holds a run of another suite ({earlier['suite']['name']}, {earlier['planned']} cells); "
                    "choose another --out, or repeat the command that made it"
                )
            for name in plan.changed(earlier):
                raise SuiteError(
                    f"the plugin file of {name} is not what it was when {out} was begun: "
                    f"sha256 {plan.code[name][:12]}…, then {earlier['code'][name][:12]}…; use a new --out"
                )
        elif (out / FILE_NAME).exists():
            raise SuiteError(f"{out} holds a {FILE_NAME} but no {RUN_FILE}; choose another --out")
        return out
    for path in sorted(RUNS.glob(f"*-{digest[:8]}"), reverse=True):
        if (path / RUN_FILE).is_file():
            earlier = read_run(path)
            if not earlier["sessions"][-1]["finished"] and not plan.changed(earlier):
                return path
    name = re.sub(r"[^a-z0-9]+", "-", plan.name.lower())[:60].strip("-") or "run"  # no name of a file is endless
    return RUNS / f"{_now():%Y-%m-%d-%H%M%S}-{name}-{digest[:8]}"


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone().replace(microsecond=0)


def read_run(path: Path) -> dict[str, Any]:
    """Return what ``run.json`` in a run directory says.

    Raises:
        StoreError: there is none, or it is damaged or not fairbench's.
    """
    try:
        run = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path} is not a run directory: it has no {RUN_FILE}; 'fairbench run' makes one") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path / RUN_FILE} cannot be read: {error}") from error
    return _recognised(run, path)


def _recognised(run: Any, path: Path) -> dict[str, Any]:
    """Return what was read if it has what every run has."""
    known = run if isinstance(run, dict) else {}
    missing = [name for name, kind in _NEEDED.items() if not isinstance(known.get(name), kind)]
    if not missing:
        ends = [isinstance(session, dict) and "finished" in session for session in known["sessions"]]
        sound = {"suite": "name" in known["suite"], "sessions": bool(ends) and all(ends)}
        missing = [name for name, holds in sound.items() if not holds]
    if missing:
        raise StoreError(
            f"{path / RUN_FILE} is not fairbench's {RUN_FILE}; {', '.join(missing)} is missing or of another form; "
            "put back the one that 'fairbench run' made, or choose another run directory"
        )
    return known


def load_results(path: Path) -> Results:
    """Return everything a run directory holds, finished or not."""
    if path.name == FILE_NAME:
        path = path.parent
    run = read_run(path)
    with Store(path / FILE_NAME) as store:
        records = store.records(run["cells"])
    # What a scenario measured itself has no heading and no direction: tables leave it out, exports have it.
    labels = {value.metric: (value.metric, "neither") for record in records for value in record.values}
    labels.update({name: (label, better) for name, (label, better) in run["labels"].items()})
    return Results(records, run, run["planned"], labels)


@contextmanager
def writing(
    path: Path, plan: Plan, available: Availability, registry: Registry, command: Sequence[str], executor: str
) -> Iterator[Store]:
    """Hold a run directory for writing: create or reopen it, and note when this session began and ended.

    Raises:
        StoreError: the directory cannot be written, or another run holds it.
        DataError: a dataset is not what it was when the run began.
    """
    from filelock import FileLock, Timeout

    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(path / ".lock"))
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(
            f"another run is writing to {path}; wait for it, or choose another directory with --out"
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}; choose another run directory with --out") from error
    try:
        run = _opened(path, plan, available, registry, command, executor)
        _write(path, run)  # before the store, so that a run killed at any moment is known by its suite
        with Store(path / FILE_NAME, create=True) as store:
            yield store
            session = run["sessions"][-1]
            session["ended"] = _now().isoformat()
            if store.finished() >= {cell.key for cell in plan.cells if str(cell.dataset) in available.digests}:
                session["finished"] = session["ended"]
            _write(path, run)
    finally:
        lock.release()


def _opened(
    path: Path, plan: Plan, available: Availability, registry: Registry, command: Sequence[str], executor: str
) -> dict[str, Any]:
    """Return the content of ``run.json`` with a new session."""
    earlier: Mapping[str, Any] = read_run(path) if (path / RUN_FILE).is_file() else {}
    for label, digest in available.digests.items():
        before = earlier.get("datasets", {}).get(label, digest)
        if before != digest:
            raise DataError(
                f"{label} is not what it was when {path} was begun: digest {digest[:12]}…, then {before[:12]}…; "
                "use a new --out"
            )
    labels = {
        name: [registry.metric(name).label or name, registry.metric(name).better]
        for name in sorted({name for cell in plan.cells for name in cell.metrics})
    }
    keys = dict.fromkeys([*(earlier.get("cells", []) if plan.grows else []), *(cell.key for cell in plan.cells)])
    session = {
        "started": _now().isoformat(),
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
            plugin.name if plugin.sha256 else plugin.distribution: plugin.sha256 or plugin.version
            for plugin in registry.plugins
            if not plugin.problem
        },
    }
    return {
        "fairbench": __version__,
        "suite": dict(plan.suite),
        "plan": plan_digest(plan.cells),
        "planned": len(keys),
        "datasets": {**earlier.get("datasets", {}), **available.digests},
        "notes": {**earlier.get("notes", {}), **{label: list(notes) for label, notes in available.notes.items()}},
        "code": {**earlier.get("code", {}), **plan.code},
        "unavailable": dict(available.skipped),
        "labels": {**(earlier.get("labels", {}) if plan.grows else {}), **labels},
        "seeds": "sha256 of (purpose, dataset, group, repeat), first 4 bytes",
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


def _write(path: Path, run: Mapping[str, Any]) -> None:
    """Replace ``run.json`` in one step, so that a kill leaves the old or the new one."""
    partial = path / f"{RUN_FILE}.partial"
    try:
        partial.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        partial.replace(path / RUN_FILE)
    except OSError as error:
        raise StoreError(
            f"{path / RUN_FILE} cannot be written: {error}; free some space or choose another --out"
        ) from error
