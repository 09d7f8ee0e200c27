"""Where one coordinator saturates: a simulation of runs with many workers, fed with measured costs.

    python benchmarks/scale/simulate.py [--costs bench.json] [--plot scaling.png]

``benchmarks/speed/coordinator.py`` measures the costs: ``tox -e bench -- coordinator --out benchmarks/scale`` writes
``benchmarks/scale/bench.json``, which is read by default. ``docs/scaling.md`` says what follows.

The model: a worker computes the cells of its batch one after another, then asks the coordinator, which serves one
worker at a time, in the order in which they ask: it takes the results, stores them and hands out the next batch. Nobody
fails, the network costs nothing, and a service takes as long as was measured, always the same.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from pathlib import Path
from typing import Callable, Optional

from fairbench.analysis.drawing import DOTS_PER_INCH, SETTINGS, STYLES

SECONDS = (0.1, 1.0, 10.0, 100.0)
WORKERS = (100, 1_000, 10_000)
CELLS = 10_000_000
EVENTS = 300_000  # that are simulated at most; what is left of a longer run goes on as before
EXCHANGE, APPEND = "a batch is handed out and its results are taken", "a result is appended to the store"


@dataclass(frozen=True)
class Costs:
    """Seconds of the coordinator: ``message`` for each batch, ``cell`` and ``append`` for each of its cells."""

    message: float
    cell: float
    append: float

    @classmethod
    def read(cls, path: Path) -> Costs:
        """Return the costs in the bench's JSON; a straight line through the batches divides message and cells."""
        rows = json.loads(path.read_text())["scripts"]["coordinator"]["rows"]
        points = [(row["size"], row["value"] / 1000) for row in rows if row["name"] == EXCHANGE]
        (append,) = (row["value"] / 1000 for row in rows if row["name"] == APPEND)
        (few, fast), (many, slow) = min(points), max(points)
        cell = (slow - fast) / (many - few)
        return cls(max(0.0, fast - few * cell), cell, append)

    def service(self, batch: int) -> float:
        """Return the seconds of the coordinator for one batch."""
        return self.message + batch * (self.cell + self.append)


@dataclass(frozen=True)
class Run:
    """What a simulated run took.

    Args:
        seconds: from its beginning to the last result.
        busy: the share of this time in which the coordinator worked.
        useful: the share of the workers' time in which they computed.
        waited: seconds that a worker waited for the coordinator's attention, on average, for each batch.
    """

    seconds: float
    busy: float
    useful: float
    waited: float


