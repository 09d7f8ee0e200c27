"""Worker processes that stay warm, each with a pipe of its own, and what they answer.

``concurrent.futures`` gives up a whole pool when one of its processes dies, and ``multiprocessing.Pool`` waits forever
for the lost result. Here the parent knows which item a dead worker held.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Optional

from fairbench.api import CRASHED, OUT_OF_MEMORY, RAISED, RETURNED, TIMED_OUT, Ended, Limits, NotApplicable
from fairbench_executors._nursery import Leash, Nursery, interrupt_put_off
from fairbench_executors._warden import children
from fairbench_executors._worker import READY, pickled_error

START = 300.0  # seconds that a worker may take to start, where time is limited
STARTS = 3  # workers that die in a row while they start, after which no other is started
PAUSE = 1.0  # seconds after which the caller is asked whether it wants to go on
GLANCE = 0.1  # seconds between two looks at the memory of workers, where that is limited
AGAIN = "what has finished is kept; give the same command again to go on"


class WorkerDied(RuntimeError):
    """The process that ran an item ended without an answer, on the last try as well."""


class NoWorker(NotApplicable):
    """Workers end while they start: no item is to blame, and none can be run here."""


class WorkerRaised(RuntimeError):
    """An exception's traceback in its worker: the cause of the exception, or its stand-in if it cannot be pickled."""


class Outcome(NamedTuple):
    """How an item ended, ready to be sent: ``how`` of ``Ended``, what came of it, pickled, and why in words."""

    how: str
    payload: bytes
    text: str


def cpus() -> int:
    """Return how many CPUs this process may use, which in a container is fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_limits(limits: Limits, who: str) -> None:
    """Refuse a limit that cannot be enforced here, on behalf of ``who``, e.g. ``processes``.

    Raises:
        NotApplicable: memory is limited where the system does not tell how much a process holds.
    """
    if limits.memory is not None and not os.path.exists("/proc/self/statm"):
        raise NotApplicable(f"the executor {who} can limit memory on Linux only")


def ended(item: Any, outcome: Outcome) -> Ended[Any, Any]:
    """Return what the function returned, or the exception that it raised with the worker's traceback as its cause."""
    how, payload, text = outcome
    if how in (CRASHED, TIMED_OUT, OUT_OF_MEMORY):
        kind = {CRASHED: WorkerDied, TIMED_OUT: TimeoutError, OUT_OF_MEMORY: MemoryError}[how]
        return Ended(item, how, error=kind(text))
    try:
        found = pickle.loads(payload)  # noqa: S301 - from our own worker
    except Exception as error:  # e.g. an exception whose __init__ needs more than its message
        words = text or f"what the worker returned cannot be read: {type(error).__name__}: {error}"
        return Ended(item, RAISED, error=WorkerRaised(words))
    if how == RETURNED:
        return Ended(item, RETURNED, found)
    found.__cause__ = WorkerRaised(text)
    return Ended(item, RAISED, error=found)


class Task:
    """An item with its number, and how many workers have died running it."""

    def __init__(self, number: int, item: Any, pickled: Optional[bytes] = None) -> None:
        self.number, self.item, self._pickled = number, item, pickled
        self.deaths = 0

    def message(self) -> bytes:
        """Return what a worker is sent."""
        item = pickle.dumps(self.item) if self._pickled is None else self._pickled
        return pickle.dumps((self.number, item))


class _Worker:
    """A process, this end of its pipe and of its warden's leash, and the task that it is busy with."""

    def __init__(self, nursery: Nursery) -> None:
        self.nursery = nursery
        self.pipe, theirs = Pipe()
        end, held = Pipe()
        self.leash = Leash(end)
        self.task: Optional[Task] = None
        self.ready = False  # whether it has started: its libraries are loaded
        self.since = 0.0  # when it began its task, or, as long as it is not ready, was started
        self.unsent: tuple[bytes, ...] = ()  # what it is sent once it is there; nobody would read it before
        with theirs, held:
            nursery.start(theirs, held)

    @property
    def ended(self) -> bool:
        """Whether it has ended; see what its warden has said meanwhile."""
        ended = self.leash.ended
        self.nursery.loaded = self.nursery.loaded or self.leash.warden > 0
        return ended

    def deliver(self) -> None:
        """Send what has not been sent, if the process is there.

        Raises:
            OSError: it has ended.
        """
        if self.unsent and not self.ended and self.leash.warden:
            for message in self.unsent:
                self.pipe.send_bytes(message)
            self.unsent = ()

    def memory(self, limit: int) -> int:
        """Return how many bytes it holds with all that it has started; before it is there, what its nursery holds."""
        if self.ended or self.leash.warden or self.nursery.loaded:
            return _memory_of(self.leash.warden, limit)
        return 0 if self.nursery.leash.ended else _memory_of(self.nursery.leash.warden, limit)

    def stop(self) -> None:
        """Begin to end it, and a nursery that has not loaded what it needs."""
        self.leash.pull()
        if not self.ended and not self.nursery.loaded:
            self.nursery.stop()

    def end(self) -> int:
        """Wait for the process, or kill it; return its exit code."""
        self.pipe.close()
        return self.leash.end()


