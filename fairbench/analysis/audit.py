"""What can be said of predictions that somebody else made: every number and verdict that a run of one repeat gives.

Metrics are those of the plugins; gaps come with the interval of the rows, the noise floor and the smallest gap that so
many rows can show. A verdict needs a baseline. The coin mixes a baseline with a constant prediction, and a line drawn
through the predictions themselves passes through them: it would judge nothing. Without a baseline one thing remains
true whatever the baseline would be: every coin is at least as accurate as the better constant prediction, so what is
less accurate than that lies below every coin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Optional

import numpy as np

from fairbench.analysis.audited import UNKNOWN, Audited, Excluded, Grouping
from fairbench.analysis.baselines import NAMED, Baseline
from fairbench.analysis.counts import Counts, StoredRows, count
from fairbench.analysis.gaps import GAPS, RowInterval, accuracy_interval, gap, gap_interval
from fairbench.analysis.impact import Impact, impact_ratios
from fairbench.analysis.intervals import Correction
from fairbench.analysis.lines import AboveLine
from fairbench.analysis.noise import NoiseFloor, noise_floor
from fairbench.analysis.power import Detectable, detectable_gap, too_small
from fairbench.analysis.ratios import RATIOS, RatioLines
from fairbench.analysis.resampling import draw_counts, percentiles
from fairbench.analysis.verdicts import SectionLines, Verdict
from fairbench.cells import Cell, Choice
from fairbench.data.alike import decides_alike
from fairbench.data.rows import Predictions
from fairbench.errors import DataError, FairbenchError
from fairbench.plugins.components import Metric
from fairbench.plugins.loading import entry_points, load_plugins
from fairbench.plugins.registry import BUILT_IN, Registry
from fairbench.records import DONE, Record, Value
from fairbench.running.outcomes import measure, said
from fairbench.running.truth import Truth
from fairbench.system.output import output_on_stderr

WITHOUT_LABELS = (
    "n",
    "selection_rate",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "mean_score_difference",
    "constant_classifier",
    "group_only_classifier",
)
"""The metrics that are the same whatever the labels are."""

NOT_THERE = "an audit has no features, so a metric that reads X has no value"
NOT_SAID = "nobody has said which group is protected (--protected), and a file of predictions knows no keys"
LACKING = "some category lacks the rows for it"
NO_BASELINE = (
    "No verdict against a coin: it mixes a baseline with a constant prediction, and drawn through these predictions "
    "themselves it would pass through them. Decisions of a reference model about the same rows, in a column of the "
    "same file, make it possible (--baseline COLUMN)."
)


@dataclass(frozen=True)
class GapFinding:
    """One kind of gap between the categories of a grouping.

    Args:
        metric: one of ``GAPS``.
        rows: the gap with the interval that the rows leave.
        rate, above, below: where it is largest: in which rate, between which categories; empty without a gap.
        signed: the protected category's rate minus the other's, with its interval, if there are two categories and one
            is named as protected; else None.
        floor: what chance alone shows; None without a gap.
        smallest: the smallest gap that these rows can show; None without a gap.
        verdict: against the coin of the baseline; None without a baseline.
    """

    metric: str
    rows: RowInterval
    rate: str = ""
    above: str = ""
    below: str = ""
    signed: Optional[tuple[float, float, float]] = None
    floor: Optional[NoiseFloor] = None
    smallest: Optional[Detectable] = None
    verdict: Optional[Verdict] = None

    @property
    def faint(self) -> bool:
        """Return whether the gap is smaller than what these rows can show, and its interval holds 0."""
        if self.rows.value is None or self.rows.low is None or self.smallest is None:
            return False
        return too_small(self.rows.value, self.rows.low, self.smallest)


@dataclass(frozen=True)
class Findings:
    """What is found by one attribute, or by all of them together.

    Args:
        grouping: the attributes and the categories that are compared.
        rows: number of rows of these whose label is known, from which all but ``impact`` follows.
        impact: selection and impact ratio of each category, of those that are left out too, whether the label is known
            or not.
        values: of every metric, over all rows and within each category.
        gaps: by kind.
        ratios: verdicts on ratios between categories; empty without a baseline.
        accuracy: over all rows, with its interval; None without labels.
        above_constant: accuracy minus that of the better constant prediction; None without labels.
        constant: what the better constant prediction is, 0 or 1.
        alike: whether nearly everybody is decided alike, so that gaps mean nothing.
    """

    grouping: Grouping
    rows: int
    impact: tuple[Impact, ...]
    values: tuple[Value, ...]
    gaps: tuple[GapFinding, ...]
    ratios: tuple[Verdict, ...] = ()
    accuracy: Optional[RowInterval] = None
    above_constant: Optional[AboveLine] = None
    constant: int = 0
    alike: bool = False


@dataclass(frozen=True, eq=False)
class Audit:
    """An audit's findings by grouping, the whole register of what was left out, and what a reader must know."""

    audited: Audited
    findings: tuple[Findings, ...]
    register: tuple[Excluded, ...]
    notes: tuple[str, ...]


