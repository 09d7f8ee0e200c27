"""What each method was given: trials, fits and time, so that unequal budgets show."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.values import by_method, finished
from fairbench.cells import Choice
from fairbench.records import Record

FACTOR = 3  # times the median CPU time of the tuned methods
ONE_FIT = "holdout"  # the scenario that fits once by definition, and says nothing about it


@dataclass(frozen=True)
class Spent:
    """What a method was given on one dataset, on average over its finished repeats.

    Args:
        method: the method, with all of its parameters.
        repeats: how many finished repeats the means are over.
        trials: configurations tried; None if the scenario does not say.
        fits: fits made; None likewise.
        cpu_seconds: CPU time of the process and of the processes that it started.
        seconds: wall-clock time.
        reference: whether others are compared with the method; it is listed and not judged.
        unequal: why its budget is unequal to the others', in words; empty if it is not.
    """

    method: Choice
    repeats: int
    trials: Optional[float]
    fits: Optional[float]
    cpu_seconds: float
    seconds: float
    reference: bool
    unequal: tuple[str, ...] = ()


def budget_of(record: Record) -> Optional[int]:
    """Return the number of trials that the scenario of ``record`` grants each method; None if it grants none."""
    params = record.cell.scenario.params
    found = params.get("trials", params.get("budget"))
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def ledger(records: Sequence[Record], reference: Collection[str]) -> list[Spent]:
    """Return what each method of one section was given, in the order of the plan.

    A budget is unequal if the trials differ from the scenario's budget, or if the CPU time is more than three times the
    median of the tuned methods: those with more than one trial that are not references.

    Args:
        records: those of one section (``sections``); only finished ones count.
        reference: names of the methods with which others are compared.
    """
    spent = [_spent(several, reference) for several in by_method(finished(records))]
    budget = budget_of(records[0]) if records else None
    tuned = [each.cpu_seconds for each in spent if not each.reference and (each.trials or 0) > 1]
    typical = statistics.median(tuned) if tuned else None
    return [_judged(each, budget, typical) for each in spent]


def _spent(records: Sequence[Record], reference: Collection[str]) -> Spent:
    method = records[0].cell.method
    return Spent(
        method,
        len(records),
        _mean(records, "trials"),
        _mean(records, "fits"),
        statistics.fmean(record.cpu_seconds for record in records),
        statistics.fmean(record.seconds for record in records),
        method.name in reference,
    )


def _mean(records: Sequence[Record], name: str) -> Optional[float]:
    counts = [_count(record, name) for record in records]
    known = [count for count in counts if count is not None]
    return statistics.fmean(known) if len(known) == len(counts) else None


def _count(record: Record, name: str) -> Optional[float]:
    said = record.diagnostics.get(name)
    if said and len(said) == 1:
        return said[0]
    return 1.0 if record.cell.scenario.name == ONE_FIT else None


def _judged(spent: Spent, budget: Optional[int], typical: Optional[float]) -> Spent:
    if spent.reference:
        return spent
    reasons = []
    if budget is not None and spent.trials is not None and spent.trials != budget:
        reasons.append(f"{spent.trials:g} of {budget} trials")
    if typical and spent.cpu_seconds > FACTOR * typical:
        reasons.append(f"{spent.cpu_seconds / typical:.1f} times the median CPU time of the tuned methods")
    return Spent(**{**vars(spent), "unequal": tuple(reasons)})
