"""Run one cell, in this process or in a worker."""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Optional

from fairbench import seeding
from fairbench.cells import Cell, Choice
from fairbench.data.alike import decides_alike
from fairbench.data.counts import supports
from fairbench.data.digest import dataset_digest
from fairbench.data.files import DataSource
from fairbench.data.own.declaration import OwnData
from fairbench.data.preparation import split_of
from fairbench.data.rows import Dataset, Predictions, Split
from fairbench.data.shared import read_dataset
from fairbench.data.splits import KeptSplit, OwnSplit
from fairbench.data.withheld import partly_known
from fairbench.errors import DataError, FairbenchError, NotApplicable, Unstorable
from fairbench.plugins.components import Resumable
from fairbench.plugins.group_use import check_assumption
from fairbench.plugins.kinds import component_label
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Registry
from fairbench.records import DONE, FAILED, OUT_OF_MEMORY, SKIPPED, Parts, Record
from fairbench.running.checkpoints import Checkpoint, Progress
from fairbench.running.outcomes import checked, measure, measured, said, storable
from fairbench.running.store import Measured, Truth
from fairbench.system.cpu import cpu_seconds
from fairbench.system.generators import seed_generators
from fairbench.system.isolation import process_state_kept
from fairbench.system.threads import use_one_thread

__all__ = ["CellRunner", "Workbench", "measure", "run_cell", "unmeasured"]

DATASETS = "datasets"  # in the private folder of a run
SPLITS_KEPT = 4  # cells that share a split stand side by side in a plan


class Refused(FairbenchError):
    """The harness refuses a cell; its reason needs no traceback."""


class Workbench:
    """What cells share within one process: loaded datasets and recent splits, which no cell can write to."""

    def __init__(self, registry: Registry, source: DataSource) -> None:
        """Start with nothing loaded."""
        self.registry, self.source = registry, source
        self.code: Mapping[str, str] = {}  # digests that components' files had when the run began, if they are known
        self.data: Mapping[str, str] = {}  # the same of datasets
        self.scratch: Optional[Path] = None  # the private folder of the run, which may hold loaded datasets
        self._datasets: dict[str, Dataset] = {}
        self._digests: dict[str, str] = {}
        self._remarks: dict[str, tuple[str, ...]] = {}
        self._checked: set[str] = set()
        self._splits: OrderedDict[str, KeptSplit] = OrderedDict()

    def dataset(self, choice: Choice) -> Dataset:
        """Return a dataset, loaded once, or mapped from files that the run's coordinator wrote after it had loaded it.

        Raises:
            NotApplicable: its files cannot be obtained.
            DataError: a file is damaged, or what ``load`` returned is not a valid dataset.
            Refused: it has changed since the run began.
        """
        label = str(choice)
        if label not in self._datasets and not self._is_shared(label):
            self._load(choice)
        expected = self.data.get(label)
        if expected is not None and self.digest(choice) != expected:
            raise Refused(
                f"{label} changed during the run: its digest was {expected[:12]}… when the run began, and "
                f"is {self.digest(choice)[:12]}… now; run the command again with a new --out"
            )
        return self._datasets[label]

    def _load(self, choice: Choice) -> None:
        label = str(choice)
        spec = self.registry.dataset(choice)
        paths = {file.path: self.source.find(file, label) for file in spec.files}
        with process_state_kept() as changed:
            seed_generators(seeding.derive_seed("load", label))
            loaded = spec.load(paths)
        if not isinstance(loaded, Dataset):
            raise DataError(f"{label}: load() returned a {type(loaded).__name__}; it must return a Dataset")
        self._datasets[label] = loaded
        self._remarks[label] = _put_back(f"dataset {choice.name} was loaded", changed)

    def _is_shared(self, label: str) -> bool:
        """Take the dataset from the run's private folder; return whether it is there, and is the one of this run."""
        expected = self.data.get(label)
        if self.scratch is None or expected is None:
            return False
        try:
            dataset, remarks = read_dataset(self.scratch / DATASETS / expected)
            digest = dataset_digest(dataset)
        except Exception:  # another host may not see the folder; a damaged file can raise anything
            return False
        if digest == expected:
            self._datasets[label], self._remarks[label], self._digests[label] = dataset, remarks, digest
        return digest == expected

    def digest(self, choice: Choice) -> str:
        """Return the digest of a dataset, which has been loaded."""
        label = str(choice)
        if label not in self._digests:
            self._digests[label] = dataset_digest(self._datasets[label])
        return self._digests[label]

    def split(self, cell: Cell) -> Split:
        """Return the cell's split as its scenario is given it, in the caller's own copies of the arrays."""
        return shown_split(cell, self.own_split(cell).split)

    def own_split(self, cell: Cell) -> OwnSplit:
        """Return the split together with its original, so that writes to it can be detected."""
        dataset = self.dataset(cell.dataset)
        if cell.split_key not in self._splits:
            self._splits[cell.split_key] = KeptSplit(split_of(cell, dataset))
            while len(self._splits) > SPLITS_KEPT:
                self._splits.popitem(last=False)
        return self._splits[cell.split_key].own()

    def remarks(self, choice: Choice) -> tuple[str, ...]:
        """Return remarks on how a dataset was loaded."""
        return self._remarks.get(str(choice), ())

    def check_code(self, cell: Cell) -> None:
        """Refuse a cell whose plugins' files have changed since the run began.

        Raises:
            Refused: a file has changed.
        """
        for kind, name in cell.components:
            label = component_label(kind, name)
            if label not in self.code or label in self._checked:
                continue
            expected, seen = self.code[label], self.registry.origin(kind, name).sha256
            if seen != expected:
                raise Refused(
                    f"the code of {label} changed during the run: its sha256 was {expected[:12]}… when the "
                    f"run began, and is {seen[:12]}… now; run the command again with a new --out"
                )
            self._checked.add(label)


