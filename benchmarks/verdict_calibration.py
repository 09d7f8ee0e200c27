"""How often verdicts are right where the truth is known: ``python benchmarks/verdict_calibration.py [DATASETS]``.

Datasets of 2,000 rows are drawn from ``synthetic``, each is split 70/15/15 again and again, and the verdicts that
tables would give after 3, 5, 10 and 50 repeats are compared with what is true:

- coin .5, coin .9: one drawn coin between the baseline and a constant, with that chance of the baseline;
- equal: the baseline itself with another seed; no accuracy is gained, so "above the coin" is a false alarm;
- without z: the same learner without the proxy for the group, which lies above the coin.

The learner is a logistic regression, fitted by Newton's method to rows drawn with replacement from the training part:
its seed matters as much as that of a network. Its true rates are known in closed form.

With 500 datasets, false alarms are at most 2.0% (3 repeats), 1.4% with 5 and 0.2% with 10 or more. The points of a
method equal to its baseline are too high on average, because the coin bends at the baseline: with 3, 5, 10 and 50
repeats by at most 1.0, 0.7, 0.6 and 0.2 points for demographic parity and 1.5, 1.2, 0.9 and 0.4 for equalized odds. The
interval knows of the bend. It covers what endless repeats would show in 95% or more. It does not cover the population's
value where gaps are as small as their noise: a measured gap is never below its noise floor, so that a fair method has
fewer points than it deserves, never more (without z, setting ``equal``, equalized odds: 8 instead of 22).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from fairbench_datasets._synthetic_truth import TrueRates, Truth
from fairbench_datasets.synthetic import Synthetic
from scipy.special import expit, ndtr

from fairbench.analysis.counts import Counts
from fairbench.analysis.gaps import gap
from fairbench.analysis.lines import AboveLine, Vertex, best_constant, coin, coin_accuracy

ROWS, TRAIN, TEST = 2000, 1400, 300
RATIO = TEST / TRAIN
REPEATS = (3, 5, 10, 50)
GAPS = ("demographic_parity_difference", "equalized_odds_difference")
QUANTITIES = ("accuracy", *GAPS)
METHODS = ("baseline", "coin .5", "coin .9", "equal", "without z")
PROXY = 2  # column of z, after the intercept and x
STEPS, RIDGE = 6, 1e-3


@dataclass(frozen=True, eq=False)
class Simulated:
    """What was measured and what is true of each fit.

    Args:
        measured: by dataset, method, quantity and repeat (D, M, 3, J).
        ones: share of the label 1 in each test part (D, J).
        true: accuracy and signed differences in selection, true and false positive rate of the baseline and of the
            method without z, by dataset, method and repeat (D, 2, J, 4).
    """

    measured: np.ndarray
    ones: np.ndarray
    true: np.ndarray


def fitted(X: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the weights (d,) of a logistic regression on rows of X (n, d) and y (n,) drawn with replacement."""
    rows = draw.integers(0, len(y), len(y))
    X, y, weights = X[rows], y[rows], np.zeros(X.shape[1])
    for _ in range(STEPS):
        chance = expit(X @ weights)
        curvature = (X * (chance * (1 - chance))[:, None]).T @ X + RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(curvature, X.T @ (y - chance) - RIDGE * weights)
    return weights


def true_rates(weights: np.ndarray, truth: Truth) -> TrueRates:
    """Return the rates of selecting where a linear score is positive; weights of 1, x, z and the noise columns."""
    model, selected = truth.distribution, np.zeros((2, 2))  # [Y*, group]
    sd = np.sqrt(weights[1] ** 2 + (weights[PROXY + 1 :] ** 2).sum())
    for outcome in (0, 1):
        for z in (0, 1):
            proxy = np.asarray(model.proxy) if z else 1 - np.asarray(model.proxy)
            x = np.asarray(model.shift) + outcome * np.asarray(model.effect)
            selected[outcome] += proxy * ndtr((weights[0] + weights[1] * x + weights[PROXY] * z) / sd)
    return truth.rates_of(selected[1], selected[0])


def _signed(rates: TrueRates) -> list[float]:
    pairs = (rates.selection, rates.true_positive, rates.false_positive)
    return [rates.accuracy, *(protected - unprotected for unprotected, protected in pairs)]


def measure(y: np.ndarray, group: np.ndarray, chosen: np.ndarray) -> list[float]:
    """Return accuracy and gaps as tables have them."""
    cell = group * 2 + y
    rows, selected = (np.bincount(cell, weights, 4).reshape(2, 2) for weights in (None, chosen))
    counts = Counts(("unprotected", "protected"), rows.astype(float), selected.astype(float))
    values = [counts.accuracy, *(gap(counts, metric).value for metric in GAPS)]
    return [np.nan if value is None else value for value in values]


