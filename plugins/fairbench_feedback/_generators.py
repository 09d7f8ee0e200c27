"""What a generator is, what its samples must be, and how they are kept within the data's own domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairbench.api import DataError

Rows = NDArray[Any]  # (n, d)


class FittedGenerator(Protocol):
    """A distribution over rows; ``loss`` says how well it fits its training rows, in the generator's own unit."""

    loss: float

    def sample(self, n: int, *, seed: int) -> Rows:
        """Return n new rows (n, d)."""
        ...


class Generator(Protocol):
    """A frozen dataclass of hyper-parameters that learns to imitate rows; what is learned lives in what it returns."""

    @property
    def name(self) -> str:
        """Its name in suites and on the command line; in the class, a plain ``name = "..."``."""
        ...

    def fit(self, X: Rows, image_shape: tuple[int, ...], *, seed: int) -> FittedGenerator:
        """Learn from X (n, d); ``image_shape`` is (channels, height, width), or empty for a table."""
        ...


def checked_sample(name: str, fitted: FittedGenerator, n: int, d: int, *, seed: int) -> Rows:
    """Return n rows of a generator, which may be a third party's.

    Raises:
        DataError: they have the wrong shape, or contain a NaN or an infinite value.
    """
    X = np.asarray(fitted.sample(n, seed=seed))
    if X.shape != (n, d):
        raise DataError(f"generator {name} returned an array of shape {X.shape}; {(n, d)} was asked for")
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        raise DataError(
            f"generator {name} returned {X[row, column]} in row {row}, column {column} of {n} samples; "
            "it has diverged (fewer components, a smaller learning rate or more regularisation may help)"
        )
    return X


def one_hot_blocks(X: Rows) -> list[slice]:
    """Return the runs of columns that hold exactly one 1 in every row: a one-hot category.

    They are read off the rows, because a table's encoding is not part of its schema: from its first column on, a run of
    0/1 columns is extended while no row has two 1s, and is a block once every row has one. An encoder that was fitted
    on these rows gives exactly its blocks, since each of its categories occurs. A column without a 1 never begins a
    block.

    Args:
        X: (n, d) encoded training rows.
    """
    binary = ((X == 0) | (X == 1)).all(axis=0)
    blocks, start = [], 0
    while start < X.shape[1]:
        ones, stop = np.zeros(len(X)), start
        while X[:, start].any() and stop < X.shape[1] and binary[stop] and ones.max() <= 1 and ones.min() < 1:
            ones += X[:, stop]
            stop += 1
        if (ones == 1).all():
            blocks.append(slice(start, stop))
            start = stop
        else:
            start += 1
    return blocks


@dataclass(frozen=True)
class Domain:
    """The domain of the rows, learned from real training rows: samples are brought back into it.

    A block of one-hot columns gets its 1 where the sample is largest; a column with two values takes the nearer one;
    any other column is clipped to the range seen in training. Pixels are clipped to [0, 1].

    Args:
        low: (d,) smallest values.
        high: (d,) largest values.
        pairs: (d,) mask of the columns with no more than two values.
        blocks: runs of one-hot columns.
    """

    low: Rows
    high: Rows
    pairs: NDArray[np.bool_]
    blocks: tuple[slice, ...]

    @classmethod
    def of(cls, X: Rows, image_shape: tuple[int, ...]) -> Domain:
        """Return the domain of training rows (n, d)."""
        d = X.shape[1]
        if image_shape:
            return cls(np.zeros(d, np.float32), np.ones(d, np.float32), np.zeros(d, dtype=bool), ())
        low, high = X.min(axis=0), X.max(axis=0)
        pairs = (np.equal(X, low) | np.equal(X, high)).all(axis=0)
        return cls(low, high, pairs, tuple(one_hot_blocks(X)))

    def project(self, X: Rows) -> NDArray[np.float32]:
        """Return the nearest rows (n, d) within the domain."""
        rows = np.clip(X, self.low, self.high).astype(np.float32, copy=False)
        if self.pairs.any():
            low, high, seen = self.low[self.pairs], self.high[self.pairs], X[:, self.pairs]
            rows[:, self.pairs] = np.where(seen - low < high - seen, low, high)
        for block in self.blocks:
            largest = X[:, block].argmax(axis=1)
            rows[:, block] = 0
            rows[np.arange(len(X)), block.start + largest] = 1
        return rows
