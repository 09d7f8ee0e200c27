"""A run in which another rule chooses among the stored operating points, by what was seen of them on validation.

Scenarios that choose by a rule keep the counts that it looked at. Any rule is a function of these, so a run need not be
repeated to see what another rule makes of the same fits; the test part has no say in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from fairbench.analysis.values import Measured, finished
from fairbench.data.counts import rates_of
from fairbench.data.selection import SEEN_ORDER, SEEN_ROWS, SEEN_SELECTED, Judged, Rule
from fairbench.errors import NotApplicable, SuiteError
from fairbench.records import Record, Results

RECHOSEN = "rechosen"
"""The key of ``Results.run`` with the rule, and with the methods of which some cells are as the run chose them."""


def seen_on_validation(record: Record) -> Optional[dict[str, Judged]]:
    """Return what a rule saw of each stored point of a ``record``, in its order; None if that was not stored."""
    rows, selected, order = (record.diagnostics.get(name) for name in (SEEN_ROWS, SEEN_SELECTED, SEEN_ORDER))
    points = sorted(Measured(record).points)
    if not rows or not selected or not order or sorted(order) != list(range(len(points))):
        return None
    if len(selected) != len(rows) * len(points):
        return None
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    each = np.array(selected, dtype=np.float64).reshape(len(points), -1, 2)
    return {points[int(place)]: Judged(rates_of(table, here)) for place, here in zip(order, each)}


def chosen_by(results: Results, rule: str) -> Results:
    """Return the results with the points that another rule chooses; cells keep their keys, and nothing is fitted.

    Cells without stored validation counts (of ``holdout``, or of an older run) stay as they are, as do those to which
    the rule cannot be applied; ``run["rechosen"]`` lists their methods.

    Args:
        results: of a run.
        rule: as ``fairbench.api.Rule`` reads it.

    Raises:
        SuiteError: it is no rule, or no cell can be chosen anew.
    """
    wanted = Rule.parse(rule)
    records = [_chosen(record, wanted) for record in results.records]
    kept = [record.cell.method.name for record in finished(records) if record.rule != str(wanted)]
    if finished(records) and len(kept) == len(finished(records)):
        where = f" of {results.path}" if results.path else ""
        raise SuiteError(
            f"no cell{where} keeps what a rule saw on validation, so none can be chosen anew by {str(wanted)!r}; the "
            "scenarios sweep, search, selected, tuned and tuned_together keep it: run one of them with this fairbench"
        )
    about: dict[str, Any] = {"rule": str(wanted), "kept": list(dict.fromkeys(kept))}
    whole = None if results.whole is None else chosen_by(results.whole, rule)
    return replace(results, records=records, run={**results.run, RECHOSEN: about}, whole=whole)


def rechosen_notes(results: Results) -> Iterable[str]:
    """Yield by which rule the points of ``results`` were chosen anew, and for which methods they were not."""
    about = results.run.get(RECHOSEN)
    if about:
        yield f"operating points are those that the rule {about['rule']!r} chooses on validation, not the run's own"
        if about["kept"]:
            yield f"as the run chose them, for lack of stored validation counts: {', '.join(about['kept'])}"


def _chosen(record: Record, rule: Rule) -> Record:
    """Return the record with the rule's choice; the record itself if there is none."""
    seen = seen_on_validation(record)
    if seen is None:
        return record
    try:
        found = rule.choose(seen)
    except NotApplicable:
        return record
    diagnostics = {**record.diagnostics, "infeasible": (float(not found.feasible),)}
    return replace(record, chosen=found.label, diagnostics=diagnostics, rule=str(rule))
