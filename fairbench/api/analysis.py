"""What reports and papers' tests need to read a run: values, intervals and the coin.

``Measured`` finds the values of one record, ``series`` a metric by repeat, ``estimate`` its mean and spread;
``sections`` and ``by_method`` group the records of a run. ``overlap_correction`` says which intervals over repeats are
valid, and ``corrected_t`` computes them. ``constant_accuracy`` and ``against_coin`` compare a method with trivial ones,
``Line`` with any reference line.
Figures share ``SETTINGS`` and ``STYLES`` (colour and marker), and import matplotlib with ``require_matplotlib``.
Within one test part, ``gap_interval`` and ``accuracy_interval`` say what its rows leave open, ``noise_floor`` how large
a gap is without any unfairness, and ``draw_jointly`` draws test parts for two methods at once.
"""

from fairbench.analysis.arbitrariness import FEW_PEOPLE, Arbitrariness, Consistency, arbitrariness
from fairbench.analysis.baselines import (
    Baseline,
    baseline_of,
    names_of,
)
from fairbench.analysis.claimed import Claimed, claimed_points
from fairbench.analysis.counts import (
    Counts,
    StoredRows,
    count,
    count_jointly,
    stored_rows,
)
from fairbench.analysis.drawing import (
    BLACK,
    BLUE,
    DOTS_PER_INCH,
    SETTINGS,
    STYLES,
    require_matplotlib,
)
from fairbench.analysis.gaps import (
    GAPS,
    Direction,
    Gap,
    RowInterval,
    RowSpread,
    accuracy_interval,
    debiased,
    gap,
    gap_interval,
    row_spread,
    row_variance,
)
from fairbench.analysis.intervals import (
    NO_INTERVAL,
    CorrectedT,
    Correction,
    corrected_t,
    overlap_correction,
)
from fairbench.analysis.lines import (
    AboveLine,
    Line,
    Vertex,
    against_coin,
    coin,
    coin_accuracy,
    constant_accuracy,
)
from fairbench.analysis.multiverse import Compared, Finding, Multiverse, multiverses
from fairbench.analysis.noise import (
    NoiseFloor,
    floor_over_repeats,
    gap_of_mean,
    noise_floor,
)
from fairbench.analysis.resampling import (
    CountDraws,
    draw_counts,
    draw_jointly,
    percentiles,
)
from fairbench.analysis.standings import Standing, Standings, section_standings
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
from fairbench.analysis.variance import SOURCES, Shares, Source, variance_shares
from fairbench.analysis.verdicts import SectionLines, Verdict

__all__ = [
    "Claimed",
    "claimed_points",
    "Compared",
    "Finding",
    "Multiverse",
    "multiverses",
    "SectionLines",
    "Standing",
    "Standings",
    "Verdict",
    "section_standings",
    "AboveLine",
    "BLACK",
    "BLUE",
    "Arbitrariness",
    "FEW_PEOPLE",
    "SOURCES",
    "Baseline",
    "Consistency",
    "CorrectedT",
    "Correction",
    "CountDraws",
    "Counts",
    "DOTS_PER_INCH",
    "Direction",
    "Estimate",
    "GAPS",
    "Gap",
    "Line",
    "Measured",
    "NO_INTERVAL",
    "NoiseFloor",
    "RowInterval",
    "RowSpread",
    "SETTINGS",
    "STYLES",
    "Shares",
    "Source",
    "StoredRows",
    "Vertex",
    "accuracy_interval",
    "against_coin",
    "alike_count",
    "arbitrariness",
    "baseline_of",
    "by_method",
    "chosen_points",
    "coin",
    "coin_accuracy",
    "constant_accuracy",
    "corrected_t",
    "count",
    "count_jointly",
    "debiased",
    "draw_counts",
    "draw_jointly",
    "estimate",
    "finished",
    "floor_over_repeats",
    "frame",
    "gap",
    "gap_interval",
    "gap_of_mean",
    "grouped",
    "identity",
    "names_of",
    "noise_floor",
    "only",
    "overlap_correction",
    "percentiles",
    "planned_repeats",
    "require_matplotlib",
    "row_spread",
    "row_variance",
    "rows",
    "runs_within",
    "sections",
    "series",
    "stored_rows",
    "supports",
    "telling_parameters",
    "variance_shares",
]
