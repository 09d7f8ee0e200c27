"""Methods compared over several datasets, or on one: ranks, tests, and tiers of what is not told apart.

Over datasets: ranks within each, Friedman's test in its F form, and exact signed-rank tests of all pairs with Holm's
correction (Demšar, 2006). On one dataset: the corrected t of the differences by repeat. What counts as one observation
over datasets is a dataset; its repeats, groups and metrics never are. Values are oriented: the larger is the better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Callable, Optional

import numpy as np

from fairbench.analysis.intervals import corrected_t
from fairbench.data.rows import Floats
from fairbench.texts import counted

ALPHA = 0.05
FEWEST = 6
"""The fewest datasets on which a signed-rank test of one pair can show a difference at 5%."""
PERMUTED_UP_TO = 8  # datasets, with which the F distribution is still a rough guide
DRAWS, SEED = 20_000, 0
DIGITS = 12  # of a value; beyond them two are equal but for rounding


def rank(values: Floats) -> Floats:
    """Return ranks (N, k) of ``values`` (N, k) within each row: 1 is the largest, ties have their average rank."""
    rounded = np.round(np.asarray(values, dtype=np.float64), DIGITS)
    larger = (rounded[:, None, :] > rounded[:, :, None]).sum(axis=2)
    equal = (rounded[:, None, :] == rounded[:, :, None]).sum(axis=2)
    return np.asarray(larger + (equal + 1) / 2)


@dataclass(frozen=True)
class Omnibus:
    """Friedman's test of "all methods are equal": its statistic, the F form of it, and p.

    ``draws`` is the number of random permutations behind p; 0 if p is from the F distribution.
    """

    chi2: float
    f: float
    p: float
    draws: int


def friedman(ranks: Floats, draws: int = DRAWS) -> Omnibus:
    """Return Friedman's test in the F form of Iman and Davenport.

    With up to 8 datasets, p is the share of random permutations of the ranks within datasets whose statistic is at
    least as large, the ranks themselves counted as one of them; the permutations are seeded.

    Args:
        ranks: (N, k) within each of N >= 2 datasets, of k >= 2 methods.
        draws: number of permutations.

    References:
        Demšar (2006), Statistical comparisons of classifiers over multiple data sets, section 3.2.2.
    """
    from scipy.stats import f as distribution

    n, k = ranks.shape
    chi2 = float(_chi2(ranks.sum(axis=0), n, k))
    rest = n * (k - 1) - chi2
    f = float("inf") if rest <= 1e-9 else (n - 1) * chi2 / rest
    if n > PERMUTED_UP_TO:
        return Omnibus(chi2, f, float(distribution.sf(f, k - 1, (k - 1) * (n - 1))), 0)
    random = np.random.default_rng(SEED)
    sums = np.zeros((draws, k))
    for row in ranks:
        sums += random.permuted(np.broadcast_to(row, (draws, k)), axis=1)
    as_large = int((_chi2(sums, n, k) >= chi2 - 1e-9).sum())
    return Omnibus(chi2, f, (1 + as_large) / (1 + draws), draws)


def _chi2(sums: Floats, n: int, k: int) -> Floats:
    """Return Friedman's statistic, without a correction for ties, of sums of ranks (..., k)."""
    mean = sums / n
    return np.asarray(12 * n / (k * (k + 1)) * ((mean**2).sum(axis=-1) - k * (k + 1) ** 2 / 4))


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed-rank test of paired differences.

    Args:
        n: differences other than 0, which the test is over.
        statistic: the smaller of the two sums of ranks.
        p: two-sided, exact, ties included; 1 if all differences are 0.
    """

    n: int
    statistic: float
    p: float


def signed_rank(differences: Sequence[float]) -> SignedRank:
    """Return the exact two-sided test of ``differences``, one for each dataset; those that are 0 are dropped."""
    given = np.round(np.asarray(differences, dtype=np.float64), DIGITS)
    given = given[given != 0]
    if not len(given):
        return SignedRank(0, 0.0, 1.0)
    doubled = np.rint(2 * rank(-np.abs(given)[None])[0]).astype(int)  # whole numbers in spite of ties
    total = int(doubled.sum())
    chance = np.zeros(total + 1)  # of each sum of the positive ranks, if signs are tosses of a coin
    chance[0] = 1.0
    for step in doubled:
        chance = (chance + np.concatenate([np.zeros(step), chance[:-step]])) / 2
    positive = int(doubled[given > 0].sum())
    smaller = min(positive, total - positive)
    return SignedRank(len(given), smaller / 2, min(1.0, float(2 * chance[: smaller + 1].sum())))


def holm(p: Sequence[float]) -> list[float]:
    """Return ``p`` values adjusted for their number by Holm's step-down procedure, in the same order.

    References:
        Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    adjusted, so_far = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        so_far = max(so_far, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = so_far
    return adjusted


def smallest_p(datasets: int) -> float:
    """Return the smallest p that a two-sided signed-rank test over so many ``datasets`` can have."""
    return min(1.0, 2.0 ** (1 - datasets))


def datasets_needed(pairs: int) -> int:
    """Return over how many datasets the smallest p, times the number of ``pairs``, is no larger than 5%."""
    needed = 1
    while pairs * smallest_p(needed) > ALPHA:
        needed += 1
    return needed


def cannot_show(datasets: int, methods: int) -> str:
    """Return that so many ``datasets`` cannot show a difference between ``methods`` at 5%; empty if they can."""
    pairs = methods * (methods - 1) // 2
    if pairs < 1 or datasets >= datasets_needed(pairs):
        return ""
    least, one = smallest_p(datasets), datasets_needed(1)
    corrected = f", after Holm's correction {min(1.0, pairs * least):.3g}" if least <= ALPHA else ""
    several = f" for one pair of methods, {datasets_needed(pairs)} for the {pairs} pairs here" if pairs > 1 else ""
    return (
        f"{counted(datasets, 'dataset')} cannot show a difference at 5%: the smallest possible p of a pair is "
        f"{least:.3g}{corrected}; it takes {one} datasets{several}"
    )


def critical_difference(datasets: int, methods: int) -> float:
    """Return Nemenyi's critical difference of mean ranks at 5%, the bar of the diagram.

    ``datasets`` and ``methods`` are their numbers; Demšar (2006), section 3.2.2.
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - ALPHA, methods, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * datasets)))


def tiers(best_first: Sequence[int], told_apart: Callable[[int, int], bool]) -> dict[int, int]:
    """Return the tier of each method: 1 for the best and those not told apart from it, then the same of the rest.

    Args:
        best_first: the methods in order.
        told_apart: whether two methods are told apart, the better one given first.
    """
    found: dict[int, int] = {}
    rest, tier = list(best_first), 0
    while rest:
        tier += 1
        best = rest[0]
        here = [method for method in rest if method == best or not told_apart(best, method)]
        found.update(dict.fromkeys(here, tier))
        rest = [method for method in rest if method not in here]
    return found


@dataclass(frozen=True)
class Pair:
    """Two methods over datasets: on how many each is the better, the test, and its p after Holm's correction."""

    methods: tuple[int, int]
    wins: tuple[int, int]
    test: SignedRank
    adjusted: float

    @property
    def told_apart(self) -> bool:
        """Return whether the adjusted p is no larger than 5%."""
        return self.adjusted <= ALPHA


@dataclass(frozen=True)
class AcrossDatasets:
    """Methods compared over datasets.

    Args:
        methods: their k labels.
        datasets: the N that all methods have a value on.
        left_out: the other datasets, each with the methods that lack a value there.
        ranks: (N, k) within datasets.
        omnibus: None for fewer than 6 datasets and for fewer than 3 methods.
        pairs: all pairs; ``wins`` are worth reading for any number of datasets, the tests from 6 on.
        tiers: of each method; empty for fewer than 6 datasets.
    """

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    ranks: Floats
    omnibus: Optional[Omnibus]
    pairs: tuple[Pair, ...]
    tiers: Mapping[int, int]

    @property
    def mean_ranks(self) -> Floats:
        """Return the mean rank of each method (k,) over the datasets."""
        return np.asarray(self.ranks.mean(axis=0))

    @property
    def tested(self) -> bool:
        """Return whether there are enough datasets for tests, so also for a diagram."""
        return bool(self.tiers)

    def wins(self) -> list[list[int]]:
        """Return k lists of k numbers: on how many datasets the row's method is better than the column's."""
        table = [[0] * len(self.methods) for _ in self.methods]
        for pair in self.pairs:
            (first, second), (won, lost) = pair.methods, pair.wins
            table[first][second], table[second][first] = won, lost
        return table


def across_datasets(values: Mapping[str, Mapping[str, float]], methods: Sequence[str]) -> AcrossDatasets:
    """Return the ``methods`` compared over the datasets on which all of them have a value.

    Args:
        values: by dataset and method, the larger the better; one number for each, e.g. the mean over repeats.
        methods: labels of those that are compared.
    """
    lacking = {dataset: tuple(method for method in methods if method not in known) for dataset, known in values.items()}
    datasets = tuple(dataset for dataset, missing in lacking.items() if not missing)
    table = np.array([[values[dataset][method] for method in methods] for dataset in datasets], dtype=np.float64)
    table = np.round(table.reshape(len(datasets), len(methods)), DIGITS)
    ranks = rank(table)
    couples = list(combinations(range(len(methods)), 2))
    differences = [table[:, first] - table[:, second] for first, second in couples]
    tests = [signed_rank(list(difference)) for difference in differences]
    adjusted = holm([test.p for test in tests])
    pairs = tuple(
        Pair(couple, (int((difference > 0).sum()), int((difference < 0).sum())), test, p)
        for couple, difference, test, p in zip(couples, differences, tests, adjusted)
    )
    enough = len(datasets) >= FEWEST
    found: dict[int, int] = {}
    if enough:
        apart = {pair.methods: pair.told_apart for pair in pairs}
        order = sorted(range(len(methods)), key=lambda method: ranks[:, method].mean())
        found = tiers(order, lambda one, other: apart[min(one, other), max(one, other)])
    omnibus = friedman(ranks) if enough and len(methods) > 2 else None
    missing = {dataset: here for dataset, here in lacking.items() if here}
    return AcrossDatasets(tuple(methods), datasets, missing, ranks, omnibus, pairs, found)


@dataclass(frozen=True)
class Placed:
    """A method on one dataset: its label, its mean over the repeats that all methods have, and its tier."""

    method: str
    mean: float
    tier: int


def within_dataset(values: Mapping[str, Mapping[int, float]], ratio: Optional[float]) -> list[Placed]:
    """Return the methods on one dataset, the best mean first, with their tiers.

    Two methods are told apart if the corrected t of their differences by repeat has p <= 5% after Holm's correction
    over all pairs, since which one is the best is read from the same numbers. Without a valid test (one repeat, or no
    valid interval) all are in tier 1. Empty if no repeat has all methods.

    Args:
        values: by method and repeat, the larger the better.
        ratio: the splits' ratio, see ``intervals.overlap_correction``; None if no interval is valid.
    """
    methods = list(values)
    repeats = sorted(set.intersection(*(set(known) for known in values.values()))) if values else []
    if not repeats:
        return []
    table = np.array([[values[method][repeat] for repeat in repeats] for method in methods])  # (k, J)
    couples = list(combinations(range(len(methods)), 2))
    tests = [corrected_t(list(np.round(table[one] - table[other], DIGITS)), ratio) for one, other in couples]
    adjusted = holm([1.0 if test.p is None else test.p for test in tests])
    apart = {couple: p <= ALPHA for couple, p in zip(couples, adjusted)}
    means = table.mean(axis=1)
    order = sorted(range(len(methods)), key=lambda method: -means[method])
    found = tiers(order, lambda one, other: apart[min(one, other), max(one, other)])
    return [Placed(methods[method], float(means[method]), found[method]) for method in order]
