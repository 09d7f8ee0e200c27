"""Whether a paper's claims about its tables hold: paired differences between two rows, or the paper's own tests.

A claim of many comparisons is read twice: each comparison by itself, and with Holm's correction over all comparisons of
the claim, since of many comparisons some are "held" by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable, Optional

from fairbench.analysis.intervals import LEVEL, NO_INTERVAL, CorrectedT, corrected_t
from fairbench.analysis.ranks import holm
from fairbench.analysis.values import finished
from fairbench.cells import Choice
from fairbench.errors import Undefined
from fairbench.papers.columns import Column
from fairbench.papers.grids import Grid, Key
from fairbench.papers.measured import Measurements
from fairbench.papers.published import LOWER, Claim, Pair
from fairbench.plugins.components import Evidence
from fairbench.records import Record

HELD, CONTRARY, OPEN, MISSING = "held", "did not hold", "not told apart", "not run"
PARTLY, MIXED = "held in part", "mixed"
Test = Callable[[Sequence[Record]], Evidence]


@dataclass(frozen=True)
class Contrast:
    """One comparison of a claim on one dataset.

    Args:
        dataset: where.
        labels: of the two rows, as in the paper or the suite.
        column: what was compared.
        published: published difference between the means, or None.
        measured: the paired differences, method minus other; None where there are none.
        outcome: ``held``, ``did not hold``, ``not told apart``, ``no valid interval`` or ``not run``, by itself.
        adjusted: p after Holm's correction over the claim's comparisons; None if there is no valid interval.
        alike: in how many repeats the first row makes the same decision for everybody, and how many there are.
    """

    dataset: str
    labels: tuple[str, str]
    column: Column
    published: Optional[float]
    measured: Optional[CorrectedT]
    outcome: str
    alike: tuple[int, int]
    adjusted: Optional[float] = None

    @property
    def corrected(self) -> str:
        """Return the outcome after Holm's correction: as by itself, or ``not told apart``."""
        decided = self.outcome in (HELD, CONTRARY)
        return OPEN if decided and self.adjusted is not None and self.adjusted > 1 - LEVEL else self.outcome

    @property
    def mostly_alike(self) -> bool:
        """Return whether the first row makes the same decision for everybody in most repeats."""
        return 2 * self.alike[0] > self.alike[1]


@dataclass(frozen=True)
class Trial:
    """The result of the paper's own test on one dataset: evidence, or the reason why there is none."""

    dataset: str
    evidence: Optional[Evidence]
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Return the evidence's verdict, or ``not run`` with the reason."""
        return f"{MISSING} ({self.reason})" if self.evidence is None else self.evidence.verdict


@dataclass(frozen=True)
class Judgement:
    """A claim under a protocol, with all its comparisons or, if it has a test of its own, that test's results."""

    claim: Claim
    protocol: str
    contrasts: tuple[Contrast, ...]
    trials: tuple[Trial, ...] = ()

    @property
    def outcomes(self) -> list[str]:
        """Return the outcomes of the comparisons that were run, each by itself."""
        return [contrast.outcome for contrast in self.contrasts if contrast.outcome != MISSING]

    @property
    def outcome(self) -> str:
        """Return the verdict from the comparisons by themselves."""
        return verdict(self.outcomes)

    @property
    def corrected_outcomes(self) -> list[str]:
        """Return the outcomes after Holm's correction over the comparisons."""
        return [contrast.corrected for contrast in self.contrasts if contrast.outcome != MISSING]

    @property
    def corrected(self) -> str:
        """Return the verdict after Holm's correction."""
        return verdict(self.corrected_outcomes)

    @property
    def chance(self) -> Chance:
        """Return how many comparisons would have held by chance."""
        tested = len(self.outcomes) - self.outcomes.count(NO_INTERVAL)
        return Chance(tested, self.outcomes.count(HELD))


@dataclass(frozen=True)
class Chance:
    """What chance alone would do to ``n`` comparisons without any difference, of which ``held`` held by themselves.

    The claimed side of an interval of 95% is missed by chance in 2.5%. The comparisons of a claim share rows and
    splits, so the probability, which takes them as independent, is a guide.
    """

    n: int
    held: int

    @property
    def expected(self) -> float:
        """Return how many comparisons are held by chance on average."""
        return self.n * (1 - LEVEL) / 2

    @property
    def probability(self) -> float:
        """Return the binomial probability that at least as many as were seen are held by chance."""
        from scipy.stats import binom

        return float(binom.sf(self.held - 1, self.n, (1 - LEVEL) / 2))