def shown_split(cell: Cell, split: Split) -> Split:
    """Return the split without the groups that the cell assumes to be unknown."""
    known = cell.preparation.group_known
    return split if known == 1 else partly_known(split, known, cell.seed("known groups"))


class _Clock:
    """Wall-clock and CPU time of a cell, including what an earlier process spent on it."""

    def __init__(self) -> None:
        self.started, self.earlier = self._now(), (0.0, 0.0)

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), cpu_seconds()

    def spent(self) -> tuple[float, float]:
        now = self._now()
        return now[0] - self.started[0] + self.earlier[0], now[1] - self.started[1] + self.earlier[1]


def run_cell(cell: Cell, workbench: Workbench, checkpoint: Optional[Checkpoint] = None) -> Measured:
    """Fit the cell's method in its scenario and measure it; everything feeds this function or reads what it returns.

    A method or dataset that does not apply gives a skipped record with its reason; any other exception except Ctrl-C
    gives a record with the traceback, and the run continues: the cell failed, or ran out of memory. With a checkpoint,
    a scenario that can resume continues after the last step that an earlier process finished. Whatever the cell changes
    in the process is restored and mentioned in its remarks; a cell that writes to its split fails.
    """
    registry, clock = workbench.registry, _Clock()
    versions = registry.versions(cell)
    changed: list[str] = []
    try:
        with process_state_kept() as changed:
            done = _run_cell(Record(cell, DONE, versions=versions), workbench, checkpoint, clock)
    except NotApplicable as error:
        done = unmeasured(cell, SKIPPED, said(error), versions)
    except (Refused, Unstorable) as error:
        done = unmeasured(cell, FAILED, said(error), versions)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its cell
        done = unmeasured(cell, status_of(error), traceback.format_exc(), versions)
    seconds, cpu_seconds = clock.spent()
    remarks = (*workbench.remarks(cell.dataset), *_put_back(f"method {cell.method.name} ran", changed))
    return replace(done, record=replace(done.record, seconds=seconds, cpu_seconds=cpu_seconds, remarks=remarks))


def _run_cell(record: Record, workbench: Workbench, checkpoint: Optional[Checkpoint], clock: _Clock) -> Measured:
    cell, registry = record.cell, workbench.registry
    workbench.check_code(cell)
    own = workbench.own_split(cell)
    split, who = own.split, f"method {cell.method.name}"
    scenario, method = registry.scenario(cell.scenario), registry.method(cell.method, cell.preparation)
    check_assumption(cell, scenario)
    shown = shown_split(cell, split)
    metrics = [registry.metric(name) for name in cell.metrics]
    predictions: dict[tuple[int, str], tuple[Truth, Predictions]] = {}
    last: Optional[int] = None
    seed_generators(cell.seed("global"))
    if checkpoint and isinstance(scenario, Resumable) and (saved := checkpoint.load(record.versions)):
        record, predictions = saved.measured.record, dict(saved.measured.predictions)
        last = max((step for step, _ in predictions), default=None)
        clock.earlier = saved.seconds, saved.cpu_seconds
        outcomes = scenario.resume(shown, method, cell.seed, saved.step, saved.state)
    else:
        outcomes = scenario.run(shown, method, cell.seed)
    for outcome in outcomes:
        _refuse_writes(own, f"{who} wrote to its inputs")
        outcome = checked(outcome, who, last)
        last = outcome.step if outcome.predictions else last
        record = measured(record, outcome, metrics)
        _refuse_writes(own, "a metric wrote to the samples that it measured")
        truth = Truth.of(outcome.samples)
        predictions.update({(outcome.step, point): (truth, made) for point, made in outcome.predictions.items()})
        if checkpoint and outcome.state is not None:
            checkpoint.save(Progress(Measured(record, predictions), outcome.step, outcome.state, *clock.spent()))
    _refuse_writes(own, f"{who} wrote to its inputs")
    if not predictions:
        raise Unstorable(f"scenario {cell.scenario.name} yielded no outcome; there is nothing to measure")
    return Measured(_described(record, predictions, split, workbench.dataset(cell.dataset).overlap), predictions)


