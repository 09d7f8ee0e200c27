"""A plugin as a user writes one: a dataset that is whatever table its path names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path

import pandas as pd

from fairbench.api import DataError, DataFile, Dataset, hookimpl, parameter

SENSITIVE = "group:"


@dataclass(frozen=True)
class OwnTable:
    """A CSV table with a column y of 0 and 1; columns whose names begin with 'group:' are sensitive."""

    name = "own_table"
    files = ()
    path: str = parameter(MISSING, "the table")

    @property
    def sensitive_features(self) -> tuple[str, ...]:
        """Return the names in the table's head."""
        try:
            columns = pd.read_csv(self.path, nrows=0).columns
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror}); give the path of a CSV table") from error
        return tuple(column[len(SENSITIVE) :] for column in columns if column.startswith(SENSITIVE))

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table."""
        table = pd.read_csv(self.path)
        names = {f"{SENSITIVE}{name}": name for name in self.sensitive_features}
        sensitive = table[list(names)].rename(columns=names)
        protected = {name: sorted(sensitive[name])[0] for name in sensitive}
        return Dataset("own_table", table.drop(columns=["y", *names]), table["y"], sensitive, protected)


@dataclass(frozen=True)
class Survey:
    """A survey of one year, whose raw file depends on the year."""

    name = "survey"
    sensitive_features: tuple[str, ...] = ("sex",)
    year: int = parameter(2020, "the year of the survey")

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Return the year's file, which nobody serves."""
        return (DataFile(f"survey/{self.year}.csv", "0" * 64, obtain=f"ask for the survey of {self.year}"),)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read nothing: the file is never there."""
        raise AssertionError("load was called without its file")


@hookimpl
def fairbench_datasets():
    """Return the datasets."""
    return [OwnTable, Survey]
