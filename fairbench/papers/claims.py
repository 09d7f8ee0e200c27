"""Whether claims hold of rows: those of a reproduction's tables, or of a finished run.

A claim compares two rows by their paired differences, one row with the coin or with a range; or it is the paper's own
test. What is claimed holds if the whole interval lies where it is claimed to lie.

A claim of many comparisons is read twice: each comparison by itself, and with Holm's correction over all comparisons of
the claim, since of many comparisons some are "held" by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable, Optional, Union

from fairbench.analysis.intervals import LEVEL, NO_INTERVAL, CorrectedT, corrected_t
from fairbench.analysis.ranks import holm
from fairbench.analysis.values import finished
from fairbench.cells import Choice
from fairbench.errors import Undefined
from fairbench.papers.claim_form import SIDES, Claim, Loss, Pair, Range
from fairbench.papers.columns import Column
from fairbench.papers.grids import Grid
from fairbench.papers.measured import Measurements
from fairbench.papers.rows import GridRows, Place, Rows
from fairbench.plugins.components import Evidence
from fairbench.records import Record

HELD, CONTRARY, OPEN, MISSING = "held", "did not hold", "not told apart", "not run"
PARTLY, MIXED = "held in part", "mixed"
HOLDS, DOES_NOT_HOLD, UNJUDGED = "holds", "does not hold", "cannot be judged"
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
        alike: in how many repeats the first row makes the same decision for everybody, and how many there are.
        adjusted: p after Holm's correction over the claim's comparisons; None if there is no valid interval.
        reason: why there is no outcome, if there is none.
        paired: whether it is a difference that should be on one side of 0, which p and the correction are of.
    """

    dataset: str
    labels: tuple[str, str]
    column: Column
    published: Optional[float]
    measured: Optional[CorrectedT]
    outcome: str
    alike: tuple[int, int]
    adjusted: Optional[float] = None
    reason: str = ""
    paired: bool = True

    @property
    def corrected(self) -> str:
        """Return the outcome after Holm's correction: as by itself, or ``not told apart``."""
        decided = self.outcome in (HELD, CONTRARY)
        return OPEN if decided and self.adjusted is not None and self.adjusted > 1 - LEVEL else self.outcome

    @property
    def mostly_alike(self) -> bool:
        """Return whether the first row makes the same decision for everybody in most repeats."""
        return 0 < self.alike[1] < 2 * self.alike[0]


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
        """Return how many paired comparisons would have held by chance."""
        paired = [contrast.outcome for contrast in self.contrasts if contrast.paired]
        tested = [outcome for outcome in paired if outcome not in (MISSING, NO_INTERVAL)]
        return Chance(len(tested), tested.count(HELD))

    @property
    def standing(self) -> str:
        """Return whether the claim holds as a whole: ``holds`` only if every comparison was run and held.

        It ``does not hold`` if one lies on the other side. As all must hold, none needs a correction for their number.
        """
        outcomes = [contrast.outcome for contrast in self.contrasts]
        if CONTRARY in outcomes:
            return DOES_NOT_HOLD
        if not outcomes or {MISSING, NO_INTERVAL} & set(outcomes):
            return UNJUDGED
        return HOLDS if set(outcomes) == {HELD} else OPEN


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


def judge(difference: Optional[CorrectedT], expected: Union[str, Range]) -> str:
    """Return the outcome of one comparison: whether the interval lies where it is claimed to lie.

    Args:
        difference: of two rows, or of one row its mean; None if it was not run.
        expected: ``lower`` or ``higher`` than 0, or a range.
    """
    if difference is None:
        return MISSING
    low, high = difference.low, difference.high
    if low is None or high is None:
        return NO_INTERVAL
    claimed = expected if isinstance(expected, Range) else SIDES[expected]
    if high < claimed.low or low > claimed.high:
        return CONTRARY
    if claimed.closed:
        return HELD if claimed.low <= low and high <= claimed.high else OPEN
    return HELD if claimed.low < low and high < claimed.high else OPEN


def judge_claim(claim: Claim, grid: Grid, measurements: Measurements, tests: Mapping[str, Test]) -> Judgement:
    """Return the claim with its comparisons on every dataset of the grid that has both rows, or with its trials."""
    if claim.test:
        trials = tuple(_try(tests[claim.test], grid, dataset, measurements) for dataset in grid.datasets)
        return Judgement(claim, grid.protocol.name, (), trials)
    return judge_rows(claim, GridRows(grid, measurements))


