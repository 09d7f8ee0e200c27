"""From a declaration to a ``Dataset``: the one place where a table of one's own is understood."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import canonical
from fairbench.data.columns import alike, shown
from fairbench.data.inspection import measured_notes
from fairbench.data.own.declaration import NUMBER, OwnData
from fairbench.data.own.doubts import doubtful_groups, doubts
from fairbench.data.own.groups import attribute_of, lowest_share
from fairbench.data.own.guess import LEFT_OUT, Column, guessed, text_of
from fairbench.data.own.reading import named, read_table
from fairbench.data.rows import Dataset
from fairbench.errors import DataError, did_you_mean
from fairbench.texts import counted

if TYPE_CHECKING:
    import pandas as pd

GOOD = ("1", "true", "yes", "y")  # labels that are favourable unless the user says otherwise
BAD = ("0", "false", "no", "n")
MANY_LABELS = 10
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table of one's own as it was understood.

    Args:
        own: the declaration.
        dataset: what runs.
        columns: how each column is taken, in the order of the table.
        said: sentences on the file and on what was guessed.
    """

    own: OwnData
    dataset: Dataset
    columns: tuple[Column, ...]
    said: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the sentences that are shown with every result."""
        return (*self.dataset.notes, *measured_notes(self.dataset))


def prepared(own: OwnData) -> Prepared:
    """Return the dataset that a declaration describes; read again only if the file has changed.

    Raises:
        DataError: the file cannot be read, or does not fit the declaration.
    """
    return _prepared(own, _stamp(own))


def contents(own: OwnData) -> dict[str, str]:
    """Return the sha256 of the table and of its declaration, by name; that of a file that cannot be read is empty."""
    said = {key: value for key, value in own.to_dict().items() if key not in ("file", "frame")}
    declaration = hashlib.sha256(canonical(said).encode()).hexdigest()
    rows = own.frame.sha256 if own.frame is not None else _file_digest(own.file, _stamp(own))
    return {own.where: rows, "declaration": declaration}


def _stamp(own: OwnData) -> tuple[int, int]:
    """Return what changes when the file is written again."""
    if own.frame is not None:
        return 0, 0
    try:
        found = Path(own.file).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=32)
def _file_digest(file: str, stamp: tuple[int, int]) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _prepared(own: OwnData, stamp: tuple[int, int]) -> Prepared:
    where = own.where
    frame = own.frame
    read = read_table(Path(own.file), where, own.keeps) if frame is None else named(frame.table, where, own.keeps)
    table, said = read.table, [f"{where}: {sentence}" for sentence in read.said]
    _check_columns(own, list(table.columns), where)
    notes: list[str] = []
    table = _with_label_and_groups(_with_numbers(table, own, where, notes), own, notes)
    y, favourable, label_remark = _label(table[own.label], own, where, notes)
    sensitive: dict[str, pd.Series] = {}
    remarks = {own.label: label_remark}
    protected = {}
    for name in own.group:
        values, groups, guess = attribute_of(table[name], own.bin.get(name, ()), own.kinds.get(name, ""), where)
        notes.extend([guess] if guess else [])
        protected[name] = _protected(own, name, values, y, where)
        sensitive[name] = values
        how = "" if name in own.protected else ", guessed: its share of favourable labels is the lowest"
        remarks[name] = f"{groups}; protected: {protected[name]}{how}"
    columns, features = _features(table, own, where, remarks)
    _note_left_out(columns, notes)
    import pandas as pd

    X = pd.DataFrame(features, index=table.index)
    notes.extend(doubts(X.drop(columns=[name for name in own.group if name in X]), y, own.label))
    notes.extend(doubtful_groups(sensitive, y, own.label))
    dataset = Dataset(
        name=own.name,
        X=X,
        y=y,
        sensitive_features=pd.DataFrame(sensitive, index=table.index),
        protected_group=protected,
        sensitive_columns={name: (name,) for name in own.group if name in X},
        missing_values=True,
        notes=tuple(notes),
    )
    said.append(f"{where}: {counted(len(table), 'row')}, {int(y.sum()):,} of them with the label {favourable}")
    return Prepared(own, dataset, tuple(columns), tuple(said))


def _check_columns(own: OwnData, known: list[str], where: str) -> None:
    """Refuse names of columns that are not there."""
    named_by = {"label": [own.label], "group": own.group, "drop": own.drop, "kind": own.kinds, "bin": own.bin}
    for what, names in named_by.items():
        for name in names:
            if name not in known:
                listed = ", ".join(known[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
                raise DataError(
                    f"{where}: {what} names {name!r}{did_you_mean(name, known)}, and there is no such column; it has: "
                    f"{listed}"
                )


def _with_numbers(table: pd.DataFrame, own: OwnData, where: str, notes: list[str]) -> pd.DataFrame:
    """Return the table with attributes of numbers as such, where a few texts among them count as missing."""
    for name in own.group:
        if table[name].dtype.kind not in "biuf":
            column, values = guessed(table[name], own.kinds.get(name, ""), where)
            if column.kind == NUMBER and values is not None:
                table = table.assign(**{name: values})
                notes.extend([f"{name}: {column.remark}."] if column.remark else [])
    return table


def _with_label_and_groups(table: pd.DataFrame, own: OwnData, notes: list[str]) -> pd.DataFrame:
    """Return the rows that have a label and every group; how many others there are is noted."""
    keep = np.ones(len(table), dtype=bool)
    for name in (own.label, *own.group):
        missing = _is_missing(table[name]) & keep
        if missing.any():
            notes.append(f"{counted(int(missing.sum()), 'row')} without {name} left out, of {len(table):,}.")
        keep &= ~missing
    if not keep.any():
        raise DataError(
            f"{own.where}: every row lacks {own.label} or a group ({', '.join(own.group)}); nothing is left"
        )
    return table if keep.all() else table[keep].reset_index(drop=True)


def _is_missing(values: pd.Series) -> NDArray[np.bool_]:
    """Return which rows have no value; a text of blanks is none."""
    missing = values.isna().to_numpy()
    if values.dtype.kind not in "biufmM":
        blank = values.astype(object).map(lambda value: isinstance(value, str) and not value.strip())
        missing = missing | blank.to_numpy(dtype=bool)
    return np.asarray(missing, dtype=bool)


def _label(values: pd.Series, own: OwnData, where: str, notes: list[str]) -> tuple[NDArray[Any], str, str]:
    """Return y (n,), 1 where the label is favourable; the favourable label; and a remark for the table of columns."""
    import pandas as pd

    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError(f"{where}: the label {own.label!r} holds lists or the like; it needs two values") from error
    texts = [text_of(value).strip() for value in distinct]
    counts = np.bincount(codes, minlength=len(texts))
    seen = [f"{shown(text)} ({int(count):,})" for text, count in sorted(zip(texts, counts), key=lambda pair: -pair[1])]
    listed = ", ".join(seen[:SHOWN]) + (f" and {len(seen) - SHOWN} more" if len(seen) > SHOWN else "")
    pair = alike(texts)
    if pair is not None:
        raise DataError(
            f"{where}: the label {own.label!r} is both {shown(pair[0])} and {shown(pair[1])}, which differ in blanks "
            "or case alone; write one label in one way"
        )
    if len(set(texts)) < 2:
        raise DataError(f"{where}: the label {own.label!r} has one value, {listed}; a benchmark needs two")
    if len(set(texts)) > MANY_LABELS:
        raise DataError(f"{where}: the label {own.label!r} has {len(texts)} different values, {listed}; it needs two")
    favourable = _favourable(own, texts, listed, where)
    y = np.isin(codes, [place for place, text in enumerate(texts) if text == favourable]).astype(np.int64)
    others = [text for text in dict.fromkeys(texts) if text != favourable]
    if len(others) > 1:
        notes.append(
            f"The label {own.label} has {len(others) + 1} values: {favourable} is favourable, and {', '.join(others)} "
            "count as unfavourable together."
        )
    how = "" if own.favorable else ", guessed"
    return y, f"{own.label} = {favourable}", f"favourable: {favourable} (y = 1{how}); others: {', '.join(others)}"


def _favourable(own: OwnData, texts: list[str], listed: str, where: str) -> str:
    """Return the label that is good for the person: as given, whatever the case of its letters, or guessed of two."""
    if own.favorable:
        found = _match(own.favorable, texts)
        if found is None:
            near = did_you_mean(own.favorable, texts)
            raise DataError(f"{where}: no {own.label} is {own.favorable!r}{near}; its values are {listed}")
        return found
    good = [text for text in dict.fromkeys(texts) if text.lower() in GOOD]
    if len(set(texts)) == 2 and len(good) == 1 and all(text.lower() in BAD for text in texts if text not in good):
        return good[0]
    what = (
        "which of them is good for the person"
        if len(set(texts)) == 2
        else (
            "which one is good for the person (the others then count as unfavourable), or leave out the rows of others"
        )
    )
    raise DataError(
        f"{where}: the label {own.label!r} has {len(set(texts))} values, {listed}; say with --favorable {what}"
    )


def _match(given: str, texts: list[str]) -> Optional[str]:
    """Return the text that is meant: equal, or the only one that differs in case alone."""
    if given in texts:
        return given
    near = {text for text in texts if text.casefold() == given.casefold()}
    return near.pop() if len(near) == 1 else None


def _protected(own: OwnData, name: str, values: pd.Series, y: NDArray[Any], where: str) -> str:
    """Return the protected group of an attribute: as given, or the one with the lowest share of favourable labels."""
    groups = sorted(set(values))
    if len(groups) < 2:
        raise DataError(f"{where}: {name!r} has one group, {groups[0]!r}; a comparison needs two")
    if name not in own.protected:
        return lowest_share(values, y)
    found = _match(own.protected[name], groups)
    if found is None:
        near = did_you_mean(own.protected[name], groups)
        raise DataError(
            f"{where}: no {name} is {own.protected[name]!r}{near}; its groups are {', '.join(map(shown, groups))}"
        )
    return found


def _features(
    table: pd.DataFrame, own: OwnData, where: str, remarks: Mapping[str, str]
) -> tuple[list[Column], dict[str, pd.Series]]:
    """Return how each column is taken, and those that are features.

    The column of a group is a feature as well: it is left out where it is the group that is compared.
    """
    columns, features = [], {}
    for name in table.columns:
        if name in own.drop:
            columns.append(Column(name, "", LEFT_OUT, 0, 0, (), "you said so"))
            continue
        if name == own.label:
            texts = tuple(map(text_of, table[name].drop_duplicates()[:3]))
            columns.append(Column(name, "", "label", table[name].nunique(), 0, texts, remarks[name]))
            continue
        column, values = guessed(table[name], own.kinds.get(name, ""), where)
        if name in own.group:
            column = Column(**{**vars(column), "use": "group", "remark": remarks[name]})
        columns.append(column)
        if values is not None:
            features[name] = values
    return columns, features


def _note_left_out(columns: list[Column], notes: list[str]) -> None:
    """Note the columns that nobody asked to leave out."""
    out = [column for column in columns if column.use == LEFT_OUT and column.remark != "you said so"]
    if out:
        named_ = "; ".join(f"{column.name} ({column.remark})" for column in out)
        notes.append(f"Left out of the features: {named_}.")
