"""What the report on a field shows, as neutral tables: rows of a dataset, datasets under a rule, methods over all."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairbench.api import Record
from fairbench.api.analysis import NO_ROOM, WIDER, WORSE, Baseline, Change, CorrectedT, Estimate, Spent, Standing
from fairbench_reports._ranked import Ranking
from fairbench_reports._table import Section

POST_PROCESSING = (
    "aif360_calibrated_eq_odds",
    "aif360_eq_odds",
    "aif360_reject_option",
    "fairlearn_threshold_optimizer",
    "parity_projection_posthoc",
    "threshold",
)
"""Methods that leave the model as it is and change its decisions."""
PLAIN = ("boosting", "logistic", "mlp", "mlp_regularised", "tree")
"""Models without any fairness method: what they gain over the baseline is tuning, or a better model."""


@dataclass(frozen=True)
class Harmed:
    """The group that a method serves worst against the baseline, and by how much its benefit changes."""

    group: str
    change: Change


@dataclass(frozen=True)
class FieldRow:
    """A method on one dataset under one rule.

    Args:
        label: the method, with those parameters that tell it from the section's other variants.
        method: its name.
        parameters: all of its parameters, as the command line reads them.
        repeats: how many are finished: "10", or "7/10" if some are missing.
        records: its finished repeats.
        cells: how many cells it has.
        failed: how many of them failed, in whatever way.
        skipped: how many were skipped, since the method does not apply.
        standing: gap, points above the coin and verdict; None without a finished repeat.
        spent: trials, fits and time; None likewise.
        cpu_seconds: of all its cells together, those without values included.
        cost: CPU time as a multiple of the baseline's; None if one of the two is not known.
        harmed: the group whose benefit falls most, or rises least; None if no group can be compared.
        accuracy: over the repeats.
        gap: likewise.
    """

    label: str
    method: str
    parameters: str
    repeats: str
    records: Sequence[Record]
    cells: int
    failed: int
    skipped: int
    standing: Standing | None
    spent: Spent | None
    cpu_seconds: float
    cost: float | None
    harmed: Harmed | None
    accuracy: Estimate
    gap: Estimate

    @property
    def side(self) -> int | None:
        """Return 1 above the coin, 0 not told apart from it, -1 below; None without a verdict."""
        above = self.standing.verdict.above if self.standing else None
        return above.side if above else None

    @property
    def points(self) -> float | None:
        """Return the points above the coin, a fraction; None without a verdict."""
        above = self.standing.verdict.above if self.standing else None
        return above.value if above else None

    @property
    def beside_common(self) -> int | None:
        """Return the same as ``side`` for the common threshold."""
        common = self.standing.verdict.common if self.standing else None
        return common.side if common else None

    @property
    def above_common(self) -> bool:
        """Return whether the method is above the coin, and above the common threshold too."""
        return self.side == 1 and self.beside_common == 1

    @property
    def remarks(self) -> list[str]:
        """Return of the verdict's notes those that tell its points from what a reader expects of them."""
        notes = self.standing.verdict.notes if self.standing else ()
        return [note for note in notes if note.startswith((WIDER, WORSE))]

    @property
    def wider(self) -> bool:
        """Return whether the gap is wider than the baseline's: points are then accuracy, and no fairness."""
        return WIDER in self.remarks

    @property
    def loses(self) -> bool:
        """Return whether a group's benefit falls beyond its interval."""
        return self.harmed is not None and self.harmed.change.fell


@dataclass(frozen=True)
class Board:
    """The methods on one dataset and attribute under one rule, in the order of the plan.

    Args:
        title: dataset and attribute, and what else tells it from the other boards.
        section: scenario, dataset, attribute and preparation.
        rows: of all methods but baseline and references.
        baseline: what they are compared with.
        tiers: by label, among the points above the coin; empty if no test is possible.
        budget: trials that the scenario grants each method; None if it says nothing.
        notes: what must be known of the dataset or of single methods, beside what the rows say.
    """

    title: str
    section: Section
    rows: Sequence[FieldRow]
    baseline: Baseline
    tiers: Mapping[str, int]
    budget: int | None
    notes: Sequence[str]

    @property
    def judged(self) -> list[FieldRow]:
        """Return the rows with a verdict."""
        return [row for row in self.rows if row.side is not None]

    @property
    def told_apart(self) -> bool:
        """Return whether any two methods are."""
        return len(set(self.tiers.values())) > 1

    @property
    def has_room(self) -> bool | None:
        """Return whether the attainable line is told apart from the coin at some method's gap; None if unknown.

        It is unknown without an attainable line, without a valid interval, and over a flat coin.
        """
        told = {row.standing.verdict.no_skill for row in self.rows if row.standing is not None}
        return True if "" in told else False if NO_ROOM in told else None


@dataclass(frozen=True)
class Overall:
    """A method over the datasets of one rule.

    Args:
        label: the method.
        rows: its rows, one for each dataset and attribute.
        points: mean of the points above the coin over datasets, a fraction, with Student's interval from 6 datasets on.
    """

    label: str
    rows: Sequence[FieldRow]
    points: CorrectedT | None

    def count(self, what: str) -> int:
        """Return on how many datasets the property holds, ``wider``, ``loses`` or ``above_common``."""
        return sum(bool(getattr(row, what)) for row in self.rows)

    def on_side(self, side: int | None) -> int:
        """Return on how many datasets the verdict is on a side of the coin."""
        return sum(row.side == side for row in self.rows)

    @property
    def judged(self) -> int:
        """Return on how many datasets there is a verdict."""
        return len(self.rows) - self.on_side(None)

    def median(self, numbers: Sequence[float | None]) -> float | None:
        """Return the median of those numbers that are known."""
        known = [number for number in numbers if number is not None]
        return statistics.median(known) if known else None

    @property
    def unequal(self) -> int:
        """Return on how many datasets the budget is unequal to the others'."""
        return sum(row.spent is not None and bool(row.spent.unequal) for row in self.rows)


@dataclass(frozen=True)
class UnderRule:
    """The field under one rule, in one setting: methods of others have other trials or features.

    Args:
        rule: in words.
        setting: scenario and preparation in words; empty if there are no others under the rule.
        metric: the gap that the rule is about, at which methods are judged.
        heading: the gap in words.
        boards: one for each dataset and attribute.
        overall: the methods, those first that are above the coin on most datasets, then by their mean points.
        rankings: by points above the coin, one for each setting.
        left_out: what the rankings leave out for want of repeats, in sentences.
        repeats: that the run asks for, on each dataset.
        kept: methods some cells of which are as the run's own rule chose, since they do not keep what it saw.
    """

    rule: str
    setting: str
    metric: str
    heading: str
    boards: Sequence[Board]
    overall: Sequence[Overall]
    rankings: Sequence[Ranking]
    left_out: Sequence[str]
    repeats: int
    kept: Sequence[str]

    @property
    def rows(self) -> list[FieldRow]:
        """Return the rows of all datasets."""
        return [row for board in self.boards for row in board.rows]
