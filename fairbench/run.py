"""Run one cell; run a suite's cells and keep what they return."""

from __future__ import annotations

import math
import random
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fairbench.alike import decides_alike
from fairbench.cells import DONE, FAILED, SKIPPED, Cell, Choice, Parts, Record, Value, compares_groups, no_rows
from fairbench.checkpoints import Checkpoint, Progress
from fairbench.components import DatasetSpec, Executor, Metric, Outcome, Resumable
from fairbench.counts import supports
from fairbench.data import Dataset, Predictions, Samples, Split
from fairbench.errors import DataError, NotApplicable, Undefined
from fairbench.files import DataSource, fetch_all
from fairbench.plugins import load_plugins
from fairbench.preparation import split_dataset
from fairbench.registry import Registry
from fairbench.store import Measured, Store, Truth

SPLITS_KEPT = 4  # cells that share a split stand side by side in a plan


class Workbench:
    """What cells share within one process: loaded datasets and the last few splits."""

    def __init__(self, registry: Registry, source: DataSource) -> None:
        """Start with nothing loaded."""
        self.registry, self.source = registry, source
        self._datasets: dict[str, Dataset] = {}
        self._splits: OrderedDict[str, Split] = OrderedDict()

    def dataset(self, choice: Choice) -> Dataset:
        """Return a dataset, loaded once.

        Raises:
            NotApplicable: its files cannot be had.
            DataError: a file is damaged, or what ``load`` returned is not a valid dataset.
        """
        label = str(choice)
        if label not in self._datasets:
            spec: DatasetSpec = self.registry.build("datasets", choice)
            paths = {file.path: self.source.find(file) for file in spec.files}
            self._datasets[label] = spec.load(paths)
        return self._datasets[label]

    def split(self, cell: Cell) -> Split:
        """Return the cell's split, which is the same for every method."""
        if cell.split_key not in self._splits:
            seed = cell.seed("split")
            self._splits[cell.split_key] = split_dataset(
                self.dataset(cell.dataset), group=cell.group, seed=seed, preparation=cell.preparation
            )
            while len(self._splits) > SPLITS_KEPT:
                self._splits.popitem(last=False)
        return self._splits[cell.split_key]


def run_cell(cell: Cell, workbench: Workbench, checkpoint: Optional[Checkpoint] = None) -> Measured:
    """Fit the cell's method in its scenario and measure it; everything feeds this function or reads what it returns.

    A method or dataset that does not apply gives a skipped record with its reason; any other exception gives a failed
    one with the traceback, and the run goes on. With a checkpoint a scenario that can resume goes on after the last
    step that an earlier process finished.
    """
    registry, started, cpu_started = workbench.registry, time.perf_counter(), time.process_time()
    origins = [registry.origin("methods", cell.method.name), registry.origin("datasets", cell.dataset.name)]
    record = Record(cell, DONE, versions={origin.distribution: origin.version for origin in origins})
    predictions: dict[tuple[int, str], tuple[Truth, Predictions]] = {}
    earlier = cpu_earlier = 0.0
    try:
        split = workbench.split(cell)
        scenario, method = registry.scenario(cell.scenario), registry.method(cell.method)
        metrics = [registry.metric(name) for name in cell.metrics]
        _seed_global_generators(cell.seed("global"))
        if checkpoint and isinstance(scenario, Resumable) and (saved := checkpoint.load(record.versions)):
            record, predictions = saved.measured.record, dict(saved.measured.predictions)
            earlier, cpu_earlier = saved.seconds, saved.cpu_seconds
            outcomes = scenario.resume(split, method, cell.seed, saved.step, saved.state)
        else:
            outcomes = scenario.run(split, method, cell.seed)
        for outcome in outcomes:
            record = _measured(record, outcome, metrics)
            truth = Truth.of(outcome.samples)
            predictions.update({(outcome.step, point): (truth, made) for point, made in outcome.predictions.items()})
            if checkpoint and outcome.state is not None:
                spent = earlier + time.perf_counter() - started, cpu_earlier + time.process_time() - cpu_started
                checkpoint.save(Progress(Measured(record, predictions), outcome.step, outcome.state, *spent))
        record = _described(record, predictions, split, workbench.dataset(cell.dataset).overlap)
    except NotApplicable as error:
        record, predictions = Record(cell, SKIPPED, str(error), versions=record.versions), {}
    except Exception:
        record, predictions = Record(cell, FAILED, traceback.format_exc(), versions=record.versions), {}
    record = replace(
        record,
        seconds=earlier + time.perf_counter() - started,
        cpu_seconds=cpu_earlier + time.process_time() - cpu_started,
    )
    return Measured(record, predictions)


