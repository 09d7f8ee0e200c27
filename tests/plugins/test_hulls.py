"""Optimal mixtures of thresholds against linear programmes over all thresholds, brute force and fairlearn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fairbench_baselines import _deterministic
from fairbench_baselines._constraints import CONSTRAINTS, Constraint, ScoredRows
from fairbench_baselines._hulls import Curve, mixed, roc_curve
from fairlearn.postprocessing import ThresholdOptimizer
from scipy.optimize import linprog
from scipy.spatial import ConvexHull
from sklearn.base import BaseEstimator

TOLERANCES = (0.0, 0.01, 0.05, 0.2)
FAIRLEARNS = {"dp": "demographic_parity", "eopp": "true_positive_rate_parity"}
ODDS = next(constraint for constraint in CONSTRAINTS if constraint.name == "eo")
ONE_RATE = [constraint for constraint in CONSTRAINTS if constraint is not ODDS]
SPECIFICITY = Constraint("fpr", ("false_positive",), (0,))


def scored_rows(seed: int, *, smallest: int = 10, largest: int = 80, spread: float = 0.0) -> ScoredRows:
    """Return rows of two to five groups; with an even seed scores are tied, and now and then all equal in a group."""
    random = np.random.default_rng(seed)
    groups = int(random.integers(2, 6))
    parts = []
    for code in range(groups):
        n = int(random.integers(smallest, largest))
        y = (random.random(n) < random.uniform(0.2, 0.8)).astype(int)
        y[:2] = 0, 1
        score = random.normal(size=n) + random.uniform(-0.5, 2) * y + spread * code
        if seed % 2 == 0:
            score = np.round(score * random.choice([0.0, 1.0, 2.0]))
        parts.append((np.full(n, code), y, 1 / (1 + np.exp(-score))))
    return ScoredRows(*(np.concatenate(column) for column in zip(*parts)), groups)


def all_thresholds(rows: ScoredRows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each group the true and false positive rates of every threshold, one comparison at a time."""
    found = []
    for code in range(rows.groups):
        score, y = rows.score[rows.group == code], rows.y[rows.group == code]
        cuts = [*np.unique(score), np.inf]
        found.append(tuple(np.array([np.mean(score[y == label] >= cut) for cut in cuts]) for label in (1, 0)))
    return found


def best_accuracy(rows: ScoredRows, constraint: Constraint, tolerance: float) -> float:
    """Return the optimum of a linear programme over the weights of all thresholds, and bounds for each rate."""
    curves, n = all_thresholds(rows), len(rows.y)
    size = sum(len(true) for true, _ in curves)
    gain, sums, limits = [], [], []
    start = 0
    for code, (true, false) in enumerate(curves):
        negatives, positives = rows.supports[code]
        stop = start + len(true)
        gain += list((positives * true - negatives * false) / n)
        kinds = {
            "selection": (positives * true + negatives * false) / (positives + negatives),
            "true_positive": true,
            "false_positive": false,
        }
        sums.append(np.r_[np.zeros(start), np.ones(stop - start), np.zeros(size - stop)])
        limits.append([np.r_[np.zeros(start), kinds[kind], np.zeros(size - stop)] for kind in constraint.kinds])
        start = stop
    pairs = itertools.permutations(limits, 2)  # every two groups, in both directions: no lowest rate is needed
    gaps = [one - other for first, second in pairs for one, other in zip(first, second)]
    precise = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    solution = linprog(
        -np.array(gain),
        A_ub=np.array(gaps),
        b_ub=np.full(len(gaps), tolerance),
        A_eq=np.array(sums),
        b_eq=np.ones(len(curves)),
        method="highs",
        options=precise,
    )
    return float(-solution.fun + rows.supports[:, 0].sum() / n)


def expected(rows: ScoredRows, decision: np.ndarray, kinds: tuple[str, ...]) -> tuple[float, float]:
    """Return accuracy and gap in expectation over the chances of selection (n,), each counted from the rows."""
    accuracy = float(np.where(rows.y == 1, decision, 1 - decision).mean())
    counted = {"selection": rows.y >= 0, "true_positive": rows.y == 1, "false_positive": rows.y == 0}
    gaps = []
    for kind in kinds:
        rates = [decision[counted[kind] & (rows.group == code)].mean() for code in range(rows.groups)]
        gaps.append(max(rates) - min(rates))
    return accuracy, float(max(gaps))


def decided(rows: ScoredRows, decisions) -> np.ndarray:
    chance = np.empty(len(rows.y))
    for code, decide in enumerate(decisions):
        own = rows.group == code
        chance[own] = decide(rows.score[own])
    return chance


def test_roc_curve_counts_ties_together():
    curve = roc_curve(np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 1, 0]))
    assert curve.threshold.tolist() == [np.inf, 0.7, 0.3, -np.inf]
    assert curve.true_positives.tolist() == [0, 1, 3, 3]
    assert curve.false_positives.tolist() == [0, 0, 1, 2]
    assert curve.gain.tolist() == [0, 1, 2, 1]
    assert curve.rate("selection").tolist() == [0, 0.2, 0.8, 1]


