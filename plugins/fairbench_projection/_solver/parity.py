"""Mean prediction parity for any number of groups: the largest minus the smallest group mean is at most epsilon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
from numpy.typing import NDArray

from fairbench_projection._solver.cells import (
    Array,
    Box,
    Cells,
    Codes,
    Infeasible,
    Solution,
    check_epsilon,
    shifted,
    unconstrained,
)
from fairbench_projection._solver.root import Contrast, reach, solve_contrast
from fairbench_projection._solver.scale import at_scale

FIRST = np.zeros(1, dtype=np.int64)
BALANCE = 1e-13  # of the multipliers: their sum is 0 at the optimum


@dataclass(frozen=True, eq=False)
class Past:
    """Outputs that were given out before and count in the groups' means: their total (G,) and number (G,)."""

    total: Array
    count: Array

    @property
    def size(self) -> float:
        """Return the size of the largest mean."""
        return float(np.abs(self.total / np.maximum(self.count, 1)).max(initial=0.0))


def solve_parity(
    score: Array,
    group: Codes,
    n_groups: int,
    epsilon: float,
    box: Box,
    past: Optional[Past] = None,
) -> Solution:
    """Return the point nearest to the scores, in the box, whose group means lie within epsilon of each other.

    A group without rows here and in the past does not count; with fewer than two groups the scores are only clipped.
    At the optimum, output = clip(score - shift[group]): the search is for a number for each group, by Newton's steps on
    exact sums (see ``cells``). It takes O(n) memory and a few passes over the scores.

    Args:
        score: (n,) finite scores.
        group: (n,) codes, 0 to n_groups - 1.
        n_groups: number of groups G.
        epsilon: >= 0.
        box: where the outputs lie.
        past: what was given out before; the means are over past and present rows together.

    Raises:
        Infeasible: past outputs are so far apart that this batch cannot bring the means within epsilon.
        ValueError: a score is NaN or infinite, or epsilon is negative.
    """
    check_epsilon((epsilon,))

    def solve(near: Array, room: Box) -> Solution:
        return _solve(near, group, n_groups, epsilon, room, past)

    return at_scale(solve, score, box, 0.0 if past is None else past.size)


def _solve(score: Array, group: Codes, n_groups: int, epsilon: float, box: Box, past: Optional[Past]) -> Solution:
    """See ``solve_parity``."""
    cells = Cells(score, group, n_groups, box, 0.0 if past is None else past.size)
    if past is None:
        counted = here = [g for g, rows in enumerate(cells.count) if rows]
        sizes: Sequence[float] = cells.count
        means: Sequence[float] = [0.0] * n_groups
    else:
        sizes = (past.count + cells.count).tolist()
        means = (past.total / np.maximum(sizes, 1)).tolist()  # the past's part in them
        counted = [g for g in range(n_groups) if sizes[g]]
        here = [g for g in counted if cells.count[g]]
    multiplier = [0.0] * n_groups
    if len(counted) == 2:
        first, second = counted
        terms = [(g, weight) for g, weight in ((first, 1 / sizes[first]), (second, -1 / sizes[second])) if g in here]
        contrast = Contrast(terms, means[second] - means[first], "the gap between the means of two groups")
        multiplier[first], _ = solve_contrast(cells, contrast, epsilon)
        multiplier[second] = -multiplier[first]
    elif len(counted) > 2 and here:
        levels = {g: Contrast([(g, 1 / sizes[g])], -means[g], f"the mean of group {g}") for g in here}
        fixed = [means[g] for g in counted if g not in here]  # groups without rows in this batch cannot move
        for g, found in zip(here, _solve_range(cells, levels, fixed, epsilon)):
            multiplier[g] = found
    nu = np.array(multiplier)
    if len(counted) < 2 or not (nu.any() or epsilon == 0):
        return unconstrained(box.clip(score), n_groups, n_groups)
    shift = np.array([taken / (size or 1.0) for taken, size in zip(multiplier, sizes)])
    value = shifted(score, shift, group, box) if nu.any() else box.clip(score)
    if len(counted) == 2:
        gap = _means(counted[:1], sizes) - _means(counted[1:], sizes)
        return Solution(value, shift, nu, gap, FIRST, np.sign(nu[counted[:1]]))
    active, others = np.flatnonzero(nu), np.array(counted[1:])
    idle = np.setdiff1d(counted, active)
    within = Solution(value, shift, nu, _means(active, sizes), active, np.sign(nu[active]) / 2, idle)
    if epsilon:
        return within
    equal = _means(others, sizes) - _means(counted[:1], sizes)
    return Solution(value, shift, nu, equal, others, np.zeros(len(others)), relaxed=within)


