"""Cells in worker processes: a worker that dies costs only its cell, and Ctrl-C leaves no process behind.

Two libraries were tried in place of ``_pool`` on the tests of this executor. Under pebble 5 workers live on when their
parent is killed, and what they have started lives on in any case; a fork that an item made answers in its place; an
exception that cannot be unpickled keeps its item from ever ending; memory is not limited; and the script that began the
run is run again. Under loky 3 a worker that dies takes with it the items of all others and how it died, there are no
limits, and an exception's traceback is lost; it fails those that pebble fails too.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Callable, ClassVar, TypeVar

from fairbench.api import NO_LIMITS, Ended, Executor, Limits, hookimpl, parameter
from fairbench_executors._pool import Pool, Task, check_limits, cpus, ended

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Processes:
    """Run items in worker processes of one thread each; an item whose worker dies is tried again."""

    name: ClassVar[str] = "processes"
    workers: int = parameter(cpus(), "worker processes; by default one for each CPU", minimum=1)

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, in the order in which they end.

        Args:
            function: importable by name, as ``pickle`` requires; so must its argument and result be. The script that
                started the run is not imported again.
            items: handed out one by one.
            limits: a worker that exceeds one is killed, whatever it is doing, with all processes that it has started.
                Seconds count from when the item is handed out, the start of a new worker included; memory is what the
                worker and those processes hold together. An item whose worker died is tried again ``limits.retries``
                times.

        Raises:
            NotApplicable: memory is limited where the system does not tell how much a process holds.
            KeyboardInterrupt: the user has stopped the run; results that had arrived are yielded first.
        """
        check_limits(limits, self.name)
        pool = Pool(pickle.dumps(function), self.workers, limits)
        pool.waiting.extend(Task(number, item) for number, item in enumerate(items))
        try:
            while pool.advance():
                while pool.finished:
                    task, outcome = pool.finished.popleft()
                    yield ended(task.item, outcome)
        except KeyboardInterrupt:
            pool.collect_arrived()
            pool.stop()
            for task, outcome in pool.finished:
                yield ended(task.item, outcome)
            raise
        finally:
            pool.stop()


@hookimpl
def fairbench_executors() -> list[type[Executor]]:
    """Return the executor."""
    return [Processes]
