"""A reproduction in a few lines: claims, agreement, coins; each as headings and rows of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fairbench.analysis.intervals import NO_INTERVAL
from fairbench.analysis.lines import ABOVE, BELOW, OPEN
from fairbench.papers.claims import CONTRARY, HELD, Chance, Judgement
from fairbench.papers.claims import OPEN as UNDECIDED
from fairbench.papers.measured import GAPS, HIGHER, LOWER, WITHIN
from fairbench.papers.reproduced import Reproduced

Summary = tuple[list[str], list[list[str]]]
SIDES = (ABOVE, BELOW, OPEN, NO_INTERVAL)


def by_claim(outcome: Reproduced) -> list[list[Judgement]]:
    """Return the judgements of each claim, one for each protocol."""
    found: dict[str, list[Judgement]] = {}
    for judgement in outcome.judgements:
        found.setdefault(judgement.claim.name, []).append(judgement)
    return list(found.values())


def claims(outcome: Reproduced) -> Summary:
    """Return which claims hold under each protocol."""
    protocols = [protocol.name for protocol in outcome.reproduction.rerun.protocols]
    rows = []
    for judged in by_claim(outcome):
        claim = judged[0].claim
        where = ", ".join(filter(None, [claim.source, claim.table]))
        rows.append([f"{claim.text} ({where})", *map(_judged, judged)])
    return ["claim", *protocols], rows


def _judged(judgement: Judgement) -> str:
    """Return the verdict with Holm's correction and, if there are several comparisons, without it and by chance."""
    if judgement.claim.test:
        named = len(judgement.trials) > 1
        told = (f"{trial.dataset}: {trial.verdict}" if named else trial.verdict for trial in judgement.trials)
        return "; ".join(told)
    run = len(judgement.outcomes)
    if not run:
        return judgement.outcome
    alike = [contrast.mostly_alike for contrast in judgement.contrasts if contrast.outcome == HELD]
    alone = _counted(judgement.outcomes, alike)
    if judgement.chance.n < 2:
        return f"{judgement.outcome} (of {run}: {alone})"
    alike = [contrast.mostly_alike for contrast in judgement.contrasts if contrast.corrected == HELD]
    corrected = _counted(judgement.corrected_outcomes, alike)
    same = judgement.corrected_outcomes == judgement.outcomes
    uncorrected = "the same" if same else f"{judgement.outcome} ({alone})"
    return f"{judgement.corrected} (of {run}: {corrected}); uncorrected: {uncorrected}; {by_chance(judgement.chance)}"


def _counted(outcomes: Sequence[str], alike: Sequence[bool]) -> str:
    """Return how many comparisons had which outcome; ``alike`` says which of those held are even for a plain reason."""
    held = f"held, {sum(alike)} of them by making the same decision for everybody" if any(alike) else "held"
    named = (
        (HELD, held),
        (CONTRARY, "on the other side"),
        (UNDECIDED, UNDECIDED),
        (NO_INTERVAL, f"with {NO_INTERVAL}"),
    )
    return "; ".join(f"{outcomes.count(outcome)} {word}" for outcome, word in named if outcome in outcomes)


def by_chance(chance: Chance) -> str:
    """Return how many comparisons would be held by chance, and how likely as many as were seen are."""
    likely = f"{chance.probability:.2f}" if chance.probability >= 0.005 else "below 0.01"
    seen = f", {chance.held} or more with probability {likely}" if chance.held else ""
    return f"by chance {chance.expected:.2g} of {chance.n} would be held{seen}"


def verdicts(outcome: Reproduced) -> Summary:
    """Return how often published and measured numbers agree."""
    rows = []
    for table in outcome.tables:
        for grid in table.grids:
            counts = Counter(
                comparison.verdict
                for section in table.rows.values()
                for row in section[grid.protocol.name]
                for comparison in row.comparisons
                if comparison.column.judged
                and comparison.published is not None
                and comparison.published.mean is not None
            )
            counted = [str(counts[word]) for word in (WITHIN, HIGHER, LOWER, "")]
            rows.append([table.table.name, grid.protocol.name, *counted])
    return ["table", "protocol", "within the spread", "higher", "lower", "no verdict"], rows


def coins(outcome: Reproduced) -> Summary:
    """Return how many of the paper's rows lie above the coin, as published (where it gives spreads) and as measured."""
    rows = []
    for table in outcome.tables if outcome.reproduction.rerun.baseline else ():
        for place, gap in enumerate(GAPS):
            for number, grid in enumerate(table.grids):
                sections = (section[grid.protocol.name] for section in table.rows.values())
                here = [row.coins[place] for section in sections for row in section if row.contender]
                said = [coin.published for coin in here if coin.published and coin.published.low is not None]
                if number == 0 and said:  # the published coins hardly differ between protocols
                    rows.append(
                        [
                            table.table.name,
                            gap.heading,
                            outcome.reproduction.published.called,
                            *_sides([coin.reading for coin in said]),
                        ]
                    )
                measured = [coin.measured.reading for coin in here if coin.measured]
                rows.append([table.table.name, gap.heading, grid.protocol.name, *_sides(measured)])
    return ["table", "difference", "rows", *SIDES], rows


def _sides(readings: Sequence[str]) -> list[str]:
    counts = Counter(readings)
    return [str(counts[side]) for side in SIDES]
