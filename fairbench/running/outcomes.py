"""From what a scenario yields to what a store can hold: names, texts and numbers from plugins are checked here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Number
from operator import index
from typing import Any, Optional

import numpy as np

from fairbench.data.counts import rows_by_group
from fairbench.data.rows import UNKNOWN_GROUP, Predictions, Samples
from fairbench.data.selection import SEEN_ORDER, SEEN_SELECTED
from fairbench.data.splits import same_bytes
from fairbench.errors import Undefined, Unstorable
from fairbench.plugins.components import Metric, Outcome
from fairbench.records import Partial, Record, Value, compares_groups, no_rows

LONGEST = 20_000  # characters of a reason that is kept


def storable(text: str) -> str:
    """Return a text that can be written as UTF-8, without its middle if it is very long."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters are left out ...]\n{text[-half:]}"


def said(error: BaseException) -> str:
    """Return the exception's message, whatever its ``__str__`` does."""
    try:
        return storable(str(error))
    except Exception as inner:
        return f"{type(error).__name__}, whose message cannot be shown ({type(inner).__name__})"


def checked(outcome: Outcome, who: str, after: Optional[int]) -> Outcome:
    """Return the outcome with plain names and numbers.

    Numbers that name an operating point become texts; any other unsuitable name or value is refused.

    Args:
        outcome: as the scenario yielded it.
        who: for messages, e.g. ``method mlp``.
        after: the step before, if there was one.

    Raises:
        Unstorable: a point, step, diagnostic or value has a name or type that cannot be stored, or the numbers of
            predictions and rows differ, or the group of some rows is not known.
    """
    if not isinstance(outcome, Outcome):
        raise Unstorable(f"the scenario yielded {_kind(outcome)}; it must yield an Outcome for each step")
    try:
        step = index(outcome.step)
    except TypeError:
        raise Unstorable(f"the scenario's step is {_shown(outcome.step)}; it must be an integer") from None
    first = -1 if after is None or not outcome.predictions else after
    if not first < step < 2**63:
        before = "0 or above" if after is None else f"above {after}, the step before"
        raise Unstorable(f"the scenario's step is {step}; it must be {before}")
    if outcome.predictions and (outcome.samples.group == UNKNOWN_GROUP).any():
        raise Unstorable("the scenario yielded rows whose group is not known; only known_rows can be measured")
    predictions: dict[str, Predictions] = {}
    for name, made in outcome.predictions.items():
        point = _point(name, who)
        if point in predictions:
            raise Unstorable(f"{who}: two operating points are named {point!r}; each needs a name of its own")
        if not isinstance(made, Predictions):
            raise Unstorable(f"{who}: its predictor returned {_kind(made)}; it must return Predictions")
        if len(made.y_pred) != len(outcome.samples):
            raise Unstorable(f"{who} returned {len(made.y_pred)} predictions for {len(outcome.samples)} rows")
        predictions[point] = made
    chosen = _point(outcome.chosen, who)
    if chosen not in predictions and (predictions or outcome.state is None):
        raise Unstorable(f"{who}: the chosen operating point {chosen!r} is not among {list(predictions)[:10]}")
    diagnostics = {_name(name, "a diagnostic"): _curve(name, curve) for name, curve in outcome.diagnostics.items()}
    values = {
        _name(name, "a value"): number(value, f"the scenario's {name!r}") for name, value in outcome.values.items()
    }
    return replace(outcome, step=step, predictions=predictions, chosen=chosen, diagnostics=diagnostics, values=values)


def _point(name: Any, who: str) -> str:
    if isinstance(name, Number):
        name = str(name.item() if hasattr(name, "item") else name)
    if not isinstance(name, str):
        raise Unstorable(f"{who}: an operating point is named by {_kind(name)}, {_shown(name)}; use a text or a number")
    return _text(name, f"{who}: the operating point")


