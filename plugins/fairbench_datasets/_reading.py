"""Raw text files, read so that every error names the path and the line.

The published files are verified by digest. A copy that no digest covers (a test's, a user's own) is never silently
misread: a value that a column cannot hold is refused, and so is a line with too many fields.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import DataError

CHUNK = 4096  # lines read at a time
WHOLE = re.compile(r"-?[0-9]{1,15}")
REAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{0,15})?")


@contextmanager
def refusing(path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading a file into a ``DataError`` that names it."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # the libraries that read files raise nearly everything
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise DataError(f"{path}: not {what} ({reason}); it is damaged or another version: replace it") from error


@dataclass(frozen=True)
class Texts:
    """A text file's columns: each distinct text once, and which of them each row has.

    Args:
        path: of the file.
        lines: (n,) the line that each row ends at.
        columns: by name, the distinct texts and (n,) positions among them.
    """

    path: Path
    lines: NDArray[np.int64]
    columns: Mapping[str, tuple[list[str], NDArray[np.int32]]]

    def translated(self, column: str, meaning: Callable[[str], Any], expected: str) -> NDArray[Any]:
        """Return the meaning (n,) of each row's text.

        Raises:
            DataError: ``meaning`` raises ``KeyError`` or ``ValueError`` for a text; ``expected`` says what would be
                accepted.
        """
        texts, codes = self.columns[column]
        found = []
        for code, text in enumerate(texts):
            try:
                found.append(meaning(text))
            except (KeyError, ValueError) as error:
                line = self.lines[(codes == code).argmax()]
                seen = repr(text) if len(text) <= 60 else f"{text[:60]!r}…"
                raise DataError(f"{self.path}, line {line}: {column} is {seen}; it must be {expected}") from error
        values = np.array(found)
        return (values if values.dtype.kind in "biuf" else np.array(found, dtype=object))[codes]

    def words(self, column: str, known: Iterable[str]) -> NDArray[np.object_]:
        """Return a column (n,) of texts, each of them one of the known ones."""
        words = {word: word for word in known}
        return self.translated(column, words.__getitem__, f"one of {', '.join(map(repr, words))}")

    def whole(self, column: str, low: int, high: int, missing: str | None = None) -> NDArray[Any]:
        """Return a column (n,) of whole numbers from low to high; NaN where the text is ``missing``, if given."""
        return self._numbers(column, WHOLE, low, high, missing, "a whole number")

    def real(self, column: str, low: float, high: float, missing: str | None = None) -> NDArray[Any]:
        """Return a column (n,) of numbers from low to high; NaN where the text is ``missing``, if given.

        They are integers if all are written as such.
        """
        return self._numbers(column, REAL, low, high, missing, "a number")

    def _numbers(
        self, column: str, form: re.Pattern[str], low: float, high: float, missing: str | None, kind: str
    ) -> NDArray[Any]:
        def number(text: str) -> Any:
            if text == missing:
                return np.nan
            if not form.fullmatch(text):
                raise ValueError(text)
            value = int(text) if WHOLE.fullmatch(text) else float(text)
            if not low <= value <= high:
                raise ValueError(text)
            return value

        unless = "" if missing is None else f", or {missing!r} where it is not known"
        return self.translated(column, number, f"{kind} from {low:,} to {high:,}{unless}")


def read(
    path: Path,
    columns: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    separator: str = ",",
    comment: str = "",
    after: Sequence[str] = (),
    blanks: bool = False,
    quotes: bool = False,
) -> Texts:
    """Read columns of a text file with one row per line; empty lines are skipped.

    Args:
        path: of the file, in UTF-8.
        columns: those wanted; of two columns with the same name the first is taken.
        names: of all columns in order; None if the first line has them.
        separator: between two fields.
        comment: a line that is not a row.
        after: the fields of the line that the table begins after; empty if it begins with the file.
        blanks: whether blanks may follow a separator.
        quotes: whether fields may be in quotation marks.

    Raises:
        DataError: the file cannot be read, lacks a column, or a line has the wrong number of fields.
    """
    with refusing(path, "a table of text in UTF-8"):
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.reader(
                    stream,
                    delimiter=separator,
                    skipinitialspace=blanks,
                    quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
                    strict=True,
                )
                _skip(path, reader, after)
                return _columns(path, reader, columns, names, comment)
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {_broken_line(path)}: not text in UTF-8; the file is damaged") from None
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}; the file is damaged") from error


def _skip(path: Path, reader: Any, after: Sequence[str]) -> None:
    """Pass over all lines up to one with these fields, which is passed over too."""
    if after and not any(row == list(after) for row in reader):
        wanted = ", ".join(after)
        seen = wanted if len(wanted) <= 60 else f"{wanted[:60]}…"
        last = max(reader.line_num, 1)
        raise DataError(f"{path}, line {last}: the file ends without the line {seen!r}; it is damaged")


def _columns(path: Path, reader: Any, columns: Sequence[str], names: Sequence[str] | None, comment: str) -> Texts:
    if names is None:
        names = next(reader, [])
    lacking = [column for column in columns if column not in names]
    if lacking:
        line = max(reader.line_num, 1)
        raise DataError(f"{path}, line {line}: no column {', '.join(lacking)}; this is a different file or version")
    width, places = len(names), [names.index(column) for column in columns]
    lines: list[NDArray[np.int64]] = []
    seen: list[dict[str, int]] = [{} for _ in columns]
    codes: list[list[NDArray[np.int32]]] = [[] for _ in columns]

    def numbered() -> Iterator[list[str]]:
        for row in reader:
            if not row or row == [comment]:
                continue
            if len(row) != width:
                raise DataError(f"{path}, line {reader.line_num}: the number of fields is {len(row)}, not {width}")
            ends.append(reader.line_num)
            yield row

    rows = numbered()
    while True:
        ends: list[int] = []
        chunk = list(islice(rows, CHUNK))
        if not chunk:
            break
        lines.append(np.array(ends, dtype=np.int64))
        by_column = list(zip(*chunk))
        for known, found, place in zip(seen, codes, places):
            found.append(np.array([known.setdefault(text, len(known)) for text in by_column[place]], dtype=np.int32))
    if not lines:
        raise DataError(f"{path}, line {reader.line_num + 1}: the file ends without a row; it is damaged")
    joined = ((list(known), np.concatenate(found)) for known, found in zip(seen, codes))
    return Texts(path, np.concatenate(lines), dict(zip(columns, joined)))


def _broken_line(path: Path) -> int:
    content = path.read_bytes()
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 1  # the file has changed since
