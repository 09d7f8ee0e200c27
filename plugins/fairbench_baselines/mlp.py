"""The plain network: what every mitigation is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import Fitted, Method, Samples, hookimpl
from fairbench.api.networks import Network
from fairbench.api.torch import predictor


@dataclass(frozen=True)
class MLP(Network):
    """Train a multi-layer perceptron for accuracy alone, stopping early on validation loss."""

    name = "mlp"
    uses_group = ()

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the epoch with the smallest validation loss; the group is not used."""
        model, curves = self.train(train, validation, seed=seed)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the network."""
    return [MLP]