def _described(
    record: Record, predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]], split: Split, overlap: str
) -> Record:
    """Return the record with the sizes of its parts and groups, and which predictions decide alike for everybody."""
    parts = Parts(len(split.train), len(split.validation), len(split.test), overlap)
    alike = tuple(place for place, (truth, made) in predictions.items() if decides_alike(truth.y, made))
    tested = [supports(truth.group, truth.group_names) for truth, _ in predictions.values()]
    return replace(record, parts=parts, alike=alike, supports=tested[-1] if tested else ())


def _measured(record: Record, outcome: Outcome, metrics: Sequence[Metric]) -> Record:
    """Return the record with one more step's values."""
    values = list(record.values)
    for point, predictions in outcome.predictions.items():
        if len(predictions.y_pred) != len(outcome.samples):
            raise DataError(
                f"method {record.cell.method.name} returned {len(predictions.y_pred)} predictions "
                f"for {len(outcome.samples)} rows"
            )
        values += measure(outcome.samples, predictions, metrics, step=outcome.step, point=point)
    taken = {metric.name for metric in metrics} & set(outcome.values)
    if taken:
        raise DataError(
            f"scenario {record.cell.scenario.name} measured {', '.join(sorted(taken))}, but a metric has that name; "
            "rename the scenario's value"
        )
    for name, value in outcome.values.items():
        values.append(_checked_value(outcome.step, outcome.chosen, "", name, float(value), "scenario measured"))
    diagnostics = {name: tuple(map(_finite, curve)) for name, curve in outcome.diagnostics.items()}
    return replace(
        record, values=tuple(values), chosen=outcome.chosen, diagnostics={**record.diagnostics, **diagnostics}
    )


def measure(
    samples: Samples, predictions: Predictions, metrics: Iterable[Metric], *, step: int = 0, point: str = ""
) -> list[Value]:
    """Return every metric's value over all rows and, where it is asked for, within each group that has rows.

    A value that compares groups says so if some group of the dataset has no rows.
    """
    parts, lacking = [("", samples, predictions)], []
    for code, name in enumerate(samples.group_names):
        rows = samples.group == code
        if rows.any():
            parts.append((name, samples.select(rows), predictions.select(rows)))
        else:
            lacking.append(name)
    values = [
        _value(metric, part, made, step, point, group)
        for metric in metrics
        for group, part, made in (parts if metric.by_group else parts[:1])
    ]
    return [_without(value, lacking) for value in values] if lacking else values


def _value(metric: Metric, samples: Samples, predictions: Predictions, step: int, point: str, group: str) -> Value:
    try:
        value = float(metric(samples, predictions))
    except Undefined as reason:
        return Value(step, point, group, metric.name, None, str(reason))
    return _checked_value(step, point, group, metric.name, value, "metric returned")


def _without(value: Value, lacking: Sequence[str]) -> Value:
    """Return the value, marked if it compares groups and some have no rows."""
    if value.group or value.value is None or not compares_groups(value.metric):
        return value
    return value._replace(reason=no_rows(lacking))


def _checked_value(step: int, point: str, group: str, name: str, value: float, done: str) -> Value:
    """Return the value, or null and why if it is not a finite number."""
    if not math.isfinite(value):
        return Value(step, point, group, name, None, f"the {done} {value}")
    return Value(step, point, group, name, value)


def _finite(value: Any) -> Any:
    return float(value) if math.isfinite(value) else None


