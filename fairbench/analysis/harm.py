"""Who gains and who loses: what a method changes for each group against a baseline, on the same test rows.

A gap can close because the worst-off group gains or because the best-off group loses (*levelling down*), and a table of
gaps cannot tell which. Here the changes themselves are measured: of the chance of the favourable outcome, among
everybody and among those who deserve it (whose label is favourable), and of the chance of a correct decision.

References:
    Mittelstadt, Wachter and Russell (2023), The unfairness of fair machine learning: levelling down and strict
    egalitarianism by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.analysis.counts import StoredRows
from fairbench.analysis.intervals import LEVEL, corrected_t, overlap_correction
from fairbench.analysis.paired import Term, change_limits, sum_limits
from fairbench.data.rows import Floats
from fairbench.errors import Undefined
from fairbench.records import Record, no_rows

GIVEN, DESERVED, CORRECT = "given", "deserved", "correct"
"""Keys of ``Harm.served``: the share given the favourable outcome, of all or of the deserving; of correct decisions."""

CRITERIA = {"demographic_parity": GIVEN, "equalized_odds": DESERVED}
"""The benefit that each criterion is about; its gap is the metric's of that name and ``_difference``."""

ROUNDING = 1e-9  # changes below this are none
HALF = 0.5  # share of a closed gap that the best-off group must have lost
UNDESERVED = (
    "undeserved"  # the favourable outcome, given to those with the other label: the other rate of equalized odds
)


@dataclass(frozen=True)
class Change:
    """A change against the baseline, as a fraction, with its interval.

    Args:
        value: mean over ``n`` repeats.
        low, high: ends of the interval; None if no interval is valid.
        n: number of repeats. For a single one the interval is what its test rows leave, else Student's t, corrected.
    """

    value: float
    low: Optional[float]
    high: Optional[float]
    n: int

    @property
    def rose(self) -> bool:
        """Return whether it is above 0 beyond its interval."""
        return self.low is not None and self.low > ROUNDING

    @property
    def fell(self) -> bool:
        """Return whether it is below 0 beyond its interval."""
        return self.high is not None and self.high < -ROUNDING


@dataclass(frozen=True)
class Served:
    """How one group is served: a share of its rows under the baseline and under the method.

    Args:
        rows: how many rows the share is of, in each repeat.
        before: mean under the baseline, over the repeats in which there are such rows; None if there are none.
        after: the same under the method.
        change: ``after`` minus ``before``.
    """

    rows: tuple[int, ...]
    before: Optional[float]
    after: Optional[float]
    change: Optional[Change]


@dataclass(frozen=True)
class Levelling:
    """What becomes of one criterion's gap, and at whose cost.

    Args:
        best: the group with the largest benefit under the baseline.
        worst: the group with the smallest.
        gap: the gap under the baseline.
        rise: how much larger the gap is under the method.
        share_taken: what the best group lost, as a share of that and what the worst group gained; None if it did not
            lose and the worst did not gain.
        down: whether this is levelling down: the gap and the best group's benefit fall beyond their intervals, and
            at least half is taken.
        pure: whether in addition the worst group's gain does not hold beyond its interval.
    """

    best: str
    worst: str
    gap: float
    rise: Change
    share_taken: Optional[float]
    down: bool
    pure: bool


@dataclass(frozen=True)
class Harm:
    """What a method changes for each group against the baseline.

    Args:
        groups: the names of all groups of the dataset.
        served: for each of ``GIVEN``, ``DESERVED`` and ``CORRECT``, how each group is served, in this order.
        levelling: by criterion; without those that cannot be judged.
        unjudged: by criterion, why it cannot be judged.
        missing: sentences that say which groups lack rows, and what is left out because of that.
        everyone_worse: whether the accuracy of every group fell beyond its interval.
        repeats: how many are compared.
    """

    groups: tuple[str, ...]
    served: Mapping[str, tuple[Served, ...]]
    levelling: Mapping[str, Levelling]
    unjudged: Mapping[str, str]
    missing: tuple[str, ...]
    everyone_worse: bool
    repeats: int


