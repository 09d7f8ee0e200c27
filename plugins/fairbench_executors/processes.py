"""Cells in worker processes: a worker that dies costs only its cell, and Ctrl-C leaves no worker behind.

``concurrent.futures`` gives up a whole pool when one of its processes dies, and ``multiprocessing.Pool`` waits forever
for the lost result. So each worker has a pipe of its own here, and the parent knows which item a dead worker held. An
answer carries the number of its task and the process that gives it, so that a fork of a worker cannot answer in its
place.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, Callable, ClassVar, TypeVar

from fairbench.api import (
    CRASHED,
    NO_LIMITS,
    OUT_OF_MEMORY,
    RAISED,
    RETURNED,
    TIMED_OUT,
    Ended,
    Executor,
    Limits,
    NotApplicable,
    hookimpl,
    parameter,
)
from fairbench_executors._worker import work

T = TypeVar("T")
R = TypeVar("R")

GRACE = 5.0  # seconds a worker has to end before it is killed
PAUSE = 1.0  # seconds between two looks at whether a worker is still there, should its children hold its pipe open
GLANCE = 0.1  # seconds between two looks at the memory of workers, where that is limited
PUT_OFF: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
ENVIRONMENT["PYTHONSAFEPATH"] = "1"  # python -c would take a random.py of the current folder for Python's own


class WorkerDied(RuntimeError):
    """The process that ran an item ended without an answer, on the last try as well."""


class WorkerRaised(RuntimeError):
    """An exception's traceback in its worker: the cause of the exception, or its stand-in if it cannot be pickled."""


def _cpus() -> int:
    """Return how many CPUs this process may use, which in a container is fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Processes:
    """Run items in worker processes of one thread each; an item whose worker dies is tried again."""

    name: ClassVar[str] = "processes"
    workers: int = parameter(_cpus(), "worker processes; by default one for each CPU", minimum=1)

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, in the order in which they end.

        Args:
            function: importable by name, as ``pickle`` requires; so must its argument and result be. The script that
                started the run is not imported again.
            items: handed out one by one.
            limits: a worker that exceeds one is killed, whatever it is doing. Seconds count from when the item is
                handed out, the start of a new worker included; memory is what the worker holds in all. An item whose
                worker died is tried again ``limits.retries`` times.

        Raises:
            NotApplicable: memory is limited where the system does not tell how much a process holds.
            KeyboardInterrupt: the user has stopped the run; results that had arrived are yielded first.
        """
        if limits.memory is not None and not os.path.exists("/proc/self/statm"):
            raise NotApplicable("the executor processes can limit memory on Linux only")
        pool = _Pool(pickle.dumps(function), self.workers, items, limits)
        try:
            while pool.advance():
                while pool.finished:
                    yield pool.finished.popleft()
        except KeyboardInterrupt:
            pool.collect_arrived()
            pool.stop()
            yield from pool.finished
            raise
        finally:
            pool.stop()


class _Task:
    """An item with its number, and how many workers have died running it."""

    def __init__(self, number: int, item: Any) -> None:
        self.number, self.item = number, item
        self.deaths = 0


class _Worker:
    """A process, this end of its pipe, and the task that it is busy with."""

    def __init__(self, function: bytes) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's threads
        self.pipe, theirs = context.Pipe()
        # The system ends a worker with the thread that started it: only the main one stays as long as the run.
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else None
        self.process = context.Process(target=work, args=(theirs, function, parent), daemon=True)
        self.task: _Task | None = None
        self.since = 0.0  # when it was handed its task
        with theirs, _environment_of_a_worker(), _script_hidden():
            self.process.start()

    def end(self) -> int | None:
        """Wait for the process, or kill it; return its exit code."""
        self.pipe.close()
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode
        self.process.close()
        return code


