"""Running the cells of a plan: their data are gathered, and an executor runs them into a store."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Optional

from fairbench.cells import Cell
from fairbench.data.files import fetch_all
from fairbench.data.inspection import measured_notes
from fairbench.errors import DataError, NotApplicable, PluginError, Unstorable
from fairbench.plugins.executing import NO_LIMITS, Ended, Executor, Limits
from fairbench.records import DONE, FAILED, FAILURES, SKIPPED, Record
from fairbench.running.cell import CellRunner, status_of, unmeasured
from fairbench.running.checkpoints import Checkpoint, begun_cells
from fairbench.running.outcomes import said
from fairbench.running.references import known_references
from fairbench.running.store import Measured, Store
from fairbench.texts import last_line


@dataclass(frozen=True)
class Availability:
    """The datasets of a plan: what is known of those that can be used, and reasons for the others.

    ``base_rates`` holds by label the share of y = 1 among all rows of the dataset, ``rows`` their number.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    base_rates: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)


def gather(cells: Sequence[Cell], runner: CellRunner, progress: Any = None) -> Availability:
    """Find, download and load every dataset of the cells before anything runs.

    Raises:
        DataError: no dataset can be used, and the first one is faulty (a damaged file, an invalid table).
    """
    workbench = runner.workbench
    workbench.code, workbench.data = {}, {}  # a run begins: it is with what is loaded now
    choices = {str(cell.dataset): cell.dataset for cell in cells}
    specs = {label: workbench.registry.dataset(choice) for label, choice in choices.items()}
    fetched = fetch_all({label: spec.files for label, spec in specs.items()}, runner.source, progress)
    digests, notes, skipped, failed, references, base_rates, rows = {}, {}, {}, {}, {}, {}, {}
    for label, choice in choices.items():
        if isinstance(fetched[label], DataError):
            failed[label] = str(fetched[label])
        elif isinstance(fetched[label], Exception):
            skipped[label] = str(fetched[label])
        else:
            try:
                dataset = workbench.dataset(choice)
                references[label], doubts = known_references(specs[label])
                notes[label] = (*dataset.notes, *measured_notes(dataset), *doubts)
                base_rates[label], rows[label] = float(dataset.y.mean()), len(dataset.y)
                digests[label] = workbench.digest(choice)  # only now can it be used
            except NotApplicable as error:
                skipped[label] = str(error)
            except DataError as error:
                failed[label] = str(error)
            except KeyboardInterrupt:
                raise
            except BaseException:  # SystemExit too: a loader that exits costs only its dataset
                failed[label] = traceback.format_exc()
    if failed and not digests:
        raise DataError("\n".join(map(last_line, failed.values())))
    return Availability(digests, notes, skipped, failed, references, base_rates, rows)


def run_cells(
    cells: Sequence[Cell],
    available: Availability,
    runner: CellRunner,
    executor: Executor,
    store: Store,
    done: Optional[Collection[str]] = None,
    limits: Limits = NO_LIMITS,
    keep: Collection[str] = (),
) -> Generator[Record, None, None]:
    """Run the cells except those that are ``done`` (by key; by default all that the store has); yield each record.

    A record is yielded after it has been written to the store. Two kinds of finished cells stay there as they are: one
    whose data are not here, whatever it was finished by, and one that was finished with fewer metrics and fails now,
    whose key is among those to ``keep``. A cell whose process ended without a result has the status and the reason
    with which it ended. Cells are handed out one repeat after the
    other, and those of large datasets first, so that short ones are left when the workers run out of cells; those that
    share a split stay together.

    Raises:
        StoreError: a record cannot be written; what was written before stays.
        PluginError: the executor yields something else than how items ended.
    """
    finished = store.finished()
    done = finished if done is None else done
    pending: list[Cell] = []
    waiting: list[Record] = []
    begun = begun_cells(runner.partial)
    for cell in cells:
        label = str(cell.dataset)
        if cell.key in done:
            if cell.key in begun:  # an earlier session ended just before it removed this
                _discard(runner.checkpoint(cell))
        elif label in available.skipped or label in available.failed:
            status = SKIPPED if label in available.skipped else FAILED
            result = unmeasured(cell, status, available.skipped.get(label) or available.failed[label])
            yield result.record if cell.key in finished else _kept(store, result)
        else:
            pending.append(cell)
    # One repeat after the other, whatever the plan's order: a run that ends early has whole repeats.
    pending.sort(key=lambda cell: (cell.repeat, cell.tuning, cell.fit, -available.rows.get(str(cell.dataset), 0)))
    mapped = executor.map(runner, pending, limits)
    if not isinstance(mapped, Generator):
        raise PluginError(f"executor {executor.name} returned {type(mapped).__name__}; map must be a generator")
    with closing(mapped) as results:  # so that no worker outlives an error
        for ended in results:
            if not isinstance(ended, Ended):
                raise PluginError(
                    f"executor {executor.name} yielded {type(ended).__name__}; map must yield fairbench.api.Ended"
                )
            cell, result = ended.item, _answer(ended)
            failed = result.record.status != DONE
            waiting.append(result.record if failed and cell.key in keep else _kept(store, result))
            if not store.waits:
                yield from _written(waiting, runner)
        store.flush()
        yield from _written(waiting, runner)


def _written(records: list[Record], runner: CellRunner) -> Iterator[Record]:
    """Yield the records, which are in the store for good, and empty the list."""
    while records:
        record = records.pop(0)
        if record.status not in FAILURES:  # what failed is tried again, from its last finished step on
            _discard(runner.checkpoint(record.cell))
        yield record


def _answer(ended: Ended[Cell, Measured]) -> Measured:
    """Return a cell's result, or a record that says how it ended instead."""
    cell, result, error = ended.item, ended.result, ended.error
    if ended.how in FAILURES:
        return unmeasured(cell, ended.how, "the executor gave no reason" if error is None else said(error))
    if error is not None:
        cause = str(error.__cause__ or "")  # an interrupt that the method raised, or what cannot be sent: see where
        told = cause if cause.startswith("Traceback") else f"{type(error).__name__}: {said(error)}"
        return unmeasured(cell, status_of(error), told)
    if not isinstance(result, Measured) or result.record.cell.key != cell.key:
        return unmeasured(cell, FAILED, "the executor returned something other than this cell's result")
    return result


def _kept(store: Store, found: Measured) -> Record:
    try:
        store.add(found)
    except Unstorable as error:  # then at least the reason
        found = unmeasured(found.record.cell, FAILED, said(error), found.record.versions)
        store.add(found)
    return found.record


def _discard(checkpoint: Optional[Checkpoint]) -> None:
    if checkpoint:
        checkpoint.remove()
