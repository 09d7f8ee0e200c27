"""Whether a run directory is sound, cell by cell, and how its sound cells get into a new one."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

from fairbench.errors import StoreError
from fairbench.plugins.registry import Registry
from fairbench.running.checkpoints import FOLDER, begun_cells
from fairbench.running.holding import new_store
from fairbench.running.rescue import rescued
from fairbench.running.runfile import FORMAT, read_run, write_run
from fairbench.running.store import FILE_NAME, Measured, Store, run_folder
from fairbench.running.store import FORMAT as STORE_FORMAT
from fairbench.running.storefile import readable, reader

Advance = Callable[[int, int], None]  # is told how many cells have been looked at, and how many there are


@dataclass
class Checked:
    """What was found in a run directory.

    Args:
        path: of its store.
        planned: number of cells of its plan; None if ``run.json`` cannot be read.
        cells: number of sound cells by status.
        predictions: number of their predictions, each of one step and operating point.
        test_parts: keys of the test parts that those are scored on.
        lost: a sentence for each damaged cell, by key.
        trouble: a sentence for whatever else is damaged.
    """

    path: Path
    planned: Optional[int] = None
    cells: Counter[str] = field(default_factory=Counter)
    predictions: int = 0
    test_parts: set[str] = field(default_factory=set)
    lost: dict[str, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    @property
    def sound(self) -> int:
        """Return the number of sound cells."""
        return sum(self.cells.values())

    @property
    def damaged(self) -> list[str]:
        """Return a sentence for whatever is damaged."""
        return [*self.trouble, *self.lost.values()]

    def read(self, store: Store, key: str) -> Optional[Measured]:
        """Return a cell of a store and count it, or note why it cannot be read."""
        try:
            measured = store.measured(key)
        except StoreError as error:
            text = _short(error).replace(str(store.path), str(self.path))  # which may be a copy
            self.lost[key] = text if "the cell of" in text else f"{text} (cell {key!a:.40})"
            return None
        self.lost.pop(key, None)
        self.cells[measured.record.status] += 1
        self.predictions += len(measured.predictions)
        self.test_parts.update(truth.key for truth, _ in measured.predictions.values())
        return measured


def check(path: Path, advance: Optional[Advance] = None) -> Checked:
    """Read every cell of a run with all that belongs to it, and compare it with its digests.

    Nothing is written; a store that a killed run left is read as the next run would.

    Args:
        path: the run directory, or its store.
        advance: is told how far this is.

    Raises:
        StoreError: there is no store.
    """
    checked, _ = _begun(run_folder(path))
    with ExitStack() as opened:
        _read_all(checked, opened, lambda key, measured: None, advance)
    return checked


def salvage(path: Path, out: Path, registry: Registry, advance: Optional[Advance] = None) -> Checked:
    """Copy every sound cell of a run into a new directory, which can be continued; the run itself stays as it is.

    What the file of a damaged store still holds is looked for in every way, see ``rescue``. Without ``run.json`` the
    new directory gets one that says only what the cells say: reports read it, but it cannot be continued.

    Args:
        path: the run directory, or its store.
        out: the new directory, which does not exist or is empty.
        registry: for the headings of metrics, should ``run.json`` be missing.
        advance: is told how far this is.

    Returns:
        What has been copied, and what was lost.

    Raises:
        StoreError: there is no store, nothing of it can be read, or ``out`` cannot be written or holds something.
    """
    path = run_folder(path)
    checked, run = _begun(path)
    saved: dict[str, tuple[str, ...]] = {}  # metrics by key
    with ExitStack() as opened:
        target = opened.enter_context(new_store(out))

        def keep(key: str, measured: Measured) -> None:
            target.add(measured)
            saved[key] = tuple(value.metric for value in measured.record.values)

        keys = _read_all(checked, opened, keep, advance)
        if checked.damaged:
            planned = run["cells"] if run else []
            fresh = opened.enter_context(rescued(path / FILE_NAME, [*planned, *keys]))
            with Store(fresh) as second:
                for key in _keys(fresh, opened):
                    if key not in saved and (measured := checked.read(second, key)):
                        keep(key, measured)
        if not saved:
            raise StoreError(f"nothing can be salvaged: {'; '.join(checked.damaged) or f'{path} holds no cell'}")
        target.flush()
        if run is None:
            metrics = dict.fromkeys(name for names in saved.values() for name in names)
            run = _restored(path.name, list(saved), metrics, registry)
        elif checked.damaged:
            *before, last = run["sessions"]
            run = {**run, "sessions": [*before, {**last, "finished": ""}]}
        copy_steps(path, out, begun_cells(path / FOLDER) - saved.keys())
        write_run(out, run)
    return checked


def copy_steps(path: Path, out: Path, keys: Iterable[str]) -> None:
    """Copy the finished steps of cells that are not finished; whoever reads them checks their digests."""
    for key in keys:
        with suppress(OSError):  # then the cell begins anew
            (out / FOLDER).mkdir(exist_ok=True)
            shutil.copyfile(path / FOLDER / f"{key}.npz", out / FOLDER / f"{key}.npz")


def _begun(path: Path) -> tuple[Checked, Optional[dict[str, Any]]]:
    """Return where findings are collected, and ``run.json`` if it can be read."""
    if not (path / FILE_NAME).is_file():
        raise StoreError(f"{path} is not a run directory: it has no {FILE_NAME}; 'fairbench run' makes one")
    checked = Checked(path / FILE_NAME)
    try:
        run = read_run(path)
    except StoreError as error:
        checked.trouble.append(_short(error))
        return checked, None
    checked.planned = run["planned"]
    return checked, run


def _read_all(
    checked: Checked, opened: ExitStack, keep: Callable[[str, Measured], None], advance: Optional[Advance]
) -> Sequence[str]:
    """Read every cell that the store lists, and note what is damaged; return their keys."""
    keys: Sequence[str] = ()
    try:
        store = opened.enter_context(Store(checked.path))
        with readable(checked.path):
            keys = _keys(checked.path, opened)
        for number, key in enumerate(keys, 1):
            measured = checked.read(store, key)
            if measured:
                keep(key, measured)
            if advance:
                advance(number, len(keys))
        if not checked.lost:
            store.outline()  # whether cells are missing
            _check_spare(checked, opened)
    except StoreError as error:
        checked.trouble.append(_short(error))
    return keys


def _check_spare(checked: Checked, opened: ExitStack) -> None:
    """Note if the second copy of what cells share is not what the first one is."""
    with readable(checked.path):
        query = "SELECT id, text FROM {} ORDER BY id"
        connection = reader(checked.path, opened)
        if connection.execute("PRAGMA user_version").fetchone() != (STORE_FORMAT,):
            return  # an older store has none
        first, second = (connection.execute(query.format(table)).fetchall() for table in ("texts", "spare"))
    if first != second:
        checked.trouble.append(f"{checked.path}: the second copy of the texts that cells share is damaged")


def _keys(path: Path, opened: ExitStack) -> list[str]:
    """Return the keys of the cells in the order in which they were written, or in any if that cannot be read."""
    connection = reader(path, opened)
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        found = connection.execute("SELECT key FROM cells ORDER BY rowid").fetchall()
    except sqlite3.DatabaseError:
        found = connection.execute("SELECT key FROM cells").fetchall()
    return [key for (key,) in found]


def _restored(name: str, keys: Sequence[str], metrics: Iterable[str], registry: Registry) -> dict[str, Any]:
    """Return the ``run.json`` of cells about which nothing else is known."""
    known = registry.names("metrics")
    labels = {
        metric: [registry.metric(metric).label.strip() or metric, registry.metric(metric).better]
        for metric in metrics
        if metric in known
    }
    return {
        "format": FORMAT,
        "suite": {"name": name},
        "plan": "",
        "planned": len(keys),
        "labels": labels,
        "sessions": [{"started": "", "finished": ""}],
        "cells": list(keys),
    }


def _short(error: StoreError) -> str:
    """Return what is damaged, without the advice that the whole has one better for."""
    return str(error).partition("; put back ")[0]
