"""A private copy of a store that cannot be read in place because its run was killed or is still writing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Optional

TRIES = 5
_CHANGES = 4, 24  # length and place of the count in the head of the file


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Copy a store and its journal into a temporary folder.

    SQLite plays the journal back when the copy is opened. The journal is copied after the store, so that it undoes
    whatever a writer may have written until then; if the writer has ended in the meantime, both are copied again.
    """
    with tempfile.TemporaryDirectory(prefix="fairbench-") as folder:
        copy = Path(folder) / path.name
        for _ in range(TRIES):
            before = state_of(path)
            shutil.copyfile(path, copy)
            _journal(copy).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(_journal(path), _journal(copy))
            if state_of(path) == before:
                break
        yield copy


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def state_of(path: Path) -> tuple[Any, ...]:
    """Return what changes when a transaction begins or ends: of file and journal, and SQLite's own count of changes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        found: list[Any] = [os.pread(file.fileno(), *_CHANGES)]
    for part in (path, _journal(path)):
        try:
            seen: Optional[os.stat_result] = part.stat()
        except FileNotFoundError:
            seen = None
        found += [seen and seen.st_ino, seen and seen.st_mtime_ns, seen and seen.st_size]
    return tuple(found)
