"""A network that is trained through the projection of its scores onto a fairness constraint."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import Method, hookimpl

from ._training import ProjectedNetwork


@dataclass(frozen=True)
class ParityProjection(ProjectedNetwork):
    """Train through a layer that evens out the groups' mean scores in every batch, and predict with that projection.

    The loss is that of the projected scores and its gradient flows through the projection, so that the network learns
    what is best once its scores have been moved. Batches hold every group in its share; no row is left out.

    It is mean scores that agree in the end, not decisions. ``frozen`` predicts every row by itself, with shifts found
    on the training part: its gap on new rows is epsilon plus what sampling adds. ``batch`` projects all rows that come
    together and keeps the gap at epsilon exactly, but a row's decision then depends on the rows beside it.

    Mean residuals use the training labels and predict with frozen shifts; equalized odds cannot be kept without the
    labels of the rows to be predicted, except by an experimental variant.

    References:
        Troxell, Roemer and Montufar (2026), Differentiable Optimization Layers for Guaranteed Fairness in Deep
        Learning.
    """

    name = "parity_projection"
    uses_group = ("training", "prediction")
    through_layer = True


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [ParityProjection]
