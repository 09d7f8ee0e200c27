"""The tables of the Heritage Health Prize, summed up to a row for each member and year.

A row's key is ``MemberID * 10 + year``, years being 1 to 3. Values that the published files do not hold are refused,
never guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.api import DataError
from fairbench_datasets._health_values import BANDS, CHARLSON, GROUPED, MONTHS, STAYS, YEARS

if TYPE_CHECKING:
    import pandas as pd

IDENTIFIERS = {"ProviderID": "no_Providers", "Vendor": "no_Vendors", "PCP": "no_PCPs"}
DISTINCT = {
    "PrimaryConditionGroup": "no_PrimaryConditionGroups",
    "Specialty": "no_Specialities",
    "ProcedureGroup": "no_ProcedureGroups",
    "PlaceSvc": "no_PlaceSvcs",
}


def read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of a file as categories that are texts, a missing value as NaN.

    Raises:
        DataError: a column is missing.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, usecols=list(columns), dtype="category", keep_default_na=False, na_values=[""])
    except ValueError as error:
        raise DataError(f"{path.name}: {error}; the columns {', '.join(columns)} are needed") from error
    return table.apply(lambda column: column.cat.rename_categories(str))  # whole numbers were read as such


def coded(table: pd.DataFrame, column: str, codes: Mapping[str, int], where: str, known: str = "") -> np.ndarray:
    """Return the codes (n,) of a column's values, NaN where the value is missing.

    Raises:
        DataError: a value has no code; ``known`` says in words which have.
    """
    values = table[column].cat
    strange = [value for value in values.categories if value not in codes]
    if strange:
        known = known or f"one of {', '.join(codes)}"
        raise DataError(f"{where}: {column} holds {strange[0]!r}; it must be {known}")
    by_category = np.array([*(codes[value] for value in values.categories), np.nan])
    return by_category[values.codes.to_numpy()]  # a missing value has the code -1: the last entry


def number(table: pd.DataFrame, column: str, where: str) -> np.ndarray:
    """Return a column's whole numbers (n,), NaN where missing; ``162+`` counts as 162.

    Raises:
        DataError: a value is no number.
    """
    values = table[column].cat.categories
    codes = {value: int(value.rstrip("+")) for value in values if value.rstrip("+").isdigit()}
    return coded(table, column, codes, where, "a whole number")


def keys(table: pd.DataFrame, where: str, year: int | None = None) -> np.ndarray:
    """Return each row's key (n,); ``year`` is that of all rows where the table has no such column.

    Raises:
        DataError: a member or a year is missing.
    """
    years = coded(table, "Year", YEARS, where) if year is None else np.full(len(table), year, dtype=float)
    members = number(table, "MemberID", where)
    if np.isnan(members).any() or np.isnan(years).any():
        raise DataError(f"{where}: a row lacks its member or year; the file is damaged")
    return (members * 10 + years).astype(np.int64)


def claims(path: Path) -> pd.DataFrame:
    """Return counts and statistics of the claims, a row for each key.

    Columns: ``max_CharlsonIndex`` (0 to 3), the number of claims and of distinct values, sum, maximum, minimum, mean
    and standard deviation of ``PayDelay``, ``LOS`` (days in hospital) and ``dsfs`` (months since the first claim),
    lengths of stay that are unknown, suppressed and known, and a count ``column=value`` for each value of ``GROUPED``.
    """
    import pandas as pd

    numbers = {"PayDelay", "LengthOfStay", "DSFS", "CharlsonIndex", "SupLOS"}
    table, where = read(path, ["MemberID", "Year", *IDENTIFIERS, *GROUPED, *numbers]), path.name
    code, found = pd.factorize(keys(table, where), sort=True)
    n = len(found)
    total = np.bincount(code, minlength=n)
    columns: dict[str, Any] = {"no_Claims": total}
    for column, name in IDENTIFIERS.items():
        values = table[column].cat.codes.to_numpy()
        pairs = np.unique(code[values >= 0] * np.int64(len(table)) + values[values >= 0])
        columns[name] = np.bincount(pairs // len(table), minlength=n)
    counts: dict[str, Any] = {}
    for column, names in GROUPED.items():
        values = coded(table, column, {name: place for place, name in enumerate(names)}, where)
        width = len(names) + 1
        place = np.where(np.isnan(values), len(names), values).astype(np.int64)
        counted = np.bincount(code * width + place, minlength=n * width).reshape(n, width)
        columns[DISTINCT[column]] = (counted[:, :-1] > 0).sum(axis=1)
        counts.update({f"{column}={name}": counted[:, place] for place, name in enumerate([*names, "?"])})
    for column, name, values in (
        ("PayDelay", "PayDelay", number(table, "PayDelay", where)),
        ("LengthOfStay", "LOS", coded(table, "LengthOfStay", STAYS, where)),
        ("DSFS", "dsfs", coded(table, "DSFS", MONTHS, where)),
    ):
        columns.update(_statistics(values, code, name, total))
        if column == "LengthOfStay":
            suppressed = np.isnan(values) & (number(table, "SupLOS", where) == 1)
            columns["LOS_TOT_KNOWN"] = np.bincount(code, weights=~np.isnan(values), minlength=n)
            columns["LOS_TOT_SUPRESSED"] = np.bincount(code, weights=suppressed, minlength=n)
            columns["LOS_TOT_UNKNOWN"] = total - columns["LOS_TOT_KNOWN"] - columns["LOS_TOT_SUPRESSED"]
    charlson = pd.Series(coded(table, "CharlsonIndex", CHARLSON, where))
    highest = charlson.groupby(code).max().fillna(0).to_numpy()
    return pd.DataFrame({"max_CharlsonIndex": highest, **columns, **counts}, index=found)


def _statistics(values: np.ndarray, code: np.ndarray, name: str, total: np.ndarray) -> dict[str, Any]:
    """Return sum, maximum, minimum, mean, range and standard deviation by key.

    Where no value is known they are 0, but the range -1; the standard deviation is 0 for a single claim, and else -1
    where fewer than two of the claims have a known value.
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

    table, where = read(path, ["MemberID", "Year", column]), path.name
    code, found = pd.factorize(keys(table, where), sort=True)
    grouped = pd.Series(number(table, column, where)).groupby(code)
    columns = {"total": "sum", "max": "max", "min": "min", "ave": "mean", "months": "size"}
    values = {f"{name}_{ending}": grouped.agg(how).to_numpy() for ending, how in columns.items()}
    return pd.DataFrame(values, index=found)


def members(path: Path) -> pd.DataFrame:
    """Return ``age`` (a band such as ``40-49``) and ``sex`` (F, M) by member, a missing value as ``unknown``."""
    import pandas as pd

    table, where = read(path, ["MemberID", "AgeAtFirstClaim", "Sex"]), path.name
    texts = {}
    for name, column, known in (("age", "AgeAtFirstClaim", BANDS), ("sex", "Sex", ["F", "M"])):
        code = coded(table, column, {value: place for place, value in enumerate(known)}, where)
        texts[name] = np.array([*known, "unknown"])[np.where(np.isnan(code), len(known), code).astype(int)]
    return pd.DataFrame(texts, index=number(table, "MemberID", where).astype(np.int64))