class _Held(StoredRows):
    """Predictions in memory, by the key of the cell that stands for them, where a run has a store."""

    def __init__(self, held: Mapping[str, tuple[Truth, Predictions]]) -> None:
        super().__init__(None)
        self._held = held

    def predictions(self, record: Record, point: Optional[str] = None) -> Optional[tuple[Truth, Predictions]]:
        return self._held[record.cell.key]


def metric_plugins(files: Sequence[str] = ()) -> Registry:
    """Return a registry with the metrics of fairbench, of other distributions and of local ``files``.

    fairbench's methods are not loaded: an audit runs none.

    Raises:
        PluginError: a local file cannot be used.
    """
    others = [point.name for point in entry_points() if point.distribution != BUILT_IN]
    return load_plugins(files, ("fairbench_metrics", *others))[0]


def audit_predictions(audited: Audited, registry: Registry) -> Audit:
    """Return everything that the predictions show.

    Raises:
        DataError: no row has both a label and a category.
    """
    findings = tuple(_findings(audited, grouping, registry) for grouping in audited.groupings)
    small = [
        Excluded(found.grouping.name, one.category, one.rows, f"{one.reason}: left out of every comparison", one.rate)
        for found in findings
        for one in found.impact
        if one.excluded
    ]
    return Audit(audited, findings, (*audited.register, *small), (*audited.notes, *_notes(audited, findings)))


def _notes(audited: Audited, findings: Sequence[Findings]) -> list[str]:
    notes, question = [], audited.question
    if question.scoring:
        notes.append(
            f"Scores alone decide nothing (--threshold would): a row counts as selected if its score is above the "
            f"median, {audited.median:g}, so rates are scoring rates, and no label is used."
        )
    elif audited.y is None:
        notes.append("Without --label nobody knows which decisions were right: only rates of selection are compared.")
    elif audited.baseline is None:
        notes.append(NO_BASELINE)
    if audited.score is not None and not question.scoring and not _are_chances(audited):
        low, high = audited.score.min(), audited.score.max()
        notes.append(f"Scores run from {low:g} to {high:g}; metrics of scores need [0, 1], and are left out.")
    every = [value for found in findings for value in found.values if value.metric == "roc_auc" and not value.group]
    auc = min((value.value for value in every if value.value is not None), default=1.0)
    if auc < 0.5:
        notes.append(
            f"The scores order the rows against the label (ROC AUC {auc:.2f}): they should be high where the "
            f"favourable outcome, {audited.favorable}, is likely."
        )
    return notes


def _are_chances(audited: Audited) -> bool:
    return audited.score is not None and bool(audited.score.min() >= 0 and audited.score.max() <= 1)


