"""What a user says about a table of their own: the same for the command line, a suite file and Python."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from fairbench.errors import SuiteError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

NUMBER, CATEGORY, DATE = "number", "category", "date"
KINDS = (NUMBER, CATEGORY, DATE)
KEYS = ("file", "label", "favorable", "group", "protected", "drop", "kinds", "bin")
TAKEN = ("all", "any")  # names that stand for every dataset
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True, eq=False)
class Frame:
    """A pandas table that was given in Python: a copy, so that it stays as it was; equal if the content is.

    Args:
        table: the rows.
        sha256: of column names, types and values.
    """

    table: pd.DataFrame
    sha256: str

    def __eq__(self, other: object) -> bool:
        """Return whether both tables have the same content."""
        return isinstance(other, Frame) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        """Return the hash of the digest."""
        return hash(self.sha256)

    @classmethod
    def of(cls, table: pd.DataFrame) -> Frame:
        """Return a copy of the table with its digest.

        Raises:
            SuiteError: a column holds values that cannot be compared, such as lists, or text that is not valid.
        """
        from pandas.util import hash_pandas_object

        total = hashlib.sha256()
        for place in range(table.shape[1]):
            values = table.iloc[:, place]
            total.update(f"{table.columns[place]!r} {values.dtype};".encode("utf-8", "backslashreplace"))
            try:
                total.update(hash_pandas_object(values, index=False).to_numpy().tobytes())
            except (TypeError, UnicodeError) as error:  # lists, half a character
                raise SuiteError(f"data: column {table.columns[place]!r} cannot be read ({error}); drop it") from error
        return cls(table.reset_index(drop=True).copy(), total.hexdigest())


@dataclass(frozen=True)
class OwnData:
    """A table and what its columns mean.

    Args:
        name: of the dataset.
        label: the column to predict.
        group: the columns whose groups are compared, the default first.
        file: absolute path of a CSV or Parquet file; empty if a frame is given.
        frame: a table given in Python instead.
        favorable: the label that is good for the person; empty if it can be guessed (1, yes, true).
        protected: by attribute, its protected group; the others' is guessed.
        drop: columns to leave out.
        kinds: by column, ``number``, ``category`` or ``date``, where the guess is wrong.
        bin: by attribute of numbers, the edges between its groups, in increasing order.
    """

    name: str
    label: str
    group: tuple[str, ...]
    file: str = ""
    frame: Optional[Frame] = None
    favorable: str = ""
    protected: Mapping[str, str] = field(default_factory=dict, hash=False)
    drop: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict, hash=False)
    bin: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    @property
    def where(self) -> str:
        """Return what messages call it: the file's name, or the dataset's."""
        return Path(self.file).name if self.file else self.name

    def keeps(self, column: str) -> bool:
        """Return whether a column is not among those to drop."""
        return column not in self.drop

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as plain data: a suite's table ``[data.NAME]``, or the digest of a frame."""
        source = {"frame": self.frame.sha256} if self.frame is not None else {"file": self.file}
        plain = {"label": self.label, "favorable": self.favorable, "group": list(self.group), "drop": list(self.drop)}
        bins = {attribute: list(edges) for attribute, edges in self.bin.items()}
        return {**source, **plain, "protected": dict(self.protected), "kinds": dict(self.kinds), "bin": bins}


def declared(name: str, table: Any, where: str, frame: Optional[Frame] = None) -> OwnData:
    """Return the declaration that a table with the keys of ``[data.NAME]`` holds.

    Args:
        name: of the dataset; small letters, digits, ``_``, ``-`` and ``.``.
        table: ``file``, ``label`` and ``group`` are needed; a relative path is relative to the current folder.
        where: begins the messages, e.g. ``suite loans.toml: data.loans``.
        frame: the table of rows, instead of a file.

    Raises:
        SuiteError: the name is not legal, a key is missing or unknown, or a value has another form.
    """
    if not _NAME.fullmatch(name) or name in TAKEN:
        raise SuiteError(f"{where}: {name!r} cannot be a dataset's name; use small letters, digits, '_', '-' and '.'")
    if not isinstance(table, Mapping):
        raise SuiteError(f"{where} is {table!r}; it must be a table with {', '.join(KEYS)}")
    if "frame" in table and frame is None:
        raise SuiteError(f"{where}: its rows were a pandas table in Python; only Python can give them again")
    for key in table:
        if key not in (*KEYS, "frame"):
            raise SuiteError(f"{where}: {key!r} is not a key{did_you_mean(str(key), KEYS)} (keys: {', '.join(KEYS)})")
    needed = ("label", "group") if frame is not None else ("file", "label", "group")
    for key in needed:
        if _is_empty(table.get(key)):
            raise SuiteError(f"{where} has no {key}; {_NEEDED[key]}")
    if "\0" in str(table.get("file", "")):
        raise SuiteError(f"{where}: the path of the file holds a zero byte: {table['file']!r}; correct it")
    own = OwnData(
        name,
        _text(table["label"], f"{where}: label"),
        _texts(table["group"], f"{where}: group"),
        "" if frame is not None else str(Path(_text(table["file"], f"{where}: file")).expanduser().absolute()),
        frame,
        _text(table.get("favorable", ""), f"{where}: favorable"),
        {key: _text(value, f"{where}: protected.{key}") for key, value in _pairs(table, "protected", where)},
        _texts(table.get("drop", ()), f"{where}: drop"),
        {key: _text(value, f"{where}: kinds.{key}") for key, value in _pairs(table, "kinds", where)},
        {key: _edges(value, f"{where}: bin.{key}") for key, value in _pairs(table, "bin", where)},
    )
    _check(own, where)
    return own