class _Pool:
    """The parent's side: waiting tasks, workers, and how items ended, ready to be yielded."""

    def __init__(self, function: bytes, size: int, items: Sequence[Any], limits: Limits) -> None:
        self.function, self.size, self.limits = function, size, limits
        self.waiting = deque(_Task(number, item) for number, item in enumerate(items))
        self.workers: list[_Worker] = []  # the one that has been busy longest comes first
        self.finished: deque[Ended[Any, Any]] = deque()

    def advance(self) -> bool:
        """Hand out what is possible and collect one answer; return False when everything has been yielded."""
        self._hand_out()
        busy = [worker for worker in self.workers if worker.task]
        if busy and not self.finished:
            ends = [end for worker in busy for end in (worker.pipe, worker.process.sentinel)]
            ready = set(wait(ends, self._patience(busy)))
            # One at a time: what is still in a pipe when the caller stops counts as not computed.
            for worker in busy:
                if {worker.pipe, worker.process.sentinel} & ready or worker.process.exitcode is not None:
                    self._collect(worker)
                    break
            self._keep_limits()
            self._hand_out()  # before the caller spends time on the answer
        return bool(self.finished or self.waiting or any(worker.task for worker in self.workers))

    def collect_arrived(self) -> None:
        """Collect the answers that are already in the pipes; wait for none."""
        self.waiting.clear()
        for worker in list(self.workers):
            if worker.task and worker.pipe.poll():
                self._collect(worker)

    def stop(self) -> None:
        """End every worker: at once if it is busy, by itself if it is idle."""
        with _interrupt_put_off():
            for worker in self.workers:
                if worker.task:
                    worker.process.terminate()
                else:
                    worker.pipe.close()
            while self.workers:
                self.workers.pop().end()

    def _hand_out(self) -> None:
        while self.waiting:
            idle = next((worker for worker in self.workers if worker.task is None), None)
            if idle is None and len(self.workers) >= self.size:
                return
            task = self.waiting.popleft()
            try:
                message = pickle.dumps((task.number, pickle.dumps(task.item)))
            except Exception as error:  # pickle raises almost anything
                self.finished.append(Ended(task.item, RAISED, error=error))
                continue
            with _interrupt_put_off():  # so that every process that was started is among those that are ended
                if idle is None:
                    idle = _Worker(self.function)
                else:
                    self.workers.remove(idle)
                self.workers.append(idle)
                idle.task, idle.since = task, time.monotonic()
            try:
                idle.pipe.send_bytes(message)
            except OSError:  # it died while it was idle, or while it started
                self._bury(idle)

    def _collect(self, worker: _Worker) -> None:
        """Take a worker's answer, or clean up after the worker if it ended without one."""
        with _interrupt_put_off():  # so that an answer taken from the pipe is among the finished ones
            try:
                if not worker.pipe.poll():
                    raise EOFError
                number, process, *outcome = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301 - from our own worker
            except Exception:  # it has ended, or what it sent cannot be read
                self._bury(worker)
                return
            task = worker.task
            if task is not None and (task.number, worker.process.pid) == (number, process):
                worker.task = None
                self.finished.append(_unpacked(task.item, *outcome))

    def _bury(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        code = worker.end()
        task, worker.task = worker.task, None
        if task is None:
            return
        task.deaths += 1
        if task.deaths <= self.limits.retries:
            self.waiting.append(task)  # behind the others: more memory may be free then
        else:
            times = f", {task.deaths} times" if task.deaths > 1 else ""
            error = WorkerDied(f"the worker process {_cause_of_death(code)}{times}")
            self.finished.append(Ended(task.item, CRASHED, error=error))

    def _patience(self, busy: Sequence[_Worker]) -> float:
        """Return for how many seconds nothing but an answer needs attention."""
        seconds = PAUSE if self.limits.memory is None else GLANCE
        if self.limits.seconds is None:
            return seconds
        first = min(worker.since for worker in busy) + self.limits.seconds
        return max(0.0, min(seconds, first - time.monotonic()))

    def _keep_limits(self) -> None:
        """Kill the workers that use more than they may; their items are not tried again.

        One whose answer lies in its pipe has finished in time, or has ended: it is left to ``_collect``.
        """
        if not self.limits:
            return
        for worker in [worker for worker in self.workers if worker.task and not worker.pipe.poll()]:
            task, (how, error) = worker.task, self._exceeded(worker)
            if task is not None and error is not None:
                with _interrupt_put_off():
                    worker.process.kill()
                    worker.task = None
                    self.workers.remove(worker)
                    worker.end()
                    self.finished.append(Ended(task.item, how, error=error))

    def _exceeded(self, worker: _Worker) -> tuple[str, BaseException | None]:
        """Return which limit a worker has exceeded, if any, and an error that says so."""
        seconds, memory = self.limits.seconds, self.limits.memory
        if seconds is not None and time.monotonic() - worker.since >= seconds:
            return TIMED_OUT, TimeoutError(f"stopped after {seconds:g} s, which is the limit")
        held = 0 if memory is None else _memory_of(worker.process.pid)
        if memory is not None and held > memory:
            words = f"stopped when it held {held / 2**20:,.0f} MiB; the limit is {memory / 2**20:,.0f} MiB"
            return OUT_OF_MEMORY, MemoryError(words)
        return RETURNED, None


def _memory_of(process: int | None) -> int:
    """Return how many bytes of memory a process holds, 0 if it has ended."""
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _unpacked(item: Any, returned: bool, payload: bytes, text: str) -> Ended[Any, Any]:
    """Return what the function returned, or the exception that it raised with the worker's traceback as its cause."""
    try:
        outcome = pickle.loads(payload)  # noqa: S301 - from our own worker
    except Exception as error:  # e.g. an exception whose __init__ needs more than its message
        words = text or f"what the worker returned cannot be read: {type(error).__name__}: {error}"
        return Ended(item, RAISED, error=WorkerRaised(words))
    if returned:
        return Ended(item, RETURNED, outcome)
    outcome.__cause__ = WorkerRaised(text)
    return Ended(item, RAISED, error=outcome)


def _cause_of_death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"


@contextmanager
def _interrupt_put_off() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block.

    A signal mask would not do: the signal then goes to another thread (numpy starts some), and Python raises
    KeyboardInterrupt in the main one all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where Python raises no KeyboardInterrupt
        return
    seen: list[int] = []
    handlers = {number: signal.getsignal(number) for number in PUT_OFF}
    for number in PUT_OFF:
        signal.signal(number, lambda number, frame: seen.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # None: set by native code
    for put_off in dict.fromkeys(seen):
        signal.raise_signal(put_off)


@contextmanager
def _environment_of_a_worker() -> Iterator[None]:
    """Let a process that is started now use one thread, import nothing by chance, and never see Ctrl-C.

    Its parent ends it.
    """
    saved = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        resource_tracker.ensure_running()  # multiprocessing's own helper; starting it later would unblock SIGINT again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the worker inherits it
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        for name, value in saved.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Let a process that is started now not import the script that started the run: it would start it again."""
    script = sys.modules["__main__"]
    hidden = {name: vars(script)[name] for name in ("__file__", "__spec__") if vars(script).get(name) is not None}
    for name in hidden:
        setattr(script, name, None)
    try:
        yield
    finally:
        vars(script).update(hidden)


@hookimpl
def fairbench_executors() -> list[type[Executor]]:
    """Return the executor."""
    return [Processes]
