"""Scores that arrive in batches of any size, corrected batch by batch; earlier outputs are never changed.

A correction remembers a few numbers. ``state()`` gives them as plain data that survives JSON, ``restore`` takes them
back and refuses those of another correction or other settings: a stream then continues exactly, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

import numpy as np

from fairbench.api.projection import Box, Contrasts, Infeasible, Past, check_scores, solve_parity, solve_penalised

PACKAGE = "Troxell et al. (2026), released package"


@dataclass(frozen=True)
class Settings:
    """What a correction is for: the number of groups, the tolerance, and the interval that scores lie in."""

    n_groups: int
    epsilon: float
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        """Check the tolerance and the interval."""
        Box(self.lower, self.upper)
        if not 0 <= self.epsilon < math.inf:
            raise ValueError(f"epsilon is {self.epsilon:g}; it must be a number, 0 or more")

    @property
    def box(self) -> Box:
        """Return the interval."""
        return Box(self.lower, self.upper)


class Correction(Protocol):
    """How a stream of scores is corrected; ``infeasible`` counts batches for which that was impossible."""

    @property
    def infeasible(self) -> int:
        """Return their number."""
        ...

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return the outputs (n,) for a batch of scores (n,) with group codes (n,), and remember what matters."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what is remembered, as plain data."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` gave.

        Raises:
            ValueError: it is another correction's, or was saved under other settings.
        """
        ...


class Remembering:
    """A correction's memory: its attributes named in ``fields``, kept with its kind and settings."""

    kind: str
    fields: Sequence[str]

    def __init__(self, settings: Settings) -> None:
        """Keep the settings."""
        self.settings = settings

    @property
    def infeasible(self) -> int:
        """See ``Correction``; 0 unless a class counts them."""
        return 0

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a state to fit; infinite bounds as text, because JSON has no infinity."""
        bounds = {name: str(getattr(self.settings, name)) for name in ("lower", "upper")}
        return {
            "kind": self.kind,
            "n_groups": self.settings.n_groups,
            "epsilon": self.settings.epsilon,
            **bounds,
            **{name: getattr(self, name) for name in ("eta",) if hasattr(self, name)},
        }

    def state(self) -> dict[str, Any]:
        """See ``Correction``."""
        values = {name: getattr(self, name) for name in self.fields}
        return {**self.identity(), **{name: _plain(value) for name, value in values.items()}}

    def check(self, state: Mapping[str, Any]) -> None:
        """Refuse a state that is not one of this stream's.

        Raises:
            ValueError: it is not.
        """
        lacking = [name for name in self.state() if name not in state]
        if lacking:
            raise ValueError(f"this state cannot be restored: it lacks {', '.join(lacking)}; it must come from state()")
        for name, mine in self.identity().items():
            if state[name] != mine:
                raise ValueError(
                    f"this state cannot be restored here: its {name} is {state[name]!r}, but this stream's is "
                    f"{mine!r}; begin a new stream, or use the settings that the state was saved under"
                )
        for name in self.fields:
            value, present = np.asarray(state[name], dtype=np.float64), np.asarray(getattr(self, name))
            if value.shape != present.shape or not np.isfinite(value).all():
                raise ValueError(
                    f"this state cannot be restored: its {name} is {state[name]!r}; it must be "
                    + (f"{present.size} finite numbers" if present.ndim else "a finite number")
                )

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ``Correction``."""
        self.check(state)
        for name in self.fields:
            setattr(self, name, _like(state[name], getattr(self, name)))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _like(value: Any, present: Any) -> Any:
    return np.array(value, dtype=present.dtype) if isinstance(present, np.ndarray) else value


