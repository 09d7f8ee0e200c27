"""Manual baseline adjustment for demographic parity: as many protected rows as others in the training part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Fitted, Method, NotApplicable, Samples, derive_seed, hookimpl
from fairbench.api.networks import Network
from fairbench.api.torch import predictor


def balance_sides(train: Samples, *, seed: int) -> Samples:
    """Return all rows, followed by copies that bring the protected rows and the others to equal counts.

    Copies are drawn with replacement from the smaller side. That is the protected group in the paper's words; where
    the protected group is the larger side (African-Americans in COMPAS) the others are oversampled, because the aim is
    equal counts. With more than two groups, the other side is all the rest combined.

    Args:
        train: (n,) rows.
        seed: for the draw.

    Returns:
        The n rows in their order, then the copies.

    Raises:
        NotApplicable: a side has no rows.
    """
    protected, others = np.flatnonzero(train.protected), np.flatnonzero(~train.protected)
    if not (len(protected) and len(others)):
        raise NotApplicable(
            f"equal counts need rows on both sides; training rows: {len(protected):,} protected, {len(others):,} others"
        )
    smaller = min(protected, others, key=len)
    missing = abs(len(protected) - len(others))
    copies = np.random.default_rng(seed).choice(smaller, size=missing, replace=True)
    return train.select(np.concatenate([np.arange(len(train)), copies]))


@dataclass(frozen=True)
class BalancedGroups(Network):
    """Oversample the smaller of the protected and unprotected groups to equal counts, then train the plain network.

    References:
        Malik & Mopuri, FaAlGrad (TMLR), 5.2, "MBA for DP"; after Kamiran & Calders (2011), Data preprocessing
        techniques for classification without discrimination.
    """

    name = "mba_dp"
    uses_group = ("training",)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the network trained on the balanced rows; validation stays as it is."""
        balanced = balance_sides(train, seed=derive_seed("balance", seed))
        model, curves = self.train(balanced, validation, seed=seed)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [BalancedGroups]
