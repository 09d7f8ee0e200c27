"""The behaviour of the authors' released package where it differs: for comparisons with its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from fairbench.api import Inputs, NotApplicable, Predictions
from fairbench.api.projection import Contrasts, solve_contrasts, solve_parity
from fairbench.api.torch import mlp, seeded, train_model

from ._prediction import Scorer, Traced, running
from ._rule import Rule
from ._streaming import PrimalDual, Settings

LEAST_GAIN = 1e-5  # by which a validation loss must fall to count as smaller

Rows = np.ndarray
"""Positions (n,) of a batch's rows."""


def package_network(n_features: int, hidden: tuple[int, ...], activation: str, *, seed: int) -> nn.Module:
    """Return the network with the package's initial weights: uniform after Kaiming for inputs, biases of 0.01."""
    model = mlp(n_features, hidden, activation, seed=seed)
    with seeded(seed), torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, mode="fan_in", nonlinearity="relu")
                layer.bias.fill_(0.01)
    return model


def fixed_batches(cell: np.ndarray, size: int, random: np.random.Generator, n_cells: int = 2) -> list[Rows]:
    """Return positions of batches of one size and one ratio of cells; rows that fill no batch are left out.

    Args:
        cell: (n,) codes: of two groups, or of the four combinations of two attributes.
        size: rows in a batch.
        random: for dealing the rows.
        n_cells: 2 or 4.

    Raises:
        NotApplicable: there are other cells, or too few rows of one of them for a single batch.
    """
    members = [np.flatnonzero(cell == code) for code in range(n_cells)]
    shares = [int(size * len(rows) / len(cell)) for rows in members[:-1]]
    if n_cells > 2:  # a row of each at least, and the largest makes up for it
        shares = [max(1, share) for share in shares]
        shares.append(max(1, size - sum(shares)))
        shares[int(np.argmax(shares))] += size - sum(shares)
    else:
        shares.append(size - sum(shares))
    if cell.max() >= n_cells or min(shares) < 1 or any(len(rows) < share for rows, share in zip(members, shares)):
        counts = " and ".join(str(len(rows)) for rows in members)
        raise NotApplicable(
            f"package_compat makes batches of size {size} with a constant ratio of {n_cells} groups; of {len(cell)} "
            f"rows they have {counts}: choose another batch_size"
        )
    shuffled = [random.permutation(rows) for rows in members]
    number = min(len(rows) // share for rows, share in zip(members, shares))
    return [
        random.permutation(np.concatenate([rows[k * share : (k + 1) * share] for rows, share in zip(shuffled, shares)]))
        for k in range(number)
    ]


def train_as_package(
    model: nn.Module, step: Callable[[int], dict[str, float]], validation_loss: Any, *, epochs: int, patience: int
) -> dict[str, list[float]]:
    """Train with the package's early stopping: the best weights are put back only if it stops early.

    Otherwise the last ones stay. A loss counts as smaller if it is smaller by more than 1e-5.
    """
    best, losses, last = float("inf"), [], {}

    def noticed(trained: nn.Module) -> Tensor:
        nonlocal best, last
        losses.append(float(validation_loss(trained)))
        last = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
        if losses[-1] < best - LEAST_GAIN:
            best = losses[-1]
            return torch.tensor(best, dtype=torch.float64)
        return torch.tensor(float("inf"))  # not smaller, as far as the package is concerned

    curves = train_model(model, step, noticed, epochs=epochs, patience=patience)
    seen = [value for value in curves["validation_loss"] if np.isfinite(value)]
    stopped = len(losses) - 1 - curves["validation_loss"].index(seen[-1]) >= patience
    if not stopped:
        model.load_state_dict(last)
    return {**curves, "validation_loss": losses}


class PackageInference(PrimalDual):
    """Batches from a size on are projected by themselves; smaller ones take the primal-dual step."""

    kind = "package"

    def __init__(self, settings: Settings, eta: float, b_tau: int, attributes: Optional[np.ndarray] = None) -> None:
        """Keep the size."""
        super().__init__(settings, eta, attributes)
        self.b_tau = b_tau

    def identity(self) -> dict[str, Any]:
        """See ``Remembering``."""
        return {**super().identity(), "b_tau": self.b_tau}

    def correct(self, score: np.ndarray, group: np.ndarray) -> np.ndarray:
        """See ``Correction``."""
        if len(score) < self.b_tau:
            return super().correct(score, group)
        settings = self.settings
        if self.attributes is None:
            return solve_parity(score, group, settings.n_groups, settings.epsilon, settings.box).value
        contrasts = Contrasts.mean_prediction(self.codes(group))
        epsilon = np.full(len(contrasts.offset), settings.epsilon)
        return solve_contrasts(score, contrasts, epsilon, settings.box).value


def package_inference(rule: Rule, eta: float, b_tau: int) -> PackageInference:
    """Return the package's inference for a rule, with its state just reset."""
    settings = Settings(len(rule.schema.group_names), rule.epsilon, rule.box.lower, rule.box.upper)
    return PackageInference(settings, eta, b_tau, rule.attributes() if rule.marginal else None)


class PackagePredictor:
    """The package's inference; ``stream()`` gives a predictor that remembers its batches, as its model does."""

    whole_batch = True

    def __init__(self, scorer: Scorer, *, eta: float, b_tau: int) -> None:
        """Keep the network and the settings."""
        self.scorer, self.eta, self.b_tau = scorer, eta, b_tau

    def __call__(self, inputs: Inputs) -> Predictions:
        """Return the predictions for a first batch."""
        return self.stream()(inputs)

    def stream(self) -> Traced:
        """Return a predictor whose state has just been reset."""
        return running(self.scorer, package_inference(self.scorer.rule, self.eta, self.b_tau))