class Pool:
    """The parent's side: waiting tasks, workers, and how items ended, ready to be yielded."""

    def __init__(self, function: bytes, size: int, limits: Limits, nursery: Optional[Nursery] = None) -> None:
        """Start with nothing to do, in a nursery that has been started, if there is one.

        Workers, and a nursery for them, are started as they are needed.
        """
        self.function, self.size, self.limits = function, size, limits
        self.nurseries = [] if nursery is None else [nursery]  # the last one is in use; workers of others may live on
        self.waiting: deque[Task] = deque()
        self.workers: list[_Worker] = []  # the one that has been busy longest comes first
        self.finished: deque[tuple[Task, Outcome]] = deque()
        self.stillborn = 0  # workers that have died in a row while they started
        self.last_death = ""

    def advance(self) -> bool:
        """Hand out what is possible and collect one answer; return False when everything has been yielded.

        Raises:
            NoWorker: one worker after the other has ended while it started, and no other is left.
        """
        self._hand_out()
        self._deliver()
        busy = [worker for worker in self.workers if worker.task]
        if busy and not self.finished:
            ends = [end for worker in busy for end in (worker.pipe, worker.leash.fileno)]
            ready = set(wait(ends, self._patience(busy)))
            # One at a time: what is still in a pipe when the caller stops counts as not computed.
            for worker in busy:
                if worker.ended or worker.pipe in ready:
                    self._collect(worker)
                    break
            self._keep_limits()
            self._hand_out()  # before the caller spends time on the answer
        return bool(self.finished or self.waiting or any(worker.task for worker in self.workers))

    def collect_arrived(self) -> None:
        """Collect the answers that are already in the pipes; wait for none."""
        self.waiting.clear()
        for worker in list(self.workers):
            while worker.task and worker.pipe.poll():
                self._collect(worker)

    def stop(self) -> None:
        """End every worker, at once if it is busy, by itself if it is idle; then what they come from."""
        with interrupt_put_off():
            for worker in self.workers:
                if worker.task:
                    worker.stop()
                else:
                    worker.pipe.close()
            while self.workers:
                self.workers.pop().end()
            while self.nurseries:
                self.nurseries.pop().end()

    def _hand_out(self) -> None:
        while self.waiting:
            idle = next((worker for worker in self.workers if worker.task is None), None)
            if idle is None and self.stillborn >= STARTS and not (self.workers or self.finished):
                raise NoWorker(
                    f"{self.stillborn} worker processes in a row ended while they started ({self.last_death})"
                )
            if idle is None and (len(self.workers) >= self.size or self.stillborn >= STARTS):
                return
            task = self.waiting.popleft()
            try:
                message = task.message()
            except Exception as error:  # pickle raises almost anything
                self.finished.append((task, Outcome(RAISED, pickled_error(error), traceback.format_exc())))
                continue
            with interrupt_put_off():  # so that every process that was started is among those that are ended
                if idle is None:
                    idle = _Worker(self._nursery())
                    idle.unsent = (self.function,)
                else:
                    self.workers.remove(idle)
                self.workers.append(idle)
                idle.task, idle.since, idle.unsent = task, time.monotonic(), (*idle.unsent, message)
            self._deliver()

    def _deliver(self) -> None:
        for worker in list(self.workers):
            try:
                worker.deliver()
            except OSError:  # it died while it was idle, or while it started
                self._bury(worker)

    def _nursery(self) -> Nursery:
        """Return the nursery in use, or a new one if it has ended."""
        if not self.nurseries or self.nurseries[-1].ended:
            self.nurseries.append(Nursery(self.nurseries[-1].modules if self.nurseries else ()))
        return self.nurseries[-1]

    def _collect(self, worker: _Worker) -> None:
        """Take a worker's answer or its word that it is ready; clean up after it if it ended without."""
        with interrupt_put_off():  # so that an answer taken from the pipe is among the finished ones
            try:
                if not worker.pipe.poll():
                    raise EOFError
                message = worker.pipe.recv_bytes()
                if message == READY:
                    worker.ready, worker.since, self.stillborn = True, time.monotonic(), 0
                    return
                number, *outcome = pickle.loads(message)  # noqa: S301 - from our own worker
                answer = Outcome(*outcome)
            except Exception:  # it has ended, or what it sent cannot be read
                self._bury(worker)
                return
            task = worker.task
            if task is not None and task.number == number:
                worker.task = None
                self.finished.append((task, answer))

    def _bury(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        code = worker.end()
        task, worker.task = worker.task, None
        if task is None:
            return
        if not worker.ready:  # through no fault of the task
            self.waiting.appendleft(task)
            if not worker.leash.warden:  # its nursery has ended, which counts once for all that it was to start
                if worker.nursery.stopped:
                    return
                code = worker.nursery.leash.wait()
                worker.nursery.stop()
            self.stillborn, self.last_death = self.stillborn + 1, _cause_of_death(code)
            return
        task.deaths += 1
        if task.deaths <= self.limits.retries:
            self.waiting.append(task)  # behind the others: more memory may be free then
        else:
            times = f", {task.deaths} times" if task.deaths > 1 else ""
            self.finished.append((task, Outcome(CRASHED, b"", f"the worker process {_cause_of_death(code)}{times}")))

    def _patience(self, busy: Sequence[_Worker]) -> float:
        """Return for how many seconds nothing but an answer needs attention."""
        seconds = PAUSE if self.limits.memory is None else GLANCE
        if self.limits.seconds is None:
            return seconds
        first = min(map(self._deadline, busy))
        return max(0.0, min(seconds, first - time.monotonic()))

    def _deadline(self, worker: _Worker) -> float:
        """Return until when a worker may be busy; its start has a limit of its own."""
        seconds = self.limits.seconds or math.inf
        return worker.since + (seconds if worker.ready else max(seconds, START))

    def _keep_limits(self) -> None:
        """End the workers that use more than they may; their items are not tried again.

        One whose answer lies in its pipe has finished in time, or has ended: it is left to ``_collect``.
        """
        if not self.limits:
            return
        busy = [worker for worker in self.workers if worker.task and not worker.pipe.poll()]
        for worker, exceeded in [(worker, self._exceeded(worker)) for worker in busy]:
            task = worker.task
            if task is not None and exceeded is not None:
                with interrupt_put_off():
                    worker.stop()
                    worker.task = None
                    self.workers.remove(worker)
                    worker.end()
                    self.finished.append((task, exceeded))

    def _exceeded(self, worker: _Worker) -> Optional[Outcome]:
        """Return which limit a worker has exceeded, if any."""
        memory = self.limits.memory
        if time.monotonic() >= self._deadline(worker):
            if not worker.ready:
                return Outcome(TIMED_OUT, b"", f"its worker had not started after {START:g} s")
            return Outcome(TIMED_OUT, b"", f"stopped after {self.limits.seconds:g} s, which is the limit")
        held = 0 if memory is None else worker.memory(memory)
        if memory is not None and held > memory:
            who = "it" if worker.ready else "its worker, which had not begun it,"
            words = f"stopped when {who} held {held / 2**20:,.0f} MiB; the limit is {memory / 2**20:,.0f} MiB"
            return Outcome(OUT_OF_MEMORY, b"", words)
        return None


def _memory_of(warden: int, limit: int) -> int:
    """Return how many bytes of memory all processes hold that a warden watches over; 0 if they have ended.

    Pages that several processes share are counted once only if the quick count, which counts them in each, exceeds the
    limit: the exact one takes milliseconds.
    """
    everyone = children(warden)
    for one in everyone:  # which grows
        everyone += children(one)
    quick = sum(map(_resident, everyone))
    return quick if quick <= limit else min(quick, sum(map(_share, everyone)))


def _resident(process: int) -> int:
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _share(process: int) -> int:
    """Return the bytes that a process holds, a page that n processes share as an n-th."""
    try:
        with open(f"/proc/{process}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):  # the process has ended, or the system does not tell
        return _resident(process)


def _cause_of_death(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
