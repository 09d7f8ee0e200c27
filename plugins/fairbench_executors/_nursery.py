"""A process that loads libraries once for all workers of a pool, and forks a worker whenever one is wanted.

To load torch and scikit-learn takes seconds of CPU time, a fork milliseconds. Plugins are not loaded before the fork:
what they open, draw or write when they are imported must be each worker's own. The coordinator has threads, whose locks
a fork would copy; a nursery has one thread and has computed nothing. Where a library has started a thread all the same,
and on other systems than Linux, the nursery starts each worker afresh, and the worker loads everything by itself.

    coordinator - warden - nursery - warden - worker
                                   - warden - worker

Each warden is on a leash that the coordinator holds: it tells how its ward ended, and ends all with the coordinator. So
a nursery that is killed costs no worker.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import Pipe, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Callable, NoReturn, Optional

from fairbench_executors._warden import LINUX, watched
from fairbench_executors._worker import leave_children, work

GRACE = 5.0  # seconds a process has to end before it is killed
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
ENVIRONMENT["PYTHONSAFEPATH"] = "1"  # python -c would take a random.py of the current folder for Python's own
ENVIRONMENT["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # pyarrow's allocator, which pandas loads
PUT_OFF: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
STARTING = threading.Lock()  # what a new process must not inherit is hidden for as long as it starts


class Leash:
    """The coordinator's end of the leash of a warden: the warden's number, and how its ward ended."""

    def __init__(self, end: Connection) -> None:
        self._end = end
        self.warden = 0  # its process, once it has said so
        self.code: Optional[int] = None  # exit code of its ward
        self.fileno = end.fileno()  # can be waited for

    @property
    def ended(self) -> bool:
        """Whether the ward has ended; see what the warden has said meanwhile."""
        while self.code is None and (self._end.closed or self._end.poll()):
            try:
                number = int(self._end.recv_bytes())
            except (EOFError, OSError):  # without a word
                self.code = -signal.SIGKILL
            else:
                self.warden, self.code = self.warden or number, number if self.warden else None
        return self.code is not None

    def pull(self) -> None:
        """Let the warden end its ward now."""
        with suppress(OSError):
            self._end.send_bytes(b"")

    def wait(self) -> int:
        """Wait a while for the end of the ward; return its exit code, that of a SIGKILL if it does not end."""
        last = time.monotonic() + GRACE
        while not self.ended and time.monotonic() < last:
            self._end.poll(max(0.0, last - time.monotonic()))
        return -signal.SIGKILL if self.code is None else self.code

    def end(self) -> int:
        """Wait for the end of the ward, or kill it; return its exit code."""
        code = self.wait()
        if self.code is None and self.warden:
            with suppress(ProcessLookupError):
                os.kill(self.warden, signal.SIGKILL)
        self._end.close()
        return code


class Nursery:
    """The coordinator's side of a nursery."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        """Let it begin to import modules by name, those of libraries; one that cannot be imported is passed over."""
        self.modules = modules
        end, held = Pipe()
        self.leash = Leash(end)
        self.loaded = False  # as far as is known
        self.stopped = self._buried = False
        self._requests, theirs = Pipe()
        with held, theirs:
            self._process = spawned(_nurse, held, theirs, modules)

    def start(self, pipe: Connection, leash: Connection) -> None:
        """Let it start a worker as soon as it has loaded; if it has ended, so does the other end of the leash."""
        with socket.fromfd(self._requests.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as asked, suppress(OSError):
            socket.send_fds(asked, [b"+"], [pipe.fileno(), leash.fileno()])

    @property
    def ended(self) -> bool:
        """Whether it can start no other worker."""
        return self.stopped or self.leash.ended

    def stop(self) -> None:
        """Begin to end it, but no worker that it has started."""
        self.stopped = True
        self._requests.close()
        if not self.loaded:
            self.leash.pull()

    def end(self) -> None:
        """End it, once; workers that it has started must have ended, or end now."""
        if self._buried:
            return
        self._buried = True
        self.stop()
        self.leash.end()
        self._process.join(GRACE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._process.close()


def _nurse(leash: Connection, requests: Connection, modules: Sequence[str]) -> None:
    """Load, then start workers until nobody can ask for more; this is what a nursery runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watched(leash, requests.close, outlived=True)
    if LINUX:
        for module in modules:
            with suppress(Exception):  # a worker that needs it says why it cannot be imported
                import_module(module)
        gc.collect()
        gc.freeze()  # a collection in a worker would write to pages that it shares
    signal.signal(signal.SIGCHLD, _bury)
    asked = socket.fromfd(requests.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
    requests.close()
    with asked:
        while True:
            word, files, _, _ = socket.recv_fds(asked, 1, 2)
            if not word:
                break
            for file in files:
                os.set_inheritable(file, False)
            pipe, leash = Connection(files[0]), Connection(files[1])
            if not _can_fork():
                spawned(work, pipe, leash)
            elif not os.fork():
                break
            pipe.close()
            leash.close()
    leave_children(daemons=True)  # so that workers live on
    if word:
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed()  # as in a process that has just begun; Python's own generator does so by itself
        work(pipe, leash)
    _leave()


def _leave() -> NoReturn:
    """End this process in order, but free no object: that would first copy the pages that it shares."""
    atexit._run_exitfuncs()  # multiprocessing's too
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # somebody has closed it, or taken it away
            stream.flush()
    os._exit(0)


def _bury(*_: Any) -> None:
    """Collect the wardens that have ended; they have told the coordinator themselves."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _can_fork() -> bool:
    """Return whether this process has one thread: a lock that another one held would stay locked in a fork.

    A process that uses CUDA, which does not work in a fork, has several threads.
    """
    return LINUX and len(os.listdir("/proc/self/task")) == 1


def spawned(target: Callable[..., None], *arguments: Any) -> Any:
    """Start a fresh Python process that calls a function of ours, and ends when this process does; return it."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    with interrupt_put_off(), STARTING, environment_of_a_worker(), script_hidden(), _daemons_may_have_children():
        process.start()  # interrupted, it would leave the new process with half of what it needs, which it would say
    return process


@contextmanager
def environment_of_a_worker() -> Iterator[None]:
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
                os.environ.pop(name, None)  # another thread may have removed it
            else:
                os.environ[name] = value


@contextmanager
def script_hidden() -> Iterator[None]:
    """Let a process that is started now not import the script that started the run: it would start it again."""
    script = sys.modules["__main__"]
    hidden = {name: vars(script)[name] for name in ("__file__", "__spec__") if vars(script).get(name) is not None}
    for name in hidden:
        setattr(script, name, None)
    try:
        yield
    finally:
        vars(script).update(hidden)


@contextmanager
def _daemons_may_have_children() -> Iterator[None]:
    """Let a process that is started now be the child of a daemon, such as a worker of dask; it ends with its parent."""
    process = multiprocessing.current_process()
    daemon = process.daemon
    process.daemon = False
    try:
        yield
    finally:
        process.daemon = daemon


@contextmanager
def interrupt_put_off() -> Iterator[None]:
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
