"""What reports and papers' tests need to read a run: values, intervals, lines and comparisons.

``Measured`` finds the values of one record, ``series`` a metric by repeat, ``estimate`` its mean and spread;
``sections`` and ``by_method`` group the records of a run. ``overlap_correction`` says which intervals over repeats are
valid, and ``corrected_t`` computes them. Within one test part, ``gap_interval`` and ``accuracy_interval`` say what its
rows leave open, ``noise_floor`` how large a gap is without any unfairness, ``detectable_gap`` which one is the smallest
that can be shown; ``draw_jointly`` draws test parts for two methods at once.

``baseline_of`` says which method is a section's baseline, ``SectionLines`` draws its reference lines, ``RatioLines``
those of ratios, ``Line`` any other, and ``section_standings`` how each method stands. ``harm_between`` tells what a
method changes for each group; ``within_dataset`` and ``across_datasets`` compare methods in tiers; ``hull`` and
``area_skill`` are of fronts; ``selection`` compares choices with an oracle's, ``chosen_by`` lets
another rule choose, and ``ledger`` says what methods were given. Figures share ``SETTINGS`` and ``STYLES`` (colour and
marker), write texts beside dots with ``write_labels``, and import matplotlib with ``require_matplotlib``;
``without_formula`` makes a cell of a CSV file harmless to a spreadsheet.
"""

from fairbench.analysis.arbitrariness import (
    FEW_PEOPLE,
    Arbitrariness,
    Consistency,
    arbitrariness,
)
from fairbench.analysis.baselines import (
    Baseline,
    baseline_of,
    names_of,
)
from fairbench.analysis.claimed import (
    Claimed,
    claimed_points,
)
from fairbench.analysis.columns import (
    Columns,
    estimate_over,
    series,
)
from fairbench.analysis.counts import (
    Counts,
    StoredRows,
    count,
    count_jointly,
    positives,
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
from fairbench.analysis.fronts import (
    AreaSkill,
    area_skill,
    attainment,
    gap_at,
    heights,
    hull,
    pareto,
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
from fairbench.analysis.harm import (
    CORRECT,
    DESERVED,
    GIVEN,
    Change,
    Harm,
    Levelling,
    Served,
    harm_between,
)
from fairbench.analysis.intervals import (
    NO_INTERVAL,
    CorrectedT,
    Correction,
    corrected_t,
    overlap_correction,
)
from fairbench.analysis.labels import (
    Label,
    write_labels,
)
from fairbench.analysis.ledger import (
    Spent,
    budget_of,
    ledger,
)
from fairbench.analysis.lines import (
    AboveLine,
    Line,
    Vertex,
    against_coin,
    coin,
    constant_accuracy,
)
from fairbench.analysis.multiverse import (
    Compared,
    Finding,
    Multiverse,
    multiverses,
)
from fairbench.analysis.noise import (
    FAIR,
    NOT_FAIR,
    NoiseFloor,
    floor_over_repeats,
    gap_of_mean,
    noise_floor,
    signed_gap,
)
from fairbench.analysis.optimism import (
    Optimism,
    Selection,
    optimism,
    rule_of,
    selection,
)
from fairbench.analysis.power import (
    Detectable,
    detectable_gap,
    too_small,
)
from fairbench.analysis.ranks import (
    AcrossDatasets,
    Placed,
    across_datasets,
    cannot_show,
    critical_difference,
    within_dataset,
)
from fairbench.analysis.ratios import (
    RATIOS,
    RatioLines,
)
from fairbench.analysis.rechosen import (
    chosen_by,
    rechosen_notes,
    seen_on_validation,
)
from fairbench.analysis.resampling import (
    CountDraws,
    draw_counts,
    draw_jointly,
    percentiles,
)
from fairbench.analysis.sizes import (
    FEW_ROWS,
)
from fairbench.analysis.standings import (
    JUDGED,
    Standing,
    Standings,
    section_standings,
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
    measured_metrics,
    only,
    planned_repeats,
    rows,
    runs_within,
    sections,
    shown_parameters,
    supports,
    telling_parameters,
)
from fairbench.analysis.variance import (
    SOURCES,
    Shares,
    Source,
    variance_shares,
)
from fairbench.analysis.verdicts import (
    NO_ROOM,
    WIDER,
    WORSE,
    SectionLines,
    Verdict,
)
from fairbench.data.coin import (
    coin_accuracy,
)
from fairbench.texts import without_formula

__all__ = [
    "AboveLine",
    "AcrossDatasets",
    "Arbitrariness",
    "AreaSkill",
    "BLACK",
    "BLUE",
    "Baseline",
    "CORRECT",
    "Change",
    "Claimed",
    "Columns",
    "Compared",
    "Consistency",
    "CorrectedT",
    "Correction",
    "CountDraws",
    "Counts",
    "DESERVED",
    "DOTS_PER_INCH",
    "Detectable",
    "Direction",
    "Estimate",
    "FAIR",
    "FEW_PEOPLE",
    "FEW_ROWS",
    "Finding",
    "GAPS",
    "GIVEN",
    "Gap",
    "Harm",
    "JUDGED",
    "Label",
    "Levelling",
    "Line",
    "Measured",
    "Multiverse",
    "NOT_FAIR",
    "NO_INTERVAL",
    "NO_ROOM",
    "NoiseFloor",
    "Optimism",
    "Placed",
    "RATIOS",
    "RatioLines",
    "RowInterval",
    "RowSpread",
    "SETTINGS",
    "SOURCES",
    "STYLES",
    "SectionLines",
    "Selection",
    "Served",
    "Shares",
    "Source",
    "Spent",
    "Standing",
    "Standings",
    "StoredRows",
    "Verdict",
    "Vertex",
    "WIDER",
    "WORSE",
    "accuracy_interval",
    "across_datasets",
    "against_coin",
    "alike_count",
    "arbitrariness",
    "area_skill",
    "attainment",
    "baseline_of",
    "budget_of",
    "by_method",
    "cannot_show",
    "chosen_by",
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
    "detectable_gap",
    "draw_counts",
    "draw_jointly",
    "estimate",
    "estimate_over",
    "finished",
    "floor_over_repeats",
    "frame",
    "gap",
    "gap_at",
    "gap_interval",
    "gap_of_mean",
    "grouped",
    "harm_between",
    "heights",
    "hull",
    "identity",
    "measured_metrics",
    "ledger",
    "multiverses",
    "names_of",
    "noise_floor",
    "only",
    "optimism",
    "overlap_correction",
    "pareto",
    "percentiles",
    "planned_repeats",
    "positives",
    "rechosen_notes",
    "require_matplotlib",
    "row_spread",
    "row_variance",
    "rows",
    "rule_of",
    "runs_within",
    "section_standings",
    "seen_on_validation",
    "sections",
    "selection",
    "series",
    "shown_parameters",
    "signed_gap",
    "stored_rows",
    "supports",
    "telling_parameters",
    "too_small",
    "variance_shares",
    "within_dataset",
    "without_formula",
    "write_labels",
]