def _means(groups: Union[Sequence[int], NDArray[np.int64]], sizes: Sequence[float]) -> Array:
    """Return the mean of each of the groups, as weights of all (R, G)."""
    weight = np.zeros((len(groups), len(sizes)))
    weight[np.arange(len(groups)), groups] = 1 / np.array(sizes)[groups]
    return weight


def _solve_range(
    cells: Cells, levels: Mapping[int, Contrast], fixed: Sequence[float], epsilon: float
) -> Sequence[float]:
    """Return each movable group's multiplier; together they bring all means into an interval of length epsilon.

    For a given centre m the multiplier of a group is that which brings its mean into m +- epsilon / 2. Their sum falls
    as m rises, and is 0 at the best m: Newton's steps on m inside a bracket, halved where they fail.

    Args:
        cells: the rows.
        levels: the contrast of each movable group, its mean minus 0.
        fixed: the means of the other groups.
        epsilon: >= 0.

    Raises:
        Infeasible: no centre is within epsilon / 2 of all that the groups can reach.
    """
    half = epsilon / 2
    means = [cells.at(g, 0.0)[0] * level.terms[0][1] - level.target for g, level in levels.items()]
    means += fixed
    smallest, largest = min(means), max(means)
    if largest - smallest <= epsilon:
        return [0.0] * len(levels)
    lower = max([smallest, *(bound - half for bound in _reached(cells, levels, 1.0)), *(mean - half for mean in fixed)])
    upper = min([largest, *(half - bound for bound in _reached(cells, levels, -1.0)), *(mean + half for mean in fixed)])
    if lower - upper > 1e-9 * max(abs(lower), abs(upper), 1.0):
        raise Infeasible(
            f"the group means cannot come within {epsilon:g} of each other: what was given out before leaves a "
            f"difference of {lower - upper + epsilon:.6g} or more"
        )
    guesses, centre = dict.fromkeys(levels, 0.0), min(max((smallest + largest) / 2, lower), upper)
    jumps = [mean + side for mean in means for side in (half, -half)]  # where a wholly clipped group begins to move
    least = 4 / cells.unit
    while True:
        balance, sizes, give = 0.0, 0.0, 0.0
        for g, level in levels.items():
            shifted_level = Contrast(level.terms, level.target + centre, level.name)
            guesses[g], slope = solve_contrast(cells, shifted_level, half, guess=guesses[g])
            balance += guesses[g]
            sizes += abs(guesses[g])
            if guesses[g]:
                give += 1 / slope if slope else math.inf
        if balance > 0:
            lower = centre
        else:
            upper = centre
        step = balance / give if 0 < give < math.inf else math.inf
        if abs(balance) <= BALANCE * sizes or abs(step) <= least or upper - lower <= least:
            return list(guesses.values())
        centre += step
        if not lower < centre < upper:
            centre = _between(lower, upper, jumps, least)


def _between(lower: float, upper: float, jumps: Sequence[float], least: float) -> float:
    """Return where to look in a bracket on which Newton's steps fail: at a jump, beside it, or in the middle."""
    inside = [jump for jump in jumps if lower < jump < upper]
    if inside:
        return inside[len(inside) // 2]
    for beside in [lower + least] * (lower in jumps) + [upper - least] * (upper in jumps):
        if lower < beside < upper:
            return beside
    return (lower + upper) / 2


def _reached(cells: Cells, levels: Mapping[int, Contrast], sign: float) -> list[float]:
    """Return the smallest mean (sign 1) that the box allows each group, or minus the largest (-1)."""
    return [reach(cells, level, sign) for level in levels.values()]
