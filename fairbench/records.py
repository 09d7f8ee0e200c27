"""What happened at a cell, and a whole run as reports read it; plain data that survives JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

from fairbench.cells import Cell

T = TypeVar("T")
DONE, SKIPPED = "done", "skipped"
FAILED, TIMED_OUT, OUT_OF_MEMORY, CRASHED = "failed", "timed out", "out of memory", "crashed"
"""A cell raised, exceeded a limit, or its process ended without an answer; the last three are ``Ended.how`` as well."""
FAILURES = (FAILED, TIMED_OUT, OUT_OF_MEMORY, CRASHED)
"""All the ways in which a cell can fail."""
POOL, FRESH, UNKNOWN = "pool", "fresh", "unknown"
OVERLAPS = (POOL, FRESH, UNKNOWN)


@dataclass(frozen=True)
class Parts:
    """How many rows each part of a cell's split has (train, validation, test), and how the repeats' splits overlap.

    ``overlap`` is ``pool`` if every repeat splits the same rows again (Nadeau and Bengio's correction applies),
    ``fresh`` if no two repeats share a row, and ``unknown`` if neither holds: then no valid interval is known.
    """

    train: int
    validation: int
    test: int
    overlap: str = POOL


def compares_groups(metric: str) -> bool:
    """Return whether a metric compares groups, going by its name: a difference, a ratio, a gap or a worst value.

    The value of such a metric over fewer groups than the dataset has is a different quantity, and the metric says
    nothing about a method that makes the same decision for everybody.
    """
    return metric.endswith(("_difference", "_ratio", "_gap")) or metric.startswith("worst_")


def no_rows(groups: Sequence[str], label: Optional[int] = None) -> str:
    """Return a sentence that says which ``groups`` of the dataset have no row (with a ``label``) in the test part."""
    what = "no row" if label is None else f"no row with y = {label}"
    *others, last = map(repr, groups)
    names = f"{', '.join(others)} and {last}" if others else last
    return f"group{'s' if others else ''} {names} {'have' if others else 'has'} {what} in the test part"


class Partial(float):
    """A metric's value over fewer groups than the test part has; ``lacking`` says in words what it leaves out.

    A metric returns it instead of a plain float if some groups lack the rows that it needs, and at least two have them:
    ``Partial(0.25, no_rows(["c"], label=1))``. The value is stored with these words and shown with a mark, and is never
    averaged with values over all groups. Say no counts in ``lacking``: repeats that lack the same are averaged.

    Args:
        value: the number over the other groups.
        lacking: which groups are left out, and why; the same words whenever the same is left out.
    """

    lacking: str

    def __new__(cls, value: float, lacking: str) -> Partial:
        """Return the number with the words, which cannot be empty."""
        if not lacking.strip():
            raise ValueError(f"Partial({value}, {lacking!r}): say which groups the value leaves out")
        made = super().__new__(cls, value)
        made.lacking = lacking
        return made


class Value(NamedTuple):
    """One measured number.

    Args:
        step: the scenario's step, e.g. a generation; 0 if there is only one.
        point: the operating point; empty if the method has only one.
        group: the group in which it is measured; empty for all rows together.
        metric: its name.
        value: a finite number, or None if it is undefined.
        reason: why ``value`` is None, or which groups of the dataset it leaves out; else empty.
    """

    step: int
    point: str
    group: str
    metric: str
    value: Optional[float]
    reason: str = ""

    @property
    def whole(self) -> Optional[float]:
        """Return the value if it is taken over all groups of the dataset, else None."""
        return None if self.reason else self.value

    @property
    def lacking(self) -> str:
        """Return which groups of the dataset the value leaves out, in words; empty if it is whole or None."""
        return "" if self.value is None else self.reason


@dataclass(frozen=True)
class Record:
    """What happened at a cell.

    Args:
        cell: the cell.
        status: ``done``, ``skipped`` (``reason`` says why), or one of ``FAILURES``: ``failed`` (``reason`` is the
            traceback), ``timed out``, ``out of memory`` or ``crashed`` (its process ended without an answer).
        reason: empty for a cell that is done.
        values: every metric at every step, operating point and group.
        chosen: the operating point that stands for the method.
        diagnostics: curves recorded while training, by name.
        seconds: wall-clock time of the cell.
        cpu_seconds: CPU time of the process that ran it, with those that it started and that have ended.
        versions: distribution -> version of fairbench and of each plugin that affects the numbers.
        parts: sizes of the split's parts; None if the cell had no split, or an old store does not say.
        alike: (step, operating point) of the predictions that decide alike for everybody, see ``alike.py``.
        remarks: sentences to be shown with the cell, e.g. which setting of the process its method changed.
        supports: (group, rows of the test part) for every group of the dataset, in the order of the codes, at the last
            step. Empty if the cell had no test part, or an old store does not say.
        rule: by which ``chosen`` was chosen after the run (``analysis.rechosen``); empty if it is the run's choice.
    """

    cell: Cell
    status: str
    reason: str = ""
    values: Sequence[Value] = ()
    chosen: str = ""
    diagnostics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    parts: Optional[Parts] = None
    alike: tuple[tuple[int, str], ...] = ()
    remarks: tuple[str, ...] = ()
    supports: tuple[tuple[str, int], ...] = ()
    rule: str = ""


@dataclass(frozen=True)
class Results:
    """The records of a run, in the order of its plan.

    Args:
        records: one for each cell that is done, was skipped or failed.
        run: what produced them: suite, versions, platform, dataset digests and notes (``run.json``). ``references``
            are the points that datasets know without a run (name, values by metric, note), by the dataset's label;
            ``base_rates`` are the shares of y = 1 in whole datasets, likewise (old runs have none);
            ``reference_methods`` are the names of the methods with which others are compared.
        planned: number of cells of the suite.
        labels: metric name -> its heading and which direction is better: ``{"accuracy": ("acc.", "higher")}``.
        path: the run directory, whose store holds the predictions; None if there is none.
        whole: the results before methods, datasets or metrics were left out; None if nothing was. Reference lines and
            verdicts are made of these.
        listings: by key of a cell what its store lists of its predictions, if that was read with the records.
    """

    records: Sequence[Record]
    run: Mapping[str, Any]
    planned: int
    labels: Mapping[str, tuple[str, str]]
    path: Optional[Path] = None
    whole: Optional[Results] = None
    listings: Optional[Mapping[str, str]] = field(default=None, repr=False, compare=False)
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what was made of these results under a ``name`` before, as several reports ask for it, or make it."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    @property
    def unfinished(self) -> str:
        """Return how many cells of the run have not been run yet, in words; empty if there are none."""
        if self.whole is not None:
            return self.whole.unfinished
        left = self.planned - len(self.records)
        whole = f" ({self.whole_repeats})" if self.whole_repeats else ""
        return f"{left} of {self.planned} cell{'' if self.planned == 1 else 's'} not run yet{whole}" if left > 0 else ""

    @property
    def whole_repeats(self) -> str:
        """Return in words how many repeats are whole; empty if all are, or if repeats have several sizes."""
        repeats = self.run.get("suite", {}).get("repeats", 0)
        if len(self.records) >= self.planned or repeats < 2 or self.planned % repeats:
            return ""
        ran = Counter(record.cell.repeat for record in self.records)
        return f"{sum(count == self.planned // repeats for count in ran.values())} of {repeats} repeats complete"
