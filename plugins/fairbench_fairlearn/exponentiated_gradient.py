"""The reduction to weighted classification, solved as a game: fairlearn's ExponentiatedGradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Optional

from fairbench.api import Method, Predictor, Range, Samples, fit_estimator, hookimpl, needs, parameter
from fairbench.api.base_models import OnBaseModel

from ._parts import AGARWAL, DEFAULT, MOMENTS, fairlearn_called, moment, need_groups

needs("fairlearn")


@dataclass(frozen=True)
class ExponentiatedGradient(OnBaseModel):
    """Mix classifiers that are each fitted to reweighted and relabelled rows until the mixture meets a constraint.

    Each person is decided by a classifier drawn from the mixture, so decisions have chances, and there are no scores.
    The group is used in training only.

    References:
        Agarwal et al. (2018), algorithm 1; fairlearn's ``reductions.ExponentiatedGradient``.
    """

    name = "fairlearn_exponentiated_gradient"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Range]] = {
        "bound": Range(0.001, 0.2, log=True, source="own, around fairlearn's default")
    }

    constraint: str = parameter("demographic_parity", "what groups are to share", source="own", choices=tuple(MOMENTS))
    bound: float = parameter(
        0.01, "how far a group's rate may be from the overall rate", source=DEFAULT, minimum=1e-6, maximum=1
    )
    eps: float = parameter(
        0.01, "inverse of the largest sum of multipliers", source=f"{DEFAULT}; {AGARWAL}, B = 1 / eps", minimum=1e-6
    )
    max_iter: int = parameter(50, "the largest number of rounds", source=DEFAULT, minimum=1)
    nu: Optional[float] = parameter(
        None, "duality gap at which to stop; none for half the standard error of the error", source=DEFAULT, minimum=0
    )
    eta0: float = parameter(2.0, "initial learning rate of the multipliers", source=DEFAULT, minimum=1e-6)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the mixture's predictor; nothing is chosen on validation.

        Raises:
            NotApplicable: the training part has one label or one group, or the base model takes no weights.
        """
        from fairlearn import reductions

        need_groups(train, self.name)
        mixture = reductions.ExponentiatedGradient(
            self.estimator(seed=seed, weighted=True),
            moment(self.constraint, self.bound),
            eps=self.eps,
            max_iter=self.max_iter,
            nu=self.nu,
            eta0=self.eta0,
        )
        with fairlearn_called():
            return fit_estimator(mixture, train, seed=seed)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [ExponentiatedGradient]
