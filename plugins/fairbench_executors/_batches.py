"""Items that are sent elsewhere in batches: what the executors dask and slurm share.

Wherever a batch runs, each of its items runs in a worker process of ``_pool``, which can be killed without the batch.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Callable, NamedTuple, Optional

from fairbench.api import CRASHED, RAISED, Ended, Limits
from fairbench_executors._pool import Outcome, Pool, Task, ended

IDLE = 60.0  # seconds for which a warm worker waits for another batch
DISTRIBUTION = "fairbench-harness"


def installed() -> str:
    """Return the version of fairbench that is installed here."""
    return version(DISTRIBUTION)


class OtherVersion(RuntimeError):
    """A batch arrived where another version of fairbench is installed."""


class Batch(NamedTuple):
    """Items on their way: pickled, with their numbers, the function and what it takes to run them."""

    version: str
    function: bytes
    limits: Limits
    seconds: float
    items: tuple[tuple[int, bytes], ...]


Answers = Sequence[tuple[int, Outcome]]


class Batches:
    """The sender's side: which items wait, and how the others ended."""

    def __init__(
        self,
        function: Any,
        items: Sequence[Any],
        limits: Limits,
        size: int,
        seconds: float,
        shared: bool = False,
    ) -> None:
        """Begin with all items waiting.

        Args:
            function: what each item is given to.
            items: the items.
            limits: what each item can use.
            size: items in a batch, at most.
            seconds: no item of a batch is begun later than this; those that were not begun are sent again.
            shared: whether several batches are lost together, so that a suspect must be sent when no other is away.
        """
        self.shared, self.alone = shared, -1
        self.function, self.items, self.limits = pickle.dumps(function), items, limits
        self.size, self.seconds = size, seconds
        self.waiting = deque(range(len(items)))
        self.suspects: deque[int] = deque()  # of a batch that was lost; sent one by one, to find the culprit
        self.losses: Counter[int] = Counter()
        self._finished: deque[Ended[Any, Any]] = deque()

    def take(self, receivers: int = 0, away: int = 0) -> Optional[Batch]:
        """Return the next batch, None if none can be sent now.

        Args:
            receivers: the batch is small enough that none of so many is idle at the end; 0 for batches of full size.
            away: batches that are on their way.
        """
        while self.waiting or self.suspects:
            share = len(self.waiting) // (2 * receivers) if receivers else self.size
            queue = self.waiting if self.waiting and (self.shared or not self.suspects) else self.suspects
            if queue is self.suspects and self.shared and away:
                return None
            size = 1 if queue is self.suspects else max(1, min(self.size, share))
            self.alone = queue[0] if queue is self.suspects else -1
            items: list[tuple[int, bytes]] = []
            while queue and len(items) < size:
                number = queue.popleft()
                try:
                    items.append((number, pickle.dumps(self.items[number])))
                except Exception as error:  # pickle raises almost anything
                    self._finished.append(Ended(self.items[number], RAISED, error=error))
            if items:
                return Batch(installed(), self.function, self.limits, self.seconds, tuple(items))
        return None

    def answered(self, batch: Batch, answers: Answers) -> None:
        """Note how the items of a batch ended; those without an answer wait again."""
        outcomes = dict(answers)
        for number, _ in batch.items:
            if number in outcomes:
                self._finished.append(ended(self.items[number], outcomes[number]))
        self.waiting.extendleft(number for number, _ in reversed(batch.items) if number not in outcomes)

    def lost(self, batch: Batch, why: str, retries: int) -> None:
        """Note that a batch was lost.

        A single item is the culprit, or, where batches are ``shared``, one that was sent alone; it ends if it has been
        tried often enough.

        Args:
            batch: the batch.
            why: what happened, e.g. ``the dask worker tcp://… went away``.
            retries: how often a single item is sent again.
        """
        numbers = [number for number, _ in batch.items]
        if len(numbers) > 1 or (self.shared and numbers != [self.alone]):
            self.suspects.extend(numbers)
            return
        (number,) = numbers
        self.losses[number] += 1
        if self.losses[number] <= retries:
            self.suspects.append(number)
        else:
            self._finished.append(ended(self.items[number], Outcome(CRASHED, b"", why)))

    def finished(self) -> Iterator[Ended[Any, Any]]:
        """Yield how items ended, each once."""
        while self._finished:
            yield self._finished.popleft()


_idle: list[tuple[bytes, Limits, Pool]] = []
_idle_lock = threading.Lock()


def run_batch(batch: Batch, wanted: Callable[[], bool] = lambda: True) -> Answers:
    """Run the items of a batch, one after the other, in a worker that stays warm; return how they ended.

    Args:
        batch: the items.
        wanted: asked every second; when it says no, the item that is running is killed and what has ended is returned.

    Raises:
        OtherVersion: the batch comes from another version of fairbench.
    """
    if installed() != batch.version:
        raise OtherVersion(
            f"fairbench {installed()} is installed, and the run was started by fairbench {batch.version}"
        )
    began, answers = time.monotonic(), []
    pool = _taken(batch.function, batch.limits)
    try:
        for number, item in batch.items:
            pool.waiting.append(Task(number, None, item))
            while pool.advance():
                answers += [(task.number, outcome) for task, outcome in _drained(pool)]
                if not wanted():
                    pool.stop()
                    return answers
            if time.monotonic() - began > batch.seconds:
                break
    except BaseException:
        pool.stop()
        raise
    _keep(batch.function, batch.limits, pool)
    return answers


def _drained(pool: Pool) -> Iterable[tuple[Task, Outcome]]:
    while pool.finished:
        yield pool.finished.popleft()


def _taken(function: bytes, limits: Limits) -> Pool:
    """Return a pool of one worker, a warm one if there is one for this function."""
    with _idle_lock:
        for place, (known, kept, pool) in enumerate(_idle):
            if (known, kept) == (function, limits):
                del _idle[place]
                return pool
    return Pool(function, 1, limits)


def _keep(function: bytes, limits: Limits, pool: Pool) -> None:
    """Keep a pool warm for a while."""
    with _idle_lock:
        _idle.append((function, limits, pool))
    timer = threading.Timer(IDLE, _expire, [pool])
    timer.daemon = True
    timer.start()


def _expire(pool: Pool) -> None:
    with _idle_lock:
        kept = [entry for entry in _idle if entry[2] is pool]
        for entry in kept:
            _idle.remove(entry)
    if kept:
        pool.stop()


def stop_idle() -> None:
    """End the warm workers of this process."""
    with _idle_lock:
        pools = [pool for _, _, pool in _idle]
        _idle.clear()
    for pool in pools:
        pool.stop()
