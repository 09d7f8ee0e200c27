"""What callers from Python pass, checked: one text or several, shares, paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from fairbench.errors import SuiteError

Names = Union[str, Sequence[str]]
PathText = Union[str, "PathLike[str]"]


def listed(what: str, names: Optional[Names]) -> Optional[tuple[str, ...]]:
    """Return one text or several as a suite holds them, which checks what they are; a list of nothing is refused."""
    if names is None:
        return None
    several = isinstance(names, Iterable) and not isinstance(names, str)
    found: tuple[str, ...] = tuple(names) if several else (names,)  # type: ignore[assignment] # see above
    if not found:
        raise SuiteError(f"{what} is empty; name at least one, or leave it out")
    return found


def shares_of(shares: Optional[Union[float, Sequence[float]]]) -> Optional[tuple[float, ...]]:
    """Return one share or several as a suite holds them, which checks them; a list of nothing is refused."""
    if shares is None:
        return None
    several = isinstance(shares, Iterable) and not isinstance(shares, str)
    found = tuple(shares) if several else (shares,)  # type: ignore[arg-type] # see above
    if not found:
        raise SuiteError("group_known is empty; give at least one share, or leave it out")
    return tuple(map(plain_number, found))


def plain_number(value: Any) -> Any:
    """Return a number of numpy's as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def given_path(what: str, path: PathText) -> PathText:
    """Refuse an empty path, which would be the current folder."""
    if not str(path).strip():
        raise SuiteError(f"{what} is an empty path; the folder you are in is written '.'")
    return path


def path_of(what: str, path: Optional[PathText]) -> Optional[Path]:
    """Return a path that may be left out; an empty one is refused."""
    return None if path is None else Path(given_path(what, path))


def folder_of(what: str, path: Optional[PathText]) -> Optional[Path]:
    """Return a folder that may be left out; one that is not there is refused."""
    folder = path_of(what, path)
    if folder is not None and not folder.is_dir():
        raise SuiteError(f"{what} {folder} is no folder")
    return folder


def files_of(plugins: Union[PathText, Iterable[PathText]]) -> tuple[str, ...]:
    """Return the paths of one plugin file, or of several."""
    files = [plugins] if isinstance(plugins, (str, PathLike)) else plugins
    return tuple(str(Path(given_path("plugins", file))) for file in files)
