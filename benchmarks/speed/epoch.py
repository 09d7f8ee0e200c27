"""An epoch of FaAlGrad beside plain training, and with metrics in the loop.

The row with fairlearn's metrics adds the evaluation of four of them on the training and validation parts in every
epoch, as the method's original implementation does. The last row compares torch's linear layers with those of ``mlp``,
which multiply few units by many rows column-wise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from _timing import Row, Times, Work, alternately
from torch import nn

from fairbench.api import Samples, Schema
from fairbench.api.torch import as_batch, mlp, train_model, unroll, weighted_loss

EPOCHS = 50
TRAIN, VALIDATION, FEATURES, WIDTH = 4320, 926, 7, 8  # COMPAS
ADULT_TRAIN, ADULT_FEATURES, ADULT_HIDDEN = 31655, 100, (8, 8)


def samples(n: int, seed: int, features: int = FEATURES) -> Samples:
    """Return rows of COMPAS's shape, or of another width; values do not matter for time."""
    generator = np.random.default_rng(seed)
    schema = Schema(tuple(f"x{column}" for column in range(features)), ("other", "protected"), protected=1)
    X = generator.normal(size=(n, features)).astype(np.float32)
    return Samples(X, generator.integers(0, 2, n), schema, generator.integers(0, 2, n))


def fairlearn_metrics(model, parts) -> None:
    """Evaluate four metrics on both parts."""
    from fairlearn import metrics

    names = (
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equalized_odds_ratio",
    )
    for part in parts:
        with torch.no_grad():
            predicted = (model(torch.tensor(part.X)) > 0).long().numpy().ravel()
        for name in names:
            getattr(metrics, name)(part.y, predicted, sensitive_features=part.group)


def training(inner_steps: int | None, metrics_in_loop: bool = False, epochs: int = EPOCHS) -> Work:
    """Return what trains for some epochs, each with its validation pass; ``inner_steps=None`` is plain training."""
    train, validation = samples(TRAIN, 0), samples(VALIDATION, 1)
    support = as_batch(train.select(train.protected))
    query = as_batch(train.select(~train.protected))
    whole = as_batch(train)
    validation_loss = weighted_loss(as_batch(validation))

    def run() -> None:
        model = mlp(FEATURES, (WIDTH,), seed=0)
        outer = torch.optim.Adam(model.parameters(), lr=1e-5)

        def step(epoch: int) -> dict[str, float]:
            outer.zero_grad()
            if inner_steps is None:
                loss = weighted_loss(whole)(model)
            else:
                loss = weighted_loss(query)(unroll(model, weighted_loss(support), steps=inner_steps, lr=0.01))
            loss.backward()
            outer.step()
            if metrics_in_loop:
                fairlearn_metrics(model, (train, validation))
            return {}

        curves = train_model(model, step, validation_loss, epochs=epochs, patience=epochs)
        assert len(curves["validation_loss"]) == epochs

    return run


def plain_mlp() -> nn.Module:
    """Return the network of ``mlp`` for Adult's size with torch's own linear layers."""
    widths = [ADULT_FEATURES, *ADULT_HIDDEN]
    layers = [layer for pair in zip(widths, widths[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def meta_step(model: nn.Module) -> Work:
    """Return a step of FaAlGrad with 10 inner steps on data of Adult's size."""
    train = samples(ADULT_TRAIN, 0, ADULT_FEATURES)
    inside = np.arange(len(train)) % 3 == 0
    support, query = (weighted_loss(as_batch(train.select(rows))) for rows in (inside, ~inside))
    return lambda: query(unroll(model, support, steps=10, lr=0.001)).backward()


def measure(quick: bool) -> Iterator[Row]:
    """Time epochs on data of COMPAS's size, and one outer step on data of Adult's."""
    epochs, few = (5, 1) if quick else (50, 2)
    works = {
        "plain": training(None, epochs=epochs),
        "faalgrad, 1 inner step": training(1, epochs=epochs),
        "faalgrad, 10 inner steps": training(10, epochs=epochs),
        "faalgrad, 1 inner step, fairlearn's metrics in the loop": training(1, metrics_in_loop=True, epochs=few),
    }
    found = alternately(works, rounds=2, budget=15.0)
    for name, times in found.items():
        each = Times(*(seconds / (few if "fairlearn" in name else epochs) for seconds in times))
        if name == "plain":
            plain = each
            yield each.row("an epoch of plain training, as compas")
        else:
            yield each.row(f"an epoch of {name}", other=plain, against="plain training")
    if quick:
        return
    ways = {"here": meta_step(mlp(ADULT_FEATURES, ADULT_HIDDEN, seed=0)), "torch": meta_step(plain_mlp())}
    found = alternately(ways, rounds=5)
    yield found["here"].row(
        "an outer step of 10 inner steps, as adult", other=found["torch"], against="torch.nn.Linear"
    )
