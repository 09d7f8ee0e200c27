"""A file of one's own, whatever its encoding and separator, as a table of pandas."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

from fairbench.data.columns import encodes, shown
from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OTHER_FORMATS = {b"PK\x03\x04": "a spreadsheet or zip file", b"\x1f\x8b": "compressed", b"\xd0\xcf\x11\xe0": "Excel"}
SAMPLE = 100_000  # characters in which the separator is looked for
LINES = 50
SUFFIXES = (".csv", ".tsv", ".parquet")
MISSING = ["?", "-", "--", "."]  # besides those that pandas knows: empty, NA, N/A, NaN, null, None …
DROP = "or leave them out (--drop)"
_COMMA, _POINT = re.compile(r"-?\d+,\d+"), re.compile(r"-?\d+\.\d+")


Used = Callable[[str], bool]


class Read(NamedTuple):
    """A table as it was read, and sentences on how."""

    table: pd.DataFrame
    said: tuple[str, ...]


def names_a_file(target: str) -> bool:
    """Return whether a text names a file with a table: there is one, or it ends like one."""
    return target.lower().endswith(SUFFIXES) or os.path.isfile(target)  # which takes names too long for a file


def read_table(path: Path, where: str, used: Used = lambda name: True, advice: str = DROP) -> Read:
    """Return the rows of a CSV or Parquet file; which of them it is, its content says.

    Args:
        path: of the file.
        where: begins messages.
        used: whether a column of this name is of any use; of others, several can have one name.
        advice: ends the message on two columns of one name.

    Raises:
        DataError: it cannot be read, has no rows, or its columns have no clear names.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # a zero byte in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); give the path of a CSV or Parquet file") from error
    if content.startswith(b"PAR1"):
        return named(_parquet(content, where), where, used, advice=advice)
    for mark, what in OTHER_FORMATS.items():
        if content.startswith(mark):
            raise DataError(f"{where}: it is {what}, not text; save or unpack it as CSV")
    text, said = _decoded(content, where)
    if not text.strip():
        raise DataError(f"{where}: the file is empty; it needs a line of column names, and rows")
    separator, header, decimal = _layout(text, where)
    if separator != ",":
        said.append(f"columns are separated by {SEPARATORS[separator]}")
    if decimal != ".":
        said.append("numbers are written with a decimal comma")
    _check_names(header, where, used, advice)
    table = _parsed(text, separator, decimal, where)
    table.columns = [name.strip() for name in header]
    return named(table, where, used, said, advice)


def named(
    table: pd.DataFrame,
    where: str,
    used: Used = lambda name: True,
    said: Sequence[str] = (),
    advice: str = DROP,
) -> Read:
    """Return a table whose columns have texts as names; a column without a name is left out.

    Raises:
        DataError: two columns have one name, no column has any, or there are no rows.
    """
    names = ["" if name is None or name != name else str(name).strip() for name in table.columns]
    _check_names(names, where, used, advice)
    blank = [number for number, name in enumerate(names) if not name]
    if len(blank) == len(names):
        raise DataError(f"{where}: no column has a name; the first line must name them")
    if not len(table):
        raise DataError(f"{where}: there are column names ({', '.join(names[:10])}) but no rows")
    table = table.set_axis(names, axis=1).iloc[:, [number for number, name in enumerate(names) if name]]
    dropped = [f"column {number + 1} has no name and is left out" for number in blank]
    return Read(table.reset_index(drop=True), (*said, *dropped))


def _check_names(names: Sequence[str], where: str, used: Used, advice: str) -> None:
    places: dict[str, list[int]] = {}
    for number, name in enumerate(names, 1):
        places.setdefault(name.strip(), []).append(number)
        if not encodes(name):
            raise DataError(f"{where}: the name of column {number} is not valid Unicode: {shown(name)}; rename it")
    for name, numbers in places.items():
        if name and len(numbers) > 1 and used(name):
            listed = ", ".join(map(str, numbers))
            raise DataError(
                f"{where}: {len(numbers)} columns are named {name!r} (columns {listed}); rename or remove "
                f"one{advice and f', {advice}'}"
            )