def simulate(
    batches: int, workers: int, computing: Callable[[], float], service: float, most: Optional[int] = None
) -> Run:
    """Simulate a run of ``batches`` batches.

    Args:
        batches: how many there are.
        workers: how many processes compute; all ask for their first batch at once.
        computing: returns how many seconds a worker computes a batch.
        service: seconds of the coordinator for a batch.
        most: how many batches are simulated at most, more than there are workers; the rate of their second half is
            then taken for all that follow.
    """
    workers = min(workers, batches)
    simulated = batches if most is None else min(batches, max(most, 20 * workers))
    free = 0.0  # when the coordinator is free again
    asking = []
    for _ in range(workers):
        free += service  # the first batches are handed out one after another
        asking.append(free + computing())
    heapify(asking)
    useful = sum(asking) - workers * (workers + 1) / 2 * service
    waited, half, last = 0.0, 0.0, 0.0
    for number in range(simulated):
        asked = asking[0]
        begun = max(free, asked)
        waited += begun - asked
        free = begun + service
        if number + workers < simulated:
            seconds = computing()
            useful += seconds
            heapreplace(asking, free + seconds)
        else:
            heapreplace(asking, float("inf"))
        if number + 1 == simulated // 2:
            half = free
        if number + workers == simulated - 1:
            last = free
    if simulated < batches:
        rate = (last - half) / (simulated - workers - simulated // 2)  # while all workers are at work
        more = (batches - simulated) * rate
        useful *= batches / simulated
    else:
        more = 0.0
    total = free + more
    return Run(total, (batches + workers) * service / total, useful / (workers * total), waited / simulated)


def varied(seconds: float, batch: int, draw: random.Random) -> Callable[[], float]:
    """Return durations of batches whose cells take between half and one and a half times these seconds."""
    spread = seconds / (12 * batch) ** 0.5  # of the mean of so many uniform numbers
    if batch == 1:
        return lambda: seconds * (0.5 + draw.random())
    return lambda: batch * max(0.5 * seconds, draw.gauss(seconds, spread))


def saturation(seconds: float, batch: int, costs: Costs) -> float:
    """Return how many workers one coordinator can keep busy: more of them only wait."""
    service = costs.service(batch)
    return (batch * seconds + service) / service


def days(seconds: float) -> str:
    """Return a time in words."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def table(costs: Costs, cells: int, batch: int, coordinators: int, seconds: Sequence[float] = SECONDS) -> list[str]:
    """Return lines of Markdown: for each duration of a cell the time of the run, and the share of it that is useful."""
    lines = [
        f"| a cell takes | saturates at | {' | '.join(f'{count:,} workers' for count in WORKERS)} |",
        f"|---|---|{'---|' * len(WORKERS)}",
    ]
    for duration in seconds:
        draw, told = random.Random(0), []  # noqa: S311 - a simulation
        for count in WORKERS:
            own = -(-cells // coordinators)
            run = simulate(
                max(1, own // batch),
                max(1, count // coordinators),
                varied(duration, batch, draw),
                costs.service(batch),
                EVENTS,
            )
            merged = run.seconds + (cells * costs.append if coordinators > 1 else 0.0)
            told.append(f"{days(merged)}, {100 * run.useful * run.seconds / merged:.0f}%")
        most = coordinators * saturation(duration, batch, costs)
        lines.append(f"| {duration:g} s | {most:,.0f} workers | {' | '.join(told)} |")
    return lines


def draw_plot(costs: Costs, path: Path) -> None:
    """Draw for each duration of a cell and two sizes of batches which share of the workers' time is useful."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    draw = random.Random(0)  # noqa: S311 - a simulation
    counts = [10, 30, 100, 300, 1_000, 3_000, 10_000]
    matplotlib.rcParams.update(SETTINGS)
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for (colour, marker), seconds in zip(STYLES, SECONDS):
        for batch, style in ((1, "-"), (100, "--")):
            runs = [
                simulate(CELLS // batch, count, varied(seconds, batch, draw), costs.service(batch), 60_000)
                for count in counts
            ]
            label = f"{seconds:g} s" + (", batches of 100" if batch > 1 else "")
            axes.plot(counts, [100 * run.useful for run in runs], style, color=colour, marker=marker, label=label)
    axes.set(xscale="log", xlabel="workers of one coordinator", ylabel="useful share of their time (%)", ylim=(0, 103))
    axes.legend(title="a cell takes")
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})
    print(f"drawn as {path}")


def printed(costs: Costs, cells: int = CELLS) -> str:
    """Return the costs and the tables as they stand in docs/scaling.md."""
    message, exchanged, stored = (f"{1e3 * seconds:.2f} ms" for seconds in (costs.message, costs.cell, costs.append))
    parts = [
        f"A batch costs {message} of the coordinator's time; each of its cells costs {exchanged} to exchange and "
        f"{stored}\nto store. For {cells:,} cells, the tables give the time of the run and the useful share of its "
        "workers' time."
    ]
    for batch, coordinators in ((1, 1), (100, 1), (100, 100)):
        what = "One coordinator" if coordinators == 1 else f"{coordinators} jobs with a store each, merged at the end"
        parts.append(f"{what}, {f'batches of {batch}' if batch > 1 else 'one cell at a time'}:")
        parts.append("\n".join(table(costs, cells, batch, coordinators)))
    return "\n\n".join(parts)


def main() -> None:
    """Print the costs and the tables of docs/scaling.md."""
    parser = argparse.ArgumentParser(description="Simulate runs of ten million cells on up to ten thousand workers.")
    parser.add_argument("--costs", type=Path, default=Path(__file__).parent / "bench.json", help="JSON of the bench")
    parser.add_argument("--plot", type=Path, help="where the plot is written")
    parser.add_argument("--cells", type=int, default=CELLS, help=f"cells of a run (default: {CELLS:,})")
    given = parser.parse_args()
    costs = Costs.read(given.costs)
    print(printed(costs, given.cells))
    if given.plot:
        draw_plot(costs, given.plot)


if __name__ == "__main__":
    main()
