"""What callers from Python pass, checked: texts, one name or several, shares, paths, and yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from fairbench.data.columns import shown
from fairbench.errors import SuiteError

Names = Union[str, Sequence[str]]
PathText = Union[str, "PathLike[str]"]


def wrong_type(what: str, value: Any, wanted: str) -> SuiteError:
    """Return the error about an argument that is not what is wanted of it, with the value that was given."""
    return SuiteError(
        f"{what} is {' '.join(shown(value).split())}, of type {type(value).__name__}; it must be {wanted}"
    )


def text_of(what: str, text: str) -> str:
    """Return the text; anything else is refused."""
    if not isinstance(text, str):
        raise wrong_type(what, text, "a text")
    return text


def flag_of(what: str, flag: bool) -> bool:
    """Return True or False; anything else is refused, as "no" would count as yes."""
    if not isinstance(flag, (bool, np.bool_)):
        raise wrong_type(what, flag, "True or False")
    return bool(flag)


def joined(what: str, names: Names) -> str:
    """Return one text or several as the command line takes them, with commas between; a list of nothing is refused."""
    return ",".join(text_of(what, name) for name in listed(what, names) or ())


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
    """Refuse what is no path, and an empty path, which would be the current folder."""
    if not isinstance(path, str) and not (isinstance(path, PathLike) and isinstance(fspath(path), str)):
        raise wrong_type(what, path, "a path: a text or a pathlib.Path")
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
    if isinstance(plugins, (str, bytes)) or not isinstance(plugins, Iterable):
        plugins = [plugins]
    return tuple(str(Path(given_path("plugins", file))) for file in plugins)