def judge_rows(claim: Claim, rows: Rows) -> Judgement:
    """Return the claim with its comparisons of these rows."""
    contrasts: list[Contrast] = []
    for pair, place in rows.places(claim.pairs):
        contrasts += [_contrast(claim, rows, place, pair, column) for column in claim.columns]
        contrasts += [_loss(loss, rows, place, pair) for loss in claim.losses]
    return Judgement(claim, rows.name, adjust(contrasts))


def adjust(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Return the contrasts with p after Holm's correction over those that are paired and have a valid interval."""
    p = {
        place: 1.0 if contrast.measured.p is None else contrast.measured.p  # all differences are 0
        for place, contrast in enumerate(contrasts)
        if contrast.paired and contrast.measured is not None and contrast.measured.low is not None
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


def _contrast(claim: Claim, rows: Rows, place: Place, pair: Pair, column: Column) -> Contrast:
    """Return a comparison of a claim: of two rows, of a row with the coin, or of a row with a range."""
    first = _label(pair.method, pair.scenario)
    if pair.against is not None:
        labels = (first, _label(pair.against, pair.against_scenario))
        return _between(rows, place, labels, column, claim.expected)
    if isinstance(claim.expected, Range):
        return _in_range(rows, place, (first, claim.expected.text), column, claim.expected)
    return _against_coin(rows, place, first, column)


def _loss(loss: Loss, rows: Rows, place: Place, pair: Pair) -> Contrast:
    """Return whether a method is at most so much worse than another."""
    assert pair.against is not None  # noqa: S101 - refused where the file is read
    other = f"{_label(pair.against, pair.against_scenario)}, {loss.range.text}"
    found = _between(rows, place, (_label(pair.method, pair.scenario), other), loss.column, loss.range)
    return replace(found, paired=False)


def _between(
    rows: Rows, place: Place, labels: tuple[str, str], column: Column, expected: Union[str, Range]
) -> Contrast:
    if place.keys is None:
        return Contrast(place.dataset, labels, column, None, None, MISSING, (0, 0), reason=place.reason)
    first, second = (rows.series(key, column) for key in place.keys)
    differences = [first[repeat] - second[repeat] for repeat in sorted(first.keys() & second.keys())]
    measured, reason = _measured(rows, place, column, differences)
    published, alike = rows.published(place, column), (rows.alike(place.keys[0]), len(first))
    outcome = judge(measured, expected)
    return Contrast(place.dataset, labels, column, published, measured, outcome, alike, reason=reason)


def _in_range(rows: Rows, place: Place, labels: tuple[str, str], column: Column, expected: Range) -> Contrast:
    if place.keys is None:
        return Contrast(place.dataset, labels, column, None, None, MISSING, (0, 0), reason=place.reason, paired=False)
    values = list(rows.series(place.keys[0], column).values())
    measured, reason = _measured(rows, place, column, values)
    alike, outcome = (rows.alike(place.keys[0]), len(values)), judge(measured, expected)
    return Contrast(place.dataset, labels, column, None, measured, outcome, alike, reason=reason, paired=False)


def _measured(rows: Rows, place: Place, column: Column, values: Sequence[float]) -> tuple[Optional[CorrectedT], str]:
    """Return mean and interval of values by repeat, and why there is none; of one repeat over the rows."""
    if not values:
        return None, rows.no_value(place, column)
    if len(values) == 1:
        alone = rows.within(place, column, values[0])
        return CorrectedT(alone.value, 0.0, 1, alone.low, alone.high, None, alone.p), alone.why
    correction = rows.correction(place)
    return corrected_t(values, correction.ratio), "" if correction.ratio is not None else correction.reason


def _against_coin(rows: Rows, place: Place, label: str, column: Column) -> Contrast:
    labels = label, "the coin"
    if place.keys is None:
        return Contrast(place.dataset, labels, column, None, None, MISSING, (0, 0), reason=place.reason, paired=False)
    baseline = rows.baseline(place.keys[0])
    labels = label, f"the coin of {baseline}" if baseline else "the coin"
    above, reason = rows.above_coin(place.keys[0], column)
    alike = (rows.alike(place.keys[0]), len(rows.series(place.keys[0], column)))
    if above is None:
        return Contrast(place.dataset, labels, column, None, None, MISSING, alike, reason=reason, paired=False)
    measured = CorrectedT(above.value, 0.0, above.n, above.low, above.high, None, None)
    outcome = NO_INTERVAL if above.side is None else (OPEN, HELD, CONTRARY)[above.side]
    reason = reason if above.side is None else ""
    return Contrast(place.dataset, labels, column, None, measured, outcome, alike, reason=reason, paired=False)


def _label(method: Choice, scenario: Optional[Choice]) -> str:
    return f"{method}, {scenario}" if scenario else str(method)
