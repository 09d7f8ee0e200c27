"""Raw files imported from a user's folder or zip file: verified, and copied all together or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Callable

from fairbench.data.archives import ArchiveError, chunks, open_zip
from fairbench.data.checksums import CHUNK, LARGEST, digests, note_origin, one_line, place_in, sha256
from fairbench.errors import DataError

if TYPE_CHECKING:
    from fairbench.data.sources import DataFile

Found = dict[str, list[Callable[[], Iterator[bytes]]]]
"""The name of a file -> for each file of that name, what yields its bytes."""


def add_files(files: Sequence[DataFile], source: Path, folder: Path) -> list[Path]:
    """Copy a dataset's raw files to where the harness finds them.

    A file is recognised by its name, anywhere in the source, and by its digest. A file that the source lacks may
    already be in place. Files in a zip file are read as streams: no name in it is ever used as a path.

    Args:
        files: the files of one dataset.
        source: a folder or a zip file.
        folder: a data folder, such as the cache; it is created if necessary.

    Returns:
        The paths of the files, in their order.

    Raises:
        DataError: a file is missing, ambiguous or different, the source cannot be read, or the folder cannot be
            written. The message names every such file, and nothing has been changed.
    """
    problems, targets = [], [place_in(folder, file) for file in files]
    with ExitStack() as opened:
        found = opened.enter_context(_opened(source, {target.name for target in targets}))
        parts: dict[Path, Path] = {}
        for file, target in zip(files, targets):
            candidates = found.get(target.name, [])
            try:
                if not candidates and target.is_file() and sha256(target) == file.sha256:
                    continue
                if len(candidates) != 1:
                    raise _UnusableError(f"is in it {len(candidates)} times" if candidates else "is not in it")
                parts[target] = opened.enter_context(_copied(candidates[0], file, target))
            except _UnusableError as problem:
                problems.append(f"{target.name}: {problem}")
            except OSError as error:
                problems.append(f"{target}: cannot be read ({error.strerror})")
        if problems:
            obtain = next((f"; {file.obtain}" for file in files if file.obtain), "")
            raise DataError(one_line(f"{source}: {'; '.join(problems)}; nothing was copied{obtain}"))
        try:
            for target, part in parts.items():
                os.replace(part, target)
                note_origin(target, f"added from {source.absolute()}")
        except OSError as error:
            said = f"{folder} cannot be written ({error.strerror}); name another folder with --into"
            raise DataError(one_line(said)) from error
    return targets


class _UnusableError(Exception):
    """The source does not give a file; the message is a few words."""


@contextmanager
def _opened(source: Path, names: Collection[str]) -> Iterator[Found]:
    """Give what opens the files of these names, wherever in a folder or a zip they lie."""
    if source.is_dir():
        yield _in_folder(source, names)
        return
    if not source.is_file():  # to open a pipe would wait for whoever writes to it
        raise DataError(one_line(f"{source} is neither a folder nor a file"))
    try:
        with open_zip(source) as archive:
            found: Found = {}
            for member in archive.infolist():
                name = PurePosixPath(member.filename).name
                if name in names and not member.is_dir():
                    found.setdefault(name, []).append(partial(chunks, archive, member))
            yield found
    except ArchiveError as error:
        raise DataError(one_line(f"{source} is neither a folder nor a zip that can be read: it {error}")) from error


def _in_folder(source: Path, names: Collection[str]) -> Found:
    """Look for regular files through a folder and all below it; links to folders are not followed."""
    found: Found = {}
    pending = [str(source)]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.name in names and entry.is_file():
                        found.setdefault(entry.name, []).append(partial(_chunks_of, Path(entry.path)))
        except OSError as error:
            if folder == str(source):
                raise DataError(one_line(f"{source}: cannot be read ({error.strerror})")) from error
    return found


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


@contextmanager
def _copied(read: Callable[[], Iterator[bytes]], file: DataFile, target: Path) -> Iterator[Path]:
    """Give a verified copy that lies beside its target; it is removed if it is still there at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".adding", dir=target.parent)
    except OSError as error:
        raise _UnusableError(f"{target.parent} cannot be written ({error.strerror})") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink:
            seen = _copy(read(), sink, LARGEST if file.bytes is None else file.bytes)
        if seen != file.sha256:
            raise _UnusableError(f"{digests(seen, file)}; the file is damaged or another version")
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _copy(source: Iterator[bytes], sink: IO[bytes], limit: int) -> str:
    """Copy what a source yields and return its digest; more bytes than the file has are not even read."""
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in source:
            size += len(chunk)
            if size > limit:
                raise _UnusableError(f"is larger than {limit} bytes; the file is another version")
            digest.update(chunk)
            sink.write(chunk)
    except ArchiveError as error:
        raise _UnusableError(str(error)) from error
    except OSError as error:
        raise _UnusableError(f"cannot be read or copied ({error.strerror})") from error
    return digest.hexdigest()
