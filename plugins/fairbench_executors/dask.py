"""Cells on a cluster of dask: its scheduler hands them out, and tries again those of a worker that goes away."""

from __future__ import annotations

import logging
import queue
import re
import tempfile
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Callable, ClassVar, TypeVar

from fairbench.api import NO_LIMITS, Ended, Executor, Limits, NotApplicable, hookimpl, last_line, needs, parameter
from fairbench_executors._batches import (
    DISTRIBUTION,
    Answers,
    Batch,
    Batches,
    OtherVersion,
    installed,
    run_batch,
    stop_idle,
)
from fairbench_executors._nursery import interrupt_put_off
from fairbench_executors._pool import AGAIN, NoWorker, check_limits, cpus

needs("distributed")

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 30  # seconds for a scheduler to answer, and for its first worker to be there
SLICE = 5.0  # seconds after which a batch brings what has ended, so that little is lost with a worker
PAUSE = 1.0  # seconds between two looks at whether the scheduler is still there


@dataclass(frozen=True)
class Dask:
    """Run items on a dask cluster, a running one or one of this machine; each in a process that can be killed."""

    name: ClassVar[str] = "dask"
    scheduler: str = parameter("", "a running scheduler, e.g. tcp://host:8786; by default a cluster on this machine")
    workers: int = parameter(cpus(), "worker processes of the cluster on this machine", minimum=1)
    batch: int = parameter(16, "items in one task, at most; a task brings what has ended after 5 s", minimum=1)

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, in the order in which their batches come back.

        Args:
            function: importable by name on every worker of dask; so must its argument and result be.
            items: sent in batches. When dask gives up on a batch, because one worker after the other went away with
                it, its items are sent again, after the others and each alone, since its neighbours in a worker are
                lost with it; the one with which workers still go away has crashed.
            limits: kept as ``processes`` keeps them, on the host of each worker.

        Raises:
            NotApplicable: the scheduler cannot be reached, has no worker or goes away, or another version of fairbench
                runs on a worker; or memory is limited where the system does not tell how much a process holds.
            KeyboardInterrupt: the user has stopped the run; results that had arrived are yielded first.
        """
        check_limits(limits, self.name)
        if not items:
            return
        import distributed  # noqa: F401 - sets up the logging that is silenced below

        batches = Batches(function, items, limits, self.batch, SLICE, shared=True)
        with _quiet(), self._client() as client:
            yield from _run(client, batches)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """Connect to the scheduler, or to one of this process, and close what was opened here."""
        from dask import config
        from distributed import Client, LocalCluster

        if self.scheduler:
            if not re.fullmatch(r"\w+://.+:\d+", self.scheduler):
                raise NotApplicable(f"scheduler is {self.scheduler!r}; give an address such as tcp://host:8786")
            try:
                client = Client(self.scheduler, timeout=PATIENCE, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                said = last_line(str(error)) or type(error).__name__
                raise NotApplicable(f"the dask scheduler {self.scheduler} cannot be reached: {said}") from error
            with client:
                _check_workers(client, self.scheduler)
                yield client
            return
        # Its worker is a thread of this process for each process that runs items: dask needs none of its own.
        with tempfile.TemporaryDirectory(prefix="fairbench-dask-") as folder:
            try:
                with (
                    config.set({"temporary-directory": folder}),
                    LocalCluster(
                        n_workers=1,
                        threads_per_worker=self.workers,
                        processes=False,
                        dashboard_address="127.0.0.1:0",  # whichever port is free
                        memory_limit=0,
                        silence_logs=logging.CRITICAL,
                        local_directory=folder,
                    ) as cluster,
                    Client(cluster, set_as_default=False) as client,
                ):
                    yield client
            finally:
                stop_idle()


def _check_workers(client: Any, scheduler: str) -> None:
    """Refuse a cluster without workers, or with workers that cannot run our items."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise NotApplicable(f"the dask scheduler {scheduler} has no worker after {PATIENCE} s; start some") from error
    ours = installed()
    for worker, theirs in client.run(version, DISTRIBUTION, on_error="return").items():
        if isinstance(theirs, BaseException):
            raise NotApplicable(f"the dask worker {worker} has no {DISTRIBUTION}; install {ours} there")
        if theirs != ours:
            raise NotApplicable(f"the dask worker {worker} has fairbench {theirs}, and this is {ours}; install one")


def _run(client: Any, batches: Batches) -> Generator[Ended[Any, Any], None, None]:
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sent: dict[Any, Batch] = {}
    try:
        threads = _threads(client)
        while True:
            while len(sent) < 2 * threads and (batch := batches.take(threads, len(sent))) is not None:
                future = client.submit(_run_here, batch, key=f"fairbench-{uuid.uuid4().hex}", pure=False)
                sent[future] = batch
                future.add_done_callback(done.put)
            yield from batches.finished()
            if not sent:
                return
            try:
                future = done.get(timeout=PAUSE)
            except queue.Empty:
                threads = _threads(client)
                continue
            with interrupt_put_off():
                _take(client, future, sent.pop(future), batches)
    except KeyboardInterrupt:
        with suppress(queue.Empty):
            while True:
                future = done.get_nowait()
                with suppress(NotApplicable):
                    _take(client, future, sent.pop(future), batches)
        yield from batches.finished()
        raise
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.cancel(list(sent), force=True)


def _threads(client: Any) -> int:
    """Return how many batches the cluster can run at a time; it may grow."""
    if client.status == "running":  # else it would wait for half a minute
        with suppress(Exception):  # whatever dask raises when its connection is closed
            threads: dict[str, int] = client.nthreads()
            return max(1, sum(threads.values()))
    raise NotApplicable(f"the dask scheduler went away; {AGAIN}")


def _take(client: Any, future: Any, batch: Batch, batches: Batches) -> None:
    """Note what came of a batch; an answer that was lost with a worker may be cancelled, and is asked for again."""
    from distributed import KilledWorker

    if future.status == "finished":
        with suppress(Exception):  # the worker that held the answer may be gone before we have it
            batches.answered(batch, future.result())
            return
        batches.answered(batch, ())
        return
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        batches.lost(batch, f"dask gave it up: {last_line(str(error))}", retries=0)
    elif isinstance(error, OtherVersion):
        raise NotApplicable(f"on a dask worker {error}; install one version everywhere; {AGAIN}")
    elif isinstance(error, NoWorker):
        raise NotApplicable(f"on a host of dask {error}; {AGAIN}")
    elif error is None:
        _threads(client)  # which says so if it is the scheduler that went away
        batches.lost(batch, "dask lost it with a worker", batches.limits.retries)
    else:
        raise NotApplicable(f"a dask worker cannot run cells: {type(error).__name__}: {last_line(str(error))}; {AGAIN}")


def _run_here(batch: Batch) -> Answers:
    """Run a batch on a worker of dask; stop when dask wants it no longer, because its run was stopped or killed."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name == "running" and task is not None and task.state == "executing"

    return run_batch(batch, wanted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let dask print no log: what matters is said in one line."""
    loggers = [
        logging.getLogger(name) for name in ("distributed", "distributed.client")
    ]  # each with handlers of its own
    before = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [logging.NullHandler()]
    try:
        yield
    finally:
        for logger, handlers in zip(loggers, before):
            logger.handlers = handlers


@hookimpl
def fairbench_executors() -> list[type[Executor]]:
    """Return the executor."""
    return [Dask]
