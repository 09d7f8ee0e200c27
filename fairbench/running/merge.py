"""Runs of one suite on several machines, joined into one run directory.

What is joined must be what one machine could have made: the same code and data wherever two runs share them, and the
same values wherever two runs have the same cell.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from fairbench.cells import canonical
from fairbench.errors import SuiteError
from fairbench.plugins.registry import LOCAL
from fairbench.records import DONE
from fairbench.running.checkpoints import FOLDER, begun_cells
from fairbench.running.equality import named, unequal
from fairbench.running.holding import new_store
from fairbench.running.resume import Comparison
from fairbench.running.runfile import read_run, write_run
from fairbench.running.salvage import Advance, copy_steps
from fairbench.running.store import FILE_NAME, Measured, Store, run_folder


@dataclass(frozen=True)
class Merged:
    """What a new run directory holds.

    Args:
        cells: number of cells by status.
        planned: number of cells that the runs planned together.
        shared: number of cells that several runs had.
    """

    cells: Mapping[str, int]
    planned: int
    shared: int


@dataclass(frozen=True)
class _Part:
    """One of the runs: its directory, ``run.json`` and cells by key."""

    path: Path
    run: Mapping[str, Any]
    store: Store
    keys: Sequence[str]


def merge(paths: Sequence[Path], out: Path, advance: Optional[Advance] = None) -> Merged:
    """Join runs into a new directory, which reports read and which can be continued; the runs stay as they are.

    A cell that several runs have is kept once: one that is done before one that is not, and of several that are done
    the one that was measured by the most metrics.

    Args:
        paths: at least two run directories, or their stores.
        out: the new directory, which does not exist or is empty.
        advance: is told how many cells have been copied, and of how many.

    Raises:
        SuiteError: the runs do not belong together: code, data, suites or the values of a cell contradict each other.
        StoreError: a run cannot be read, or ``out`` cannot be written or holds something.
    """
    folders = [run_folder(path) for path in paths]
    if len({folder.resolve() for folder in folders}) < 2:
        raise SuiteError(f"only {folders[0]} is named; name at least two runs to merge")
    with ExitStack() as opened:
        parts = []
        for folder in folders:
            store = opened.enter_context(Store(folder / FILE_NAME))
            parts.append(_Part(folder, read_run(folder), store, list(store.outline())))
        run = _joined(parts)
        owners: dict[str, list[_Part]] = {}
        for part in parts:
            for key in part.keys:
                owners.setdefault(key, []).append(part)
        comparison = Comparison(run)
        chosen = {
            key: _chosen(key, several, comparison) for key, several in owners.items()
        }  # before anything is written
        counts: Counter[str] = Counter()
        with new_store(out) as target:
            for number, (key, part) in enumerate(chosen.items(), 1):
                measured = part.store.measured(key)
                target.add(measured)
                counts[measured.record.status] += 1
                if advance:
                    advance(number, len(chosen))
            target.flush()
            for part in parts:
                copy_steps(part.path, out, begun_cells(part.path / FOLDER) - chosen.keys())
            if counts[DONE] < run["planned"]:
                *before, last = run["sessions"]
                run["sessions"] = [*before, {**last, "finished": ""}]
            write_run(out, run)
    return Merged(dict(counts), run["planned"], sum(len(several) > 1 for several in owners.values()))


def _chosen(key: str, parts: Sequence[_Part], comparison: Comparison) -> _Part:
    """Return the run whose result of a cell is kept.

    Raises:
        SuiteError: two runs have it done, with different values.
    """
    if len(parts) == 1:
        return parts[0]

    def rank(found: Measured) -> tuple[bool, bool]:
        """Put what is done with the code of the joined run first, then what is done."""
        record = found.record
        done = record.status == DONE
        return done and not comparison.others(record.cell, record.versions), done

    results = [(part, part.store.measured(key)) for part in parts]
    best = max(rank(found) for _, found in results)
    (first, one), *others = [(part, found) for part, found in results if rank(found) == best]
    for part, two in others if best[1] else ():
        for what, ours, theirs, _ in unequal(one, two):
            raise SuiteError(
                f"{first.path} and {part.path} cannot be merged: the cell of {named(one.record.cell)} differs: {what} "
                f"is {ours} in {first.path} and {theirs} in {part.path}; 'fairbench verify RUN' says which it repeats"
            )
    return max([(first, one), *others], key=lambda found: len(found[1].record.values))[0]


def _joined(parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the ``run.json`` of the runs together.

    Raises:
        SuiteError: they contradict each other.
    """
    for part in parts:
        if "components" not in part.run:
            raise SuiteError(
                f"{part.path} cannot be merged: it does not say which code made it, since an older fairbench began it "
                "or its run.json was lost"
            )
    _check_code(parts)
    _check_data(parts)
    runs = [part.run for part in parts]

    def together(name: str) -> dict[str, Any]:
        """Return a table of all runs; where several have an entry, that of the first."""
        return {key: value for run in reversed(runs) for key, value in run.get(name, {}).items()}

    def listed(name: str) -> list[Any]:
        """Return a list of all runs without repetitions."""
        found: list[Any] = []
        for run in runs:
            found += [item for item in run.get(name, []) if item not in found]
        return found

    components, datasets = together("components"), together("datasets")
    sources = together("sources")
    keys = list(dict.fromkeys(key for run in runs for key in run["cells"]))
    plans = list(dict.fromkeys(run["plan"] for run in runs))
    plan = plans[0] if len(plans) == 1 else hashlib.sha256(canonical(plans).encode()).hexdigest()
    return {
        **runs[0],
        "suite": _joined_suite(parts),
        "plan": plan,
        "planned": len(keys),
        "datasets": datasets,
        "notes": together("notes"),
        "references": together("references"),
        "base_rates": together("base_rates"),
        "reference_methods": sorted(listed("reference_methods")),
        "components": components,
        "sources": {name: source for name, source in sources.items() if name in components.values()},
        "accepted": listed("accepted"),
        "unavailable": {name: why for name, why in together("unavailable").items() if name not in datasets},
        "labels": together("labels"),
        "sessions": [session for run in runs for session in run["sessions"]],
        "cells": keys,
    }


