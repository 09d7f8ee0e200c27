"""Ranks and tests over datasets: Demšar's worked example, scipy, whole enumeration, and sizes under no difference."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from fairbench.analysis.ranks import (
    FEWEST,
    AcrossDatasets,
    across_datasets,
    cannot_show,
    critical_difference,
    datasets_needed,
    friedman,
    holm,
    rank,
    signed_rank,
    smallest_p,
    tiers,
    within_dataset,
)

# Demšar (2006), Table 6: AUC of four variants of C4.5 on 14 datasets. The row "voting" is printed with a tie at .975
# that the paper's mean ranks break.
METHODS = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
TABLE = np.array(
    [
        (0.763, 0.768, 0.771, 0.798),
        (0.599, 0.591, 0.590, 0.569),
        (0.954, 0.971, 0.968, 0.967),
        (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898),
        (0.936, 0.931, 0.916, 0.931),
        (0.661, 0.668, 0.609, 0.685),
        (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875),
        (1.000, 1.000, 1.000, 1.000),
        (0.940, 0.962, 0.965, 0.962),
        (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.97501, 0.975),
        (0.957, 0.978, 0.946, 0.970),
    ]
)


def compared(table: np.ndarray) -> AcrossDatasets:
    """Return the comparison of methods a, b, … on datasets 0, 1, …"""
    names = [chr(ord("a") + method) for method in range(table.shape[1])]
    return across_datasets({str(number): dict(zip(names, row)) for number, row in enumerate(table)}, names)


def test_the_worked_example_of_demsar():
    ranks = rank(TABLE)
    assert ranks.mean(axis=0).round(3).tolist() == [3.143, 2.0, 2.893, 1.964]
    found = friedman(ranks)
    assert (round(found.chi2, 2), round(found.f, 2), round(found.p, 4)) == (9.28, 3.69, 0.0198)
    assert found.draws == 0
    assert round(critical_difference(14, 4), 2) == 1.25


def test_demsars_signed_rank_follows_from_ours_if_its_two_zeros_are_halved():
    differences = TABLE[:, 1] - TABLE[:, 0]
    found = signed_rank(differences)
    zeros, negative = int((differences == 0).sum()), int((differences < 0).sum())
    assert (found.n, zeros, found.statistic) == (12, 2, 6.5)
    halved = found.statistic + zeros * negative + zeros * (zeros + 1) / 4  # the zeros take the smallest ranks
    assert halved == 12
    n = found.n + zeros
    z = (halved - n * (n + 1) / 4) / np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    assert round(z, 2) == -2.54


@pytest.mark.parametrize("seed", range(5))
def test_the_signed_rank_test_is_exact_with_ties_and_zeros(seed):
    given = np.random.default_rng(seed).integers(-4, 6, 9) / 10
    some = given[given != 0]
    ranks = stats.rankdata(np.abs(some).round(9))
    total = ranks.sum()
    smaller = min(ranks[some > 0].sum(), ranks[some < 0].sum())
    sums = np.array([(np.array(signs) * ranks).sum() for signs in product((0, 1), repeat=len(some))])
    found = signed_rank(given.tolist())
    assert found.n == len(some)
    assert found.statistic == smaller
    expected = min(1.0, ((sums <= smaller + 1e-9).sum() + (sums >= total - smaller - 1e-9).sum()) / len(sums))
    assert found.p == pytest.approx(expected, abs=1e-12)


def test_without_ties_the_tests_are_those_of_scipy():
    table = np.random.default_rng(1).normal(size=(11, 5))
    ranks = rank(table)
    assert np.array_equal(ranks, stats.rankdata(-table, axis=1))
    assert friedman(ranks).chi2 == pytest.approx(stats.friedmanchisquare(*table.T).statistic)
    oracle = stats.wilcoxon(table[:, 0], table[:, 1], method="exact")
    found = signed_rank(list(table[:, 0] - table[:, 1]))
    assert (found.statistic, found.p) == (oracle.statistic, pytest.approx(oracle.pvalue))


def test_the_critical_difference_is_that_of_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    table = np.random.default_rng(2).normal(size=(12, 4)) + np.arange(4) / 2
    nemenyi = np.asarray(posthocs.posthoc_nemenyi_friedman(table))
    gaps = np.abs(np.subtract.outer(*[rank(table).mean(axis=0)] * 2))
    off = ~np.eye(4, dtype=bool)
    assert ((nemenyi < 0.05) == (gaps > critical_difference(12, 4)))[off].all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_values_share_a_rank_in_spite_of_rounding():
    assert rank(np.array([[0.1 + 0.2, 0.3, 0.2]])).tolist() == [[1.5, 1.5, 3.0]]
    nothing = signed_rank([0.1 + 0.2 - 0.3] * 7)
    assert (nothing.n, nothing.p) == (0, 1.0)


def test_the_sentence_for_few_datasets_says_how_many_it_takes():
    assert [datasets_needed(pairs) for pairs in (1, 3, 6, 10, 45)] == [6, 7, 8, 9, 11]
    assert smallest_p(4) == 0.125
    assert cannot_show(4, 2) == (
        "4 datasets cannot show a difference at 5%: the smallest possible p of a pair is 0.125; it takes 6 datasets"
    )
    assert cannot_show(6, 4) == (
        "6 datasets cannot show a difference at 5%: the smallest possible p of a pair is 0.0312, after Holm's "
        "correction 0.188; it takes 6 datasets for one pair of methods, 8 for the 6 pairs here"
    )
    assert cannot_show(4, 8) == (
        "4 datasets cannot show a difference at 5%: the smallest possible p of a pair is 0.125; it takes 6 datasets "
        "for one pair of methods, 11 for the 28 pairs here"
    )
    assert cannot_show(1, 2).startswith("1 dataset cannot")
    assert cannot_show(8, 4) == ""
    assert cannot_show(3, 1) == ""


def test_fewer_than_six_datasets_have_wins_but_no_tests():
    found = compared(np.array([(3, 2, 1)] * 4 + [(1, 1, 5)], dtype=float))
    assert (found.tested, found.omnibus, dict(found.tiers)) == (False, None, {})
    assert found.wins() == [[0, 4, 4], [0, 0, 4], [1, 1, 0]]


def test_a_missing_value_excludes_the_dataset_for_all():
    values = {str(number): {"a": 2.0, "b": 1.0} for number in range(FEWEST)}
    values["holes"] = {"a": 9.0}
    found = across_datasets(values, ["a", "b"])
    assert found.datasets == tuple(map(str, range(FEWEST)))
    assert found.left_out == {"holes": ("b",)}
    assert found.pairs[0].wins == (6, 0)
    assert found.pairs[0].adjusted == pytest.approx(2 / 2**6)
    assert dict(found.tiers) == {0: 1, 1: 2}
    nothing = across_datasets({"holes": {"a": 1.0}}, ["a", "b"])
    assert (nothing.datasets, nothing.tested) == ((), False)


def test_tiers_over_datasets_take_holm_into_account():
    """Of 6 pairs on 6 datasets none can be told apart, however clear: all are in the first tier."""
    table = np.array([(4, 3, 2, 1)] * 6, dtype=float)
    assert set(compared(table).tiers.values()) == {1}
    assert compared(np.concatenate([table, table])).tiers == {0: 1, 1: 2, 2: 3, 3: 4}


def test_tiers_start_with_the_best_and_go_on_with_the_rest():
    apart = {(0, 2), (0, 3), (1, 3), (2, 3)}
    assert tiers([0, 1, 2, 3], lambda one, other: (one, other) in apart) == {0: 1, 1: 1, 2: 2, 3: 3}


def test_within_a_dataset_the_corrected_t_decides():
    differences = [0.01, 0.02, 0.0, 0.03, 0.015, 0.005, 0.02, 0.01, 0.025, 0.015]  # p is .0167, see test_intervals
    worse = {repeat: 0.8 - difference for repeat, difference in enumerate(differences)}
    better = dict.fromkeys(range(11), 0.8)
    placed = within_dataset({"worse": worse, "better": better}, 0.15 / 0.70)
    assert [(row.method, row.tier) for row in placed] == [("better", 1), ("worse", 2)]
    assert placed[1].mean == pytest.approx(0.785)
    third = within_dataset({"worse": worse, "better": better, "equal": dict(better)}, 0.15 / 0.70)
    assert {row.tier for row in third} == {1}  # .0167 times 3 pairs is above .05
    assert {row.tier for row in within_dataset({"worse": worse, "better": better}, None)} == {1}


def test_one_repeat_and_no_common_repeat():
    one = within_dataset({"a": {0: 0.5}, "b": {0: 0.9}}, 0.2)
    assert [(row.method, row.tier) for row in one] == [("b", 1), ("a", 1)]
    assert within_dataset({"a": {0: 0.5}, "b": {1: 0.9}}, 0.2) == []
    assert within_dataset({}, 0.2) == []


@pytest.mark.parametrize(("n", "k"), [(6, 4), (12, 5)])
def test_the_omnibus_test_has_its_size_under_no_difference(n, k):
    random = np.random.default_rng(3)
    p = np.array([friedman(rank(random.normal(size=(n, k))), draws=400).p for _ in range(300)])
    # Three standard errors of 300 simulations at .05 are .038; the F form is known to be off by up to .01.
    assert 0.01 <= (p <= 0.05).mean() <= 0.10


def test_permutations_agree_with_scipys_distribution_and_are_seeded():
    ranks = rank(np.random.default_rng(4).normal(size=(8, 4)) + np.arange(4) / 3)
    found = friedman(ranks)
    assert found.draws == 20_000
    assert found == friedman(ranks)
    assert found.p == pytest.approx(stats.f.sf(found.f, 3, 21), abs=0.015)


def test_the_same_order_everywhere_is_an_infinite_f_and_a_finite_p():
    found = friedman(rank(np.array([(3.0, 2.0, 1.0)] * 6)))
    assert found.f == float("inf")
    assert 0 < found.p < 0.001
