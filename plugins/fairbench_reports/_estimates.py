"""A metric over repeats: which values its mean is taken over, and sentences about those that it leaves out."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairbench.api import Value

UNDEFINED, PARTIAL = "†", "§"
NOT_MEASURED = "not measured; the run's command with one more metric adds it, from stored predictions"


@dataclass(frozen=True)
class Estimate:
    """A metric over repeats: mean and sample standard deviation of ``n`` values.

    Args:
        mean: None without a value.
        std: None with fewer than two values.
        n: how many values the mean is over.
        undefined: how many repeats have no value.
        reason: why the first of these has none.
        partial: how many repeats have a value over fewer groups than the dataset has; they are never averaged with the
            others, and alone only if they lack the same groups.
        lacking: without which groups the first of these is taken.
        fewer: whether the mean is over such values, there being no others.
        best: whether it is the best of its column.
    """

    mean: float | None
    std: float | None
    n: int
    undefined: int
    reason: str = ""
    partial: int = 0
    lacking: str = ""
    fewer: bool = False
    best: bool = False

    @property
    def mark(self) -> str:
        """Return the signs of a mean from which repeats are missing, or that is over fewer groups."""
        return (UNDEFINED if self.undefined else "") + (PARTIAL if self.partial else "")


def clean(text: str) -> str:
    """Return the text on one line, without characters that steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def estimate(values: Sequence[Value | None]) -> Estimate:
    """Return the estimate from the values of all finished repeats, None where one was not measured."""
    missing = [value.reason if value else NOT_MEASURED for value in values if value is None or value.value is None]
    whole = [value.whole for value in values if value is not None and value.whole is not None]
    partial = [value for value in values if value is not None and value.value is not None and value.reason]
    fewer = not whole and len({value.reason for value in partial}) == 1
    used = [value.value for value in partial if value.value is not None] if fewer else whole
    return Estimate(
        mean=statistics.fmean(used) if used else None,
        std=statistics.stdev(used) if len(used) > 1 else None,
        n=len(used),
        undefined=len(missing),
        reason=_first(missing),
        partial=len(partial),
        lacking=_first([value.reason for value in partial]),
        fewer=fewer,
    )


def _first(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    return clean(reasons[0]) + (" (and the like)" if len(set(reasons)) > 1 else "")


def left_out(estimates: Iterable[tuple[str, str, Estimate]]) -> list[str]:
    """Return a sentence for each reason why means leave repeats out, with the methods and the headings that share it.

    Args:
        estimates: each with the label of its row and the heading of its column.
    """
    labels: dict[tuple[str, str, str, str], list[str]] = {}
    for label, heading, found in estimates:
        total = found.undefined + found.partial + (0 if found.fewer else found.n)
        if found.undefined:
            said = f"undefined in {found.undefined} of {total} repeats"
            labels.setdefault((UNDEFINED, heading, said, found.reason), []).append(label)
        if found.partial:
            verb = "taken over fewer groups" if found.fewer else "left out"
            said = f"{verb} in {found.partial} of {total} repeats"
            labels.setdefault((PARTIAL, heading, said, found.lacking), []).append(label)
    headings: dict[tuple[str, str, str], list[str]] = {}
    for (sign, heading, said, reason), several in labels.items():
        headings.setdefault((sign, f"{said} ({', '.join(several)})", reason), []).append(heading)
    return [f"{sign} {', '.join(several)} {said}: {reason}" for (sign, said, reason), several in headings.items()]
