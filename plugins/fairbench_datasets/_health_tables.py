"""The tables of the Heritage Health Prize, aggregated to one row for each member and year.

A row's key is ``MemberID * 10 + year``, years being 1 to 3. Values that do not occur in the published files are
refused, never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import DataError
from fairbench_datasets._health_values import BANDS, CHARLSON, GROUPED, MONTHS, STAYS, YEARS
from fairbench_datasets._reading import Texts, read

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"[0-9]{1,9}\+?")
IDENTIFIERS = {"ProviderID": "no_Providers", "Vendor": "no_Vendors", "PCP": "no_PCPs"}
DISTINCT = {
    "PrimaryConditionGroup": "no_PrimaryConditionGroups",
    "Specialty": "no_Specialities",
    "ProcedureGroup": "no_ProcedureGroups",
    "PlaceSvc": "no_PlaceSvcs",
}


def coded(table: Texts, column: str, codes: Mapping[str, int], expected: str = "") -> NDArray[np.float64]:
    """Return the codes (n,) of a column's values, NaN where the value is missing.

    Raises:
        DataError: a value has no code; ``expected`` says in words which do.
    """

    def code(text: str) -> float:
        return codes[text] if text else np.nan

    return table.translated(column, code, expected or f"one of {', '.join(codes)}").astype(np.float64)


def number(table: Texts, column: str) -> NDArray[np.float64]:
    """Return a column's whole numbers (n,), NaN where missing; ``162+`` counts as 162.

    Raises:
        DataError: a value is not a number.
    """

    def value(text: str) -> float:
        if text and not NUMBER.fullmatch(text):
            raise ValueError(text)
        return int(text.rstrip("+")) if text else np.nan

    return table.translated(column, value, "a whole number").astype(np.float64)


def keys(table: Texts, year: int | None = None) -> NDArray[np.int64]:
    """Return each row's key (n,); ``year`` applies to all rows where the table has no such column.

    Raises:
        DataError: a member or a year is missing.
    """
    members = number(table, "MemberID")
    years = coded(table, "Year", YEARS) if year is None else np.full(len(members), float(year))
    missing = np.isnan(members) | np.isnan(years)
    if missing.any():
        line = table.lines[missing.argmax()]
        raise DataError(f"{table.path}, line {line}: the row lacks its member or year; the file is damaged")
    return (members * 10 + years).astype(np.int64)


def claims(path: Path) -> pd.DataFrame:
    """Return counts and statistics of the claims, a row for each key.

    Columns: ``max_CharlsonIndex`` (0 to 3), the number of claims and of distinct values, sum, maximum, minimum, mean
    and standard deviation of ``PayDelay``, ``LOS`` (days in hospital) and ``dsfs`` (months since the first claim),
    lengths of stay that are unknown, suppressed and known, and a count ``column=value`` for each value of ``GROUPED``.
    """
    import pandas as pd

    numbers = {"PayDelay", "LengthOfStay", "DSFS", "CharlsonIndex", "SupLOS"}
    table = read(path, ["MemberID", "Year", *IDENTIFIERS, *GROUPED, *numbers], quotes=True)
    code, found = pd.factorize(keys(table), sort=True)
    n = len(found)
    total = np.bincount(code, minlength=n)
    columns: dict[str, Any] = {"no_Claims": total}
    for column, name in IDENTIFIERS.items():
        texts, places = table.columns[column]
        known = np.array([bool(text) for text in texts])[places]
        pairs = np.unique(code[known] * np.int64(len(texts)) + places[known])
        columns[name] = np.bincount(pairs // len(texts), minlength=n)
    counts: dict[str, Any] = {}
    for column, names in GROUPED.items():
        values = coded(table, column, {name: place for place, name in enumerate(names)})
        width = len(names) + 1
        place = np.where(np.isnan(values), len(names), values).astype(np.int64)
        counted = np.bincount(code * width + place, minlength=n * width).reshape(n, width)
        columns[DISTINCT[column]] = (counted[:, :-1] > 0).sum(axis=1)
        counts.update({f"{column}={name}": counted[:, place] for place, name in enumerate([*names, "?"])})
    for column, name, values in (
        ("PayDelay", "PayDelay", number(table, "PayDelay")),
        ("LengthOfStay", "LOS", coded(table, "LengthOfStay", STAYS)),
        ("DSFS", "dsfs", coded(table, "DSFS", MONTHS)),
    ):
        columns.update(_statistics(values, code, name, total))
        if column == "LengthOfStay":
            suppressed = np.isnan(values) & (number(table, "SupLOS") == 1)
            columns["LOS_TOT_KNOWN"] = np.bincount(code, weights=~np.isnan(values), minlength=n)
            columns["LOS_TOT_SUPRESSED"] = np.bincount(code, weights=suppressed, minlength=n)
            columns["LOS_TOT_UNKNOWN"] = total - columns["LOS_TOT_KNOWN"] - columns["LOS_TOT_SUPRESSED"]
    charlson = pd.Series(coded(table, "CharlsonIndex", CHARLSON))
    highest = charlson.groupby(code).max().fillna(0).to_numpy()
    return pd.DataFrame({"max_CharlsonIndex": highest, **columns, **counts}, index=found)


def _statistics(values: np.ndarray, code: np.ndarray, name: str, total: np.ndarray) -> dict[str, Any]:
    """Return sum, maximum, minimum, mean, range and standard deviation by key.

    Where no value is known they are 0, except the range, which is -1; the standard deviation is 0 for a single claim,
    and otherwise -1 where fewer than two of the claims have a known value.
    """
    import pandas as pd

    grouped = pd.Series(values).groupby(code)
    highest, lowest = grouped.max(), grouped.min()
    return {
        f"{name}_total": grouped.sum().to_numpy(),
        f"{name}_max": highest.fillna(0).to_numpy(),
        f"{name}_min": lowest.fillna(0).to_numpy(),
        f"{name}_ave": grouped.mean().fillna(0).to_numpy(),
        f"{name}_range": (highest - lowest).fillna(-1).to_numpy(),
        f"{name}_stdev": np.where(total == 1, 0, grouped.std().fillna(-1).to_numpy()),
    }


def monthly(path: Path, column: str, name: str) -> pd.DataFrame:
    """Return total, maximum, minimum, mean and number of the monthly counts of drugs or tests, a row for each key."""
    import pandas as pd

    table = read(path, ["MemberID", "Year", column], quotes=True)
    code, found = pd.factorize(keys(table), sort=True)
    grouped = pd.Series(number(table, column)).groupby(code)
    columns = {"total": "sum", "max": "max", "min": "min", "ave": "mean", "months": "size"}
    values = {f"{name}_{ending}": grouped.agg(how).to_numpy() for ending, how in columns.items()}
    return pd.DataFrame(values, index=found)


def members(path: Path) -> pd.DataFrame:
    """Return ``age`` (a band such as ``40-49``) and ``sex`` (F, M) by member, a missing value as ``unknown``."""
    import pandas as pd

    table = read(path, ["MemberID", "AgeAtFirstClaim", "Sex"], quotes=True)
    texts = {}
    for name, column, known in (("age", "AgeAtFirstClaim", BANDS), ("sex", "Sex", ["F", "M"])):
        code = coded(table, column, {value: place for place, value in enumerate(known)})
        texts[name] = np.array([*known, "unknown"])[np.where(np.isnan(code), len(known), code).astype(int)]
    member = number(table, "MemberID")
    for trouble, rows in (("lacks its member", np.isnan(member)), ("repeats a member", pd.Series(member).duplicated())):
        if rows.any():
            line = table.lines[np.asarray(rows).argmax()]
            raise DataError(f"{path}, line {line}: the row {trouble}; the file is damaged")
    return pd.DataFrame(texts, index=member.astype(np.int64))
