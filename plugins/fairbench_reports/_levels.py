"""How accurate the better of the two constant predictions is in a section: one rule for pictures and fronts."""

from __future__ import annotations

from collections.abc import Sequence

from fairbench.api import Record
from fairbench.api.analysis import Estimate, SectionLines, by_method, constant_accuracy, finished, series

ACCURACY, SELECTED = "accuracy", "selection_rate"
CONSTANTS = ("constant", "always_0", "always_1")  # each tells the accuracy of both


def constant_level(lines: SectionLines, records: Sequence[Record]) -> float | None:
    """Return the mean accuracy of the better constant prediction; None if the run does not tell.

    Args:
        lines: of the section; they know it if predictions are stored.
        records: of the section, of which some may be of a method that is a constant.
    """
    if lines.ones:
        return float(lines.constant(sorted(lines.ones)).mean())
    for done in by_method(finished(records)):
        if done[0].cell.method.name in CONSTANTS:
            return Estimate.of(constant_accuracy(series(done, ACCURACY), series(done, SELECTED)).values()).mean
    return None