class Unchanged(Remembering):
    """No correction."""

    kind = "none"
    fields = ()

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return the scores."""
        return score


class EachBatch(Remembering):
    """Every batch by itself: its group means come within epsilon; a batch of one group is only clipped."""

    kind = "batch"
    fields = ()

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """See ``Correction``."""
        return solve_parity(score, group, self.settings.n_groups, self.settings.epsilon, self.settings.box).value


class RunningPool(Remembering):
    """Every batch together with all that was given out before: the pooled means stay within epsilon, whatever its size.

    ``total`` and ``count`` hold the sum and the number of the outputs so far, by group. It is always possible: giving
    everybody the running mean of their group leaves the means as they are. Should rounding ever make it impossible, the
    batch is only clipped, and ``infeasible`` counts it.
    """

    kind = "pool"
    fields = ("total", "count", "infeasible")
    infeasible = 0

    def __init__(self, settings: Settings) -> None:
        """Begin with nothing given out."""
        super().__init__(settings)
        self.total, self.count = np.zeros(settings.n_groups), np.zeros(settings.n_groups)

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """See ``Correction``."""
        settings, past = self.settings, Past(self.total, self.count)
        try:
            value = solve_parity(score, group, settings.n_groups, settings.epsilon, settings.box, past).value
        except Infeasible:
            self.infeasible += 1
            value = settings.box.clip(score)
        self.total = self.total + np.bincount(group, weights=value, minlength=settings.n_groups)
        self.count = self.count + np.bincount(group, minlength=settings.n_groups)
        return value


class TwoGroups(Remembering):
    """What the corrections by multipliers share: they compare two groups, or the sides of each of two attributes."""

    def __init__(self, settings: Settings, eta: float, attributes: Optional[np.ndarray] = None) -> None:
        """Keep the step size and, of two attributes, each group's codes 0 and 1 (G, 2)."""
        super().__init__(settings)
        if attributes is None and settings.n_groups != 2:
            raise ValueError(f"correction {self.kind} compares two groups, not {settings.n_groups}: use 'pool'")
        self.eta, self.attributes = eta, attributes


class PrimalDual(TwoGroups):
    """The published algorithm: a price on each batch's gap, raised while the gaps exceed epsilon on average.

    With the price lam of a batch of n rows, its outputs minimise |y - score|^2 + lam n gap(y); then lam moves by
    eta / sqrt(t) * n (gap - epsilon). What it holds to epsilon in the long run is the average of *absolute* gaps within
    the batches. The pooled gap is a different quantity, and with batches of one row nothing is corrected at all. Of two
    attributes that are constrained one by one, the larger gap counts.

    ``steps`` counts batches, ``rows`` their rows, ``excess`` sums n (gap - epsilon), ``largest`` is that of the prices.

    References:
        Troxell, Roemer and Montufar (2026), and the released package, whose prices these are.
    """

    kind = "primal_dual"
    fields = ("price", "steps", "rows", "excess", "largest")

    def __init__(self, settings: Settings, eta: float = 0.5, attributes: Optional[np.ndarray] = None) -> None:
        """Begin with a price of 0; for ``attributes`` see ``TwoGroups``."""
        super().__init__(settings, eta, attributes)
        self.price, self.steps, self.rows, self.excess, self.largest = 0.0, 0, 0, 0.0, 0.0

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """See ``Correction``."""
        n, settings, code = len(score), self.settings, self.codes(group)
        value = solve_penalised(score, Contrasts.mean_prediction(code), self.price * n, settings.box)
        gap = max(mean_gap(value, side, 2) for side in np.atleast_2d(code.T))
        violation = n * (gap - settings.epsilon)
        self.steps += 1
        self.price = max(0.0, self.price + self.eta / math.sqrt(self.steps) * violation)
        self.rows += n
        self.excess += violation
        self.largest = max(self.largest, self.price)
        return value

    def identity(self) -> dict[str, Any]:
        """See ``Remembering``."""
        return {**super().identity(), "attributes": None if self.attributes is None else self.attributes.tolist()}

    def codes(self, group: np.ndarray) -> np.ndarray:
        """Return the codes of rows of these groups (n,) on what is compared: (n,), or (n, 2) for two attributes."""
        return group if self.attributes is None else self.attributes[group]

    @property
    def average_gap(self) -> float:
        """Return the batches' gaps, averaged over rows so far."""
        return self.excess / self.rows + self.settings.epsilon

    @property
    def bound(self) -> float:
        """Return what the average cannot exceed, on any sequence: epsilon + price sqrt(t) / (eta rows)."""
        return self.settings.epsilon + self.price * math.sqrt(self.steps) / (self.eta * self.rows)