def simulate(datasets: int, setting: str = "equal", repeats: int = max(REPEATS), seed: int = 0) -> Simulated:
    """Draw datasets, split each so many times, and measure every method."""
    truth = Synthetic(setting=setting).truth()
    measured = np.empty((datasets, len(METHODS), len(QUANTITIES), repeats))
    ones, true = np.empty((datasets, repeats)), np.empty((datasets, 2, repeats, 4))
    for place in range(datasets):
        drawn = Synthetic(setting=setting, rows=ROWS, data_seed=seed * 1_000_000 + place).load({})
        X = np.column_stack([np.ones(ROWS), drawn.X.to_numpy(dtype=float)])
        y = np.asarray(drawn.y, dtype=int)
        group = (drawn.sensitive_features["group"] == "protected").to_numpy(dtype=int)
        without = X.copy()
        without[:, PROXY] = 0
        draw = np.random.default_rng([seed, place, 1])
        for repeat in range(repeats):
            order = draw.permutation(ROWS)
            train, test = order[:TRAIN], order[-TEST:]
            baseline, other = (fitted(X[train], y[train], draw) for _ in range(2))
            blind = fitted(without[train], y[train], draw)
            chosen, equal = ((X[test] @ weights > 0).astype(int) for weights in (baseline, other))
            constant = int(y[train].mean() >= 0.5)
            coins = [np.where(draw.random(TEST) < share, chosen, constant) for share in (0.5, 0.9)]
            for method, decided in enumerate([chosen, *coins, equal, (without[test] @ blind > 0).astype(int)]):
                measured[place, method, :, repeat] = measure(y[test], group[test], decided)
            ones[place, repeat] = y[test].mean()
            true[place, :, repeat] = [_signed(true_rates(weights, truth)) for weights in (baseline, blind)]
    return Simulated(measured, ones, true)


def judged(found: Simulated, dataset: int, method: int, quantity: int, repeats: int) -> AboveLine:
    """Return the points above the coin that a table would show after so many repeats."""
    values = found.measured[dataset, :, :, :repeats]
    baseline = Vertex(values[0, quantity], values[0, 0])
    line = coin(baseline, best_constant(found.ones[dataset, :repeats]))
    return line.above(values[method, quantity], values[method, 0], RATIO)


def expected(found: Simulated, quantity: int) -> float:
    """Return the points above the coin of the method without z over endless repeats on endless datasets."""
    means = found.measured.mean(axis=(0, 3))
    ones = float(found.ones.mean())
    return float(
        means[-1, 0] - coin_accuracy(means[-1, quantity], means[0, 0], means[0, quantity], max(ones, 1 - ones))
    )


def population(found: Simulated, quantity: int, constant: float) -> float:
    """Return the same in the population: the gap of the mean, which noise in a test part does not widen."""
    baseline, method = found.true.mean(axis=(0, 2))
    places = {1: [1], 2: [2, 3]}[quantity]
    own, other = (float(np.abs(means[places]).max()) for means in (method, baseline))
    return float(method[0] - coin_accuracy(own, baseline[0], other, constant))


@dataclass(frozen=True)
class Calibration:
    """How verdicts on one kind of gap fare after so many repeats; shares over datasets.

    Args:
        metric: the gap.
        repeats: J.
        alarms: by method without merit, the share of datasets on which it is called above the coin.
        mean: by such method, the mean of its points above the coin, a fraction.
        found: share of datasets on which the method without z is called above the coin.
        coverage: of its interval, for what endless repeats would show.
        coverage_population: likewise for the population's value.
        width: mean half-width of its interval, a fraction.
    """

    metric: str
    repeats: int
    alarms: dict[str, float]
    mean: dict[str, float]
    found: float
    coverage: float
    coverage_population: float
    width: float


def calibrate(found: Simulated, setting: str = "equal") -> list[Calibration]:
    """Return the calibration for each kind of gap and number of repeats, as far as there are so many."""
    constant = Synthetic(setting=setting).truth().constant
    rows = []
    for quantity, metric in enumerate(QUANTITIES[1:], 1):
        for repeats in (repeats for repeats in REPEATS if repeats <= found.ones.shape[1]):
            told = {
                name: [judged(found, dataset, method, quantity, repeats) for dataset in range(len(found.ones))]
                for method, name in enumerate(METHODS)
                if method
            }
            merit = told.pop(METHODS[-1])
            truths = (expected(found, quantity), population(found, quantity, constant))
            covered = [np.mean([above.low <= value <= above.high for above in merit]) for value in truths]
            rows.append(
                Calibration(
                    metric,
                    repeats,
                    {name: float(np.mean([above.side == 1 for above in some])) for name, some in told.items()},
                    {name: float(np.mean([above.value for above in some])) for name, some in told.items()},
                    float(np.mean([above.side == 1 for above in merit])),
                    *map(float, covered),
                    float(np.mean([(above.high - above.low) / 2 for above in merit])),
                )
            )
    return rows


def main() -> None:
    """Print a table."""
    datasets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for setting in ("equal", "small"):
        started = time.perf_counter()
        found = simulate(datasets, setting)
        print(f"synthetic, {setting}: {datasets} datasets of {ROWS} rows, {time.perf_counter() - started:.0f} s")
        names = METHODS[1:-1]
        print(f"{'':8}{'':4}called above the coin, %{'':13}mean points above the coin{'':7}without z: found, covered")
        print(
            f"{'gap':<8}{'J':>3} " + "".join(f"{name:>10}" for name in names) * 2 + "     % (expected) (population) ±"
        )
        for row in calibrate(found, setting):
            short = "".join(word[0].upper() for word in row.metric.split("_")[:2])
            alarms = "".join(f"{100 * row.alarms[name]:10.1f}" for name in names)
            means = "".join(f"{100 * row.mean[name]:+10.2f}" for name in names)
            covered = f"{100 * row.coverage:11.1f}{100 * row.coverage_population:13.1f}{100 * row.width:6.1f}"
            print(f"{short:<8}{row.repeats:>3} {alarms}{means}{100 * row.found:6.1f}{covered}")
        points = [
            f"{100 * expected(found, quantity):+.2f} and "
            f"{100 * population(found, quantity, Synthetic(setting=setting).truth().constant):+.2f}"
            for quantity in (1, 2)
        ]
        print(f"without z, expected and population: DP {points[0]}, EO {points[1]} points\n")


if __name__ == "__main__":
    main()
