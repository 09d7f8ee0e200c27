"""Methods in tiers, and their mean ranks over datasets as a critical-difference diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairbench.api import Results
from fairbench.api.analysis import AcrossDatasets, critical_difference
from fairbench_reports._ranked import Ranking, rankings
from fairbench_reports._table import Section, number
from fairbench_reports.ranks import notes_on
from fairbench_reports.ranks_diagram import told_together

LEFT, RIGHT = 30.0, 70.0  # per cent of the width: where rank 1 and the last rank are
MOST = 150  # methods in a section that are compared in pairs
HEAD, LINE = 58.0, 22.0  # pixels above the names and of each of them


@dataclass(frozen=True)
class Name:
    """A method beside the diagram: its text, the place of its rank (per cent), its height (pixels), and its side."""

    text: str
    x: float
    y: float
    first: bool


@dataclass(frozen=True)
class Diagram:
    """A critical-difference diagram.

    Args:
        height: in pixels.
        ticks: rank and place (per cent).
        bar: where Nemenyi's critical difference ends, in per cent.
        difference: the critical difference, in figures.
        runs: of methods of which no two are told apart: both ends (per cent) and height (pixels).
        names: the methods.
    """

    height: float
    ticks: tuple[tuple[int, float], ...]
    bar: float
    difference: str
    runs: tuple[tuple[float, float, float], ...]
    names: tuple[Name, ...]


@dataclass(frozen=True)
class Ranked:
    """One quantity by which methods are ranked.

    Args:
        title: its heading, with the better direction.
        setting: scenario and preparation in words.
        tiers: of each dataset: its title, and by tier the methods with their means, the best first.
        diagram: over datasets; None for too few.
        notes: tests, and who is not ranked.
    """

    title: str
    setting: str
    tiers: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
    diagram: Diagram | None
    notes: tuple[str, ...]


def ranked(results: Results, shown: Sequence[Section]) -> list[Ranked]:
    """Return the rankings of a run, in the order of the report ``ranks``; none if they are ``too_many``.

    Args:
        results: of the run.
        shown: its sections.
    """
    return [] if too_many(shown) else [_ranked(ranking) for ranking in rankings(results)]


def too_many(shown: Sequence[Section]) -> str:
    """Return why methods are not ranked on the page; empty if they are. Every pair of them would be tested."""
    most = max((len(section.rows) for section in shown), default=0)
    if most <= MOST:
        return ""
    return f"{most:,} methods are too many to be compared in pairs here; 'fairbench report RUN --format ranks' does it"


def _ranked(ranking: Ranking) -> Ranked:
    tiers = []
    for found in ranking.within:
        by_tier: dict[int, list[str]] = {}
        for row in found.placed:
            mean = number(ranking.sign * row.mean, ranking.decimals)
            by_tier.setdefault(row.tier, []).append(f"{row.method} {mean}")
        tiers.append((found.title, tuple((tier, ", ".join(told)) for tier, told in sorted(by_tier.items()))))
    return Ranked(
        f"{ranking.heading} {ranking.arrow}".strip(),
        ranking.setting,
        tuple(tiers),
        _diagram(ranking.across) if ranking.across.tested else None,
        tuple(notes_on(ranking)),
    )


def _diagram(across: AcrossDatasets) -> Diagram:
    k, ranks = len(across.methods), across.mean_ranks.tolist()
    bar = critical_difference(len(across.datasets), k)
    runs, order = told_together(across), sorted(range(k), key=lambda method: ranks[method])
    half, top = -(-k // 2), HEAD + 14 * len(runs)
    names = []
    for place, method in enumerate(order):
        first = place < half
        height = top + LINE * ((place if first else k - 1 - place) + 0.7)
        text = f"{across.methods[method]} {number(ranks[method], 2)}"
        names.append(Name(text, _share(ranks[method], k), height, first))
    return Diagram(
        top + LINE * (half + 0.4),
        tuple((rank, _share(rank, k)) for rank in range(1, k + 1)),
        _share(min(1 + bar, k), k),
        number(bar, 2),
        tuple(_run(run, ranks, k, HEAD + 14 * place) for place, run in enumerate(runs)),
        tuple(names),
    )


def _share(rank: float, k: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * (float(rank) - 1) / (k - 1), 2)


def _run(run: Sequence[int], ranks: Sequence[float], k: int, height: float) -> tuple[float, float, float]:
    return _share(ranks[run[0]], k) - 0.6, _share(ranks[run[-1]], k) + 0.6, height
