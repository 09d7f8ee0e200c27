"""A run as long rows, and the one place that decides which stored value is meant.

A finished cell has a value for each step, operating point, group and metric. A method is represented by the chosen
operating point at the last step, over all rows of the test part. A value over fewer groups than the dataset has
(``Value.whole`` is None) is a different quantity, and is never averaged with the others.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Optional

from fairbench.analysis.spread import exact_sd
from fairbench.cells import Cell, Choice, canonical
from fairbench.notation import show_params
from fairbench.records import DONE, Record, Results, Value, no_rows
from fairbench.running.packed import PackedValues

if TYPE_CHECKING:
    import pandas

LongRow = dict[str, Any]
NOT_MEASURED = "not measured; the run's command with one more metric adds it, from stored predictions"
CELL = (
    "scenario",
    "dataset",
    "sensitive",
    "scale",
    "sensitive_as_feature",
    "stratify",
    "group_known",
    "group_at_prediction",
    "method",
    "parameters",
    "repeat",
    "tuning",
    "fit",
)
LINE = 120  # letters of a scenario that tables show in full
MEASURED = ("step", "point", "chosen", "group", "metric", "value", "reason")
COLUMNS = (*CELL, *MEASURED, "status", "seconds", "cell")


class Measured:
    """The values of one record, found by metric, group, step and point; empty for a cell that is not done."""

    def __init__(self, record: Record) -> None:
        """Take the record."""
        self.record = record
        self._values = PackedValues.of(record.values)

    @property
    def last_step(self) -> int:
        """Return the last step (generation), or 0 if there are no values."""
        return self._values.shape.last_step

    @property
    def points(self) -> list[str]:
        """Return the operating points, in the order in which they are stored."""
        return list(self._values.shape.points)

    @property
    def groups(self) -> list[str]:
        """Return the groups that have values, in the order in which they are stored."""
        return list(self._values.shape.groups)

    def value(
        self, metric: str, group: str = "", *, step: Optional[int] = None, point: Optional[str] = None
    ) -> Optional[Value]:
        """Return a value; None if it was not measured.

        If other groups have values and this one has none, it has no row in the test part: its value is undefined.

        Args:
            metric: name of a metric, or of a value that the scenario measures.
            group: the group in which it is measured; empty for all rows.
            step: None for the record's last step.
            point: None for the operating point that represents the method.
        """
        place = self._place(metric, group, step, point)
        if place is not None:
            return self._values[place]
        at, name = self.last_step if step is None else step, self.record.chosen if point is None else point
        others = self._values.shape.groups_at.get((at, name)) if group else None
        if others and group not in others:
            return Value(at, name, group, metric, None, no_rows([group]))
        return None

    def whole(
        self, metric: str, group: str = "", *, step: Optional[int] = None, point: Optional[str] = None
    ) -> Optional[float]:
        """Return the number that ``value`` finds for ``metric``, ``group``, ``step`` and ``point``.

        None if there is none, or if it is over fewer groups than the dataset has.
        """
        place = self._place(metric, group, step, point)
        return None if place is None or self._values.reason(place) else self._values.number(place)

    def _place(self, metric: str, group: str, step: Optional[int], point: Optional[str]) -> Optional[int]:
        return self._values.shape.place(step, self.record.chosen if point is None else point, group, metric)

    def decides_alike(self, step: Optional[int] = None) -> bool:
        """Return whether the chosen point makes the same decision for everybody at a step (None: the last)."""
        alike = self.record.alike
        return bool(alike) and (self.last_step if step is None else step, self.record.chosen) in alike


def measured_metrics(records: Iterable[Record], *, within: bool) -> set[str]:
    """Return the metrics that have values in some of the ``records``: over all rows, or ``within`` groups."""
    shapes = {PackedValues.of(record.values).shape for record in records}
    return {metric for shape in shapes for metric, grouped in shape.metrics if grouped == within}


@dataclass(frozen=True)
class Estimate:
    """A quantity over repeats: mean and sample standard deviation of ``n`` values.

    Args:
        mean: None if there is no value.
        sd: None if there are fewer than two values.
        n: how many values the mean is over.
        undefined: how many repeats have no value.
        reason: why the first of these has no value.
        partial: how many repeats have a value over fewer groups than the dataset has; such values are never averaged
            with others, and with each other only if they lack the same groups.
        lacking: which groups the first of these values lacks.
        fewer: whether the mean is over such values because there are no others.
    """

    mean: Optional[float]
    sd: Optional[float]
    n: int
    undefined: int = 0
    reason: str = ""
    partial: int = 0
    lacking: str = ""
    fewer: bool = False

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Estimate:
        """Return the estimate from the available numbers."""
        known = list(numbers)
        mean = statistics.fmean(known) if known else None
        return cls(mean, exact_sd(known) if len(known) > 1 else None, len(known))


def estimate(values: Sequence[Optional[Value]]) -> Estimate:
    """Return the estimate from the values of all finished repeats; a value that was not measured is None."""
    missing = [value.reason if value else NOT_MEASURED for value in values if value is None or value.value is None]
    whole = [value.whole for value in values if value is not None and value.whole is not None]
    partial = [value for value in values if value is not None and value.lacking]
    fewer = not whole and len({value.lacking for value in partial}) == 1
    used = Estimate.of([value.value for value in partial if value.value is not None] if fewer else whole)
    lacking = _first([value.lacking for value in partial])
    return Estimate(used.mean, used.sd, used.n, len(missing), _first(missing), len(partial), lacking, fewer)


def _first(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    return reasons[0] + (" (and the like)" if len(set(reasons)) > 1 else "")


def finished(records: Iterable[Record]) -> list[Record]:
    """Return the records of cells that are done."""
    return [record for record in records if record.status == DONE]


def alike_count(records: Iterable[Record]) -> int:
    """Return in how many of a method's ``records`` it makes the same decision for everybody at the last step."""
    return sum(Measured(record).decides_alike() for record in records if record.alike)


