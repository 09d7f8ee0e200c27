"""Cells in worker processes: a worker that dies costs only its cell, and Ctrl-C leaves no process behind.

The workers are forks of one process that has loaded the libraries that they need, see ``_nursery``.

Neither pebble 5.2 nor loky 3.7 can stand in for ``_pool``: adapted to ``Processes.map``, they failed some of its tests.
Both: workers, and what they have started, end when their parent is killed; what a worker has started ends with it; what
cannot be pickled costs only its item; memory is limited. Pebble alone: a fork that comes back answers for nobody; the
script that began the run is not run again. Loky alone: an item whose worker dies costs only itself, its death is named,
and it is tried again; an exception brings its traceback; time is limited.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, ClassVar, Optional, TypeVar

from fairbench.api import NO_LIMITS, Ended, Executor, Limits, NotApplicable, hookimpl, parameter
from fairbench_executors._nursery import Nursery
from fairbench_executors._pool import AGAIN, NoWorker, Pool, Task, check_limits, cpus, ended

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Processes:
    """Run items in worker processes of one thread each; an item whose worker dies is tried again."""

    name: ClassVar[str] = "processes"
    workers: int = parameter(cpus(), "worker processes; by default one for each CPU", minimum=1)

    @contextmanager
    def warm(self, modules: Sequence[str]) -> Iterator[Processes]:
        """Yield such an executor that begins to import what its workers will need; at the end of the block it is cold.

        Args:
            modules: names of modules that are imported once for all workers.
        """
        nursery = Nursery(modules)
        try:
            yield _Warm(self.workers, nursery)
        finally:
            nursery.end()

    def _pool(self, function: bytes, limits: Limits) -> Pool:
        return Pool(function, self.workers, limits)

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, in the order in which they end.

        Args:
            function: importable by name, as ``pickle`` requires; so must its argument and result be. The script that
                started the run is not imported again.
            items: handed out one by one.
            limits: a worker that exceeds one is killed, whatever it is doing, with all processes that it has started.
                Seconds count from when the worker begins the item; the start of a worker does not count. Memory is what
                the worker and those processes hold together. An item whose worker died is tried again
                ``limits.retries`` times.

        Raises:
            NotApplicable: memory is limited where the system does not tell how much a process holds; or one worker
                after the other ended while it started, so that no item can be run.
            KeyboardInterrupt: the user has stopped the run; results that had arrived are yielded first.
        """
        check_limits(limits, self.name)
        tasks = [Task(number, item) for number, item in enumerate(items)]
        pool = self._pool(pickle.dumps(function), limits)
        pool.waiting.extend(tasks)
        try:
            while pool.advance():
                while pool.finished:
                    task, outcome = pool.finished.popleft()
                    yield ended(task.item, outcome)
        except NoWorker as error:
            raise NotApplicable(f"{error}; {AGAIN}") from error
        except KeyboardInterrupt:
            pool.collect_arrived()
            pool.stop()
            for task, outcome in pool.finished:
                yield ended(task.item, outcome)
            raise
        finally:
            pool.stop()


@dataclass(frozen=True)
class _Warm(Processes):
    nursery: Optional[Nursery] = None

    def _pool(self, function: bytes, limits: Limits) -> Pool:
        return Pool(function, self.workers, limits, self.nursery)


@hookimpl
def fairbench_executors() -> list[type[Executor]]:
    """Return the executor."""
    return [Processes]
