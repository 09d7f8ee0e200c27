"""Two results of one cell, compared to the last bit: every value that both have, and every prediction.

Of the diagnostics those are compared that decide what a report shows: what another rule would choose from, and what was
tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from fairbench.cells import Cell
from fairbench.data.rows import Predictions
from fairbench.data.selection import SEEN_ORDER, SEEN_ROWS, SEEN_SELECTED
from fairbench.records import Value
from fairbench.running.store import Measured

DECIDING = (SEEN_ROWS, SEEN_SELECTED, SEEN_ORDER, "trials", "fits")


class Unequal(NamedTuple):
    """Something that differs between two results of a cell.

    Args:
        what: the metric, with its group, step and operating point where it has one; or what of the predictions.
        one, two: what each result has.
        by: how far apart the numbers are; None where they are not two numbers.
    """

    what: str
    one: str
    two: str
    by: Optional[float]


def unequal(one: Measured, two: Measured) -> list[Unequal]:
    """Return all that differs, values first; a value that only one of the two has is not compared."""
    values = {value[:4]: value for value in two.record.values}
    both = [(value, values[value[:4]]) for value in one.record.values if value[:4] in values]
    found = [
        Unequal(_place(first), _shown(first), _shown(second), _distance(first.value, second.value))
        for first, second in both
        if (first.value, first.reason) != (second.value, second.reason)
    ]
    if one.record.chosen != two.record.chosen:
        found.append(Unequal("the chosen operating point", repr(one.record.chosen), repr(two.record.chosen), None))
    return [
        *found,
        *_unequal_diagnostics(one.record.diagnostics, two.record.diagnostics),
        *_unequal_predictions(one, two),
    ]


def _unequal_diagnostics(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[Unequal]:
    for name in DECIDING:
        first, second = (tuple(diagnostics.get(name, ())) for diagnostics in (one, two))
        if first and second and first != second:
            place = next((at for at, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
            one_has, two_has = (str(told[place]) if place < len(told) else "nothing" for told in (first, second))
            yield Unequal(f"number {place + 1} of the diagnostic {name}", one_has, two_has, None)


def named(cell: Cell) -> str:
    """Return what identifies a cell, in words."""
    within = [("tuning", cell.tuning), ("fit", cell.fit)]
    numbers = "".join(f", {what} {number}" for what, number in within if number)
    return f"dataset {cell.place}, method {cell.method}, scenario {cell.scenario}, repeat {cell.repeat}{numbers}"


def _place(value: Value) -> str:
    within = [f"group {value.group!r}" if value.group else "", f"point {value.point!r}" if value.point else ""]
    within.append(f"step {value.step}" if value.step else "")
    where = ", ".join(filter(None, within))
    return f"{value.metric} ({where})" if where else value.metric


def _shown(value: Value) -> str:
    if value.value is None:
        return f"undefined ({value.reason})"
    return f"{value.value!r} ({value.reason})" if value.reason else repr(value.value)


def _distance(one: Optional[float], two: Optional[float]) -> Optional[float]:
    return None if one is None or two is None else abs(one - two)


def _unequal_predictions(one: Measured, two: Measured) -> Iterator[Unequal]:
    if one.predictions.keys() != two.predictions.keys():
        yield Unequal("the operating points", repr(sorted(one.predictions)), repr(sorted(two.predictions)), None)
    for place, (truth, first) in one.predictions.items():
        if place not in two.predictions:
            continue
        other, second = two.predictions[place]
        where = "".join([f" of point {place[1]!r}" if place[1] else "", f" at step {place[0]}" if place[0] else ""])
        if truth.key != other.key:
            yield Unequal(f"the test part{where}", f"key {truth.key[:12]}…", f"key {other.key[:12]}…", None)
        else:
            yield from _unequal_rows(first, second, where)


def _unequal_rows(one: Predictions, two: Predictions, where: str) -> Iterator[Unequal]:
    rows = int((one.y_pred != two.y_pred).sum())
    if rows:
        what = f"the number of selected rows{where} (decisions differ in {rows} of {len(one.y_pred)})"
        yield Unequal(what, str(int(one.y_pred.sum())), str(int(two.y_pred.sum())), None)
    for what, first, second in (("score", one.y_score, two.y_score), ("decision", one.decision, two.decision)):
        if first is None or second is None:
            if first is not second:
                shown = ["none" if given is None else "one for each row" for given in (first, second)]
                yield Unequal(f"the {what}s{where}", shown[0], shown[1], None)
        elif not np.array_equal(first, second) and not (what == "decision" and rows):
            row = int(np.argmax(np.abs(first - second)))
            by = float(abs(first[row] - second[row]))
            yield Unequal(f"the {what} of row {row}{where}", repr(float(first[row])), repr(float(second[row])), by)
