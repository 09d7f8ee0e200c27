"""Where a method's spread comes from: the rows of the test part, the training data, the tuning rows, the model's seed.

A suite varies them by ``repeats`` (splits), ``tunings`` (divisions of the rest into training and validation part, for
each split) and ``fits`` (seeds, for each tuning). The design is nested, so the sources' variances are estimated from
the differences between mean squares, each level's with what the levels below contribute to it taken off. What one
split's rows leave open is known from the counts of its test part; it is a part of the variance between splits.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.analysis.counts import StoredRows
from fairbench.analysis.gaps import row_variance
from fairbench.analysis.values import Measured
from fairbench.data.rows import Floats
from fairbench.records import Record

ROWS, TRAINING, TUNING, MODEL = "test rows", "training data", "tuning rows", "model's seed"
SOURCES = (ROWS, TRAINING, TUNING, MODEL)
"""The sources of variance by name, from the data to the model."""

NO_SPREAD = "no spread: one repeat"
WITHIN_TRAINING = "not told apart from the training data's: there is one {} of each"
NEGATIVE = "the estimate is negative and shown as 0"
NO_COUNTS = "not known, because no predictions are stored; a part of the training data's"
NO_VALUE = "no value in any repeat"


@dataclass(frozen=True)
class Source:
    """The variance that comes from one source; ``note`` says why it is None, or that its estimate was negative."""

    variance: Optional[float]
    note: str = ""


@dataclass(frozen=True)
class Shares:
    """A metric's variance by source.

    Args:
        mean: over all runs; None if there is none.
        splits, tunings, fits: how many of each the estimates are from; the latter two within one split and one tuning.
        sources: by name, one for each of ``SOURCES``.
        notes: what was left out, in words.
    """

    mean: Optional[float]
    splits: int
    tunings: int
    fits: int
    sources: Mapping[str, Source]
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> Optional[float]:
        """Return the variance of one run's value, the sum over the sources; None for a single split."""
        if self.sources[TRAINING].variance is None:
            return None
        return sum(source.variance for source in self.sources.values() if source.variance is not None)

    def share(self, name: str) -> Optional[float]:
        """Return the share of the total that comes from the source called ``name``; None where there is none."""
        variance, total = self.sources[name].variance, self.total
        return variance / total if variance is not None and total else None


def shares(values: Floats, within: Optional[float]) -> dict[str, Source]:
    """Return the variance by source from a balanced design.

    Args:
        values: (D, T, M) a metric by split, tuning and fit.
        within: mean variance of the metric over test parts of one split's size; None if it is not known.
    """
    splits, tunings, fits = values.shape
    by_tuning, by_split = values.mean(axis=2), values.mean(axis=(1, 2))  # (D, T), (D,)
    model = float(values.var(axis=2, ddof=1).mean()) if fits > 1 else None
    between_tunings = float(by_tuning.var(axis=1, ddof=1).mean()) if tunings > 1 else None
    found = {
        MODEL: Source(None, WITHIN_TRAINING.format("fit")) if model is None else Source(model),
        TUNING: Source(None, WITHIN_TRAINING.format("tuning")),
    }
    if between_tunings is not None:
        found[TUNING] = _at_least_0(between_tunings - (model or 0.0) / fits)
    if splits < 2:
        unknown = {name: Source(None, NO_SPREAD) for name, source in found.items() if source.variance is None}
        from_rows = Source(None, NO_COUNTS) if within is None else Source(within)
        return {**found, **unknown, ROWS: from_rows, TRAINING: Source(None, NO_SPREAD)}
    below = (model or 0.0) / fits if between_tunings is None else between_tunings / tunings
    split = _at_least_0(float(by_split.var(ddof=1)) - below)
    if within is None:
        return {**found, ROWS: Source(None, NO_COUNTS), TRAINING: split}
    rows = min(within, split.variance or 0.0)
    return {**found, ROWS: Source(rows, split.note), TRAINING: Source((split.variance or 0.0) - rows, split.note)}


def _at_least_0(estimate: float) -> Source:
    return Source(estimate) if estimate >= 0 else Source(0.0, NEGATIVE)


def variance_shares(stored: StoredRows, records: Iterable[Record], metric: str) -> Shares:
    """Return where the spread of one method's metric comes from.

    Only splits in which every tuning and fit has a value count, so that the design is balanced.

    Args:
        stored: the run's stored predictions.
        records: the finished records of the method in one section.
        metric: ``accuracy``, or one of ``GAPS``.

    Raises:
        StoreError: the store is damaged.
    """
    cells = {(r.cell.repeat, r.cell.tuning, r.cell.fit): (r, Measured(r).whole(metric)) for r in records}
    tunings, fits = (sorted({key[level] for key in cells}) for level in (1, 2))
    planned = sorted({key[0] for key in cells})
    whole = [
        repeat
        for repeat in planned
        if all(cells.get((repeat, tuning, fit), (None, None))[1] is not None for tuning in tunings for fit in fits)
    ]
    notes = _left_out(len(planned) - len(whole), len(planned))
    if not whole:
        nothing = {name: Source(None, NO_VALUE) for name in SOURCES}
        return Shares(None, 0, len(tunings), len(fits), nothing, tuple(notes))
    values = np.array([[[cells[r, t, f][1] for f in fits] for t in tunings] for r in whole], dtype=np.float64)
    used = [record for key, (record, _) in cells.items() if key[0] in whole]
    sources = shares(values, _within(stored, used, metric))
    ordered = {name: sources[name] for name in SOURCES}
    return Shares(float(values.mean()), len(whole), len(tunings), len(fits), ordered, tuple(notes))


def _left_out(missing: int, planned: int) -> list[str]:
    return [f"{missing} of {planned} repeats left out, in which a run has no value"] if missing else []


def _within(stored: StoredRows, records: Sequence[Record], metric: str) -> Optional[float]:
    counts = [stored.counts(record) for record in records]
    known = [row_variance(one, metric) for one in counts if one is not None]
    variances = [variance for variance in known if variance is not None]
    return statistics.fmean(variances) if variances else None
