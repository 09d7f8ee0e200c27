"""How a table becomes features: what is learned from the training rows, as plain data that survives JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MISSING = "missing"  # the category of a missing value


@dataclass(frozen=True)
class Encoding:
    """What turns rows of a table into features: imputing, scaling and one-hot encoding.

    Args:
        numbers: the numeric columns, in order.
        fill: what stands for a missing number of each, the training median; empty if none is missing.
        mean: of each in training; empty without scaling.
        scale: what each is divided by after that; likewise.
        categories: for each other column, in order, the categories seen in training, sorted.
    """

    numbers: tuple[str, ...]
    fill: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(cls, table: pd.DataFrame, train: NDArray[np.intp], scale: str, *, complete: bool = False) -> Encoding:
        """Return what the rows ``train`` teach.

        Args:
            table: numeric, boolean, string or categorical columns.
            train: positions.
            scale: ``standard`` or ``none``.
            complete: learn medians although no number is missing here, for rows to come.
        """
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import StandardScaler

        numeric = table.select_dtypes(include=["number", "bool"])
        block = numeric.to_numpy(dtype=np.float64)
        fill = mean = divisor = np.zeros(0)
        if block.shape[1]:
            if complete or np.isnan(block).any():
                imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(block[train])
                fill = imputer.statistics_
                block = _filled(block, fill)
            if scale == "standard":
                scaler = StandardScaler().fit(block[train])
                mean, divisor = scaler.mean_, scaler.scale_
        columns = [str(name) for name in numeric.columns]
        texts = _texts(table.drop(columns=numeric.columns))
        categories = {str(name): tuple(np.unique(column[train]).tolist()) for name, column in texts.items()}
        return cls(tuple(columns), tuple(fill.tolist()), tuple(mean.tolist()), tuple(divisor.tolist()), categories)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the table that are needed."""
        return (*self.numbers, *self.categories)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the features."""
        flags = [f"{name}_{category}" for name, known in self.categories.items() for category in known]
        return (*self.numbers, *flags)

    def apply(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features (n, d) of any rows with these columns; a category that is not known is all zeros.

        Raises:
            DataError: a column is missing, or a number is none.
        """
        if not all(isinstance(name, str) for name in table.columns):
            table = table.set_axis([str(name) for name in table.columns], axis=1)
        lacking = [name for name in self.columns if name not in table.columns]
        if lacking:
            raise DataError(f"the table has no column {lacking[0]!r}; it needs {', '.join(self.columns)}")
        blocks: list[NDArray[Any]] = [self._numbers(table)] if self.numbers else []
        for name, column in _texts(table[list(self.categories)]).items():
            known = np.array(self.categories[name])
            flags = np.zeros((len(table), len(known)), dtype=np.float32)
            at = np.searchsorted(known, column).clip(0, len(known) - 1)
            rows = np.flatnonzero(known[at] == column)
            flags[rows, at[rows]] = 1
            blocks.append(flags)
        if not blocks:
            return np.zeros((len(table), 0), dtype=np.float32)
        return np.hstack(blocks).astype(np.float32)  # in the order of memory of its parts, on which last bits depend

    def _numbers(self, table: pd.DataFrame) -> NDArray[np.float64]:
        try:
            block: NDArray[np.float64] = table[list(self.numbers)].to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"a column of numbers holds something else: {error}") from error
        if self.fill:
            block = _filled(block, np.array(self.fill))
        if not np.isfinite(block).all():
            column = self.numbers[int(np.flatnonzero(~np.isfinite(block).all(axis=0))[0])]
            raise DataError(f"column {column!r} holds a missing or infinite number")
        if self.scale:
            block = (block - np.array(self.mean)) / np.array(self.scale)
        return block

    def plain(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Any) -> Encoding:
        """Return the encoding that ``plain`` returned.

        Raises:
            ValueError: it is none.
        """
        numbers = tuple(map(_text, plain["numbers"]))
        fill, mean, scale = parts = [tuple(map(float, plain[name])) for name in ("fill", "mean", "scale")]
        if any(part and (len(part) != len(numbers) or not np.isfinite(part).all()) for part in parts):
            raise ValueError("fill, mean and scale need one finite number for each numeric column")
        if len(mean) != len(scale) or 0 in scale:
            raise ValueError("a scale is 0, or lacks its mean")
        categories = {_text(name): tuple(map(_text, known)) for name, known in plain["categories"].items()}
        if not all(categories.values()) or any(list(known) != sorted(set(known)) for known in categories.values()):
            raise ValueError("categories are missing or not sorted, or one occurs twice")
        return cls(numbers, fill, mean, scale, categories)


def _filled(block: NDArray[np.float64], fill: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers (n, d) with ``fill`` (d,) where one is missing."""
    filled = np.array(block)
    rows, columns = np.nonzero(np.isnan(block))
    filled[rows, columns] = fill[columns]
    return filled


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _texts(table: pd.DataFrame) -> Mapping[Any, NDArray[np.str_]]:
    """Return each column as texts (n,); a missing value is the category ``missing``."""
    found = {}
    for name in table.columns:
        column = table[name].astype(object)
        found[name] = column.where(column.notna(), MISSING).to_numpy().astype(str)
    return found