def test_a_threshold_between_neighbouring_floats_separates_them():
    low = 0.5
    high = float(np.nextafter(low, 1))
    curve = roc_curve(np.array([low, high]), np.array([0, 1]))
    assert low < curve.threshold[1] <= high


def test_one_score_leaves_the_constants():
    curve = roc_curve(np.full(4, 0.3), np.array([0, 1, 1, 0]))
    assert curve.threshold.tolist() == [np.inf, -np.inf]
    assert curve.hull.threshold.tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("seed", range(20))
def test_hull_is_scipys(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(20, 3000))
    y = (random.random(n) < 0.4).astype(int)
    score = random.normal(size=n) + y
    curve = roc_curve(np.round(score, 1) if seed % 2 else score, y)
    points = np.stack([curve.false_positives, curve.true_positives], axis=1)
    corners = points[ConvexHull(points).vertices]
    above = corners[:, 1] * points[-1, 0] - corners[:, 0] * points[-1, 1] >= 0  # the diagonal, whose ends count
    upper = corners[above]
    ours = np.stack([curve.hull.false_positives, curve.hull.true_positives], axis=1)
    assert {tuple(point) for point in ours} == {tuple(point) for point in upper}
    assert len(ours) == len(upper)


def test_hull_of_a_worthless_score_is_the_diagonal():
    curve = roc_curve(np.array([0.9, 0.8, 0.2, 0.1]), np.array([0, 0, 1, 1]))
    assert curve.hull.threshold.tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("constraint", [*ONE_RATE, SPECIFICITY], ids=lambda constraint: constraint.name)
def test_sweep_is_the_linear_programme(constraint):
    for seed in range(200):
        rows, tolerance = scored_rows(seed), TOLERANCES[seed % 4]
        found = rows.solve(constraint, tolerance)
        assert found.accuracy == pytest.approx(best_accuracy(rows, constraint, tolerance), abs=1e-9)
        assert found.gap <= tolerance + 1e-12


def test_odds_are_the_linear_programme_over_all_thresholds():
    for seed in range(60):
        rows, tolerance = scored_rows(seed), TOLERANCES[seed % 4]
        found = rows.solve(ODDS, tolerance)
        assert found.accuracy == pytest.approx(best_accuracy(rows, ODDS, tolerance), abs=1e-8)
        assert found.gap <= tolerance + 1e-8  # the solver's precision


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.name)
def test_decisions_do_to_the_rows_what_is_claimed(constraint):
    for seed in range(20):
        rows = scored_rows(seed)
        for tolerance in TOLERANCES:
            found = rows.solve(constraint, tolerance)
            accuracy, gap = expected(rows, decided(rows, found.decisions), constraint.kinds)
            assert (found.accuracy, found.gap) == pytest.approx((accuracy, gap), abs=1e-12)


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.name)
def test_accuracy_rises_and_is_concave_in_the_tolerance(constraint):
    for seed in range(12):
        rows = scored_rows(seed, spread=0.4)
        accuracy = np.array([rows.solve(constraint, tolerance).accuracy for tolerance in np.linspace(0, 1, 41)])
        assert np.diff(accuracy).min() >= -1e-8
        assert np.diff(accuracy, 2).max() <= 1e-8
        assert accuracy[-1] == pytest.approx(best_accuracy(rows, constraint, 1.0), abs=1e-9)


class Given(BaseEstimator):
    """A classifier for fairlearn whose scores are its only feature."""

    is_fitted_ = True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


def fairlearns(rows: ScoredRows, constraint: str, **options) -> np.ndarray:
    """Return the chances of selection (n,) of fairlearn's optimizer."""
    optimizer = ThresholdOptimizer(
        estimator=Given(), constraints=constraint, prefit=True, predict_method="predict", **options
    )
    X = rows.score[:, None]
    optimizer.fit(X, rows.y, sensitive_features=rows.group)
    return optimizer._pmf_predict(X, sensitive_features=rows.group)[:, 1]


@pytest.mark.parametrize("constraint", ONE_RATE, ids=lambda constraint: constraint.name)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_never_below_fairlearn_and_at_most_its_grid_above(constraint):
    for seed in range(8):
        rows = scored_rows(seed, smallest=100, largest=500)
        for tolerance in (0.0, 0.05):
            decision = fairlearns(rows, FAIRLEARNS[constraint.name], tol=tolerance)
            theirs, gap = expected(rows, decision, constraint.kinds)
            assert gap <= tolerance + 1e-9
            ours = rows.solve(constraint, tolerance).accuracy
            assert theirs - 1e-9 <= ours <= theirs + 2e-4  # they look at 1,000 rates


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_equal_odds_are_fairlearns():
    for seed in range(8):
        rows = scored_rows(seed, smallest=100, largest=500)
        theirs, _ = expected(rows, fairlearns(rows, "equalized_odds"), ODDS.kinds)
        ours = rows.solve(ODDS, 0.0).accuracy
        assert theirs - 1e-8 <= ours <= theirs + 2e-4


