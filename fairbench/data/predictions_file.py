"""The table in a file of predictions, as somebody exported it: CSV with any common separator, or Parquet."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet")
SEPARATORS = ",;\t|"


def names_a_file(target: str) -> bool:
    """Return whether a text names a file of predictions: there is one, or it ends like one."""
    return Path(target).is_file() or target.lower().endswith(SUFFIXES)


def read_table(path: Path) -> pd.DataFrame:
    """Return the columns of a CSV file as texts, of a Parquet file as they are stored there.

    The separator of a CSV file is the one that is most frequent in its first line; blank lines are skipped.

    Raises:
        DataError: there is no such file, it cannot be read, two columns have one name, or a line has too few or too
            many values.
    """
    import pandas as pd

    if not path.is_file():
        raise DataError(f"there is no file {path}{' (it is a folder)' if path.is_dir() else ''}; check its path")
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = _from_text(path.read_bytes().decode("utf-8-sig"), path.name)
    except ImportError as error:
        raise DataError(f"{path.name}: reading Parquet needs the package pyarrow; install it, or export a CSV") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 (byte {error.start}); save it as CSV in UTF-8") from error
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    if not len(table):
        raise DataError(f"{path.name} has no rows below its column names; every row is a decision about a person")
    return table


def _from_text(text: str, name: str) -> pd.DataFrame:
    import pandas as pd

    first = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=first.count))
    header = [column.strip() for column in next(lines, [])]
    if not any(header):
        raise DataError(f"{name} is empty, or its first line is; the first line must name the columns")
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise DataError(f"{name} has two columns named {twice[0]!r}; rename one")
    rows = []
    for row in lines:
        if len(row) != len(header) and row:
            raise DataError(
                f"{name}: line {lines.line_num} has {len(row)} values and the first line names {len(header)} columns"
            )
        rows += [row] if row else []
    return pd.DataFrame(rows, columns=header, dtype=object)