def harm_between(rows: StoredRows, baseline: Sequence[Record], method: Sequence[Record]) -> Harm:
    """Return what a method changes against a baseline, over the repeats in which both decided about the same rows.

    Args:
        rows: the stored predictions of their run.
        baseline: its finished repeats in one section.
        method: the other's.

    Raises:
        Undefined: there is no such repeat, or the store does not say which label is favourable.
        StoreError: the store is damaged; the message names the cell.
    """
    known = {_run(record): record for record in baseline}
    pairs = [(known[_run(record)], record) for record in method if _run(record) in known]
    found = [(second, rows.joint(first, second)) for first, second in pairs]
    compared = [(record, table) for record, table in found if table is not None]
    if not compared:
        raise Undefined(
            "no repeat is finished for both"
            if not pairs
            else "there is no repeat with stored predictions of both for the same rows"
        )
    predicted = rows.predictions(compared[0][0])
    truth = None if predicted is None else predicted[0]
    if truth is None or truth.favorable_label is None:
        raise Undefined(
            "this run was stored by an older fairbench, which did not keep which label is favourable; run it again"
        )
    ratio = overlap_correction(record for record, _ in compared).ratio
    by_split: dict[int, list[Floats]] = {}  # several tunings or fits decide about the same rows: their mean counts
    for record, table in compared:
        by_split.setdefault(record.cell.repeat, []).append(table)
    tables = [np.mean(tables, axis=0) for tables in by_split.values()]
    return harm(tables, truth.group_names, truth.favorable_label, ratio)


def _run(record: Record) -> tuple[int, int, int]:
    cell = record.cell
    return cell.repeat, cell.tuning, cell.fit


