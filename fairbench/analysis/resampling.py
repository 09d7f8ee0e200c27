"""The exact bootstrap of a test part: n rows drawn with replacement are one multinomial draw of the table of counts.

It holds for every function of counts: rates, differences, ratios, accuracy, points above the coin. It does not hold for
metrics of scores, and rows that occur several times in a dataset make its intervals too narrow. Two methods that
decided about the same rows are drawn together, from one joint table, never from two separate ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts
from fairbench.analysis.intervals import LEVEL
from fairbench.data.rows import Floats

DRAWS = 2000
MOST_UNDEFINED = 0.01  # share of the draws in which a quantity may be undefined; above it there is no interval


@dataclass(frozen=True, eq=False)
class CountDraws:
    """D test parts drawn with replacement from the rows of one, as counts by group and label; see ``Counts``.

    Args:
        rows: (D, G, 2) number of rows with y = 0 and y = 1.
        selected: (D, G, 2) number of these that are selected, in expectation over ``decision``.
    """

    rows: Floats
    selected: Floats

    def rates(self, rate: str) -> Floats:
        """Return a ``rate``, one of the three by name, by draw and group (D, G); NaN where there is no row to count."""
        if rate == SELECTION:
            selected, rows = self.selected.sum(axis=2), self.rows.sum(axis=2)
        else:
            label = {FALSE_POSITIVE: 0, TRUE_POSITIVE: 1}[rate]
            selected, rows = self.selected[:, :, label], self.rows[:, :, label]
        with np.errstate(invalid="ignore"):
            return np.asarray(selected / rows)

    def difference(self, rate: str, above: int, below: int) -> Floats:
        """Return by draw (D,) the difference in a ``rate`` between the groups with the codes ``above`` and ``below``.

        Its direction is fixed: the largest difference of each draw, whatever its direction, is never 0, and no interval
        for a fair method follows from it. NaN where one of the two groups has no row to count.
        """
        rates = self.rates(rate)
        return np.asarray(rates[:, above] - rates[:, below])

    @property
    def accuracy(self) -> Floats:
        """Return the share of correct decisions by draw (D,); NaN without rows."""
        right = self.selected[:, :, 1] + self.rows[:, :, 0] - self.selected[:, :, 0]
        with np.errstate(invalid="ignore"):
            return np.asarray(right.sum(axis=1) / self.rows.sum(axis=(1, 2)))


def draw_tables(table: Floats, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return D tables (D, ...), each of n rows drawn with replacement from the n rows that a table counts.

    Args:
        table: number of rows in each cell, of any shape; fractions are expectations, and the sum is a whole number.
        draws: number of tables D.
        seed: of the draws.
    """
    flat = np.asarray(table, dtype=np.float64).ravel()
    drawn = np.zeros((draws, len(flat)))
    filled = np.flatnonzero(flat)
    drawn[:, filled] = _drawn(flat[filled], draws, seed)
    return drawn.reshape(draws, *np.shape(table))


def _drawn(cells: Floats, draws: int, seed: int) -> Floats:
    """Return draws (D, K) of K cells, none of them empty."""
    if not len(cells):
        return np.zeros((draws, 0))
    n = cells.sum()
    return np.random.default_rng(seed).multinomial(round(float(n)), cells / n, size=draws).astype(np.float64)


def draw_counts(counts: Counts, draws: int = DRAWS, seed: int = 0) -> CountDraws:
    """Return draws of one method's ``counts``.

    Randomised decisions are drawn with their chances, and enter in expectation as they do in ``counts``.

    Args:
        counts: of a test part with rows.
        draws: number of drawn test parts D.
        seed: of the draws.
    """
    levels, table = counts.by_level
    group, label, level = np.nonzero(table)
    drawn = _drawn(table[group, label, level], draws, seed)  # (D, K): only what occurs, as chances can be many
    at = np.zeros((len(group), len(counts.groups) * 2))
    at[np.arange(len(group)), group * 2 + label] = 1
    shape = (draws, len(counts.groups), 2)
    return CountDraws((drawn @ at).reshape(shape), (drawn * levels[level] @ at).reshape(shape))


def draw_jointly(joint: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[CountDraws, CountDraws]:
    """Return draws of two methods that decided about the same rows; both see the same rows in each draw.

    Args:
        joint: (G, 2, 2, 2) rows by group, label, first and second decision, see ``count_jointly``.
        draws: number of drawn test parts D.
        seed: of the draws.
    """
    drawn = draw_tables(joint, draws, seed)  # (D, G, 2, 2, 2)
    rows = drawn.sum(axis=(3, 4))
    return CountDraws(rows, drawn[:, :, :, 1].sum(axis=3)), CountDraws(rows, drawn[:, :, :, :, 1].sum(axis=3))


def percentiles(values: Floats, level: float = LEVEL) -> Optional[tuple[float, float]]:
    """Return the percentile interval of a quantity with ``values`` (D,) in the draws, at a confidence ``level``.

    A value that is not a number is undefined in its draw. If that is so in more than 1% of the draws, there is no
    interval: None.
    """
    defined = values[np.isfinite(values)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(values):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