def _check_code(parts: Sequence[_Part]) -> None:
    """Refuse runs in which a component, or what it comes from, has other code."""
    seen: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for part in parts:
        sources = part.run.get("sources", {})
        named_sources = {component: sources[name] for component, name in part.run["components"].items()}
        for what, source in {**sources, **named_sources}.items():
            path, before = seen.setdefault(what, (part.path, source))
            if _code(before) != _code(source):
                raise SuiteError(
                    f"{path} and {part.path} cannot be merged: {what} is of {_described(before)} in {path} and of "
                    f"{_described(source)} in {part.path}; run the cells of one again with the code of the other"
                )


def _code(source: Mapping[str, Any]) -> tuple[str, ...]:
    return source["distribution"], source["version"], source["sha256"]


def _described(source: Mapping[str, Any]) -> str:
    version = "" if source["distribution"] == LOCAL else f" {source['version']}"
    return f"{source['distribution']}{version} (sha256 {source['sha256'][:12]}…)"


def _check_data(parts: Sequence[_Part]) -> None:
    """Refuse runs in which a dataset has other rows."""
    seen: dict[str, tuple[Path, str]] = {}
    for part in parts:
        for label, digest in part.run.get("datasets", {}).items():
            path, before = seen.setdefault(label, (part.path, digest))
            if before != digest:
                raise SuiteError(
                    f"{path} and {part.path} cannot be merged: {label} has the digest {before[:12]}… in {path} and "
                    f"{digest[:12]}… in {part.path}; run the cells of one again with the data of the other"
                )


def _joined_suite(parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the suite that has the cells of all: lists are joined, and of numbers of runs the largest is taken."""
    suite, first = dict(parts[0].run["suite"]), parts[0].path
    for part in parts[1:]:
        for key, value in part.run["suite"].items():
            suite[key] = _joined_value(suite.get(key, value), value, key, (first, part.path))
    return suite


def _joined_value(one: Any, two: Any, where: str, paths: tuple[Path, Path]) -> Any:
    if one == two or where == "name" or where.startswith("data."):  # the same rows: their digests have been compared
        return one
    if isinstance(one, list) and isinstance(two, list) and not where.startswith("parameters"):
        return [*one, *(item for item in two if item not in one)]
    if isinstance(one, dict) and isinstance(two, dict):
        return {
            **one,
            **{key: _joined_value(one.get(key, value), value, f"{where}.{key}", paths) for key, value in two.items()},
        }
    if where in ("repeats", "tunings", "fits", "reference") and type(one) is type(two):
        return max(one, two)
    raise SuiteError(
        f"{paths[0]} and {paths[1]} cannot be merged: they are of different suites: {where} is {one!r} in {paths[0]} "
        f"and {two!r} in {paths[1]}"
    )
