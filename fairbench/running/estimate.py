"""How long the cells of a plan will take, from how long such cells took before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple, Optional

from fairbench.cells import Cell
from fairbench.errors import StoreError
from fairbench.quantities import duration
from fairbench.records import DONE, Parts
from fairbench.running.resume import Plan
from fairbench.running.rundir import RUNS
from fairbench.running.runfile import read_run
from fairbench.running.session import Session
from fairbench.running.store import FILE_NAME, Outline, Store
from fairbench.texts import counted

PROBE = 60.0  # seconds that a cell may take that is only tried
STORES = 10  # of other runs that are read, the newest first
EXTRAPOLATED = (0.5, 2.0)  # how far a time may be off that was taken from other rows
UNKNOWN = (0.1, 10.0)  # and one that was taken from other methods


class Earlier(NamedTuple):
    """How long a cell took that has run; the numbers of the ``cell`` (repeat, tuning, fit) do not count.

    ``parts`` are the sizes of its parts, None if they are not known.
    """

    cell: Cell
    status: str
    seconds: float
    parts: Optional[Parts]


@dataclass(frozen=True)
class Estimate:
    """The wall time of some cells, in seconds, and what it rests on.

    Args:
        cells: how many there are to run.
        workers: at the same time.
        low, middle, high: seconds of wall-clock time; None if nothing is known.
        earlier: number of earlier cells that it rests on.
        same: number of cells whose method has run on the same dataset, with the same parameters.
        scaled: number of those whose method has run on other data only.
        unknown: number of those whose method has not run; they count as the middle one of the others.
    """

    cells: int
    workers: int
    low: Optional[float]
    middle: Optional[float]
    high: Optional[float]
    earlier: int
    same: int
    scaled: int
    unknown: int

    def __str__(self) -> str:
        """Return the estimate in one sentence."""
        where = f"{counted(self.cells, 'cell')} to run with {counted(self.workers, 'worker')}"
        if not self.cells:
            return "nothing is left to run"
        if self.low is None or self.middle is None or self.high is None:
            return f"{where}: how long it takes is not known, since no such cell has run here; --probe tries some"
        rests = [f"from {counted(self.earlier, 'earlier cell')}"]
        if self.scaled:
            rests.append(f"{counted(self.scaled, 'cell')} of methods that ran on other data")
        if self.unknown:
            rests.append(f"{counted(self.unknown, 'cell')} without history")
        span = f"{duration(self.low)} to {duration(self.high)}"
        return f"{where}: about {duration(self.middle)} ({span}), {'; '.join(rests)}"


def estimate(cells: Sequence[Cell], records: Iterable[Earlier], workers: int) -> Estimate:
    """Return how long cells take, going by the records of earlier ones.

    A cell takes as long as the median of the earlier cells with its scenario, method, parameters and dataset, and the
    range is from the shortest to the longest of them. If there are none, the time on other datasets is taken, in
    proportion to the rows where those of both datasets are known; and if its method has never run, the median of all
    other cells. The start of worker processes is not counted.

    Args:
        cells: that are to be run.
        records: of earlier cells; those that are not done are ignored.
        workers: cells that run at the same time.
    """
    done = [record for record in records if record.status == DONE]
    seconds: dict[tuple[str, str, str], list[float]] = {}
    sizes: dict[str, int] = {}
    for record in done:
        seconds.setdefault(_kind(record.cell), []).append(record.seconds)
        if record.parts:
            sizes[str(record.cell.dataset)] = record.parts.train + record.parts.validation + record.parts.test
    times, same, scaled, unknown = [], 0, 0, 0
    for cell in cells:
        kind = _kind(cell)
        if kind in seconds:
            times.append((min(seconds[kind]), median(seconds[kind]), max(seconds[kind])))
            same += 1
        elif found := _elsewhere(kind, seconds, sizes):
            times.append((EXTRAPOLATED[0] * found, found, EXTRAPOLATED[1] * found))
            scaled += 1
        else:
            unknown += 1
    if times and unknown:
        typical = median(middle for _, middle, _ in times)
        times += [(UNKNOWN[0] * typical, typical, UNKNOWN[1] * typical)] * unknown
    if not times:
        return Estimate(len(cells), workers, None, None, None, len(done), same, scaled, unknown)
    low, middle, high = (_shared([time[place] for time in times], workers) for place in range(3))
    return Estimate(len(cells), workers, low, middle, high, len(done), same, scaled, unknown)


def _kind(cell: Cell) -> tuple[str, str, str]:
    return str(cell.scenario), str(cell.method), str(cell.dataset)


def _elsewhere(
    kind: tuple[str, str, str], seconds: dict[tuple[str, str, str], list[float]], sizes: dict[str, int]
) -> Optional[float]:
    """Return the seconds that a method took on other datasets, in proportion to the rows; None if it has not run."""
    scenario, method, dataset = kind
    found = []
    for (other_scenario, other_method, other), took in seconds.items():
        if (other_scenario, other_method) == (scenario, method):
            known = dataset in sizes and other in sizes
            found.append(median(took) * (sizes[dataset] / sizes[other] if known else 1.0))
    return median(found) if found else None


def _shared(times: Sequence[float], workers: int) -> float:
    """Return how long workers need for cells of such times: none of them ends before the longest cell."""
    return max(sum(times) / workers, max(times))


def history(path: Path, datasets: Collection[str]) -> list[Earlier]:
    """Return earlier cells: of a run directory, and of the newest other runs below ``runs`` on some of the datasets.

    What cannot be read is passed over: a prediction must not fail on another run's damage.

    Args:
        path: a run directory, which need not exist.
        datasets: labels.
    """
    others = sorted((other for other in RUNS.glob("*") if other != path), key=lambda other: other.name, reverse=True)
    near = (other for other in others if _ran_on(other, datasets))
    places = (path, *islice(near, STORES))
    return [
        Earlier(one.cell, one.status, one.seconds, one.parts) for place in places for one in _outline(place).values()
    ]


def finished(path: Path) -> set[str]:
    """Return the keys of the cells that are done in a run directory, which need not exist."""
    return {key for key, outline in _outline(path).items() if outline.status == DONE}


def probe(session: Session, planned: Plan, records: Iterable[Earlier]) -> list[Earlier]:
    """Run one cell of each scenario, method and dataset without history, and return what it gave; nothing is kept.

    A cell is stopped at the session's own limit of time, or else after ``PROBE`` seconds. It runs in a worker process
    here, whatever executor the session has: not every one can stop a cell.

    Args:
        session: whose settings are used.
        planned: the plan.
        records: of earlier cells.
    """
    known = {_kind(record.cell) for record in records if record.status == DONE}
    first = {_kind(cell): cell for cell in reversed(planned.cells) if _kind(cell) not in known}
    if not first:
        return []
    limits = session.settings.limits
    limits = replace(limits, seconds=PROBE if limits.seconds is None else limits.seconds, retries=0)
    session.observer.say(f"trying {counted(len(first), 'cell')}, each for at most {duration(limits.seconds or PROBE)}")
    trial = Session(replace(session.settings, executor=None, limits=limits, budget=None, fail_fast=False))
    with TemporaryDirectory(prefix="fairbench-probe-") as folder:
        ended = trial.run(replace(planned, cells=list(first.values())), Path(folder) / "probe")
    return [Earlier(one.cell, one.status, one.seconds, one.parts) for one in ended.results.records]


def _outline(path: Path) -> dict[str, Outline]:
    try:
        with Store(path / FILE_NAME) as store:
            return store.outline()
    except StoreError:
        return {}


def _ran_on(path: Path, datasets: Collection[str]) -> bool:
    try:
        return bool(set(read_run(path).get("datasets", {})) & set(datasets))
    except StoreError:
        return False
