"""A cell of a table: an estimate with its marks, and sentences about what its mean leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fairbench.api.analysis import Estimate

UNDEFINED, PARTIAL, SMALL = "†", "§", "°"


@dataclass(frozen=True)
class Entry:
    """What a table shows of a method and a metric: the estimate, and whether its mean is the best of its column."""

    estimate: Estimate
    best: bool = False

    @property
    def mark(self) -> str:
        """Return the signs of a mean from which repeats are missing, or that is over fewer groups."""
        return (UNDEFINED if self.estimate.undefined else "") + (PARTIAL if self.estimate.partial else "")


def clean(text: str) -> str:
    """Return the text on one line, without characters that steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


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
            labels.setdefault((UNDEFINED, heading, said, clean(found.reason)), []).append(label)
        if found.partial:
            verb = "taken over fewer groups" if found.fewer else "left out"
            said = f"{verb} in {found.partial} of {total} repeats"
            labels.setdefault((PARTIAL, heading, said, clean(found.lacking)), []).append(label)
    headings: dict[tuple[str, str, str], list[str]] = {}
    for (sign, heading, said, reason), several in labels.items():
        headings.setdefault((sign, f"{said} ({', '.join(several)})", reason), []).append(heading)
    return [f"{sign} {', '.join(several)} {said}: {reason}" for (sign, said, reason), several in headings.items()]
