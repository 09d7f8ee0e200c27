"""The ablation: a plain network whose scores are projected after training."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import Method, hookimpl

from ._training import ProjectedNetwork


@dataclass(frozen=True)
class PosthocProjection(ProjectedNetwork):
    """Train for accuracy alone, then project the scores as ``parity_projection`` does.

    Network, batches, initial weights and predictors are those of ``parity_projection``, so that the two differ by
    whether training sees the projection and by nothing else.

    References:
        Troxell, Roemer and Montufar (2026): their baseline "Projection".
    """

    name = "parity_projection_posthoc"
    uses_group = ("training", "prediction")
    through_layer = False


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [PosthocProjection]
