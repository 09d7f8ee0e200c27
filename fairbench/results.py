"""Everything a finished (or interrupted) run holds, as reports read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairbench.cells import Record
from fairbench.values import show_params


@dataclass(frozen=True)
class Results:
    """The records of a run, in the order of its plan.

    Args:
        records: one for each finished, skipped or failed cell.
        run: what produced them: suite, versions, platform, dataset digests and notes (``run.json``).
        planned: how many cells the suite has.
        labels: heading of each metric, and which direction is better, by name: ``{"accuracy": ("acc.", "higher")}``.
    """

    records: Sequence[Record]
    run: Mapping[str, Any]
    planned: int
    labels: Mapping[str, tuple[str, str]]

    @property
    def unfinished(self) -> str:
        """Return how many cells have not been run yet, in words; nothing if all have."""
        left = self.planned - len(self.records)
        return f"{left} of {self.planned} cell{'' if self.planned == 1 else 's'} not run yet" if left > 0 else ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every stored value as one flat row; a skipped or failed cell yields one row without a value."""
        for record in self.records:
            cell = record.cell
            shared = {
                "scenario": str(cell.scenario),
                "dataset": str(cell.dataset),
                "sensitive": cell.group,
                "scale": cell.preparation.scale,
                "sensitive_as_feature": cell.preparation.sensitive_as_feature,
                "stratify": cell.preparation.stratify,
                "method": cell.method.name,
                "parameters": show_params(cell.method.params),
                "repeat": cell.repeat,
            }
            ending = {"status": record.status, "seconds": record.seconds, "cell": cell.key}
            empty = {"step": None, "point": "", "chosen": False, "group": "", "metric": "", "value": None}
            if not record.values:
                yield {**shared, **empty, "reason": record.reason, **ending}
            for step, point, group, metric, value, reason in record.values:
                measured = {"step": step, "point": point, "chosen": point == record.chosen}
                yield {
                    **shared,
                    **measured,
                    "group": group,
                    "metric": metric,
                    "value": value,
                    "reason": reason,
                    **ending,
                }
