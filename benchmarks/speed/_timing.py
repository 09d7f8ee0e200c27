"""What the scripts of the bench share: a row of its table, and the timer.

A script is a module of this folder with a function ``measure(quick: bool)`` that yields rows; its first docstring line
heads its table. ``benchmarks/README.md`` says how to write one. Modules whose names begin with an underscore are not
scripts.
"""

from __future__ import annotations

import gc
import math
import resource
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Callable, NamedTuple, Optional

Work = Callable[[], object]
SCALES = {"CPU s": 1.0, "s": 1.0, "CPU ms": 1e3, "ms": 1e3, "CPU us": 1e6}
"""Units of time, and how many make a second; ``CPU`` units are of this process, the others of the clock on the wall."""


@dataclass(frozen=True)
class Row:
    """One line of the bench.

    Args:
        name: what was measured.
        value: the number; for a time, that of the fastest round. None if it could not be measured: ``note`` says why.
        unit: e.g. ``CPU ms``; ``MB``; ``x`` for a plain ratio.
        median: of all rounds, if there were several.
        other: the same number of what it is compared with.
        against: what that is.
        size: how large the problem was, for rows that show growth: rows of the same ``name`` and ``of`` are one curve.
        of: what ``size`` counts, e.g. ``groups``.
        aim: what ``value`` should not exceed.
        note: a few words.
    """

    name: str
    value: Optional[float]
    unit: str
    median: Optional[float] = None
    other: Optional[float] = None
    against: str = ""
    size: Optional[float] = None
    of: str = ""
    aim: Optional[float] = None
    note: str = ""

    @property
    def ratio(self) -> Optional[float]:
        """Return how many times the value the other one is: above 1 where the other costs more."""
        return self.other / self.value if self.other is not None and self.value else None

    def plain(self) -> dict[str, Any]:
        """Return what JSON holds of the row: the fields, and the ratio."""
        return {**asdict(self), "ratio": self.ratio}


class Times(NamedTuple):
    """Seconds of one call, in the fastest and in the median round."""

    best: float
    median: float

    def row(self, name: str, unit: str = "CPU ms", other: Optional[Times] = None, **fields: Any) -> Row:
        """Return the row of these times, beside the ``other`` if there is one; see ``Row`` for the fields."""
        scale = SCALES[unit]
        beside = None if other is None else scale * other.best
        return Row(name, scale * self.best, unit, scale * self.median, beside, **fields)


def alternately(
    works: Mapping[str, Work],
    rounds: int = 5,
    *,
    burst: float = 0.02,
    budget: float = 10.0,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Times]:
    """Return each work's time of a call, by name.

    All are called once to warm up, then in turns, round by round, because a machine's speed varies.

    Args:
        works: what is timed, by name.
        rounds: how many rounds there are at most.
        burst: seconds; a work that takes less is called as often in a round as fills them.
        budget: seconds after which no further round begins. Of a work that needs them all for its first call, that one
            counts, and it is not called again.
        clock: CPU time of this process, which other processes disturb least; ``time.perf_counter`` where the work
            waits for others.
    """
    first = {name: spent(work, clock=clock) for name, work in works.items()}
    warm = {name: spent(works[name], clock=clock) if seconds < burst else seconds for name, seconds in first.items()}
    calls = {name: max(1, int(burst / max(seconds, 1e-9))) for name, seconds in warm.items()}
    taken = {name: [seconds] if seconds > budget else [] for name, seconds in first.items()}
    again, began = [name for name, found in taken.items() if not found], time.perf_counter()
    for done in range(rounds):
        if done and time.perf_counter() - began > budget:
            break
        gc.collect()
        for name in again:
            taken[name].append(spent(works[name], calls[name], clock))
    return {name: Times(min(found), median(found)) for name, found in taken.items()}


def spent(work: Work, calls: int = 1, clock: Callable[[], float] = time.process_time) -> float:
    """Return the seconds of a call, without any to warm up; by itself for work that cannot be done twice."""
    started = clock()
    for _ in range(calls):
        work()
    return (clock() - started) / calls


def children_seconds() -> float:
    """Return the CPU time of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Growth(NamedTuple):
    """How a value grows: as ``size ** exponent``, fitted over all sizes, and between the two largest."""

    name: str
    of: str
    exponent: float
    last: float
    sizes: tuple[float, ...]


def growths(rows: Iterable[Row]) -> list[Growth]:
    """Return how the values of rows with sizes grow, for each curve of three sizes or more.

    The exponent is the slope of a straight line through the logarithms. Fixed costs flatten it at small sizes, so the
    slope between the two largest sizes is given too.
    """
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        if row.size and row.value:
            curves.setdefault((row.name, row.of), []).append((math.log(row.size), math.log(row.value)))
    return [
        Growth(name, of, _slope(points), _slope(points[-2:]), tuple(math.exp(x) for x, _ in points))
        for (name, of), found in curves.items()
        if len(points := sorted(found)) >= 3
    ]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    middle_x, middle_y = (sum(axis) / len(points) for axis in zip(*points))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