def chosen_points(records: Iterable[Record]) -> list[tuple[str, int]]:
    """Return which operating points represent a method in how many of its ``records``, the most frequent first."""
    return Counter(record.chosen for record in records).most_common()


def supports(records: Iterable[Record]) -> dict[str, tuple[int, ...]]:
    """Return for each group its number of rows in the test part of every repeat, which all methods share.

    There is one number for each repeat, in rising order; ``records`` that do not give these numbers are left out.
    """
    by_repeat = {record.cell.repeat: record.supports for record in records if record.supports}
    found: dict[str, list[int]] = {}
    for repeat in sorted(by_repeat):
        for group, rows in by_repeat[repeat]:
            found.setdefault(group, []).append(rows)
    return {group: tuple(rows) for group, rows in found.items()}


def planned_repeats(results: Results) -> int:
    """Return how many repeats the suite of ``results`` requests, or how many there are if it does not say.

    Tunings and fits within a split count, see ``runs_within``.
    """
    suite = results.run.get("suite", {})
    asked = suite.get("repeats", 0) if isinstance(suite, Mapping) else 0
    ran = results.once("number of repeats", lambda: len({record.cell.repeat for record in results.records}))
    splits = max(asked, ran)
    tunings, fits = runs_within(results)
    return splits * tunings * fits


def runs_within(results: Results) -> tuple[int, int]:
    """Return how many tunings each split has in ``results``, and how many fits each tuning."""
    suite = results.run.get("suite", {})
    asked = suite if isinstance(suite, Mapping) else {}
    tunings, fits = results.once("runs within", lambda: _most_within([record.cell for record in results.records]))
    return max(asked.get("tunings", 1), tunings), max(asked.get("fits", 1), fits)


def _most_within(cells: Sequence[Cell]) -> tuple[int, int]:
    return max((cell.tuning + 1 for cell in cells), default=1), max((cell.fit + 1 for cell in cells), default=1)


def grouped(records: Iterable[Record], key: Callable[[Cell], Hashable]) -> list[list[Record]]:
    """Return the records grouped by the ``key`` of their cells, in the order of the plan."""
    groups: dict[Hashable, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record.cell), []).append(record)
    return list(groups.values())


def _alike(records: Iterable[Record], key: Callable[[Cell], Hashable]) -> list[list[Record]]:
    """Return the records ``grouped`` by a key in which a cell's numbers (its repeat) do not count."""
    known: dict[str, list[Record]] = {}  # by frame
    groups: dict[Hashable, list[Record]] = {}
    for record in records:
        frame = record.cell.frame
        if frame not in known:
            known[frame] = groups.setdefault(key(record.cell), [])
        known[frame].append(record)
    return list(groups.values())


def identity(choice: Choice) -> str:
    """Return a text that is equal for two choices with the same name and parameters; ``choice`` is one of them."""
    return canonical([choice.name, dict(choice.params)])


