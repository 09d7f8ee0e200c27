"""The counts of many repeats as arrays: what ``gaps`` and ``noise`` say of each repeat, for all of them at once.

Only the plain case is dealt with here: every repeat has rows of every group with either label, and nobody is selected
by chance. The numbers are those of the functions for one repeat, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

import numpy as np

from fairbench.analysis.counts import SELECTION, Counts, StoredRows
from fairbench.analysis.gaps import GAPS, LABELS, Gap, largest
from fairbench.analysis.intervals import CorrectedT
from fairbench.analysis.noise import ENOUGH, signed_interval
from fairbench.data.rows import Floats, Integers
from fairbench.records import Record


@dataclass(frozen=True)
class Gaps:
    """The gap of each repeat and where it is, all (J,); ``rate`` is a place in ``GAPS[metric]``, see ``Direction``."""

    value: Floats
    rate: Integers
    above: Integers
    below: Integers


@dataclass(frozen=True, eq=False)
class Stack:
    """Counts of J repeats: ``groups``, and ``rows`` and ``selected`` (J, G, 2), as in ``Counts``."""

    groups: tuple[str, ...]
    rows: Floats
    selected: Floats

    @classmethod
    def of(cls, repeats: Sequence[Counts]) -> Optional[Stack]:
        """Return the counts of ``repeats`` as arrays; None if this is not the plain case."""
        if not repeats or any(counts.randomised or counts.groups != repeats[0].groups for counts in repeats):
            return None
        rows, selected = ([getattr(counts, name) for counts in repeats] for name in ("rows", "selected"))
        return cls.where_plain(repeats[0].groups, np.stack(rows), np.stack(selected))

    @classmethod
    def stored(cls, rows: StoredRows, records: Sequence[Record]) -> Optional[Stack]:
        """Return the stored counts of ``records``; None if this is not the plain case, or not known without counting.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        found = rows.plain(records)
        return None if found is None else cls.where_plain(*found)

    @classmethod
    def where_plain(cls, groups: tuple[str, ...], rows: Floats, selected: Floats) -> Optional[Stack]:
        """Return counts as arrays, which are not randomised; None if this is not the plain case."""
        return cls(groups, rows, selected) if rows.shape[1] > 1 and rows.all() else None

    @property
    def counts(self) -> list[Counts]:
        """Return the counts of each repeat."""
        return [Counts(self.groups, rows, selected) for rows, selected in zip(self.rows, self.selected)]

    @cached_property
    def accuracy(self) -> Floats:
        """Return the share of correct decisions (J,)."""
        right = self.selected[:, :, 1] + self.rows[:, :, 0] - self.selected[:, :, 0]
        return np.asarray(right.sum(axis=1) / self.rows.sum(axis=(1, 2)))

    def counted(self, rate: str) -> tuple[Floats, Floats]:
        """Return how many are selected, and of how many rows, by repeat and group (J, G)."""
        if rate == SELECTION:
            return self.selected.sum(axis=2), self.rows.sum(axis=2)
        return self.selected[:, :, LABELS[rate]], self.rows[:, :, LABELS[rate]]

    @cached_property
    def _rates(self) -> dict[str, Floats]:
        counted = {rate: self.counted(rate) for rate in (SELECTION, *LABELS)}
        return {rate: np.ascontiguousarray(selected / rows) for rate, (selected, rows) in counted.items()}

    def rates(self, rate: str) -> Floats:
        """Return a rate by repeat and group (J, G)."""
        return self._rates[rate]

    @cached_property
    def _variances(self) -> dict[str, Floats]:
        rates = self._rates.items()
        return {rate: np.asarray((mean - mean**2).clip(0) / self.counted(rate)[1]) for rate, mean in rates}

    def variances(self, rate: str) -> Floats:
        """Return the variance of each group's rate over test parts (J, G)."""
        return self._variances[rate]

    def gaps(self, metric: str) -> Gaps:
        """Return the gaps of a ``metric``, one of ``GAPS``."""
        every = np.arange(len(self.rows))
        found: Optional[Gaps] = None
        for place, rate in enumerate(GAPS[metric]):
            rates = self.rates(rate)
            above, below = rates.argmax(axis=1), rates.shape[1] - 1 - rates[:, ::-1].argmin(axis=1)
            value = rates[every, above] - rates[every, below]
            here = Gaps(value, np.full(len(every), place), above, below)
            if found is None:
                found = here
                continue
            wider = value > found.value
            pairs = ((here.value, found.value), (here.rate, found.rate), (here.above, found.above))
            chosen = [np.where(wider, one, other) for one, other in (*pairs, (here.below, found.below))]
            found = Gaps(*chosen)
        if found is None:
            raise ValueError(f"{metric} compares no rates")
        return found

    def gap_of_mean(self, metric: str) -> Gap:
        """Return ``noise.gap_of_mean``."""
        return largest({rate: self.rates(rate).mean(axis=0) for rate in GAPS[metric]})

    def signed_gap(
        self, metric: str, ratio: Optional[float], splits: Optional[Sequence[int]] = None
    ) -> Optional[CorrectedT]:
        """Return ``noise.signed_gap``."""
        direction = self.gap_of_mean(metric).direction
        if direction is None:
            return None
        rates, pairs = self.rates(direction.rate), len(GAPS[metric]) * math.comb(self.rows.shape[1], 2)
        return signed_interval((rates[:, direction.above] - rates[:, direction.below]).tolist(), pairs, ratio, splits)

    def row_variances(self, metric: str) -> list[float]:
        """Return the variance of a gap over test parts, in each repeat."""
        gaps, every = self.gaps(metric), np.arange(len(self.rows))
        variances = np.stack([self.variances(rate) for rate in GAPS[metric]])
        found = variances[gaps.rate, every, gaps.above] + variances[gaps.rate, every, gaps.below]
        return list(found.tolist())

    def debiased(self, metric: str) -> list[float]:
        """Return ``gaps.debiased`` of each repeat."""
        first, second = np.triu_indices(self.rows.shape[1], 1)
        values = []
        for rate in GAPS[metric]:
            rates, variances = self.rates(rate), self.variances(rate)
            squares = (rates[:, first] - rates[:, second]) ** 2 - variances[:, first] - variances[:, second]
            values.append(np.sqrt(np.maximum(squares.max(axis=1), 0.0)))
        return list(np.max(values, axis=0).tolist())

    def floor_means(self, metric: str) -> Optional[list[float]]:
        """Return the mean of ``noise_floor`` of each repeat; None if some have to be drawn."""
        if self.rows.shape[1] != 2:
            return None
        sds = []
        for rate in GAPS[metric]:
            selected, rows = self.counted(rate)
            pooled = selected.sum(axis=1) / rows.sum(axis=1)
            if (rows.min(axis=1) * np.minimum(pooled, 1 - pooled) < ENOUGH).any():
                return None
            sds.append(np.sqrt(np.maximum(pooled - pooled**2, 0.0) * (1 / rows).sum(axis=1)).tolist())
        if len(sds) == 1:
            return [math.sqrt(2 / math.pi) * sd for sd in sds[0]]
        return [math.sqrt(2 / math.pi) * math.hypot(*(sd for sd in several if sd)) for several in zip(*sds)]