def _seed_global_generators(seed: int) -> None:
    """Make even a method that uses global generators give the same numbers in every run, order and process."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@dataclass(frozen=True)
class CellRunner:
    """``run_cell`` as a thing that can be sent to another process, which then loads plugins and data for itself."""

    source: DataSource
    plugin_files: tuple[str, ...] = ()
    only: Optional[tuple[str, ...]] = None
    partial: Optional[Path] = field(default=None, compare=False)  # folder for checkpoints of unfinished cells

    def __call__(self, cell: Cell) -> Measured:
        """Run the cell on this process's workbench, in one thread."""
        return run_cell(cell, self.workbench, self.checkpoint(cell))

    def checkpoint(self, cell: Cell) -> Optional[Checkpoint]:
        """Return where the cell's unfinished steps are kept, if they are."""
        return Checkpoint(self.partial / f"{cell.key}.npz", cell) if self.partial else None

    @property
    def workbench(self) -> Workbench:
        """Return this process's workbench, made at first use."""
        return _workbench(self)


@lru_cache(maxsize=1)
def _workbench(runner: CellRunner) -> Workbench:
    registry, _ = load_plugins(runner.plugin_files, runner.only)
    _use_one_thread()
    return Workbench(registry, runner.source)


def _use_one_thread() -> None:
    """Let sums be taken in the same order everywhere: one thread for each process, whatever started it.

    Only libraries that are loaded by now can be limited; scikit-learn brings its own OpenMP, and scipy's BLAS with it.
    """
    import sklearn  # noqa: F401 - loaded so that its threads can be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@dataclass(frozen=True)
class Availability:
    """Which datasets of a plan can be used: digests and notes of those, and the reason for each other one."""

    digests: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def gather(cells: Sequence[Cell], runner: CellRunner, progress: Any = None) -> Availability:
    """Find, download and load every dataset of the cells before anything runs.

    Raises:
        DataError: not one dataset can be used and the first is at fault (damaged file, invalid table).
    """
    workbench = runner.workbench
    choices = {str(cell.dataset): cell.dataset for cell in cells}
    specs = {label: workbench.registry.build("datasets", choice) for label, choice in choices.items()}
    fetched = fetch_all({label: spec.files for label, spec in specs.items()}, runner.source, progress)
    digests, notes, skipped, failed = {}, {}, {}, {}
    for label, choice in choices.items():
        if isinstance(fetched[label], DataError):
            failed[label] = str(fetched[label])
        elif isinstance(fetched[label], Exception):
            skipped[label] = str(fetched[label])
        else:
            try:
                dataset = workbench.dataset(choice)
                digests[label], notes[label] = dataset.digest, dataset.notes
            except NotApplicable as error:
                skipped[label] = str(error)
            except DataError as error:
                failed[label] = str(error)
            except Exception:
                failed[label] = traceback.format_exc()
    if failed and not digests:
        raise DataError("\n".join(reason.strip().splitlines()[-1] for reason in failed.values()))
    return Availability(digests, notes, skipped, failed)


def run_cells(
    cells: Sequence[Cell], available: Availability, runner: CellRunner, executor: Executor, store: Store
) -> Generator[Record, None, None]:
    """Run the cells that the store does not hold yet; yield each record once it is safely written.

    Raises:
        StoreError: a record cannot be written; what was written before stays.
    """
    done = store.finished()
    pending = []
    for cell in cells:
        label = str(cell.dataset)
        if cell.key in done:
            _discard(runner.checkpoint(cell))  # an earlier session may have ended just before it did
        elif label in available.skipped:
            yield _kept(store, Measured(Record(cell, SKIPPED, available.skipped[label]), {}))
        elif label in available.failed:
            yield _kept(store, Measured(Record(cell, FAILED, available.failed[label]), {}))
        else:
            pending.append(cell)
    with closing(executor.map(runner, pending)) as results:  # so that no worker outlives an error or Ctrl-C
        for cell, result in results:
            if isinstance(result, BaseException):  # its worker died
                result = Measured(Record(cell, FAILED, f"{type(result).__name__}: {result}"), {})
            record = _kept(store, result)
            if record.status != FAILED:  # what failed is tried again, from its last finished step on
                _discard(runner.checkpoint(cell))
            yield record


def _kept(store: Store, measured: Measured) -> Record:
    store.add(measured)
    return measured.record


def _discard(checkpoint: Optional[Checkpoint]) -> None:
    if checkpoint:
        checkpoint.remove()
