"""Cells in worker processes: one that dies takes only its cell along, and Ctrl-C leaves none behind.

``concurrent.futures`` gives a whole pool up when one of its processes dies, and ``multiprocessing.Pool`` waits for ever
for the lost result. So each worker has a pipe of its own here, and the parent knows which item a dead worker held. An
answer carries the number of its task and the process that gives it: a fork of a worker answers for nobody.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, TypeVar

from fairbench.api import hookimpl, parameter

T = TypeVar("T")
R = TypeVar("R")

TRIES = 2
GRACE = 5.0  # seconds a worker has to end before it is killed
PAUSE = 1.0  # seconds between two looks at whether a worker is still there, should its children hold its pipe open
PUT_OFF = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1
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
    """Run items in worker processes of one thread each; an item whose worker dies is tried once more."""

    name = "processes"
    workers: int = parameter(_cpus(), "worker processes; by default one for each CPU", minimum=1)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R | BaseException]]:
        """Yield each item with what the function returned or raised, in the order in which they end.

        Args:
            function: importable by name, as ``pickle`` wants it; so must be what it takes and returns.
            items: handed out one by one.

        Raises:
            KeyboardInterrupt: the user has stopped the run; results that had arrived are yielded before.
        """
        pool = _Pool(pickle.dumps(function), self.workers, items)
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
    """An item with its number, and how often a worker has died of it."""

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
        self.process = context.Process(target=_work, args=(theirs, function, parent), daemon=True)
        self.task: _Task | None = None
        with theirs, _environment_of_a_worker():
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
    """The parent's side: waiting tasks, workers, and pairs of item and outcome that are ready to be yielded."""

    def __init__(self, function: bytes, size: int, items: Sequence[Any]) -> None:
        self.function, self.size = function, size
        self.waiting = deque(_Task(number, item) for number, item in enumerate(items))
        self.workers: list[_Worker] = []  # the one that has been busy longest comes first
        self.finished: deque[tuple[Any, Any]] = deque()

    def advance(self) -> bool:
        """Hand out what can be and collect one answer; return False when everything has been yielded."""
        self._hand_out()
        busy = [worker for worker in self.workers if worker.task]
        if busy and not self.finished:
            ready = set(wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)], PAUSE))
            # One at a time: what is still in a pipe when the caller stops is as if it had not been computed.
            for worker in busy:
                if {worker.pipe, worker.process.sentinel} & ready or worker.process.exitcode is not None:
                    self._collect(worker)
                    break
            self._hand_out()  # before the caller spends time on the answer
        return bool(self.finished or self.waiting or any(worker.task for worker in self.workers))

    def collect_arrived(self) -> None:
        """Collect the answers that lie in the pipes; wait for none."""
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
                self.finished.append((task.item, error))
                continue
            with _interrupt_put_off():  # so that every process that was started is among those that are ended
                if idle is None:
                    idle = _Worker(self.function)
                else:
                    self.workers.remove(idle)
                self.workers.append(idle)
                idle.task = task
            try:
                idle.pipe.send_bytes(message)
            except OSError:  # it died while it was idle, or while it started
                self._bury(idle)

    def _collect(self, worker: _Worker) -> None:
        """Take a worker's answer, or bury the worker if it ended without one."""
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
                self.finished.append((task.item, _unpacked(*outcome)))

    def _bury(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        code = worker.end()
        task, worker.task = worker.task, None
        if task is None:
            return
        task.deaths += 1
        if task.deaths < TRIES:
            self.waiting.append(task)  # behind the others: memory may be freer then
        else:
            self.finished.append((task.item, WorkerDied(f"the worker process {_cause_of_death(code)}, {TRIES} times")))


def _unpacked(returned: bool, payload: bytes, text: str) -> Any:
    """Return what the function returned, or the exception that it raised with the worker's traceback as its cause."""
    try:
        outcome = pickle.loads(payload)  # noqa: S301 - from our own worker
    except Exception as error:  # e.g. an exception whose __init__ wants more than its message
        return WorkerRaised(text or f"what the worker returned cannot be read: {type(error).__name__}: {error}")
    if not returned:
        outcome.__cause__ = WorkerRaised(text)
    return outcome


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


def _work(pipe: Connection, function: bytes, parent: int | None) -> None:
    """Answer items until the pipe is closed; this is what a worker runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent is not None:
        _be_killed_with(parent)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    process = os.getpid()
    try:
        while True:
            number, item = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
            outcome = _answer(function, item)
            if os.getpid() != process:  # a fork that the item made has come back
                os._exit(1)
            pipe.send_bytes(pickle.dumps((number, process, *outcome)))
    except (EOFError, OSError):
        return  # the parent wants no more


def _be_killed_with(parent: int) -> None:
    """Ask the system to kill this process with its parent, even while an item lets no other thread run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)


def _end_with_parent() -> None:
    """End this process, in the middle of an item if need be, when its parent is gone; where the system does not."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@lru_cache(maxsize=1)
def _function(pickled: bytes) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301 - from our own parent
    return function


def _answer(function: bytes, item: bytes) -> tuple[bool, bytes, str]:
    """Return whether the function returned, what it returned or raised, pickled, and its traceback."""
    try:
        payload = pickle.dumps(_function(function)(pickle.loads(item)))  # noqa: S301 - from our own parent
        return True, payload, ""
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its item
        text = traceback.format_exc()
        try:
            payload = pickle.dumps(error)
        except Exception:
            payload = b""  # which cannot be read, so that the traceback stands for it
        return False, payload, text


@hookimpl
def fairbench_executors() -> list[type]:
    """Return the executor."""
    return [Processes]
