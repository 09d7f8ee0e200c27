"""What is optimal under the synthetic distribution, in closed form or by quadrature; nothing is simulated.

An *aware* classifier sees x and the group, a *blind* one x and the proxy z. Whatever it does, its rates follow from how
often it selects a group's rows with Y* = 1 and with Y* = 0, since label flips depend on Y* and the group alone.

References:
    Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning, NeurIPS.
    Menon and Williamson (2018), The cost of fairness in binary classification, FAT*: optima are thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog
from scipy.special import logit, ndtr

from fairbench_datasets._synthetic_model import Distribution, Pair

Floats = NDArray[np.float64]
CONSTRAINTS = ("demographic_parity", "equal_opportunity", "equalized_odds")
CELL = 0.004  # width in x of the linear programs' cells; halving or doubling it moves their accuracies by 3e-7
REACH = 6.0  # standard deviations that the cells cover beyond the outermost mean; what lies outside joins the last cell


@dataclass(frozen=True)
class TrueRates:
    """Rates of one classifier under the distribution; pairs are (unprotected, protected)."""

    accuracy: float
    selection: Pair
    true_positive: Pair
    false_positive: Pair

    @property
    def demographic_parity_difference(self) -> float:
        """Return the gap in selection rates."""
        return abs(self.selection[1] - self.selection[0])

    @property
    def equal_opportunity_difference(self) -> float:
        """Return the gap in true positive rates."""
        return abs(self.true_positive[1] - self.true_positive[0])

    @property
    def equalized_odds_difference(self) -> float:
        """Return the larger of the gaps in true and in false positive rates."""
        return max(self.equal_opportunity_difference, abs(self.false_positive[1] - self.false_positive[0]))


@dataclass(frozen=True)
class Truth:
    """The most accurate classifiers under a distribution, without and with a fairness constraint."""

    distribution: Distribution

    @property
    def constant(self) -> float:
        """Return the accuracy of the better constant."""
        positive = float(np.dot(self.distribution.weight, self.distribution.label_rate))
        return max(positive, 1 - positive)

    @cached_property
    def aware(self) -> TrueRates:
        """Return the rates of the Bayes-optimal classifier that sees x and the group."""
        return self._at_thresholds(0.5, 0.5)

    @cached_property
    def blind(self) -> TrueRates:
        """Return the rates of the Bayes-optimal classifier that sees x and z."""
        model = self.distribution
        selected = np.zeros((2, 2))  # [Y*, group]
        for z in (0, 1):
            for low, high in self._blind_regions(z):
                for outcome in (0, 1):
                    centre = np.asarray(model.shift) + outcome * np.asarray(model.effect)
                    selected[outcome] += self._proxy_chance(z) * (ndtr(high - centre) - ndtr(low - centre))
        return self.rates_of(selected[1], selected[0])

    def optimum(self, constraint: str, tolerance: float, *, blind: bool = False) -> TrueRates:
        """Return the rates of the most accurate, possibly randomised classifier that keeps a gap within a tolerance.

        Args:
            constraint: ``demographic_parity``, ``equal_opportunity`` or ``equalized_odds``.
            tolerance: the largest gap allowed, in [0, 1].
            blind: whether it sees z instead of the group.

        Returns:
            Its rates; the accuracy is exact for one-rate constraints on aware classifiers, else within 1e-6.

        Raises:
            ValueError: the constraint is unknown or the tolerance is negative.
        """
        if constraint not in CONSTRAINTS:
            raise ValueError(f"no constraint is named {constraint!r}; choose from {', '.join(CONSTRAINTS)}")
        if not tolerance >= 0:
            raise ValueError(f"the tolerance is {tolerance!r}; it must be 0 or more")
        best = self.blind if blind else self.aware
        if getattr(best, f"{constraint}_difference") <= tolerance:
            return best
        if blind or constraint == "equalized_odds":
            return self._programme(constraint, tolerance, blind=blind)
        return self._shifted_thresholds(constraint, tolerance)

    def rates_of(self, among_positive: Any, among_negative: Any) -> TrueRates:
        """Return the rates of a classifier from P(selected | Y* = 1, a) and P(selected | Y* = 0, a), each (2,)."""
        model = self.distribution
        base, missed = np.asarray(model.base_rate), np.asarray(model.missed)
        positive, negative = base * np.asarray(among_positive), (1 - base) * np.asarray(among_negative)
        label_rate = np.asarray(model.label_rate)
        hits = (1 - missed) * positive + model.invented * negative  # P(selected, Y = 1 | a)
        alarms = missed * positive + (1 - model.invented) * negative  # P(selected, Y = 0 | a)
        return TrueRates(
            accuracy=float(np.dot(model.weight, hits + (1 - label_rate) - alarms)),
            selection=_pair(hits + alarms),
            true_positive=_pair(hits / label_rate),
            false_positive=_pair(alarms / (1 - label_rate)),
        )

    def _at_thresholds(self, *thresholds: float) -> TrueRates:
        """Return the rates of selecting where P(Y = 1 | x, a) reaches each group's threshold."""
        model = self.distribution
        missed, effect = np.asarray(model.missed), np.asarray(model.effect)
        # P(Y = 1 | x, a) = v + (1 - u - v) P(Y* = 1 | x, a), and the latter is logistic in x
        outcome = np.clip((np.asarray(thresholds) - model.invented) / (1 - missed - model.invented), 0, 1)
        cut = (logit(outcome) - logit(model.base_rate)) / effect + effect / 2  # of x - shift; infinite at 0 and 1
        return self.rates_of(ndtr(effect - cut), ndtr(-cut))

    def _shifted_thresholds(self, constraint: str, tolerance: float) -> TrueRates:
        """Return the optimum under one linear constraint on rates, whose multiplier moves both thresholds."""
        model = self.distribution
        (w0, w1), (p0, p1) = model.weight, model.label_rate
        if constraint == "demographic_parity":
            low, high = -2.0, 2.0  # one group is selected entirely, the other not at all

            def optimal(multiplier: float) -> TrueRates:
                return self._at_thresholds(0.5 - multiplier / (2 * w0), 0.5 + multiplier / (2 * w1))

            def signed_gap(rates: TrueRates) -> float:
                return rates.selection[1] - rates.selection[0]
        else:
            low, high = -2 * w0 * p0, 2 * w1 * p1  # the threshold of one group is infinite there

            def optimal(multiplier: float) -> TrueRates:
                return self._at_thresholds(
                    _ratio(w0, 2 * w0 + multiplier / p0),
                    _ratio(w1, 2 * w1 - multiplier / p1),
                )

            def signed_gap(rates: TrueRates) -> float:
                return rates.true_positive[1] - rates.true_positive[0]

        target = float(np.copysign(tolerance, signed_gap(self.aware)))

        def excess(multiplier: float) -> float:
            return signed_gap(optimal(multiplier)) - target

        return optimal(brentq(excess, low, high, xtol=1e-14))

    def _proxy_chance(self, z: int) -> Floats:
        """Return P(z | a) as (2,)."""
        proxy = np.asarray(self.distribution.proxy)
        return proxy if z else 1 - proxy

    def _edges(self) -> Floats:
        """Return the cells' edges in x, all finite."""
        model = self.distribution
        highest = np.add(model.shift, model.effect).max()  # effects are positive
        return np.arange(min(model.shift) - REACH, highest + REACH, CELL)

    def _blind_regions(self, z: int) -> list[tuple[float, float]]:
        """Return the intervals of x in which the blind Bayes-optimal classifier selects rows with this z."""
        model = self.distribution
        weight = np.asarray(model.weight) * self._proxy_chance(z)
        base, missed = np.asarray(model.base_rate), np.asarray(model.missed)
        shift, effect = np.asarray(model.shift), np.asarray(model.effect)

        def advantage(x: Any) -> Any:
            """Return the density of Y = 1 minus that of Y = 0 at x, times a constant."""
            offset = np.asarray(x)[..., None] - shift
            positive = base * (1 - 2 * missed) * np.exp(-((offset - effect) ** 2) / 2)
            negative = (1 - base) * (1 - 2 * model.invented) * np.exp(-(offset**2) / 2)
            return ((positive - negative) * weight).sum(axis=-1)

        edges = self._edges()
        selects = advantage(edges) >= 0
        changes = np.flatnonzero(selects[1:] != selects[:-1])
        roots = [brentq(advantage, edges[cell], edges[cell + 1], xtol=1e-12) for cell in changes]
        ends = [-np.inf, *roots, np.inf]
        return list(zip(ends, ends[1:]))[0 if selects[0] else 1 :: 2]

    def _programme(self, constraint: str, tolerance: float, *, blind: bool) -> TrueRates:
        """Return the optimum over the chances of selection in every cell, by linear programming."""
        model = self.distribution
        edges = np.concatenate([[-np.inf], self._edges()[1:-1], [np.inf]])
        base, missed = np.asarray(model.base_rate)[:, None], np.asarray(model.missed)[:, None]
        label_rate, weight = np.asarray(model.label_rate)[:, None], np.asarray(model.weight)
        # an atom is a cell with the group (aware) or with a value of z (blind); seen[i][a] = P(i | a)
        seen = [self._proxy_chance(0), self._proxy_chance(1)] if blind else [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
        mass = []  # of a group's rows with Y* = 0, and with Y* = 1, each (2 groups, atoms)
        for outcome in (0.0, 1.0):
            centre = np.asarray(model.shift) + outcome * np.asarray(model.effect)
            cells = np.diff(ndtr(edges - centre[:, None]), axis=1)  # (2, cells)
            mass.append(np.concatenate([chance[:, None] * cells for chance in seen], axis=1))
        negative, positive = mass
        hits = base * (1 - missed) * positive + (1 - base) * model.invented * negative
        alarms = base * missed * positive + (1 - base) * (1 - model.invented) * negative
        rates = {
            "demographic_parity": [hits + alarms],
            "equal_opportunity": [hits / label_rate],
            "equalized_odds": [hits / label_rate, alarms / (1 - label_rate)],
        }[constraint]
        gaps = np.stack([rate[1] - rate[0] for rate in rates])
        solution = linprog(
            -(weight @ (hits - alarms)),
            A_ub=np.concatenate([gaps, -gaps]),
            b_ub=np.full(2 * len(gaps), tolerance),
            bounds=(0, 1),
            method="highs",
        )
        chance = np.clip(solution.x, 0, 1)
        return self.rates_of(positive @ chance, negative @ chance)


def _pair(values: Floats) -> Pair:
    return (float(values[0]), float(values[1]))


def _ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, infinite (never select) where the denominator is not positive."""
    return numerator / denominator if denominator > 0 else np.inf
