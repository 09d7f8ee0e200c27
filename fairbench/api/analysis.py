"""What reports and papers' tests need to read a run: values, intervals and the coin.

``Measured`` finds the values of one record, ``series`` a metric by repeat, ``estimate`` its mean and spread;
``sections`` and ``by_method`` group the records of a run. ``overlap_correction`` says which intervals over repeats are
valid, and ``corrected_t`` computes them. ``constant_accuracy`` and ``against_coin`` compare a method with trivial ones,
``Line`` with any reference line. ``within_dataset`` and ``across_datasets`` compare methods in tiers; ``hull``,
``heights`` and ``area_skill`` are of fronts.
Figures share ``SETTINGS`` and ``STYLES`` (colour and marker), and import matplotlib with ``require_matplotlib``.
Within one test part, ``gap_interval`` and ``accuracy_interval`` say what its rows leave open, ``noise_floor`` how large
a gap is without any unfairness, and ``draw_jointly`` draws test parts for two methods at once.
"""

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
from fairbench.analysis.fronts import AreaSkill, area_skill, attainment, gap_at, heights, hull, pareto
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
from fairbench.analysis.noise import (
    NoiseFloor,
    floor_over_repeats,
    gap_of_mean,
    noise_floor,
)
from fairbench.analysis.ranks import (
    AcrossDatasets,
    Placed,
    across_datasets,
    cannot_show,
    critical_difference,
    within_dataset,
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
    sections,
    series,
    supports,
    telling_parameters,
)
from fairbench.analysis.verdicts import SectionLines, Verdict

__all__ = [
    "BLACK",
    "BLUE",
    "DOTS_PER_INCH",
    "GAPS",
    "NO_INTERVAL",
    "SETTINGS",
    "STYLES",
    "AboveLine",
    "AcrossDatasets",
    "AreaSkill",
    "Baseline",
    "Claimed",
    "CorrectedT",
    "Correction",
    "CountDraws",
    "Counts",
    "Direction",
    "Estimate",
    "Gap",
    "Line",
    "Measured",
    "NoiseFloor",
    "Placed",
    "RowInterval",
    "RowSpread",
    "SectionLines",
    "Standing",
    "Standings",
    "StoredRows",
    "Verdict",
    "Vertex",
    "accuracy_interval",
    "across_datasets",
    "against_coin",
    "alike_count",
    "area_skill",
    "attainment",
    "baseline_of",
    "by_method",
    "cannot_show",
    "chosen_points",
    "claimed_points",
    "coin",
    "coin_accuracy",
    "constant_accuracy",
    "corrected_t",
    "count",
    "count_jointly",
    "critical_difference",
    "debiased",
    "draw_counts",
    "draw_jointly",
    "estimate",
    "finished",
    "floor_over_repeats",
    "frame",
    "gap",
    "gap_at",
    "gap_interval",
    "gap_of_mean",
    "grouped",
    "heights",
    "hull",
    "identity",
    "names_of",
    "noise_floor",
    "only",
    "overlap_correction",
    "pareto",
    "percentiles",
    "planned_repeats",
    "require_matplotlib",
    "row_spread",
    "row_variance",
    "rows",
    "section_standings",
    "sections",
    "series",
    "stored_rows",
    "supports",
    "telling_parameters",
    "within_dataset",
]