_NEEDED = {
    "file": "give the path of a CSV or Parquet file",
    "label": "name the column to predict",
    "group": "name the columns whose groups are compared, e.g. sex",
}


def own_data(data: Any, **said: Any) -> Optional[OwnData]:
    """Return the declaration of a table that was given in Python; None if there is none.

    Args:
        data: a path, a pandas table, or ``{name: one of both}``; None for no table.
        said: the other keys of a declaration; None and what is empty count as not given.

    Raises:
        SuiteError: something is said without a table, or the declaration is wrong.
    """
    said = {key: value for key, value in said.items() if not _is_empty(value)}
    if data is None:
        alone = [key for key in said if key != "group"]
        if alone:
            raise SuiteError(f"{alone[0]} says something of a table of your own; give it as data")
        return None
    named = isinstance(data, Mapping)
    if named and len(data) != 1:
        raise SuiteError(f"data names {len(data)} tables; give one, {{name: table}}, and others in a suite")
    name, source = next(iter(data.items())) if named else ("", data)
    if isinstance(source, (str, PathLike)):
        return declared(str(name) or name_of(str(source)), {"file": str(source), **said}, "data")
    if not hasattr(source, "iloc") or not hasattr(source, "columns"):
        raise SuiteError(f"data is of type {type(source).__name__}; give a path or a pandas DataFrame")
    return declared(str(name) or "data", said, "data", Frame.of(source))


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, Mapping)) and not value)


def name_of(file: str) -> str:
    """Return the name of the dataset in a file: ``loans-2020`` for ``data/Loans 2020.csv``."""
    stem = re.sub(r"[^a-z0-9_.-]+", "-", Path(file).stem.lower()).strip("-_.")
    return "my-data" if not stem or stem in TAKEN else stem


def _check(own: OwnData, where: str) -> None:
    """Refuse a declaration that contradicts itself."""
    for column, kind in own.kinds.items():
        if kind not in KINDS:
            raise SuiteError(f"{where}: the kind of {column!r} is {kind!r}; it must be one of {', '.join(KINDS)}")
    for what, names in (("protected", own.protected), ("bin", own.bin)):
        for name in names:
            if name not in own.group:
                raise SuiteError(
                    f"{where}: {what} names {name!r}{did_you_mean(name, own.group)}, which is not one of the groups "
                    f"({', '.join(own.group)})"
                )
    for name in own.drop:
        if name in (own.label, *own.group):
            raise SuiteError(f"{where}: {name!r} is to be dropped, and is the label or a group; it can be one of both")
    for place, name in enumerate(own.group):
        if name in own.group[:place]:
            raise SuiteError(f"{where}: group names {name!r} twice")
        if name == own.label:
            raise SuiteError(f"{where}: {name!r} is the label and a group; name two columns")


def _text(value: Any, where: str) -> str:
    """Return a text; a number or a truth value is taken as it would be written in the file."""
    value = _plain(value)
    if not isinstance(value, (str, int, float)):
        raise SuiteError(f"{where} is {value!r}; it must be a text")
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _plain(value: Any) -> Any:
    """Return a number or truth value that NumPy made as Python's own, and anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    texts = tuple(_text(item, where) for item in items)
    if not all(texts):
        raise SuiteError(f"{where} has an empty name; leave it out")
    return texts


def _pairs(table: Mapping[str, Any], key: str, where: str) -> list[tuple[str, Any]]:
    found = table.get(key, {})
    if not isinstance(found, Mapping):
        raise SuiteError(f"{where}: {key} is {found!r}; it must be a table by column")
    return [(_text(name, f"{where}: {key}"), value) for name, value in found.items()]


def _edges(value: Any, where: str) -> tuple[float, ...]:
    """Return increasing numbers."""
    several = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1
    edges = [_plain(edge) for edge in value] if several else [_plain(value)]
    numbers = all(_is_edge(edge) for edge in edges)
    if not edges or not numbers or any(not low < high for low, high in zip(edges, edges[1:])):
        raise SuiteError(
            f"{where} is {value!r}; give the edges between the groups, finite and in increasing order, e.g. 25,45,65"
        )
    return tuple(edges)


def _is_edge(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
