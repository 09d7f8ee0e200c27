"""What reports and papers' tests need to read a run: values, intervals and the coin.

``Measured`` finds the values of one record, ``series`` a metric by repeat, ``estimate`` its mean and spread;
``sections`` and ``by_method`` group the records of a run. ``overlap_correction`` says which intervals over repeats are
valid, and ``corrected_t`` computes them. ``constant_accuracy`` and ``against_coin`` compare a method with trivial ones.
Figures share ``SETTINGS`` and ``STYLES`` (colour and marker), and import matplotlib with ``require_matplotlib``.
"""

from fairbench.analysis.baselines import Baseline, baseline_of
from fairbench.analysis.counts import Counts, StoredRows, count, count_jointly, stored_rows
from fairbench.analysis.drawing import BLACK, BLUE, DOTS_PER_INCH, SETTINGS, STYLES, require_matplotlib
from fairbench.analysis.intervals import (
    NO_INTERVAL,
    CorrectedT,
    Correction,
    corrected_t,
    overlap_correction,
)
from fairbench.analysis.lines import (
    AboveCoin,
    against_coin,
    coin_accuracy,
    constant_accuracy,
)
from fairbench.analysis.values import (
    Estimate,
    Measured,
    alike_count,
    by_method,
    chosen_points,
    estimate,
    finished,
    frame,
    grouped,
    identity,
    only,
    planned_repeats,
    rows,
    runs_within,
    sections,
    series,
    supports,
    telling_parameters,
)

__all__ = [
    "BLACK",
    "BLUE",
    "DOTS_PER_INCH",
    "NO_INTERVAL",
    "SETTINGS",
    "STYLES",
    "AboveCoin",
    "Baseline",
    "CorrectedT",
    "Correction",
    "Counts",
    "Estimate",
    "Measured",
    "StoredRows",
    "against_coin",
    "alike_count",
    "baseline_of",
    "by_method",
    "chosen_points",
    "coin_accuracy",
    "constant_accuracy",
    "corrected_t",
    "count",
    "count_jointly",
    "estimate",
    "finished",
    "frame",
    "grouped",
    "identity",
    "only",
    "overlap_correction",
    "planned_repeats",
    "require_matplotlib",
    "rows",
    "runs_within",
    "sections",
    "series",
    "stored_rows",
    "supports",
    "telling_parameters",
]