def harm(tables: Sequence[Floats], groups: Sequence[str], favorable_label: int, ratio: Optional[float]) -> Harm:
    """Return what a method changes against a baseline, from the joint counts of their decisions.

    Args:
        tables: of each repeat, (G, 2, 2, 2) by group, label, the baseline's and the method's decision, as
            ``count_jointly`` returns them; at least one.
        groups: the names of the G groups.
        favorable_label: the label, and decision, that is good for the person.
        ratio: the splits' ratio, see ``Correction``; None if no interval over repeats is valid.
    """
    names = tuple(groups)
    good = [table if favorable_label == 1 else table[:, ::-1, ::-1, ::-1] for table in tables]
    strata = {
        GIVEN: [table.sum(axis=1) for table in good],
        DESERVED: [table[:, 1] for table in good],
        UNDESERVED: [table[:, 0] for table in good],
        CORRECT: [table[:, 1] + table[:, 0, ::-1, ::-1] for table in good],
    }
    parts = {what: _Part(np.stack(found)) for what, found in strata.items()}
    levelling, unjudged = {}, {}
    for criterion, benefit in CRITERIA.items():
        about = [parts[GIVEN]] if benefit == GIVEN else [parts[DESERVED], parts[UNDESERVED]]
        try:
            levelling[criterion] = _levelling(about, names, ratio)
        except Undefined as reason:
            unjudged[criterion] = str(reason)
    served = {what: _served(parts[what], ratio) for what in (GIVEN, DESERVED, CORRECT)}
    accuracy = [group.change for group in served[CORRECT] if group.change is not None]
    labels = {DESERVED: favorable_label, UNDESERVED: 1 - favorable_label}
    some = parts[GIVEN].rows > 0
    missing = _missing(~some, names)
    for what, label in labels.items():
        missing += _missing(some & (parts[what].rows == 0), names, label)
    return Harm(
        names,
        served,
        levelling,
        unjudged,
        tuple(missing),
        bool(accuracy) and all(change.fell for change in accuracy),
        len(tables),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """Decisions about some of the rows: (J, G, 2, 2) numbers by repeat, group, first and second method's decision."""

    tables: Floats

    @property
    def rows(self) -> Floats:
        """Return the numbers of rows (J, G)."""
        return np.asarray(self.tables.sum(axis=(2, 3)))

    @property
    def rates(self) -> Floats:
        """Return the shares with the better outcome (J, 2, G), before and after; NaN for a group without rows."""
        chosen = np.stack([self.tables[:, :, 1].sum(axis=2), self.tables[:, :, :, 1].sum(axis=2)], axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(chosen / self.rows[:, None])

    @property
    def ever(self) -> NDArray[np.intp]:
        """Return the codes of the groups that have rows in some repeat."""
        return np.flatnonzero(self.rows.any(axis=0))


def _missing(empty: NDArray[np.bool_], names: Sequence[str], label: Optional[int] = None) -> list[str]:
    """Return sentences for the groups that lack rows, given as a mask (J, G): one for each number of repeats."""
    told: dict[int, list[str]] = {}
    for name, here in zip(names, empty.T):
        if here.any():
            told.setdefault(int(here.sum()), []).append(name)
    times = (f" in {count} of {len(empty)} repeats" if len(empty) > 1 else "" for count in told)
    return [no_rows(here, label) + how_often for here, how_often in zip(told.values(), times)]


def _served(part: _Part, ratio: Optional[float]) -> tuple[Served, ...]:
    """Return how each group is served."""
    rows, rates, found = part.rows, part.rates, []
    for code in range(rows.shape[1]):
        here = rows[:, code] > 0
        counts = tuple(round(count) for count in rows[:, code])
        if not here.any():
            found.append(Served(counts, None, None, None))
            continue
        before, after = (float(rates[here, which, code].mean()) for which in (0, 1))
        found.append(Served(counts, before, after, _change(part, code, ratio)))
    return tuple(found)


def _change(part: _Part, code: int, ratio: Optional[float]) -> Change:
    """Return a group's change, over the repeats in which it has rows."""
    if len(part.tables) == 1:
        table = part.tables[0, code]
        low, high = change_limits(table)
        return Change(float(part.rates[0, 1, code] - part.rates[0, 0, code]), low, high, 1)
    changes = part.rates[:, 1, code] - part.rates[:, 0, code]
    return _over_repeats(changes[np.isfinite(changes)], ratio)


def _over_repeats(values: Floats, ratio: Optional[float]) -> Change:
    found = corrected_t(values.tolist(), ratio, LEVEL)
    return Change(found.mean, found.low, found.high, found.n)


def _levelling(parts: Sequence[_Part], names: Sequence[str], ratio: Optional[float]) -> Levelling:
    """Return what becomes of the gap in one or two rates; the first is the benefit.

    Only repeats in which every group that ever has the rows has them are compared: a gap over fewer groups is another
    quantity.

    Raises:
        Undefined: fewer than two groups have the rows, no repeat has all of them, or the baseline serves all alike.
    """
    if any(len(part.ever) < 2 for part in parts):
        raise Undefined("fewer than two groups have the rows for it")
    whole = np.all([np.all(part.rows[:, part.ever] > 0, axis=1) for part in parts], axis=0)
    if not whole.any():
        raise Undefined("in no repeat do all groups have the rows for it")
    parts = [_Part(part.tables[whole]) for part in parts]
    rates = [part.rates[:, :, part.ever] for part in parts]
    gaps = np.max([rate.max(axis=2) - rate.min(axis=2) for rate in rates], axis=0)  # (J, 2)
    benefit, groups = rates[0][:, 0].mean(axis=0), parts[0].ever
    if float(np.ptp(benefit)) <= ROUNDING:
        raise Undefined("the baseline serves all groups alike")
    best, worst = int(groups[benefit.argmax()]), int(groups[benefit.argmin()])
    rise = _over_repeats(gaps[:, 1] - gaps[:, 0], ratio) if len(whole) > 1 else _rise_in_one(parts)
    lost, gained = (_change(parts[0], code, ratio) for code in (best, worst))
    taken, given = max(0.0, -lost.value), max(0.0, gained.value)
    share = taken / (taken + given) if taken + given > ROUNDING else None
    down = rise.fell and lost.fell and share is not None and share >= HALF - ROUNDING
    gap = float(gaps[:, 0].mean())
    return Levelling(names[best], names[worst], gap, rise, share, down, down and not gained.rose)


def _rise_in_one(parts: Sequence[_Part]) -> Change:
    """Return the rise of the gap within one test part: of the differences where the gaps are largest, held fixed."""
    tables = [[part.tables[0, code] for code in part.ever] for part in parts]
    terms, rise = [], 0.0
    for which, sign in ((0, -1), (1, 1)):
        rates = [part.rates[0, which, part.ever] for part in parts]
        widest = int(np.argmax([np.ptp(rate) for rate in rates]))
        top, bottom = int(rates[widest].argmax()), int(rates[widest].argmin())
        if top == bottom:  # all rates are equal
            top, bottom = 0, 1
        second = which == 1
        terms += [Term(sign, tables[widest][top], second), Term(-sign, tables[widest][bottom], second)]
        rise += sign * float(np.ptp(rates[widest]))
    low, high = sum_limits(terms)
    return Change(rise, low, high, 1)
