"""How much better the same rule would have done if it had seen the test part: the optimism gap of a selection.

The oracle applies the rule by which a point was chosen on validation to the stored test predictions of all points. Its
edge grows with the number of points by noise alone, so that number belongs beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.counts import StoredRows
from fairbench.analysis.values import Estimate, Measured
from fairbench.data.counts import rates_of
from fairbench.data.selection import Judged, Rule
from fairbench.errors import NotApplicable, SuiteError
from fairbench.records import Record


def rule_of(record: Record) -> Optional[Rule]:
    """Return the rule by which the operating point of ``record`` was chosen, last of all; None if none is named."""
    text = record.rule or record.cell.scenario.params.get("rule")
    try:
        return Rule.parse(text) if isinstance(text, str) else None
    except SuiteError:  # a parameter of another kind that happens to have the name
        return None


@dataclass(frozen=True)
class Optimism:
    """One repeat's choice beside the oracle's, both on the test part.

    Args:
        points: how many operating points there were.
        accuracy: of the chosen point, a fraction.
        gap: of the chosen point, in the gap that the rule is about (demographic parity if none); None if undefined.
        oracle_accuracy: of the point that the rule chooses on the test part.
        oracle_gap: likewise.
        infeasible: whether no point satisfied the rule's condition on validation; None if that was not recorded.
        oracle_infeasible: whether none does on the test part.
    """

    points: int
    accuracy: float
    gap: Optional[float]
    oracle_accuracy: float
    oracle_gap: Optional[float]
    infeasible: Optional[bool]
    oracle_infeasible: bool

    @property
    def in_accuracy(self) -> float:
        """Return the oracle's accuracy minus that of the chosen point."""
        return self.oracle_accuracy - self.accuracy

    @property
    def in_gap(self) -> Optional[float]:
        """Return the oracle's gap minus that of the chosen point; None if a gap is undefined."""
        return None if self.gap is None or self.oracle_gap is None else self.oracle_gap - self.gap


def optimism(rows: StoredRows, record: Record) -> Optional[Optimism]:
    """Return the choice of a ``record`` beside the oracle's, from the stored predictions of its points (``rows``).

    None if its scenario names no rule, its predictions are not stored, or the rule cannot be applied to its test part.

    Raises:
        StoreError: the store is damaged.
    """
    rule = rule_of(record)
    if rule is None:
        return None
    counts = {point: rows.counts(record, point) for point in Measured(record).points}
    judged = {point: Judged(rates_of(c.rows, c.selected)) for point, c in counts.items() if c is not None}
    if record.chosen not in judged:
        return None
    try:
        best = rule.choose(judged)
    except NotApplicable:
        return None
    chosen, oracle = judged[record.chosen], judged[best.label]
    marked = record.diagnostics.get("infeasible")
    return Optimism(
        points=len(judged),
        accuracy=chosen.accuracy,
        gap=_gap(chosen, rule),
        oracle_accuracy=oracle.accuracy,
        oracle_gap=_gap(oracle, rule),
        infeasible=bool(marked[-1]) if marked else None,
        oracle_infeasible=not best.feasible,
    )


def _gap(judged: Judged, rule: Rule) -> Optional[float]:
    try:
        return judged.gap(rule.shown_gap)
    except NotApplicable:
        return None


@dataclass(frozen=True)
class Selection:
    """A method's choices over its repeats.

    Args:
        repeats: in how many repeats the choice can be compared with the oracle's.
        points: the fewest and the most operating points in a repeat.
        infeasible: in how many repeats no point satisfied the rule's condition on validation.
        accuracy: of the chosen points.
        gap: of the chosen points.
        in_accuracy: the optimism gap, oracle minus chosen.
        in_gap: likewise.
    """

    repeats: int
    points: tuple[int, int]
    infeasible: int
    accuracy: Estimate
    gap: Estimate
    in_accuracy: Estimate
    in_gap: Estimate


def selection(rows: StoredRows, records: Iterable[Record]) -> Optional[Selection]:
    """Return the choices of one method in its ``records``, from stored ``rows``; None if none can be compared.

    Raises:
        StoreError: the store is damaged.
    """
    found = [each for each in (optimism(rows, record) for record in records) if each is not None]
    if not found:
        return None
    sizes = [each.points for each in found]
    return Selection(
        len(found),
        (min(sizes), max(sizes)),
        sum(bool(each.infeasible) for each in found),
        Estimate.of(each.accuracy for each in found),
        Estimate.of(each.gap for each in found if each.gap is not None),
        Estimate.of(each.in_accuracy for each in found),
        Estimate.of(each.in_gap for each in found if each.in_gap is not None),
    )
