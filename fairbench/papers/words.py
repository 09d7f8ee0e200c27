"""Numbers and sentences as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Optional

from fairbench.analysis.intervals import CorrectedT
from fairbench.analysis.lines import ABOVE, BELOW, AboveLine
from fairbench.analysis.values import Estimate
from fairbench.papers.measured import Comparison, MeasuredRow
from fairbench.papers.published import Number
from fairbench.texts import escape_markdown

DECIMALS = 3
NOTHING = "-"
NOT_JUDGED = "not judged"
OWN_SPREAD = "\\*"
UNCERTAIN = "(?)"
escape = escape_markdown


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Return a Markdown table and an empty line; the first ``left`` columns are flush left, the others right."""
    rule = ["---" if place < left else "---:" for place in range(len(headings))]
    return [*(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)), ""]


def bullets(sentences: Iterable[str]) -> list[str]:
    """Return a Markdown list and, if there is anything in it, an empty line."""
    items = [f"- {sentence}" for sentence in sentences]
    return [*items, ""] if items else []


def number(value: float, decimals: int = DECIMALS, *, signed: bool = False) -> str:
    """Return a number with fixed decimals and without a negative zero."""
    return f"{round(value, decimals) + 0.0:{'+' if signed else ''}.{decimals}f}"


def points(fraction: float) -> str:
    """Return a fraction as signed percentage points with one decimal."""
    return number(100 * fraction, 1, signed=True)


def estimate(values: Estimate, planned: int) -> str:
    """Return ``0.652 ± 0.020``, with ``[3/5]`` where repeats are missing."""
    if values.mean is None:
        return NOTHING
    spread = "" if values.sd is None else f" ± {number(values.sd)}"
    return f"{number(values.mean)}{spread}{'' if values.n == planned else f' [{values.n}/{planned}]'}"


def published(value: Optional[Number]) -> str:
    """Return a published number as the paper's directory gives it."""
    if value is None:
        return NOTHING
    mark = f" {UNCERTAIN}" if value.uncertain else ""
    if value.mean is None:
        return escape(value.reason) + mark
    return f"{value.mean:g}{'' if value.spread is None else f' ± {value.spread:g}'}{mark}"


def measured(row: MeasuredRow, comparison: Comparison, runs: int) -> str:
    """Return the estimate over all repeats and, if there are more of them than the paper has runs, over the first."""
    if row.reason:
        return escape(row.reason.partition(":")[0])
    text = estimate(comparison.all, row.planned)
    return text if row.planned <= runs else f"{text} (first {runs}: {estimate(comparison.few, runs)})"


def off(comparison: Comparison) -> str:
    """Return the difference from the published mean and the verdict."""
    if comparison.difference is None:
        said = comparison.published is not None and comparison.published.mean is not None
        return NOT_JUDGED if said and not comparison.column.judged else ""
    mark = OWN_SPREAD if comparison.own_spread and comparison.verdict else ""
    return f"{number(comparison.difference, signed=True)} {comparison.verdict}{mark}".strip()


def above(coin: Optional[AboveLine]) -> str:
    """Return points above the coin with their interval, and the side if the interval leaves 0 out."""
    if coin is None:
        return NOTHING
    if coin.low is None or coin.high is None:
        return points(coin.value)
    side = {ABOVE: " above", BELOW: " below"}.get(coin.reading, "")
    return f"{points(coin.value)} [{points(coin.low)}, {points(coin.high)}]{side}"


def selected(row: MeasuredRow) -> str:
    """Return the selection rate, and in how many repeats the decision is the same for everybody."""
    if row.selected.mean is None:
        return NOTHING
    alike = f" ({row.alike}/{row.selected.n} alike)" if row.alike else ""
    return number(row.selected.mean) + alike


def chosen(row: MeasuredRow) -> str:
    """Return the operating point that most often stood for a row, and in how many repeats; a dash if it has no name."""
    point, times = row.chosen[0]
    often = "" if times == row.planned else f" ({times}/{row.planned})"
    return escape(point) + often if point else NOTHING


def interval(difference: Optional[CorrectedT]) -> str:
    """Return a mean difference with its interval."""
    if difference is None:
        return NOTHING
    if difference.low is None or difference.high is None:
        return number(difference.mean, signed=True)
    low, high = (number(end, signed=True) for end in (difference.low, difference.high))
    return f"{number(difference.mean, signed=True)} [{low}, {high}]"


def minutes(seconds: float) -> str:
    """Return a time in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