def sections(records: Iterable[Record]) -> list[list[Record]]:
    """Return the records in sections that can be compared: the same scenario, dataset, attribute and preparation."""
    return _alike(records, lambda cell: (identity(cell.scenario), identity(cell.dataset), cell.group, cell.preparation))


def on_the_same_splits(results: Results, cell: Cell) -> list[Record]:
    """Return the finished records on the dataset, attribute and preparation of a ``cell``, whatever their scenario."""
    return results.once("finished by place", lambda: _by_place(results)).get(_place(cell), [])


def _by_place(results: Results) -> dict[Hashable, list[Record]]:
    """Return the finished records of every place at once, as every section asks for its own."""
    return {_place(records[0].cell): records for records in _alike(finished(results.records), _place)}


def _place(cell: Cell) -> Hashable:
    return str(cell.dataset), cell.group, str(cell.preparation)


def by_method(records: Iterable[Record]) -> list[list[Record]]:
    """Return the records grouped by method and parameters, with all repeats of each together."""
    return _alike(records, lambda cell: identity(cell.method))


def telling_parameters(choices: Iterable[Choice]) -> dict[str, set[str]]:
    """Return for each name among the ``choices`` the parameters in which its variants differ."""
    variants: dict[str, list[Mapping[str, Any]]] = {}
    for choice in choices:
        variants.setdefault(choice.name, []).append(choice.params)
    absent = object()
    return {
        choice: {
            name
            for name in {name for params in several for name in params}
            if any(params.get(name, absent) != several[0].get(name, absent) for params in several)
        }
        for choice, several in variants.items()
    }


def shown_parameters(choices: Iterable[Choice]) -> dict[str, set[str]]:
    """Return for each name among the ``choices``, such as scenarios, the parameters that tables show of it.

    These are the parameters in which its variants differ. Of a single variant they are all of them, but none if its
    text would be longer than a line.
    """
    variants = {str(choice): choice for choice in choices}
    telling = telling_parameters(variants.values())
    whole = {choice.name: {*choice.params} if len(text) <= LINE else set() for text, choice in variants.items()}
    return {name: names or whole[name] for name, names in telling.items()}


def only(choice: Choice, names: Collection[str]) -> str:
    """Return the text of a ``choice`` with those of its parameters that are among the ``names``."""
    return str(replace(choice, params={name: value for name, value in choice.params.items() if name in names}))


def cell_row(cell: Cell) -> LongRow:
    """Return what identifies a cell, as the first columns of its rows."""
    preparation = cell.preparation
    return {
        "scenario": str(cell.scenario),
        "dataset": str(cell.dataset),
        "sensitive": cell.group,
        "scale": preparation.scale,
        "sensitive_as_feature": preparation.sensitive_as_feature,
        "stratify": preparation.stratify,
        "group_known": preparation.group_known,
        "group_at_prediction": preparation.group_at_prediction,
        "method": cell.method.name,
        "parameters": show_params(cell.method.params),
        "repeat": cell.repeat,
        "tuning": cell.tuning,
        "fit": cell.fit,
    }


def rows(results: Results) -> Iterator[LongRow]:
    """Yield every stored value of ``results`` as one flat row; a skipped or failed cell yields one without a value.

    ``chosen`` says whether the row's operating point represents the method. ``value`` is None if it is undefined, and
    ``reason`` then says why; otherwise ``reason`` says which groups the value lacks, if any.
    """
    for record in results.records:
        cell = cell_row(record.cell)
        ending = {"status": record.status, "seconds": record.seconds, "cell": record.cell.key}
        if not record.values:
            nothing = (None, "", False, "", "", None, record.reason)
            yield {**cell, **dict(zip(MEASURED, nothing)), **ending}
        for step, point, group, metric, value, reason in record.values:
            measured = (step, point, point == record.chosen, group, metric, value, reason)
            yield {**cell, **dict(zip(MEASURED, measured)), **ending}


def frame(results: Results) -> pandas.DataFrame:
    """Return every stored value of ``results`` as a row of a pandas frame, with the columns of ``fairbench export``.

    The methods' own numbers are ``frame[frame.chosen & (frame.group == "")]``. A missing value is NaN; ``step`` is a
    nullable whole number, because a cell that is not done has none.
    """
    import pandas

    made = pandas.DataFrame(rows(results), columns=list(COLUMNS))
    return made.astype({"step": "Int64", "value": "float64"})