def _described(
    record: Record, predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]], split: Split, overlap: str
) -> Record:
    """Return the record with the sizes of its parts and groups, and which predictions decide alike for everybody."""
    parts = Parts(len(split.train), len(split.validation), len(split.test), overlap)
    alike = tuple(place for place, (truth, made) in predictions.items() if decides_alike(truth.y, made))
    *_, (last, _) = predictions.values()
    return replace(record, parts=parts, alike=alike, supports=supports(last.group, last.group_names))


def _refuse_writes(own: OwnSplit, what: str) -> None:
    written = own.changed()
    if written:
        raise Refused(f"{what}: {', '.join(written)} changed; copy what you want to change, e.g. with .copy()")


def status_of(error: BaseException) -> str:
    """Return the status of a cell that raised: ``out of memory`` if that is what the exception says, else ``failed``.

    torch raises a ``RuntimeError`` that only its message tells from others, and on a GPU one of a class of its own.
    """
    ran_out = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return OUT_OF_MEMORY if ran_out or "DefaultCPUAllocator" in said(error) else FAILED


def unmeasured(cell: Cell, status: str, reason: str, versions: Optional[Mapping[str, str]] = None) -> Measured:
    """Return the record of a cell without values: its status, which is not ``done``, and the reason."""
    return Measured(Record(cell, status, storable(reason), versions=versions or {}), {})


def _put_back(doing: str, changed: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence that says what was changed and restored, if anything was."""
    if not changed:
        return ()
    were = "was changed; it was put back" if len(changed) == 1 else "were changed; they were put back"
    return (f"while {doing}, {' and '.join(filter(None, [', '.join(changed[:-1]), changed[-1]]))} {were}",)


@dataclass(frozen=True)
class CellRunner:
    """``run_cell`` as an object that can be sent to another process, which loads plugins and data itself."""

    source: DataSource
    plugin_files: tuple[str, ...] = ()
    only: Optional[tuple[str, ...]] = None
    partial: Optional[Path] = field(default=None, compare=False)  # folder for checkpoints of unfinished cells
    code: Mapping[str, str] = field(default_factory=dict, compare=False)  # digests of components' files in this run
    data: Mapping[str, str] = field(default_factory=dict, compare=False)  # digests of its datasets
    own: tuple[OwnData, ...] = ()  # tables of the user's own
    scratch: Optional[Path] = field(default=None, compare=False)  # private folder of this run, also for executors

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in another process: load the plugins now, before the time of any cell counts."""
        vars(self).update(state)
        _ = self.workbench

    def __call__(self, cell: Cell) -> Measured:
        """Run the cell on this process's workbench, in one thread; refuse it if code or data have changed."""
        workbench = self.workbench
        workbench.code, workbench.data, workbench.scratch = self.code, self.data, self.scratch
        return run_cell(cell, workbench, self.checkpoint(cell))

    def checkpoint(self, cell: Cell) -> Optional[Checkpoint]:
        """Return where the cell's unfinished steps are kept, if they are."""
        return Checkpoint(self.partial / f"{cell.key}.npz", cell) if self.partial else None

    @property
    def workbench(self) -> Workbench:
        """Return this process's workbench, created at first use and again when a local plugin file has changed."""
        return _workbench(load_plugins(self.plugin_files, self.only, self.own)[0], self.source)


@lru_cache(maxsize=1)
def _workbench(registry: Registry, source: DataSource) -> Workbench:
    use_one_thread()  # this process may be a worker
    return Workbench(registry, source)
