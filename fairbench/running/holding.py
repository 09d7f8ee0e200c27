"""One writer for a run directory: a lock that the system releases when its holder ends, in whatever way it ends."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Optional

from fairbench.errors import StoreError
from fairbench.running.store import FILE_NAME, Store
from fairbench.system.writing import replace_file

LOCK = ".lock"
HOLDER = ".holder.json"  # who holds the lock, for messages; it means nothing while nobody does
LONGEST = 1000  # bytes of it


def now() -> str:
    """Return the time with its zone, for people: nothing is decided by it, since clocks can jump."""
    return datetime.datetime.now().astimezone().replace(microsecond=0).isoformat()


@contextmanager
def held(path: Path, waiting: Optional[Callable[[str], None]] = None) -> Iterator[None]:
    """Hold a run directory, which is created if needed; nobody else can hold it then.

    Args:
        path: the directory.
        waiting: is told once whom it waits for if another process holds it; by default nobody waits.

    Raises:
        StoreError: the directory cannot be written, or another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        path.mkdir(parents=True, exist_ok=True)
        if (path / LOCK).is_symlink():
            raise StoreError(
                f"{path / LOCK} is a link, which fairbench never makes; remove it, or choose another --out"
            )
        lock = FileLock(str(path / LOCK))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            taken = f"another run is writing to {path}{_holder(path)}"
            if waiting is None:
                raise StoreError(f"{taken}; wait for it with --wait, or choose another directory with --out") from error
            waiting(f"{taken}; waiting until it has ended")
            lock.acquire()
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}; choose another run directory with --out") from error
    try:
        with suppress(OSError):  # it is only for messages
            plain = {"process": os.getpid(), "host": platform.node(), "since": now()}
            replace_file(path / HOLDER, json.dumps(plain).encode())
        yield
    finally:
        with suppress(OSError):
            (path / HOLDER).unlink()
        lock.release()


@contextmanager
def new_store(out: Path) -> Iterator[Store]:
    """Hold a new run directory and open its store; if the block fails, the store is gone again.

    Raises:
        StoreError: the directory cannot be written, or holds something.
    """
    try:
        filled = out.exists() and any(entry.name != LOCK for entry in out.iterdir())
    except OSError as error:
        raise StoreError(f"{out} cannot be used: {error}; name a new directory") from error
    if filled:
        raise StoreError(f"{out} is not empty; name a new directory, or an empty one")
    with held(out):
        try:
            with Store(out / FILE_NAME, create=True) as store:
                yield store
        except BaseException:
            (out / FILE_NAME).unlink(missing_ok=True)
            raise


def _holder(path: Path) -> str:
    """Return in words who holds the lock, if it can be read."""
    try:
        with (path / HOLDER).open("rb") as stream:
            plain = json.loads(stream.read(LONGEST))
        return f" (process {int(plain['process'])} on {str(plain['host'])[:100]}, since {str(plain['since'])[:30]})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
