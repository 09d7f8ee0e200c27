"""STAR: stratified sampling for algorithmic reparation, the training rows that a generator's samples are curated into.

Wyllie, Shumailov and Papernot (2024), Fairness feedback loops, FAccT; the steps are those of the authors' code. A
stratum is a combination of label and group, numbered ``label * n_groups + group``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]  # (n, d)
Codes = NDArray[np.integer]  # (n,)

REFILLS = ("random", "surplus", "resample")
MAX_POOLS = 20  # of refill="resample": a stratum that has died out would never be full


class Star(NamedTuple):
    """A reparative batch: X (B, d) and y (B,) in random order; how many rows a quota lacked; the pool's strata (K,)."""

    X: Rows
    y: Codes
    deficit: int
    pool: NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Where rows come from and who says what they are; three functions, so that any of them can be a stub.

    Args:
        sample: n -> X (n, d), new rows at every call.
        label: X (n, d) -> y (n,) in {0, 1}.
        annotate: X (n, d) -> group codes (n,).
        n_groups: number of groups G; there are K = 2 G strata.
    """

    sample: Callable[[int], Rows]
    label: Callable[[Rows], Codes]
    annotate: Callable[[Rows], Codes]
    n_groups: int


def strata(y: Codes, group: Codes, n_groups: int) -> NDArray[np.int64]:
    """Return the stratum (n,) of each row: label 0 comes first, then group 0."""
    return np.asarray(y, dtype=np.int64) * n_groups + group


def uniform(n_strata: int) -> tuple[float, ...]:
    """Return the ideal of equally many rows in each stratum."""
    return (1 / n_strata,) * n_strata


def check(size: int, budget: int, ideal: Sequence[float], n_groups: int) -> None:
    """Refuse what STAR cannot do.

    Raises:
        ValueError: no row or no budget is asked for, or the ideal is not a distribution over the 2 G strata.
    """
    if size < 1 or budget < 1:
        raise ValueError(f"STAR needs a batch and a budget of at least one row each, not {size} and {budget}")
    if len(ideal) != 2 * n_groups or min(ideal) < 0 or abs(sum(ideal) - 1) > 1e-6:
        raise ValueError(
            f"the ideal has length {len(ideal)}, minimum {min(ideal, default=0):g} and sum {sum(ideal):g}; it must be "
            f"a distribution over {2 * n_groups} strata (label 0 first, within it the groups in their order)"
        )


def star(
    source: Source,
    size: int,
    budget: int,
    ideal: Sequence[float],
    random: np.random.Generator,
    *,
    refill: str = "random",
) -> Star:
    """Draw ``size + budget`` rows, keep no more of each stratum than its quota, and refill what is missing.

    The quota of a stratum is ``floor(ideal * size)``, filled by the pool's first members in the order of the draw. What
    the quotas are short of is refilled in one of three ways: ``random`` (the authors') appends new rows whatever their
    stratum, without asking for their groups; ``surplus`` appends the pool's rows beyond their quota, in their order;
    ``resample`` draws pool after pool until every quota is full, at most 20, and then continues like ``random``.

    Args:
        source: of rows, labels and groups.
        size: rows of the batch, B.
        budget: rows drawn beyond them, b > 0.
        ideal: (K,) shares of the strata.
        random: draws the order of the rows.
        refill: see above.

    Returns:
        Exactly ``size`` rows.

    Raises:
        ValueError: see ``check``; or the refill is unknown.
    """
    check(size, budget, ideal, source.n_groups)
    if refill not in REFILLS:
        raise ValueError(f"refill is {refill!r}; it must be one of {', '.join(REFILLS)}")
    quota = np.floor(np.asarray(ideal) * size + 1e-9).astype(np.int64)  # .29 * 100 is 28.999... in floating point
    first = _pool(source, size + budget, quota)
    rows, labels, counts, pools = [first.X[first.kept]], [first.y[first.kept]], first.counts, 1
    while refill == "resample" and (counts < quota).any() and pools < MAX_POOLS:
        more = _pool(source, size + budget, quota - np.minimum(counts, quota))
        rows.append(more.X[more.kept])
        labels.append(more.y[more.kept])
        counts, pools = counts + more.counts, pools + 1
    deficit = size - sum(map(len, labels))
    if deficit and refill == "surplus":
        rows.append(first.X[first.beyond[:deficit]])
        labels.append(first.y[first.beyond[:deficit]])
    elif deficit:
        rows.append(source.sample(deficit))
        labels.append(source.label(rows[-1]))
    order = random.permutation(size)
    return Star(np.concatenate(rows)[order], np.concatenate(labels)[order], deficit, first.counts)


class _Pool(NamedTuple):
    """Rows as drawn, the counts (K,) of their strata, and positions: within the quotas, and beyond them."""

    X: Rows
    y: Codes
    counts: NDArray[np.int64]
    kept: NDArray[np.int64]
    beyond: NDArray[np.int64]


def _pool(source: Source, n: int, quota: NDArray[np.int64]) -> _Pool:
    X = source.sample(n)
    y = source.label(X)
    stratum = strata(y, source.annotate(X), source.n_groups)
    place = np.zeros(n, dtype=np.int64)  # of a row within its stratum
    for code in np.unique(stratum):
        members = np.flatnonzero(stratum == code)
        place[members] = np.arange(len(members))
    within = place < quota[stratum]
    counts = np.bincount(stratum, minlength=len(quota))
    return _Pool(X, y, counts, np.flatnonzero(within), np.flatnonzero(~within))
