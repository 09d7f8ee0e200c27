"""The cost of an epoch of FairBiNN relative to one of the Lagrangian baseline."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from fairbench.api import Evidence, Record, Undefined

BILEVEL, BASELINE = "fairbinn_coupled", "lagrangian_dp"


def epoch_cost(records: Sequence[Record]) -> Evidence:
    """Return the ratio of CPU seconds per epoch, FairBiNN as released divided by the baseline.

    Args:
        records: finished cells of one dataset, with one variant of either method; other methods are ignored.

    Raises:
        Undefined: the two methods have no repeat in common.
    """
    mine, theirs = (_pace(records, name) for name in (BILEVEL, BASELINE))
    ratios = {repeat: mine[repeat] / theirs[repeat] for repeat in sorted(mine.keys() & theirs.keys())}
    if not ratios:
        raise Undefined(f"{BILEVEL} and {BASELINE} have no repeat in common")
    spread = f" ± {statistics.stdev(ratios.values()):.2f}" if len(ratios) > 1 else ""
    rows = [
        {
            "repeat": str(repeat + 1),
            BILEVEL: f"{mine[repeat]:.3f}",
            BASELINE: f"{theirs[repeat]:.3f}",
            "ratio": f"{ratio:.2f}",
        }
        for repeat, ratio in ratios.items()
    ]
    return Evidence(
        f"{statistics.fmean(ratios.values()):.2f}{spread} by CPU time",
        [
            "The ratio is taken within repeats (mean ± standard deviation over them). CPU seconds per epoch are those "
            "of the whole cell divided by its number of epochs, so the work that both methods share (preparation, "
            "validation) draws the ratio towards 1."
        ],
        {"CPU seconds per epoch, and their ratio": rows},
    )


def _pace(records: Sequence[Record], name: str) -> dict[int, float]:
    return {
        record.cell.repeat: record.cpu_seconds / len(record.diagnostics["validation_loss"])
        for record in records
        if record.cell.method.name == name
    }