def _findings(audited: Audited, grouping: Grouping, registry: Registry) -> Findings:
    known = grouping.code != UNKNOWN
    impact = impact_ratios(
        grouping.categories,
        np.bincount(grouping.code[known], audited.decision[known]).tolist(),
        np.bincount(grouping.code[known]).tolist(),
        audited.question.exclude_small,
    )
    grouping = grouping.without([one.category for one in impact if one.excluded])
    known = grouping.code != UNKNOWN
    if audited.y is not None:
        known = known & (audited.y != UNKNOWN)
    if not known.any():
        raise DataError(f"no row has a label and a category of {grouping.name!r} that counts; nothing can be measured")
    truth = Truth(
        np.zeros(int(known.sum()), np.int64) if audited.y is None else audited.y[known],
        grouping.code[known],
        grouping.categories,
        grouping.protected,
        None if grouping.protected is None else 1,
    )
    score = audited.score[known] if audited.score is not None and _are_chances(audited) else None
    own = Predictions(audited.decision[known], score)
    names = [name for name in registry.names("metrics") if audited.y is not None or name in WITHOUT_LABELS]
    measured = partial(_values, truth, [registry.metric(name) for name in names])
    values, counts = measured(own), count(truth, own)
    kinds = [metric for metric in GAPS if metric in names]
    verdicts: dict[str, Verdict] = {}
    ratios: tuple[Verdict, ...] = ()
    if audited.baseline is not None:
        lines, records = _lines(audited, grouping, truth, (own, Predictions(audited.baseline[known])), measured)
        verdicts = {metric: _worded(lines.verdict(records, metric)) for metric in kinds}
        ratios = tuple(_worded(RatioLines(lines).verdict(records, metric)) for metric in RATIOS if metric in names)
    gaps = tuple(_gap(counts, metric, grouping.protected, verdicts.get(metric)) for metric in kinds)
    alike = decides_alike(truth.y, own)
    if audited.y is None:
        return Findings(grouping, len(truth.y), tuple(impact), values, gaps, alike=alike)
    constant = int(truth.y.mean() >= 0.5)
    above, accuracy = _above_constant(counts, constant), accuracy_interval(counts)
    return Findings(grouping, len(truth.y), tuple(impact), values, gaps, ratios, accuracy, above, constant, alike)


def _values(truth: Truth, metrics: Sequence[Metric], predictions: Predictions) -> tuple[Value, ...]:
    """Return what each metric measures; one that raises has no value, and harms no other."""
    found: list[Value] = []
    with output_on_stderr():
        for metric in metrics:
            try:
                found += measure(truth.samples(NOT_THERE, NOT_SAID), predictions, [metric])
            except Exception as error:
                reason = said(error) if isinstance(error, FairbenchError) else f"{type(error).__name__}: {said(error)}"
                found.append(Value(0, "", "", metric.name, None, f"the metric failed: {reason}"))
    return tuple(found)


def _lines(
    audited: Audited,
    grouping: Grouping,
    truth: Truth,
    both: tuple[Predictions, Predictions],
    measured: Callable[[Predictions], tuple[Value, ...]],
) -> tuple[SectionLines, list[Record]]:
    """Return the coin of the baseline, and the predictions as the records of a run of one repeat."""
    question, held, records = audited.question, {}, []
    for name, predictions in zip(("predictions", question.baseline), both):
        cell = Cell(Choice(question.path.name), Choice(name, {"audited": name == "predictions"}), grouping.name, 0)
        alike = ((0, ""),) if decides_alike(truth.y, predictions) else ()
        records.append(Record(cell, DONE, values=measured(predictions), alike=alike))
        held[cell.key] = (truth, predictions)
    baseline = Baseline((records[1],), NAMED, question.baseline)
    return SectionLines(baseline, {0: float(truth.y.mean())}, Correction(None), records, _Held(held)), records[:1]


def _worded(verdict: Verdict) -> Verdict:
    """Return the verdict with the only reason for which an audit with a baseline has none."""
    return replace(verdict, reason=LACKING) if verdict.above is None else verdict


def _gap(counts: Counts, metric: str, protected: Optional[int], verdict: Optional[Verdict]) -> GapFinding:
    interval, direction = gap_interval(counts, metric), gap(counts, metric).direction
    if direction is None:
        return GapFinding(metric, interval, verdict=verdict)
    signed = None
    if interval.signed is not None and protected is not None and len(counts.groups) == 2:
        rates, (low, high) = counts.rates(direction.rate), interval.signed
        ends = (low, high) if protected == 0 else (-high, -low)
        signed = (float(rates[protected] - rates[1 - protected]), *ends)
    return GapFinding(
        metric,
        interval,
        direction.rate,
        counts.groups[direction.above],
        counts.groups[direction.below],
        signed,
        noise_floor(counts, metric),
        detectable_gap([counts], metric, None),
        verdict,
    )


def _above_constant(counts: Counts, constant: int) -> AboveLine:
    """Return the accuracy above that of a constant prediction, with the interval that the rows leave."""
    drawn = draw_counts(counts)
    ones = drawn.rows[:, :, 1].sum(axis=1) / drawn.rows.sum(axis=(1, 2))
    share = float(counts.rows[:, 1].sum() / counts.rows.sum())
    limits = percentiles(drawn.accuracy - (ones if constant else 1 - ones))
    value = counts.accuracy - (share if constant else 1 - share)
    low, high = limits or (None, None)
    return AboveLine(value, low, high, 1)
