"""Cells as jobs of a Slurm cluster, through submitit: one job for a batch of cells.

The jobs' files are pickled by submitit and lie in the private folder of the run (mode 0700), which must be on a file
system that every node sees. Nothing is unpickled but what this user's own jobs wrote there.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, ClassVar, TypeVar

from fairbench.api import NO_LIMITS, Ended, Executor, Limits, NotApplicable, hookimpl, last_line, needs, parameter
from fairbench_executors._batches import Answers, Batch, Batches, OtherVersion, run_batch, stop_idle
from fairbench_executors._nursery import interrupt_put_off
from fairbench_executors._pool import AGAIN, NoWorker, check_limits, cpus

if sys.version_info < (3, 10):
    raise NotApplicable("submitit works on Python 3.10 and later only")
needs("submitit")

T = TypeVar("T")
R = TypeVar("R")

PAUSE = 0.5  # seconds between two looks at the jobs
ASKED = 30.0  # seconds between two questions to Slurm about jobs that have left no result
BEAT = 15.0  # seconds between two signs of life of the run
SILENCE = 300.0  # seconds without a sign of life after which a job stops: nobody would collect what it brings


@dataclass(frozen=True)
class Slurm:
    """Run items in jobs of a Slurm cluster, a batch of items in each; each item in a process that can be killed."""

    name: ClassVar[str] = "slurm"
    cluster: str = parameter("slurm", "slurm, or local for jobs on this machine", choices=("slurm", "local"))
    partition: str = parameter("", "partition of the cluster; by default the cluster's own")
    minutes: int = parameter(60, "what a job may take; no item is begun in its second half", minimum=1)
    memory: int = parameter(8, "GiB of memory for a job", minimum=1)
    batch: int = parameter(20, "items in one job, at most", minimum=1)
    jobs: int = parameter(32, "jobs at a time, at most; on this machine no more than it has CPUs", minimum=1)
    folder: str = parameter("", "folder for the jobs' files, which all nodes see; by default in the run directory")

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, in the order in which their jobs end.

        Args:
            function: importable by name on every node; so must its argument and result be.
            items: sent in batches. The items of a job that ends without a result (cancelled, out of time, a node that
                fails) are sent again one by one, ``limits.retries`` times; then they have crashed.
            limits: kept as ``processes`` keeps them, on the node of each job.

        Raises:
            NotApplicable: jobs cannot be submitted, or another version of fairbench runs on a node; or memory is
                limited where the system does not tell how much a process holds.
            KeyboardInterrupt: the user has stopped the run; results that had arrived are yielded first.
        """
        check_limits(limits, self.name)
        if limits.seconds is not None and limits.seconds > 30 * self.minutes:
            raise NotApplicable(
                f"a limit of {limits.seconds:g} s needs jobs of {math.ceil(limits.seconds / 30)} minutes or more: "
                f"slurm[minutes={math.ceil(limits.seconds / 30)}]"
            )
        if not items:
            return
        at_once = self.jobs if self.cluster == "slurm" else min(self.jobs, cpus())
        size = min(self.batch, math.ceil(len(items) / at_once))
        batches = Batches(function, items, limits, size, 30 * self.minutes)
        with _quiet(), self._private(function) as folder:
            jobs = _Jobs(self._submitter(folder), folder / "alive", batches, at_once, asks=self.cluster == "slurm")
            yield from jobs.ended()

    @contextmanager
    def _private(self, function: Any) -> Iterator[Path]:
        """Make a folder for the jobs' files that only this user can read; remove it at the end."""
        parent = self.folder or getattr(function, "scratch", None)
        try:
            folder = Path(tempfile.mkdtemp(prefix="jobs-", dir=parent)).absolute()
        except OSError as error:
            raise NotApplicable(f"the jobs' files cannot be written to {parent}: {error.strerror}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _submitter(self, folder: Path) -> Any:
        import submitit

        try:
            submitter = submitit.AutoExecutor(str(folder), cluster=self.cluster)
        except RuntimeError as error:
            raise NotApplicable(f"jobs cannot be submitted here: {last_line(str(error))}") from error
        known = {"timeout_min": self.minutes, "mem_gb": self.memory, "cpus_per_task": 1, "name": "fairbench"}
        submitter.update_parameters(**known, **({"slurm_partition": self.partition} if self.partition else {}))
        return submitter


class _Jobs:
    """The jobs that are on their way, and what they bring."""

    def __init__(self, submitter: Any, sign: Path, batches: Batches, most: int, asks: bool) -> None:
        """Begin without a job.

        Args:
            submitter: of submitit.
            sign: a file that says that the run is alive.
            batches: what is to be done.
            most: jobs at a time.
            asks: whether jobs that leave no result must be asked for.
        """
        self.submitter, self.sign, self.batches, self.most, self.asks = submitter, sign, batches, most, asks
        self.sent: dict[Any, Batch] = {}
        self.beat, self.asked = -BEAT, time.monotonic()

    def ended(self) -> Generator[Ended[Any, Any], None, None]:
        """Submit batches and yield how their items ended; cancel the jobs that are left when this is closed."""
        try:
            while True:
                self._give_sign()
                while len(self.sent) < self.most and (batch := self.batches.take()) is not None:
                    with interrupt_put_off():
                        self._submit(batch)
                yield from self.batches.finished()
                if not self.sent:
                    return
                if not self._collect():
                    time.sleep(PAUSE)
        except KeyboardInterrupt:
            self._collect()
            yield from self.batches.finished()
            raise
        finally:
            for job in self.sent:
                with suppress(Exception):  # it may just have ended
                    job.cancel(check=False)
            for job in self.sent:  # a job on this machine is waited for
                process = getattr(job, "_process", None)
                if process is not None:
                    process.wait()

    def _give_sign(self) -> None:
        if time.monotonic() - self.beat > BEAT:
            self.beat = time.monotonic()
            self.sign.write_text(f"{platform.node()} {os.getpid()} {self.beat}")

    def _submit(self, batch: Batch) -> None:
        try:
            with _own_stderr(self.sign.with_name("controllers")):
                self.sent[self.submitter.submit(_run_here, batch, str(self.sign))] = batch
        except (OSError, RuntimeError) as error:
            raise NotApplicable(f"a job cannot be submitted: {last_line(str(error))}; {AGAIN}") from error

    def _collect(self) -> bool:
        """Note what came of the jobs that have ended; return whether there was any."""
        if self.asks and self.sent and time.monotonic() - self.asked > ASKED:
            self.asked = time.monotonic()
            with suppress(Exception):  # Slurm may not answer now
                next(iter(self.sent)).watcher.update()  # of all jobs
        ended = [job for job in self.sent if job.done()]
        for job in ended:
            with interrupt_put_off():
                self._take(job, self.sent.pop(job))
        return bool(ended)

    def _take(self, job: Any, batch: Batch) -> None:
        try:
            answers = job.result()
        except Exception as error:  # submitit's, which quote the traceback and the log of the job
            if OtherVersion.__name__ in str(error):
                said = last_line(str(error)).rpartition(f"{OtherVersion.__name__}: ")[2]
                raise NotApplicable(f"in job {job.job_id} {said}; install one version everywhere; {AGAIN}") from error
            if NoWorker.__name__ in str(error):
                said = last_line(str(error)).rpartition(f"{NoWorker.__name__}: ")[2]
                raise NotApplicable(f"in job {job.job_id} {said}; {AGAIN}") from error
            said = f"job {job.job_id} ended without a result ({job.state}): {last_line(str(error))}"
            self.batches.lost(batch, said, self.batches.limits.retries)
        else:
            self.batches.answered(batch, answers)


def _run_here(batch: Batch, sign: str) -> Answers:
    """Run a batch as a job; stop when the run that began it gives no sign of life."""
    seen, since = "", time.monotonic()

    def wanted() -> bool:
        nonlocal seen, since
        with suppress(OSError):  # a file system can be slow to show it
            beat = Path(sign).read_text()
            host, process, _ = beat.split()
            if host == platform.node() and not _is_alive(int(process)):
                return False
            if beat != seen:
                seen, since = beat, time.monotonic()
        return os.path.isdir(os.path.dirname(sign)) and time.monotonic() - since < SILENCE

    try:
        return run_batch(batch, wanted)
    finally:
        stop_idle()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Let submitit print no log: what matters is said in one line."""
    logger = logging.getLogger("submitit")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _own_stderr(path: Path) -> Iterator[None]:
    """Let processes that the block starts write their errors into a file.

    A local job has a process of submitit that waits for it, and prints a traceback when Ctrl-C or ``cancel`` ends it.
    """
    try:
        ours = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)


@hookimpl
def fairbench_executors() -> list[type[Executor]]:
    """Return the executor."""
    return [Slurm]