class SlowDual(TwoGroups):
    """A signed shift for each group, learned from all batches so far: corrects the average row, guarantees nothing.

    Group a is shifted by (up - down) w_a / 2 with w = (1 / share of group 0, -1 / share of group 1); up and down grow
    with eta / sqrt(t) while the weighted outputs exceed epsilon on their side.
    """

    kind = "dual"
    fields = ("down", "up", "steps", "count")

    def __init__(self, settings: Settings, eta: float = 0.5) -> None:
        """Begin with shifts of 0."""
        super().__init__(settings, eta)
        self.down, self.up, self.steps, self.count = 0.0, 0.0, 0, np.ones(2)  # as if each group had been seen once

    def shifted(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return the scores less their groups' shifts, not clipped, and learn from the clipped ones."""
        check_scores(score)
        n, epsilon = len(score), self.settings.epsilon
        self.count = self.count + np.bincount(group, minlength=2)
        weight = np.array([1.0, -1.0]) * self.count.sum() / self.count
        shifted: np.ndarray = score - (self.down - self.up) / 2 * weight[group]
        total = float(weight[group] @ self.settings.box.clip(shifted))
        self.steps += 1
        step = self.eta / math.sqrt(self.steps)
        self.down = max(0.0, self.down + step * (total / n - epsilon))
        self.up = max(0.0, self.up + step * (-total / n - epsilon))
        return shifted

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """See ``Correction``."""
        return self.settings.box.clip(self.shifted(score, group))


class DualPool(TwoGroups):
    """``SlowDual``, and then ``RunningPool`` for what is left: its guarantee, with the correction spread over rows."""

    kind = "dual_pool"
    fields = ()

    def __init__(self, settings: Settings, eta: float = 0.5) -> None:
        """Begin both."""
        super().__init__(settings, eta)
        self.dual, self.pool = SlowDual(settings, eta), RunningPool(settings)

    @property
    def infeasible(self) -> int:
        """Return the pool's count."""
        return self.pool.infeasible

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """See ``Correction``."""
        return self.pool.correct(self.dual.shifted(score, group), group)

    def state(self) -> dict[str, Any]:
        """See ``Correction``."""
        return {**self.identity(), "dual": self.dual.state(), "pool": self.pool.state()}

    def check(self, state: Mapping[str, Any]) -> None:
        """See ``Remembering``."""
        super().check(state)
        self.dual.check(state["dual"])
        self.pool.check(state["pool"])

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ``Correction``."""
        self.check(state)
        self.dual.restore(state["dual"])
        self.pool.restore(state["pool"])


CORRECTIONS = ("none", "batch", "primal_dual", "dual", "pool", "dual_pool")


def make_correction(kind: str, settings: Settings, eta: float) -> Correction:
    """Return a fresh correction by name.

    Raises:
        ValueError: it compares two groups, and there are more.
    """
    by_one: Mapping[str, Callable[[Settings], Correction]] = {
        "none": Unchanged,
        "batch": EachBatch,
        "pool": RunningPool,
    }
    if kind in by_one:
        return by_one[kind](settings)
    by_two: Mapping[str, Callable[[Settings, float], Correction]] = {
        "primal_dual": PrimalDual,
        "dual": SlowDual,
        "dual_pool": DualPool,
    }
    return by_two[kind](settings, eta)


def mean_gap(score: np.ndarray, group: np.ndarray, n_groups: int) -> float:
    """Return the largest gap in mean score between two groups that have rows; 0 with fewer than two."""
    total = np.bincount(group, weights=score, minlength=n_groups)
    count = np.bincount(group, minlength=n_groups)
    here = count > 0
    if here.sum() < 2:
        return 0.0
    means = total[here] / count[here]
    return float(means.max() - means.min())
