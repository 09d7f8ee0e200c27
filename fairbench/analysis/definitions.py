"""Fairness measures under the names and by the formulas of other libraries, from the stored predictions of any run.

Two libraries can call different numbers by one name, and one number by different names. A ``View`` lists the measures
of one library; ``viewed`` computes them for every cell of a run, so that any report can show them. Where a library
returns 0 or NaN for 0/0, there is no value here, and the reason says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Callable, Optional

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts, count
from fairbench.analysis.gaps import LABELS
from fairbench.data.rows import Floats, Predictions
from fairbench.errors import NotApplicable, Undefined, UnknownName
from fairbench.records import DONE, SKIPPED, Record, Results, Value, no_rows
from fairbench.running.store import FILE_NAME, Store, Truth
from fairbench.running.truth import OLD

ODDS = (TRUE_POSITIVE, FALSE_POSITIVE)


@dataclass(frozen=True)
class Definition:
    """One measure: its name in the library, which direction is better, and its function of counts.

    Args:
        name: as the library spells it; arguments that change the formula stand in brackets.
        better: ``lower``, ``higher``, or ``neither`` for a signed or uncapped measure.
        function: from counts and the code of the protected group, which many measures do not read, to a number.
        rates: which rates it compares between groups.
    """

    name: str
    better: str
    function: Callable[[Counts, int], float]
    rates: tuple[str, ...] = (SELECTION,)

    @property
    def heading(self) -> str:
        """Return the name in words, which fold in a table."""
        words, bracket, argument = self.name.partition("(")
        return words.replace("_", " ") + (f" ({argument}" if bracket else "")


@dataclass(frozen=True)
class View:
    """The measures of one library.

    Args:
        name: of the library or method.
        definitions: in the order in which they are shown.
        two_groups: whether they exist for the protected group and one other only.
        strict: whether a row is selected if its score, where there is one, is greater than 0.5; else the method's own
            decisions count.
        note: what a reader must know; a sentence under the tables.
    """

    name: str
    definitions: tuple[Definition, ...]
    two_groups: bool = True
    strict: bool = False
    note: str = ""


def _rates(counts: Counts, rate: str) -> Floats:
    """Return a rate of each group that has rows to count (at most G,); refuse fewer than two."""
    selected, rows = counts.of(rate)
    known = np.flatnonzero(rows)
    if len(known) < 2:
        raise Undefined("; ".join(_lacking(counts, (SELECTION, rate))))
    return np.asarray(selected[known] / rows[known])


def _lacking(counts: Counts, rates: Iterable[str]) -> list[str]:
    """Return in words which groups have no row, and which of the others none with the label that a rate is of."""
    absent = [name for name, n in zip(counts.groups, counts.n) if not n]
    found = [no_rows(absent)] if absent else []
    for rate in dict.fromkeys(rates):
        rows = counts.of(rate)[1]
        names = [name for name, n, here in zip(counts.groups, counts.n, rows) if n and not here]
        found += [no_rows(names, LABELS.get(rate))] if names else []
    return found


def _gap(rate: str) -> Callable[[Counts, int], float]:
    """Return max - min over groups as a function of counts."""
    return lambda counts, _: float(np.ptp(_rates(counts, rate)))


def _ratio(rate: str) -> Callable[[Counts, int], float]:
    """Return min / max over groups as a function of counts."""

    def function(counts: Counts, _: int) -> float:
        rates = _rates(counts, rate)
        return _quotient(float(rates.min()), float(rates.max()), rate)

    return function


def _quotient(above: float, below: float, rate: str) -> float:
    if not below:
        seen = "0/0" if not above else f"{above:.3g}/0"
        whom = "no group has anybody" if not above else "a group has nobody"
        label = f" with y = {LABELS[rate]}" if rate in LABELS else ""
        raise Undefined(f"{whom}{label} who is selected, so the ratio is {seen}")
    return above / below


def _of_both(
    how: Callable[[float, float], float], one: Callable[[str], Callable[[Counts, int], float]]
) -> Callable[[Counts, int], float]:
    """Return a function of the true and the false positive measure of one kind."""
    t, f = one(TRUE_POSITIVE), one(FALSE_POSITIVE)
    return lambda counts, protected: how(t(counts, protected), f(counts, protected))


def _mean(one: float, other: float) -> float:
    return (one + other) / 2


def _to_overall(counts: Counts, _: int) -> float:
    overall = counts.selected.sum() / counts.rows.sum() if counts.rows.sum() else 0.0
    return float(np.abs(_rates(counts, SELECTION) - overall).max())


def _sides(counts: Counts, protected: int, rate: str) -> tuple[float, float]:
    """Return a rate of the protected and of the other of two groups."""
    rates = _rates(counts, rate)
    return float(rates[protected]), float(rates[1 - protected])


def _signed(rate: str) -> Callable[[Counts, int], float]:
    """Return protected minus other as a function of counts."""

    def function(counts: Counts, protected: int) -> float:
        ours, others = _sides(counts, protected, rate)
        return ours - others

    return function


def _absolute(rate: str, factor: float = 1.0) -> Callable[[Counts, int], float]:
    signed = _signed(rate)
    return lambda counts, protected: factor * abs(signed(counts, protected))


def _per_cent(rate: str) -> Callable[[Counts, int], float]:
    return _absolute(rate, 100.0)


def _uncapped(counts: Counts, protected: int) -> float:
    return _quotient(*_sides(counts, protected, SELECTION), SELECTION)


def _p_rule(counts: Counts, protected: int) -> float:
    ours, others = _sides(counts, protected, SELECTION)
    return 100 * _quotient(min(ours, others), max(ours, others), SELECTION)


def _others_distance_from_one(rate: str) -> Callable[[Counts, int], float]:
    """Return |1 - rate| of the group that is not protected; 0 if it has no row to count."""

    def function(counts: Counts, protected: int) -> float:
        selected, rows = counts.of(rate)
        other = 1 - protected
        return abs(1 - float(selected[other] / rows[other])) if rows[other] else 0.0

    return function


def _joint_ratio(counts: Counts, protected: int) -> float:
    """Return the ratio of P(selected and y = 1) between the protected and the other group."""
    _sides(counts, protected, SELECTION)  # both groups have rows
    joint = counts.selected[:, 1] / counts.n
    return _quotient(float(joint[protected]), float(joint[1 - protected]), TRUE_POSITIVE)


def _boundary_covariance(counts: Counts, protected: int) -> float:
    """Return |mean of (a - mean of a) times decision| with a = 1 in the protected group."""
    _sides(counts, protected, SELECTION)
    a = np.arange(len(counts.groups)) == protected
    centred = a - float(counts.n[protected] / counts.n.sum())
    return abs(float((centred * counts.selected.sum(axis=1)).sum() / counts.n.sum()))


VIEWS: Mapping[str, View] = {
    view.name: view
    for view in (
        View(
            "fairlearn",
            (
                Definition("demographic_parity_difference", "lower", _gap(SELECTION)),
                Definition("demographic_parity_ratio", "higher", _ratio(SELECTION)),
                Definition("equalized_odds_difference", "lower", _of_both(max, _gap), ODDS),
                Definition("equalized_odds_difference(agg=mean)", "lower", _of_both(_mean, _gap), ODDS),
                Definition("equalized_odds_ratio", "higher", _of_both(min, _ratio), ODDS),
                Definition("equalized_odds_ratio(agg=mean)", "higher", _of_both(_mean, _ratio), ODDS),
                Definition("equal_opportunity_difference", "lower", _gap(TRUE_POSITIVE), (TRUE_POSITIVE,)),
                Definition("demographic_parity_difference(method=to_overall)", "lower", _to_overall),
            ),
            two_groups=False,
            note="largest minus smallest group, or smallest over largest, for any number of groups",
        ),
        View(
            "aif360",
            (
                Definition("statistical_parity_difference", "neither", _signed(SELECTION)),
                Definition("disparate_impact", "neither", _uncapped),
                Definition("equal_opportunity_difference", "neither", _signed(TRUE_POSITIVE), (TRUE_POSITIVE,)),
                Definition("average_odds_difference", "neither", _of_both(_mean, _signed), ODDS),
                Definition("average_abs_odds_difference", "lower", _of_both(_mean, _absolute), ODDS),
                Definition("equalized_odds_difference", "lower", _of_both(max, _absolute), ODDS),
            ),
            note="the protected (unprivileged) group minus, or over, the other; signed differences can cancel",
        ),
        View(
            "ffb",
            (
                Definition("dp", "lower", _per_cent(SELECTION)),
                Definition("eopp", "lower", _per_cent(TRUE_POSITIVE), (TRUE_POSITIVE,)),
                Definition("eodd", "lower", _of_both(lambda t, f: t + f, _per_cent), ODDS),
                Definition("prule", "higher", _p_rule),
            ),
            strict=True,
            note="in per cent; eodd is the sum of two gaps, up to 200; who scores 0.5 is not selected",
        ),
        View(
            "ffml",
            (
                Definition("dp", "lower", _others_distance_from_one(SELECTION)),
                Definition("eop", "lower", _others_distance_from_one(TRUE_POSITIVE), (TRUE_POSITIVE,)),
            ),
            note="the distance from 1 of the rate of the group that is not protected, without the noise term of the "
            "authors' code; it does not compare groups",
        ),
        View(
            "fair-maml",
            (Definition("dp", "neither", _uncapped), Definition("eo", "neither", _joint_ratio)),
            note="the protected group over the other, uncapped; eo is the ratio of P(selected and y = 1), which base "
            "rates enter",
        ),
        View(
            "boundary-covariance",
            (Definition("boundary_covariance", "lower", _boundary_covariance),),
            note="|mean of (a - mean of a) times decision|, a = 1 in the protected group; at most 0.25",
        ),
    )
}
OTHERWISE = "{} selects rows with a score above 0.5; the method itself decides some rows of its test part otherwise"


def find_view(name: str) -> View:
    """Return the view of this name.

    Raises:
        UnknownName: there is none.
    """
    if name not in VIEWS:
        raise UnknownName("set of definitions", name, VIEWS, f" (there are {', '.join(VIEWS)})")
    return VIEWS[name]


def measure_view(view: View, truth: Truth, predictions: Predictions) -> dict[str, tuple[Optional[float], str]]:
    """Return each measure of ``view`` by name: its value, or None and why, for ``predictions`` of the ``truth``'s rows.

    A value over fewer groups than the dataset has comes with the names of those that it lacks.

    Raises:
        NotApplicable: the view compares two groups, and there are more or fewer, or the protected one is not known.
    """
    if view.two_groups:
        _require_two(view, truth)
    counts = count(truth, _decided(predictions) if view.strict else predictions)
    found: dict[str, tuple[Optional[float], str]] = {}
    for definition in view.definitions:
        try:
            value = definition.function(counts, -1 if truth.protected is None else truth.protected)
            found[definition.name] = (value, "; ".join(_lacking(counts, definition.rates)))
        except Undefined as error:
            found[definition.name] = (None, str(error))
    return found


def _require_two(view: View, truth: Truth) -> None:
    names = truth.group_names
    if truth.protected is None:
        raise NotApplicable(OLD)
    if len(names) != 2:
        which = names[truth.protected]
        raise NotApplicable(
            f"the definitions of {view.name} compare two groups, the protected one ({which!r}) and one other; there "
            f"are {len(names)} here: {', '.join(map(repr, names))}; choose an attribute of two groups, or the "
            "definitions of fairlearn"
        )


def _decided(predictions: Predictions) -> Predictions:
    """Return the predictions with rows selected whose score is greater than 0.5."""
    if predictions.y_score is None:
        return predictions
    return Predictions(np.asarray(predictions.y_score > 0.5, dtype=np.int64), predictions.y_score)


def viewed(results: Results, name: str) -> Results:
    """Return ``results`` with the measures of the view called ``name`` in place of the run's metrics.

    They are computed from the stored predictions, at every step and operating point. Cells to which the view does not
    apply are skipped, with the reason.

    ``run["order"]`` then says in which order tables show them, and ``path`` is None: verdicts from stored predictions
    are about the run's own metrics, which can have the same names.

    Raises:
        UnknownName: there is no such view.
        NotApplicable: it applies to no cell of the run, or nothing is stored.
        StoreError: the store is damaged.
    """
    view = find_view(name)
    if results.path is None:
        raise NotApplicable(f"the definitions of {name} need stored predictions, and these results have none")
    with Store(results.path / FILE_NAME) as store:
        records = [_viewed(record, view, store) if record.status == DONE else record for record in results.records]
    refused = [new.reason for old, new in zip(results.records, records) if old.status != new.status]
    if refused and not any(record.status == DONE for record in records):
        raise NotApplicable(refused[0])
    labels = {one.name: (one.heading, one.better) for one in view.definitions}
    notes = {**results.run.get("notes", {}), f"definitions of {name}": [view.note]}
    run = {**results.run, "labels": labels, "notes": notes, "order": tuple(labels)}
    return replace(results, records=records, labels=labels, run=run, path=None)


def _viewed(record: Record, view: View, store: Store) -> Record:
    values, remarks = [], record.remarks
    for (step, point), (truth, predictions) in store.predictions(record.cell.key).items():
        try:
            found = measure_view(view, truth, predictions)
        except NotApplicable as error:
            return replace(record, status=SKIPPED, reason=str(error), values=())
        values += [Value(step, point, "", metric, value, reason) for metric, (value, reason) in found.items()]
        own = _decided(predictions).y_pred if view.strict else predictions.y_pred
        if point == record.chosen and (own != predictions.y_pred).any():
            remarks = tuple(dict.fromkeys([*remarks, OTHERWISE.format(view.name)]))
    return replace(record, values=tuple(values), remarks=remarks)
