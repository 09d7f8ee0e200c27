"""The values of many records by column: what ``Measured`` finds in each record, for all of them at once."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Optional, Union, overload

import numpy as np

from fairbench.analysis.values import Estimate, Measured, estimate
from fairbench.data.rows import Floats
from fairbench.records import Record
from fairbench.running.packed import PackedValues, Shape


class Columns(Sequence[Record]):
    """Records, mostly the repeats of one method, with their values by column.

    The values of records that share their places are looked at as one table, so that a metric costs one look-up and
    not one for each record.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        """Take the records."""
        self.records = tuple(records)
        self._series: dict[tuple[str, str, Optional[int], Optional[str]], dict[int, float]] = {}

    @classmethod
    def of(cls, records: Iterable[Record]) -> Columns:
        """Return the columns of ``records``, which may be columns themselves."""
        return records if isinstance(records, cls) else cls(records)

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.records)

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, at: Union[int, slice]) -> Union[Record, tuple[Record, ...]]:
        """Return a record, or a tuple of some."""
        return self.records[at]

    def __iter__(self) -> Iterator[Record]:
        """Yield the records."""
        return iter(self.records)

    @cached_property
    def repeats(self) -> list[int]:
        """Return the repeat of each record."""
        return [record.cell.repeat for record in self.records]

    @cached_property
    def _one_each(self) -> bool:
        """Return whether every repeat has one record."""
        return len({*self.repeats}) == len(self.repeats)

    @cached_property
    def _tables(self) -> list[tuple[Shape, str, list[int], Floats, list[tuple[int, PackedValues]]]]:
        """Return for each shape and chosen point the places of its records (J), their numbers (J, P) and reasons."""
        packed = [PackedValues.of(record.values) for record in self.records]
        kinds: dict[tuple[Shape, str], list[int]] = {}
        for place, (record, values) in enumerate(zip(self.records, packed)):
            kinds.setdefault((values.shape, record.chosen), []).append(place)
        return [
            (
                shape,
                chosen,
                places,
                PackedValues.table([packed[place] for place in places]),
                [(place, packed[place]) for place in places if packed[place].reasoned],
            )
            for (shape, chosen), places in kinds.items()
        ]

    def column(
        self, metric: str, group: str = "", *, step: Optional[int] = None, point: Optional[str] = None
    ) -> Floats:
        """Return what ``Measured.whole`` does for ``metric``, ``group``, ``step`` and ``point`` (n,), NaN for None."""
        found = np.full(len(self.records), np.nan)
        for shape, chosen, places, numbers, reasons in self._tables:
            at = shape.place(step, chosen if point is None else point, group, metric)
            if at is not None:
                found[places] = numbers[:, at]
                for place, values in reasons:
                    if values.reason(at):
                        found[place] = np.nan
        return found

    def series(
        self, metric: str, group: str = "", *, step: Optional[int] = None, point: Optional[str] = None
    ) -> dict[int, float]:
        """Return a ``metric`` by repeat, as the function ``series`` does for ``group``, ``step`` and ``point``.

        It is kept, and not to be changed.
        """
        asked = metric, group, step, point
        if asked not in self._series:
            numbers = self.column(metric, group, step=step, point=point)
            self._series[asked] = self._by_repeat(numbers)
        return self._series[asked]

    def _by_repeat(self, numbers: Floats) -> dict[int, float]:
        """Return the mean number of each repeat, from those of the records (n,), without NaN."""
        if self._one_each and not np.isnan(numbers).any():
            return dict(zip(self.repeats, numbers.tolist()))
        found: dict[int, list[float]] = {}
        for repeat, number in zip(self.repeats, numbers.tolist()):
            if number == number:
                found.setdefault(repeat, []).append(number)
        return {repeat: some[0] if len(some) == 1 else statistics.fmean(some) for repeat, some in found.items()}

    def estimate(self, metric: str, group: str = "") -> Estimate:
        """Return the ``estimate`` of a ``metric`` in a ``group`` over the records, as ``Measured.value`` finds it."""
        numbers = self.column(metric, group)
        if np.isnan(numbers).any():
            return estimate([Measured(record).value(metric, group) for record in self.records])
        return Estimate.of(numbers.tolist())


def series(
    records: Iterable[Record],
    metric: str,
    group: str = "",
    *,
    step: Optional[int] = None,
    point: Optional[str] = None,
) -> dict[int, float]:
    """Return a metric by repeat, without the repeats in which it is missing, undefined or over fewer groups.

    Several tunings or fits of one split are no independent repeats: their mean is the repeat's value.

    Args:
        records: the records of one method, one or more for each repeat.
        metric: see ``Measured.value``, as for the other arguments.
        group: empty for all rows.
        step: None for each record's last step.
        point: None for the operating point that represents the method in each repeat.
    """
    return dict(Columns.of(records).series(metric, group, step=step, point=point))


def estimate_over(repeats: Sequence[Measured], metric: str, group: str = "") -> Estimate:
    """Return the ``estimate`` of a ``metric`` in a ``group`` over ``repeats``, as ``Measured.value`` finds it."""
    return Columns(measured.record for measured in repeats).estimate(metric, group)
