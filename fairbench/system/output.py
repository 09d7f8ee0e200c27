"""Output of plugins' code goes to stderr and is limited in length; stdout is only for results."""

from __future__ import annotations

import ctypes
import fcntl
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Optional

LIMIT = 64 * 1024  # characters of one block
ABOVE = 10  # copies of descriptors have this number or a higher one: code that closes 0 to 2 must not hit them
_REST = f"\n[fairbench: more than {LIMIT // 1024} KiB were printed; the rest is left out]\n"


class _Budget:
    """How much of one block may still be shown; what it prints to stdout and to stderr counts together."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.left = stream, LIMIT

    def show(self, text: str) -> None:
        """Pass text on while there is room; a stderr that is closed or full is not an error."""
        if self.left < 0 or not text:
            return
        shown = text[: self.left]
        self.left -= len(text)
        if self.left < 0:
            shown += _REST
        with suppress(OSError, ValueError):  # ValueError: it has been closed
            self.stream.write(shown.encode("utf-8", "backslashreplace").decode())
            self.stream.flush()


class _Open:
    """A stream that nothing closes."""

    def close(self) -> None:
        """Stay open: code after the block must be able to print."""

    def __del__(self) -> None:
        """Do nothing: io's own destructor would call ``close`` and lose an interrupt that comes meanwhile."""


class _Relay(_Open, io.TextIOBase):
    """Stands for ``sys.stdout`` or ``sys.stderr``; whatever is done to it, the stream behind it stays as it was."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, budget: _Budget, replaced: Any) -> None:
        self._budget, self._replaced = budget, replaced
        self.buffer = _Bytes(budget)

    def write(self, text: str) -> int:
        self._budget.show(str(text))
        return len(text)

    def writable(self) -> bool:
        return True

    def reconfigure(self, **options: Any) -> None:
        """Change nothing."""

    def fileno(self) -> int:
        return int(self._replaced.fileno())

    def __getattr__(self, name: str) -> Any:
        if name == "rich_proxied_file":  # by which a progress bar finds the terminal behind its own stand-in
            return getattr(self._replaced, name)
        raise AttributeError(name)


class _Bytes(_Open, io.RawIOBase):
    """``sys.stdout.buffer``."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget

    def write(self, data: Any) -> int:
        self._budget.show(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)

    def writable(self) -> bool:
        return True


@contextmanager
def output_on_stderr() -> Iterator[None]:
    """Show what the block prints on stderr, the first ``LIMIT`` characters, and nothing on stdout.

    Output of native code and of child processes is shown when the block ends. At the end the streams and the file
    descriptors 0, 1 and 2 are restored. A block inside a block shares the limit of the outer one.
    """
    if isinstance(sys.stdout, _Relay):
        yield
        return
    streams = sys.stdout, sys.stderr, sys.stdin
    _flush(streams[0])
    budget = _Budget(streams[1])
    descriptors = _Descriptors()
    sys.stdout, sys.stderr = _Relay(budget, streams[0]), _Relay(budget, streams[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr, sys.stdin = streams
        _flush(streams[0])  # what was written to it by its own name belongs to the block
        budget.show(descriptors.put_back())


class _Descriptors:
    """File descriptors 0, 1 and 2 as they were; meanwhile 1 is a file without a name."""

    def __init__(self) -> None:
        copies = {number: _attempt(fcntl.fcntl, number, fcntl.F_DUPFD_CLOEXEC, ABOVE) for number in (0, 1, 2)}
        self.saved = {number: copy for number, copy in copies.items() if copy is not None}
        self.spool = _spool(os.getpid()) if 1 in self.saved else None
        if self.spool is not None and _attempt(os.dup2, self.spool, 1) is None:
            self.spool = None

    def put_back(self) -> str:
        """Restore them; return the beginning of what was printed to 1."""
        if self.spool is not None:
            _libc().fflush(None)  # what C's stdio still holds
        for number, copy in self.saved.items():
            _attempt(os.dup2, copy, number)
            _attempt(os.close, copy)
        if self.spool is None:
            return ""
        printed = _attempt(os.pread, self.spool, LIMIT + 1, 0) or b""
        if printed:
            _attempt(os.ftruncate, self.spool, 0)
        return str(printed.decode("utf-8", "backslashreplace"))


@lru_cache(maxsize=1)
def _spool(process: int) -> Optional[int]:
    """Return this process's file for what native code prints: a pipe could fill up while nobody may read it."""
    try:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)  # so that it begins anew once it has been emptied
    except OSError:
        return 2  # nowhere to write to: straight to stderr, then
    return descriptor


@lru_cache(maxsize=1)
def _libc() -> Any:
    return ctypes.CDLL(None)


def _attempt(function: Any, *arguments: Any) -> Any:
    """Return what a system call returns, or None if it fails."""
    try:
        return function(*arguments)
    except OSError:
        return None


def _flush(stream: Any) -> None:
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
