"""What is known about a raw file on disk: its digest, and where it came from."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fairbench.errors import DataError, printable

if TYPE_CHECKING:
    from fairbench.data.sources import DataFile

CHUNK = 1 << 16
LARGEST = 1 << 30  # bytes; of a file whose size is not pinned

_digests: dict[tuple[str, int, int], str] = {}


def one_line(text: str) -> str:
    """Return a text as one line of a message, without anything that controls a terminal or starts a new line."""
    return printable(text).replace("\n", "\\n")


def sha256(path: Path) -> str:
    """Return a file's digest; a file that has not changed since this process last read it is not read again."""
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
        _digests[key] = digest.hexdigest()
    return _digests[key]


def digests(seen: str, file: DataFile) -> str:
    """Return the digest seen and the digest expected as they stand in messages."""
    return f"sha256 is {seen[:12]}…, expected {file.sha256[:12]}…{f' ({file.doubt})' if file.doubt else ''}"


def place_in(folder: Path, file: DataFile) -> Path:
    """Return where a file lies below a data folder.

    Raises:
        DataError: the file's path leads out of the folder.
    """
    parts = PurePosixPath(file.path)
    if parts.is_absolute() or ".." in parts.parts or not parts.name or "\0" in file.path:
        raise DataError(f"{one_line(file.path)}: the path of a raw file must lie below a data folder, without '..'")
    return folder / file.path


def put_aside(path: Path, target: Path, seen: str, file: DataFile) -> str:
    """Keep a damaged file of the cache where its owner can inspect it, and return what a message says about it."""
    kept = target.with_name(f"{target.name}.rejected")
    said = f"{one_line(target.name)}: {digests(seen, file)}; the download is damaged or the source changed"
    with suppress(OSError):  # a cache that cannot be written keeps the file where it is, refused all the same
        os.replace(path, kept)
        said += f"; kept as {one_line(kept.name)}"
    return said


def note_origin(path: Path, origin: str) -> None:
    """Record beside a file of the cache where it came from, if the cache can be written."""
    with suppress(OSError):
        _note(path).write_text(origin, encoding="utf-8", errors="replace")


def origin(path: Path) -> str:
    """Return where a file of the cache came from, if that was recorded."""
    try:
        return one_line(_note(path).read_text(encoding="utf-8", errors="replace")[:500])
    except OSError:
        return ""


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin")
