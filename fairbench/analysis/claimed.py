"""The attainable line's optimism: what its fit claims at each tolerance, beside what is measured on the test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.analysis.columns import series
from fairbench.analysis.verdicts import SHORT, SectionLines


@dataclass(frozen=True)
class Claimed:
    """An operating point of ``attainable``, means over repeats, as fractions.

    Args:
        tolerance: the largest gap that it allows on the rows that it was fitted on.
        claimed_accuracy: on those rows.
        claimed_gap: likewise.
        accuracy: on the test part.
        gap: likewise.
        n: repeats.
    """

    tolerance: float
    claimed_accuracy: float
    claimed_gap: float
    accuracy: float
    gap: float
    n: int

    @property
    def optimism(self) -> tuple[float, float]:
        """Return by how much accuracy was claimed too high, and the gap too narrow."""
        return self.claimed_accuracy - self.accuracy, self.gap - self.claimed_gap


def claimed_points(lines: SectionLines, metric: str) -> list[Claimed]:
    """Return the points of ``attainable`` for a ``metric`` in a section with these ``lines``, by rising tolerance."""
    found = []
    short = SHORT.get(metric, "")
    diagnostics = [record.diagnostics for record in lines.attainable]
    tolerances = sorted({tolerance for curves in diagnostics for tolerance in curves.get("tolerance", ())})
    for tolerance in tolerances:
        point = f"{short}<={tolerance:g}"
        gaps, accuracy = (series(lines.attainable, name, point=point) for name in (metric, "accuracy"))
        rows = []
        for record in lines.attainable:
            said = _said(record.diagnostics, short, tolerance)
            if said is not None and record.cell.repeat in gaps.keys() & accuracy.keys():
                rows.append((*said, accuracy[record.cell.repeat], gaps[record.cell.repeat]))
        if rows:
            said_accuracy, said_gap, measured, gap = (float(mean) for mean in np.mean(rows, axis=0))
            found.append(Claimed(tolerance, said_accuracy, said_gap, measured, gap, len(rows)))
    return found


def _said(curves: Mapping[str, Sequence[float]], short: str, tolerance: float) -> Optional[tuple[float, float]]:
    """Return accuracy and gap on the rows that a repeat was fitted on; None if it has no such point."""
    tolerances = list(curves.get("tolerance", ()))
    claims = [curves.get(f"claimed_{what}_{short}", ()) for what in ("accuracy", "gap")]
    if tolerance not in tolerances or any(len(claim) != len(tolerances) for claim in claims):
        return None
    place = tolerances.index(tolerance)
    return claims[0][place], claims[1][place]