def _name(name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise Unstorable(f"{what} is named by {_kind(name)}, {_shown(name)}; use a text")
    return _text(name, f"the name of {what},")


def _text(text: str, what: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unstorable(f"{what} {text!r} cannot be written as UTF-8; leave lone surrogates out") from None
    return str(text)  # not a subclass of it


def _curve(name: Any, curve: Any) -> tuple[Any, ...]:
    """Return a diagnostic as floats, None for those that are not finite."""
    if isinstance(curve, (str, bytes)) or not isinstance(curve, Iterable):
        raise Unstorable(f"the diagnostic {name!r} is {_shown(curve)}; a sequence of numbers is needed")
    numbers = [number(value, f"the diagnostic {name!r}") for value in curve]
    return tuple(value if math.isfinite(value) else None for value in numbers)


def number(value: Any, what: str) -> float:
    """Return a single number of any library as a float; one that NumPy masks is NaN, whatever lies under the mask.

    Raises:
        Unstorable: it is not a single real number but, e.g., a text, None, a complex number or several numbers.
    """
    seen = value
    try:
        if isinstance(value, np.ma.MaskedArray) and value.size == 1 and np.all(value.mask):
            return math.nan
        if hasattr(value, "item"):  # of numpy and torch; several numbers have none
            value = value.item()
        if isinstance(value, (str, bytes, bytearray)):
            raise TypeError  # float() would read it
        return float(value)
    except OverflowError:
        return math.inf  # an integer beyond the largest float
    except Exception:  # torch and pandas have errors of their own
        raise Unstorable(f"{what} is {_kind(seen)}, {_shown(seen)}; a number is needed") from None


def _kind(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _shown(value: Any) -> str:
    """Return a value as a message can show it."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:
        return f"whose repr raises {type(error).__name__}"
    return storable(text if len(text) <= 80 else f"{text[:80]}…")


# -------------------------------------------------------------------- values


def measured(record: Record, outcome: Outcome, metrics: Sequence[Metric]) -> Record:
    """Return the record with one more step's values; the outcome has been checked."""
    values = list(record.values)
    for point, predictions in outcome.predictions.items():
        values += measure(outcome.samples, predictions, metrics, step=outcome.step, point=point)
    taken = {metric.name for metric in metrics} & set(outcome.values)
    if taken:
        raise Unstorable(
            f"scenario {record.cell.scenario.name} measured {', '.join(sorted(taken))}, but a metric has that name; "
            "rename the scenario's value"
        )
    for name, value in outcome.values.items():
        values.append(_finite(outcome.step, outcome.chosen, "", name, value, "scenario measured"))
    diagnostics: dict[str, Any] = {**record.diagnostics, **outcome.diagnostics}
    if SEEN_SELECTED in outcome.diagnostics:  # equals go to the earliest point, so the order that a rule saw counts
        place = {point: float(place) for place, point in enumerate(sorted(outcome.predictions))}
        diagnostics[SEEN_ORDER] = tuple(place[point] for point in outcome.predictions)
    return replace(record, values=tuple(values), chosen=outcome.chosen, diagnostics=diagnostics)


def measure(
    samples: Samples, predictions: Predictions, metrics: Iterable[Metric], *, step: int = 0, point: str = ""
) -> list[Value]:
    """Return every metric's value over all rows and, for metrics by group, within each group that has rows.

    If a group of the dataset has no rows, each value that compares groups says so.

    Raises:
        Unstorable: a metric wrote to its arguments, which later metrics and the store use too.
    """
    parts, lacking, metrics = [("", samples, predictions)], [], list(metrics)
    apart = any(metric.by_group for metric in metrics)
    for name, rows in zip(samples.group_names, rows_by_group(samples.group, len(samples.group_names))):
        if not len(rows):
            lacking.append(name)
        elif apart:
            parts.append((name, samples.select(rows), predictions.select(rows)))
    watched = [array for _, part, made in parts for array in _watched(part, made)]
    of_all, values = watched[: len(watched) // len(parts)], []
    for metric in metrics:
        for group, part, made in parts if metric.by_group else parts[:1]:
            values.append(_value(metric, part, made, step, point, group))
        for array in watched if metric.by_group else of_all:  # others never see the copies of the groups' rows
            if array.changed():
                raise Unstorable(
                    f"a metric wrote to the {array.kind} that it measured: {metric.name} changed {array.name}; "
                    "copy what you want to change, e.g. with .copy()"
                )
    return [_without(value, lacking) for value in values] if lacking else values


class _Watched:
    """An array that metrics share, and what it holds; ``kind`` and ``name`` say which it is."""

    def __init__(self, kind: str, owner: Any, name: str) -> None:
        self.kind, self.owner, self.name = kind, owner, name
        self._array = getattr(owner, name)
        self._held: bytes = b"" if self._array is None else self._array.tobytes()

    def changed(self) -> bool:
        """Return whether it holds something else by now, or is another array."""
        array = getattr(self.owner, self.name)
        return array is not self._array or (array is not None and not same_bytes(array, self._held))


def _watched(samples: Samples, predictions: Predictions) -> list[_Watched]:
    """Return the arrays that metrics share, except the features."""
    return [
        *(_Watched("samples", samples, name) for name in ("y", "group")),
        *(_Watched("predictions", predictions, name) for name in ("y_pred", "y_score", "decision")),
    ]


def _without(value: Value, lacking: Sequence[str]) -> Value:
    """Return the value, marked if it compares groups and some have no rows."""
    if value.group or value.value is None or not compares_groups(value.metric):
        return value
    return value._replace(reason="; ".join(filter(None, [no_rows(lacking), value.reason])))


def _value(metric: Metric, samples: Samples, predictions: Predictions, step: int, point: str, group: str) -> Value:
    try:
        returned = metric(samples, predictions)
    except Undefined as reason:
        return Value(step, point, group, metric.name, None, said(reason))
    value = _finite(step, point, group, metric.name, number(returned, f"metric {metric.name}"), "metric returned")
    if isinstance(returned, Partial) and value.value is not None:
        return value._replace(reason=storable(returned.lacking))
    return value


def _finite(step: int, point: str, group: str, name: str, value: float, done: str) -> Value:
    """Return the value, or null with the reason if it is not a finite number."""
    if not math.isfinite(value):
        return Value(step, point, group, name, None, f"the {done} {value}")
    return Value(step, point, group, name, value)
