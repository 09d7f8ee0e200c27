"""The table in a file of predictions, as somebody exported it: CSV with any common separator, or Parquet."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet")
SEPARATORS = ",;\t|"


def names_a_file(target: str) -> bool:
    """Return whether a text names a file of predictions: there is one, or it ends like one."""
    return Path(target).is_file() or target.lower().endswith(SUFFIXES)


class Read(NamedTuple):
    """A table as it was read, and sentences on how."""

    table: pd.DataFrame
    said: tuple[str, ...] = ()


def read_table(path: Path, where: str) -> Read:
    """Return the columns of a CSV file as texts, of a Parquet file as they are stored there.

    The separator of a CSV file is the one that is most frequent in its first line; blank lines are skipped.

    Args:
        path: of the file.
        where: begins messages.

    Raises:
        DataError: there is no such file, it cannot be read, two columns have one name, or a line has too few or too
            many values.
    """
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = _from_text(path.read_bytes().decode("utf-8-sig"), where)
    except ImportError as error:
        raise DataError(f"{where}: reading Parquet needs pyarrow; install it, or export a CSV") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 (byte {error.start}); save it as CSV in UTF-8") from error
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read ({reason}); give the path of a CSV or Parquet file") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{where} cannot be read: {error}") from error
    if not len(table):
        raise DataError(f"{where}: there are column names but no rows; every row is a decision about a person")
    return Read(table)


def _from_text(text: str, where: str) -> pd.DataFrame:
    import pandas as pd

    first = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=first.count))
    header = [column.strip() for column in next(lines, [])]
    if not any(header):
        raise DataError(f"{where} is empty, or its first line is; the first line must name the columns")
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise DataError(f"{where} has two columns named {twice[0]!r}; rename one")
    rows = []
    for row in lines:
        if len(row) != len(header) and row:
            raise DataError(
                f"{where}: line {lines.line_num} has {len(row)} values and the first line names {len(header)} columns"
            )
        rows += [row] if row else []
    return pd.DataFrame(rows, columns=header, dtype=object)