def _parquet(content: bytes, where: str) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(content))
    except ImportError as error:
        raise DataError(
            f"{where}: reading Parquet needs pyarrow, which is not installed; install it (pip install pyarrow), or "
            "save the table as CSV"
        ) from error
    except Exception as error:  # pyarrow raises its own errors, and OSError
        reason = str(error).partition("\n")[0][:200]
        raise DataError(f"{where}: not a readable Parquet file ({reason}); write it again") from error


def _decoded(content: bytes, where: str) -> tuple[str, list[str]]:
    """Return the text, and which encoding was taken if it is not UTF-8."""
    tried = next(([name] for mark, name in BOMS.items() if content.startswith(mark)), [])
    if not tried:
        tried = ["utf-8", "cp1252", "latin-1"]  # the last takes any bytes
        if b"\0" in content:  # text in one or two bytes holds none
            zeros = [content[start:SAMPLE:2].count(b"\0") for start in (0, 1)]
            tried = ["utf-16-le"] if zeros[1] > zeros[0] else ["utf-16-be"]
            if max(zeros) < len(content[:SAMPLE]) / 4 or min(zeros):
                raise DataError(f"{where}: it holds zero bytes, so it is not a table in text; save it as CSV in UTF-8")
    for name in tried:
        try:
            text = content.decode(name)
        except UnicodeDecodeError as error:
            reason = error
            continue
        other = [] if name.startswith("utf-8") else [f"the text is not UTF-8 and is read as {name}"]
        return text, other
    raise DataError(f"{where}: it is not valid {tried[-1]} ({reason.reason} at byte {reason.start}); save it as UTF-8")


def _layout(text: str, where: str) -> tuple[str, list[str], str]:
    """Return the separator, the header's fields and the decimal sign, from the first lines.

    The separator is the one by which most of the first rows have as many fields as the header; of equals, the one that
    makes most fields.
    """
    sample = text[:SAMPLE]
    found = []
    for separator in SEPARATORS:
        rows = _fields(sample, separator)
        widths = [len(row) for row in rows[1:-1] or rows[1:]]  # the last may have been cut
        same = sum(width == len(rows[0]) for width in widths) / len(widths) if widths else 1.0
        if len(rows[0]) > 1:
            found.append((same, len(rows[0]), separator, rows))
    if not found:
        listed = ", ".join(SEPARATORS.values())
        raise DataError(
            f"{where}: it has one column only, {shown(_fields(sample, ',')[0][0])}; columns must be separated by one "
            f"of {listed}"
        )
    _, _, separator, rows = max(found, key=lambda each: each[:2])
    cells = [cell.strip() for row in rows[1:] for cell in row]
    commas = separator != "," and any(map(_COMMA.fullmatch, cells)) and not any(map(_POINT.fullmatch, cells))
    return separator, rows[0], "," if commas else "."


def _fields(sample: str, separator: str) -> list[list[str]]:
    """Return the fields of the first lines that are not blank."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=True):
            if row not in ([], [""]):
                rows.append(row)
            if len(rows) > LINES:
                break
    except csv.Error:  # a field of more than 128 KiB, which pandas reads
        pass
    return rows or [[""]]


def _parsed(text: str, separator: str, decimal: str, where: str) -> pd.DataFrame:
    """Return the rows below the header."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.BytesIO(text.encode("utf-8")),
                sep=separator,
                decimal=decimal,
                na_values=MISSING,
                skipinitialspace=True,
                low_memory=False,
                index_col=False,
            )
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{where}: rows have more fields than the first line has names; give every column a name, or remove what "
            "ends each line"
        ) from error
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        reason = str(error).strip().replace("\n", " ").replace("Error tokenizing data. C error: ", "")
        raise DataError(f"{where}: not a table ({reason}); correct that line") from error
