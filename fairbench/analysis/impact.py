"""Impact ratios: how often each category is selected, as a share of how often the most selected one is.

This is the number that New York City's rules on automated employment decision tools ask for (Local Law 144 of 2021;
6 RCNY sections 5-300 and 5-301), by sex, by race or ethnicity, and by both together. The rules set no threshold; the
four-fifths rule of thumb is that of the US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D).

An impact ratio is the smallest of the category's ratios to all others, and 1. Which category is the most selected is
itself a matter of chance, so an interval must allow for each of them: its lower end is the smallest of the lower ends
against every other category, its upper end the smallest of the upper ends at the level 1 - (1 - level) / K for K
others, and at most 1. It mirrors the interval of a gap, which is a maximum of K differences (``gaps``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.data.rows import Floats
from fairbench.data.score_limits import LEVEL, wilson

FOUR_FIFTHS = 0.8
SMALL = 0.02
"""Share of the rows below which the rules let an auditor leave a category out of impact ratios."""


@dataclass(frozen=True)
class Impact:
    """How often one category is selected.

    Args:
        category: its name.
        rows: number of its rows.
        selected: number of these that are selected.
        rate, rate_low, rate_high: the share selected, with Wilson's interval.
        ratio, low, high: the impact ratio with its interval; None for a category that is left out, and if the ratio is
            undefined.
        small: whether it has less than 2% of the rows.
        excluded: whether it is left out of impact ratios.
        reason: why there is no ratio; else empty.
    """

    category: str
    rows: int
    selected: int
    rate: float
    rate_low: float
    rate_high: float
    ratio: Optional[float]
    low: Optional[float]
    high: Optional[float]
    small: bool = False
    excluded: bool = False
    reason: str = ""

    @property
    def four_fifths(self) -> str:
        """Return on which side of four fifths the interval lies: ``below``, ``above``, ``open``; empty without one."""
        if self.low is None or self.high is None:
            return ""
        return "below" if self.high < FOUR_FIFTHS else "above" if self.low >= FOUR_FIFTHS else "open"


def ratio_limits(
    selected: tuple[Floats, Floats], rows: tuple[Floats, Floats], level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Return the limits, lower and upper, of the ratio of two independent rates, the first over the second.

    They are built from Wilson's limits of either rate, as Newcombe's limits of a difference are, and exist for rates of
    0 and 1 too: the upper one is infinite if nobody is selected in the second group.

    Args:
        selected: numbers of any shape, for the first and the second rate.
        rows: of as many rows, each at least 1.
        level: confidence level.

    References:
        Newcombe (2016), MOVER-R confidence intervals for ratios and products of two independently estimated
        quantities, Statistical Methods in Medical Research 25 (5).
    """
    p, q = (np.asarray(x, dtype=np.float64) / n for x, n in zip(selected, rows))
    (p_low, p_high), (q_low, q_high) = (wilson(x, n, level) for x, n in zip(selected, rows))
    product = p * q
    below, above = p_low * (2 * p - p_low), p_high * (2 * p - p_high)
    root_low = np.sqrt(np.maximum(product**2 - below * q_high * (2 * q - q_high), 0))
    spread = q_low * (2 * q - q_low)
    root_high = np.sqrt(np.maximum(product**2 - above * spread, 0))
    with np.errstate(invalid="ignore", divide="ignore"):  # below / (…) is the usual form times its conjugate
        low = np.where(below > 0, below / (product + root_low), 0.0)
        high = np.where(spread > 0, (product + root_high) / spread, np.inf)
    return low, high


def impact_ratios(
    categories: Sequence[str],
    selected: Sequence[float],
    rows: Sequence[float],
    exclude_small: bool = False,
    level: float = LEVEL,
) -> list[Impact]:
    """Return the impact ratio of every category, against the most selected one.

    Args:
        categories: names of the G categories.
        selected: (G,) number of rows that are selected.
        rows: (G,) number of rows, each at least 1.
        exclude_small: leave categories with less than 2% of the rows out: they have no ratio, and are not the most
            selected one.
        level: confidence level.
    """
    x, n = np.asarray(selected, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    small = n < SMALL * n.sum()
    used = np.flatnonzero(~small) if exclude_small else np.arange(len(n))
    rate = x / n
    rate_low, rate_high = wilson(x, n, level)
    ratios: dict[int, tuple[float, float, float]] = {}
    if len(used) > 1 and x[used].any():
        strict = 1 - (1 - level) / (len(used) - 1)
        pairs = (x[used][:, None], x[used][None, :]), (n[used][:, None], n[used][None, :])
        low, high = ratio_limits(*pairs, level)[0], ratio_limits(*pairs, strict)[1]
        for ends in (low, high):
            np.fill_diagonal(ends, 1.0)
        own = rate[used] / rate[used].max()
        limits = zip(own, np.minimum(low.min(axis=1), own), np.maximum(high.min(axis=1), own))
        ratios = {int(code): (float(value), float(a), float(b)) for code, (value, a, b) in zip(used, limits)}
    none = "there is no other category" if x[used].any() else "nobody is selected, so the ratio is 0/0"
    found = []
    for code, name in enumerate(categories):
        out = code not in used
        value, start, end = ratios.get(code, (None, None, None))
        found.append(
            Impact(
                name,
                int(n[code]),
                int(x[code]),
                float(rate[code]),
                float(rate_low[code]),
                float(rate_high[code]),
                value,
                start,
                end,
                bool(small[code]),
                out,
                f"fewer than {SMALL:.0%} of the rows" if out else "" if code in ratios else none,
            )
        )
    return found
