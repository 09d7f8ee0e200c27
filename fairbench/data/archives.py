"""Members of zip files, read as streams: no name in one is used as a path, and hostile ones are refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairbench.data.checksums import CHUNK, one_line

LARGEST_DIRECTORY = 1 << 22  # bytes; some 50,000 members
# Python unpacks a block of bzip2 or LZMA as a whole, however large it becomes: 4 kB can be gigabytes.
PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class ArchiveError(Exception):
    """A zip or a member of it cannot be read; the message is a few words."""


class _Bounded(io.BufferedReader):
    """A file of which no more is ever read at once than a zip's directory may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = LARGEST_DIRECTORY
        if size > LARGEST_DIRECTORY:
            raise ArchiveError(f"its directory is larger than {LARGEST_DIRECTORY} bytes")
        return super().read(size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an open zip.

    Raises:
        ArchiveError: the file is not a zip that can be read.
    """
    with _in_words():
        stream = _Bounded(io.FileIO(path))
    with stream:
        with _in_words():
            archive = zipfile.ZipFile(stream)
        with archive:
            yield archive


def chunks(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of a member; the caller must limit their number.

    Raises:
        ArchiveError: there is no such member, or it cannot be read.
    """
    with _in_words():
        info = member if isinstance(member, zipfile.ZipInfo) else archive.NameToInfo.get(member)
        if info is None:
            raise ArchiveError("is not in it")
        if info.compress_type not in PACKINGS:
            raise ArchiveError("is compressed with a method other than deflate; compress it again with deflate")
        with archive.open(info) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn the many errors that zipfile and its decompressors raise on hostile bytes into one."""
    try:
        yield
    except ArchiveError:
        raise
    except Exception as error:  # BadZipFile, RuntimeError, struct.error, UnicodeDecodeError, zlib.error, OSError, ...
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ArchiveError(f"cannot be read ({one_line(str(said))[:200]})") from error
