"""The report keeps fairbench's rules, and shows what was measured."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from fairbench.api import Cell, Choice, Record, Results, Value
from fairbench.testing import CHECKS
from my_report.report import ACCURACY, GAP, fairbench_reports, my_report


@pytest.mark.parametrize("check", CHECKS["reports"])
def test_it_keeps_the_rules(check: Callable[[Any], Any]) -> None:
    for report in fairbench_reports():
        check(report)


def record(method: str, repeat: int, accuracy: float, gap: float) -> Record:
    """Return a finished cell with two values."""
    cell = Cell(Choice("people"), Choice(method), "sex", repeat, metrics=(ACCURACY, GAP))
    values = (Value(0, "", "", ACCURACY, accuracy), Value(0, "", "", GAP, gap))
    return Record(cell, "done", values=values)


def test_methods_are_shown_with_means_the_fairest_first() -> None:
    records = [record("plain", 0, 0.9, 0.4), record("plain", 1, 0.8, 0.2), record("fair", 0, 0.7, 0.1)]
    assert my_report(Results(records, {}, 3, {})).splitlines() == [
        "people by sex, holdout",
        "  gap 0.100, accuracy 0.700: fair",
        "  gap 0.300, accuracy 0.850: plain",
    ]
