"""The distribution behind the synthetic dataset: plain numbers, one pair for each group."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import DataError

Pair = tuple[float, float]


@dataclass(frozen=True)
class Distribution:
    """How a row is generated; pairs hold the unprotected group's value (a = 0), then the protected group's (a = 1).

    A ~ Bernoulli(share); the true outcome Y* ~ Bernoulli(base_rate[a]); the feature x ~ N(shift[a] + effect[a] Y*, 1);
    the proxy z ~ Bernoulli(proxy[a]). The recorded label Y is Y* after flips: 1 -> 0 with probability ``missed[a]``
    and 0 -> 1 with probability ``invented``.

    Args:
        share: of the protected group, in (0, 1).
        base_rate: P(Y* = 1 | a), in (0, 1).
        effect: how far Y* moves x, in standard deviations, above 0.
        shift: the mean of x where Y* = 0.
        missed: P(Y = 0 | Y* = 1, a).
        invented: P(Y = 1 | Y* = 0).
        proxy: P(z = 1 | a).
    """

    share: float
    base_rate: Pair
    effect: Pair
    shift: Pair
    missed: Pair
    invented: float
    proxy: Pair

    def __post_init__(self) -> None:
        """Check that these are probabilities, and that labels carry information about the true outcome."""
        unprotected, protected = self.base_rate
        chances = {"group share": self.share, "unprotected base rate": unprotected, "protected base rate": protected}
        for what, value in chances.items():
            if not 0 < value < 1:
                raise DataError(f"synthetic: the {what} is {value:g}; it must lie strictly between 0 and 1")
        for what, value in (("unprotected", self.proxy[0]), ("protected", self.proxy[1])):
            if not 0 <= value <= 1:
                raise DataError(f"synthetic: P(z = 1) is {value:g} in the {what} group; choose a weaker proxy_strength")
        for missed in self.missed:
            if not (missed >= 0 and self.invented >= 0 and missed + self.invented < 1):
                raise DataError(
                    f"synthetic: labels flip from 1 to 0 with probability {missed:g} and back with {self.invented:g}; "
                    "the sum must stay below 1; choose a smaller label_noise"
                )

    @property
    def weight(self) -> Pair:
        """Return each group's share of the rows."""
        return (1 - self.share, self.share)

    @property
    def label_rate(self) -> Pair:
        """Return P(Y = 1 | a), the base rate of the recorded label."""
        first, second = (
            rate * (1 - missed) + (1 - rate) * self.invented for rate, missed in zip(self.base_rate, self.missed)
        )
        return (first, second)


PRESETS = {
    "equal": Distribution(
        share=0.5,
        base_rate=(0.6, 0.3),
        effect=(1.5, 1.5),
        shift=(0.0, 0.0),
        missed=(0.0, 0.0),
        invented=0.0,
        proxy=(0.2, 0.8),
    ),
    "small": Distribution(
        share=0.15,
        base_rate=(0.5, 0.3),
        effect=(2.0, 1.2),
        shift=(0.0, -0.3),
        missed=(0.05, 0.05),
        invented=0.05,
        proxy=(0.1, 0.7),
    ),
    "biased": Distribution(
        share=0.3,
        base_rate=(0.5, 0.5),
        effect=(1.8, 1.8),
        shift=(0.0, 0.0),
        missed=(0.05, 0.3),
        invented=0.05,
        proxy=(0.3, 0.7),
    ),
}
