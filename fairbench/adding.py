"""Raw files that a user has, taken in from a folder or a zip: verified, and copied all together or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Callable

from fairbench.errors import DataError
from fairbench.files import CHUNK, LARGEST, digests, sha256

if TYPE_CHECKING:
    from fairbench.components import DataFile

Find = Callable[[str], list[Callable[[], IO[bytes]]]]
"""The name of a file -> how to open each file of that name."""

# What a zip that is damaged, encrypted or packed in an unknown way leads to.
UNREADABLE = (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error, EOFError)


def add_files(files: Sequence[DataFile], source: Path, folder: Path) -> list[Path]:
    """Copy a dataset's raw files to where the harness finds them.

    A file is recognised by its name, wherever in the source it lies, and by its digest. One that the source lacks may
    already be in place. Files of a zip are read as streams: no name in it is ever used as a path.

    Args:
        files: those of one dataset.
        source: a folder or a zip.
        folder: a data folder, such as the cache; it is made if need be.

    Returns:
        Where the files lie now, in their order.

    Raises:
        DataError: a file is missing, ambiguous or not what it must be, the source cannot be read, or the folder cannot
            be written. The message names every such file, and nothing was changed.
    """
    problems, targets = [], [folder / file.path for file in files]
    with ExitStack() as opened:
        find = opened.enter_context(_opened(source))
        parts: dict[Path, Path] = {}
        for file, target in zip(files, targets):
            found = find(target.name)
            if not found and target.is_file() and sha256(target) == file.sha256:
                continue
            try:
                if len(found) != 1:
                    raise _UnusableError(f"is in it {len(found)} times" if found else "is not in it")
                parts[target] = opened.enter_context(_copied(found[0], file, target))
            except _UnusableError as problem:
                problems.append(f"{target.name}: {problem}")
        if problems:
            obtain = next((f"; {file.obtain}" for file in files if file.obtain), "")
            raise DataError(f"{source}: {'; '.join(problems)}; nothing was copied{obtain}")
        try:
            for target, part in parts.items():
                os.replace(part, target)
        except OSError as error:
            raise DataError(
                f"{folder} cannot be written ({error.strerror}); name another folder with --into"
            ) from error
    return targets


class _UnusableError(Exception):
    """The source does not give a file; the message is a few words."""


@contextmanager
def _opened(source: Path) -> Iterator[Find]:
    """Give a function that finds files by name in a folder or a zip."""
    if source.is_dir():
        yield lambda name: [_opener(path) for path in sorted(source.rglob(name)) if path.is_file()]
        return
    try:
        archive = zipfile.ZipFile(source)
    except UNREADABLE as error:
        raise DataError(f"{source} is neither a folder nor a zip that can be read ({error})") from error
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        yield lambda name: [
            partial(archive.open, member) for member in members if PurePosixPath(member.filename).name == name
        ]


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


@contextmanager
def _copied(open_source: Callable[[], IO[bytes]], file: DataFile, target: Path) -> Iterator[Path]:
    """Give a verified copy that lies beside its target; it is removed if it is still there at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise _UnusableError(f"{target.parent} cannot be written ({error.strerror})") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink:
            seen = _copy(open_source, sink, LARGEST if file.bytes is None else file.bytes)
        if seen != file.sha256:
            raise _UnusableError(f"{digests(seen, file)}; the file is damaged or another version")
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _copy(open_source: Callable[[], IO[bytes]], sink: IO[bytes], limit: int) -> str:
    """Copy a stream and return its digest; more bytes than the file has are not even read."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_source() as stream:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                size += len(chunk)
                if size > limit:
                    raise _UnusableError(f"is larger than {limit} bytes; the file is another version")
                digest.update(chunk)
                sink.write(chunk)
    except UNREADABLE as error:
        raise _UnusableError(f"cannot be read or copied ({error})") from error
    return digest.hexdigest()