def test_a_small_group_is_decided_at_one_half_and_not_compared():
    rows = scored_rows(1)
    extra = np.array([0.2, 0.7, 0.5]), np.array([1, 1, 0])
    more = ScoredRows(
        np.r_[rows.group, np.full(3, rows.groups)],
        np.r_[rows.y, extra[1]],
        np.r_[rows.score, extra[0]],
        rows.groups + 2,  # the last has no row at all
    )
    for constraint in CONSTRAINTS:
        without, found = rows.solve(constraint, 0.05), more.solve(constraint, 0.05)
        assert found.gap == pytest.approx(without.gap, abs=1e-12)
        right = without.accuracy * len(rows.y) + 1  # of the three, one is decided rightly at one half
        assert found.accuracy == pytest.approx(right / len(more.y), abs=1e-9)
        for decide in found.decisions[rows.groups :]:
            assert decide(np.array([0.49, 0.5, 0.51])).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("rows", "compared"),
    [
        ([[5, 4], [5, 5]], {"dp": [1], "eopp": [1], "eo": [1]}),
        ([[10, 0], [0, 10]], {"dp": [0, 1], "eopp": [1], "eo": []}),
    ],
)
def test_groups_need_ten_rows_and_the_labels_of_their_rates(rows, compared):
    assert {one.name: one.compared(np.array(rows)) for one in CONSTRAINTS} == compared


# -------------------------------------------------------------------- without chance


def brute_force(rows: ScoredRows, constraint: Constraint, tolerance: float) -> float:
    """Return the accuracy of the best of all combinations of one threshold for each group."""
    best = 0.0
    curves = all_thresholds(rows)
    for combination in itertools.product(*(range(len(true)) for true, _ in curves)):
        right, rates = 0.0, []
        for (true, false), place, (negatives, positives) in zip(curves, combination, rows.supports):
            right += positives * true[place] + negatives * (1 - false[place])
            selection = (positives * true[place] + negatives * false[place]) / (positives + negatives)
            kinds = {"selection": selection, "true_positive": true[place], "false_positive": false[place]}
            rates.append([kinds[kind] for kind in constraint.kinds])
        if np.ptp(rates, axis=0).max() <= tolerance + 1e-12:
            best = max(best, right / len(rows.y))
    return best


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.name)
def test_certain_thresholds_are_the_best_of_all_combinations(constraint):
    tried = 0
    for seed in range(60):
        rows = scored_rows(seed, largest=16)
        if rows.groups > 3:
            continue
        for tolerance in (0.0, 0.1, 0.2, 0.35):
            found = rows.solve_certain(constraint, tolerance)
            step = max(1 / curve.counts(kind)[-1] for curve in rows.curves.values() for kind in constraint.kinds)
            assert (found is None) == (tolerance < step)
            if found is None:
                continue
            tried += 1
            assert found.accuracy == pytest.approx(brute_force(rows, constraint, tolerance), abs=1e-12)
            decision = decided(rows, found.decisions)
            assert set(decision) <= {0, 1}
            assert (found.accuracy, found.gap) == pytest.approx(expected(rows, decision, constraint.kinds), abs=1e-12)
            assert found.accuracy <= rows.solve(constraint, tolerance).accuracy + 1e-8
    assert tried > 10


def test_thinning_keeps_the_ends_and_every_threshold_of_a_short_curve():
    curve = roc_curve(np.linspace(0, 1, 1000), np.arange(1000) % 2)
    thin = _deterministic.thinned(curve, 300)
    assert len(thin.threshold) == 300
    assert thin.threshold[[0, -1]].tolist() == [np.inf, -np.inf]
    short = roc_curve(np.linspace(0, 1, 9), np.arange(9) % 2)
    assert _deterministic.thinned(short, 300).threshold.tolist() == short.threshold.tolist()


def test_a_mixture_rises_in_steps_and_ends_at_one():
    curve = Curve(np.array([np.inf, 0.6, 0.2, -np.inf]), np.array([0, 1, 2, 3]), np.array([0, 2, 3, 3]))
    decide = mixed(curve, np.array([0.1, 0.2, 0.7, 0.0]))
    assert decide(np.array([0.1, 0.2, 0.5, 0.6, 1.0])).tolist() == pytest.approx([0, 0.7, 0.7, 0.9, 0.9])
    sure = mixed(curve, np.array([0.0, 1 / 3, 2 / 3, 0.0]))
    assert sure(np.array([1.0]))[0] == 1.0
    assert math.isclose(sure(np.array([0.3]))[0], 2 / 3)