def verdict(outcomes: Sequence[str]) -> str:
    """Return the verdict on a claim from the outcomes of its comparisons that were run.

    ``held`` if all held, ``mixed`` if some held and others lie on the other side, ``held in part`` if some held and
    none lies there, ``did not hold`` if none held and some lie there, else ``not told apart``.
    """
    if not outcomes:
        return MISSING
    if set(outcomes) == {NO_INTERVAL}:
        return NO_INTERVAL
    if HELD in outcomes:
        return HELD if set(outcomes) == {HELD} else MIXED if CONTRARY in outcomes else PARTLY
    return CONTRARY if CONTRARY in outcomes else OPEN


def judge(difference: Optional[CorrectedT], expected: str) -> str:
    """Return the outcome of one comparison: on which side of 0 the interval of the difference lies."""
    if difference is None:
        return MISSING
    if difference.low is None or difference.high is None:
        return NO_INTERVAL
    if difference.low <= 0 <= difference.high:
        return OPEN
    return HELD if (difference.high < 0) == (expected == LOWER) else CONTRARY


def judge_claim(claim: Claim, grid: Grid, measurements: Measurements, tests: Mapping[str, Test]) -> Judgement:
    """Return the claim with its comparisons on every dataset of the grid that has both rows, or with its trials."""
    if claim.test:
        trials = tuple(_try(tests[claim.test], grid, dataset, measurements) for dataset in grid.datasets)
        return Judgement(claim, grid.protocol.name, (), trials)
    contrasts = []
    for dataset in grid.datasets:
        for pair in claim.pairs:
            if pair.datasets and dataset not in pair.datasets:
                continue
            keys = (
                grid.find(dataset, pair.method, pair.scenario),
                grid.find(dataset, pair.against, pair.against_scenario),
            )
            if keys[0] is None or keys[1] is None:
                continue
            for column in claim.columns:
                contrasts.append(_contrast(claim, grid, dataset, pair, (keys[0], keys[1]), column, measurements))
    return Judgement(claim, grid.protocol.name, adjust(contrasts))


def adjust(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Return the contrasts with p after Holm's correction over those that have a valid interval."""
    p = {
        place: 1.0 if contrast.measured.p is None else contrast.measured.p  # all differences are 0
        for place, contrast in enumerate(contrasts)
        if contrast.measured is not None and contrast.measured.low is not None
    }
    adjusted = dict(zip(p, holm(list(p.values()))))
    return tuple(replace(contrast, adjusted=adjusted.get(place)) for place, contrast in enumerate(contrasts))


def _try(test: Test, grid: Grid, dataset: str, measurements: Measurements) -> Trial:
    cells = (cell for (name, *_), row in grid.cells.items() if name == dataset for cell in row)
    found = [measurements.records[cell.key] for cell in cells if cell.key in measurements.records]
    try:
        return Trial(dataset, test(finished(found)))
    except Undefined as reason:
        return Trial(dataset, None, str(reason))


def _contrast(
    claim: Claim,
    grid: Grid,
    dataset: str,
    pair: Pair,
    keys: tuple[Key, Key],
    column: Column,
    measurements: Measurements,
) -> Contrast:
    first, second = (measurements.series(grid, key, column) for key in keys)
    differences = [first[repeat] - second[repeat] for repeat in sorted(first.keys() & second.keys())]
    ratio = measurements.correction(grid, dataset).ratio
    measured = corrected_t(differences, ratio) if differences else None
    return Contrast(
        dataset,
        (_label(pair.method, pair.scenario), _label(pair.against, pair.against_scenario)),
        column,
        _published_difference(grid, keys, column),
        measured,
        judge(measured, claim.expected),
        (measurements.alike(grid, keys[0]), len(first)),
    )


def _label(method: Choice, scenario: Optional[Choice]) -> str:
    return f"{method}, {scenario}" if scenario else str(method)


def _published_difference(grid: Grid, keys: Sequence[Key], column: Column) -> Optional[float]:
    """Return the difference between the published means of two rows, if both are published."""
    places = [place for place, known in enumerate(grid.table.columns) if known == column]
    means = []
    for key in keys:
        for line in grid.table.rows:
            if places and grid.find(str(line.dataset), line.method, line.scenario) == key:
                means.append(line.numbers[places[0]].mean)
    if len(means) != 2 or means[0] is None or means[1] is None:
        return None
    return means[0] - means[1]
