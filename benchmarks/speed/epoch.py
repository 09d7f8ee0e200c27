"""An epoch of FaAlGrad on data of COMPAS's size, compared with plain training and with metrics in the loop.

``python benchmarks/speed/epoch.py`` prints milliseconds and ratios, one thread, best of three. The fourth row adds the
evaluation of four library metrics on the training and validation parts in every epoch, as the method's original
implementation does. The last two compare, on data of Adult's size, torch's linear layers with those of ``mlp``, which
multiply few units by many rows column-wise.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import torch
from torch import nn

from fairbench.api import Samples, Schema
from fairbench.api.torch import as_batch, mlp, train_model, unroll, weighted_loss

EPOCHS = 100
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


def milliseconds(inner_steps: int | None, metrics_in_loop: bool = False, epochs: int = EPOCHS) -> float:
    """Return the best time of an epoch with its validation pass; ``inner_steps=None`` is plain training."""
    train, validation = samples(TRAIN, 0), samples(VALIDATION, 1)
    support = as_batch(train.select(train.protected))
    query = as_batch(train.select(~train.protected))
    whole = as_batch(train)
    validation_loss = weighted_loss(as_batch(validation))
    best = float("inf")
    for _ in range(3):
        model = mlp(FEATURES, (WIDTH,), seed=0)
        outer = torch.optim.Adam(model.parameters(), lr=1e-5)

        def step(epoch: int, model=model, outer=outer) -> dict[str, float]:
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

        started = time.perf_counter()
        curves = train_model(model, step, validation_loss, epochs=epochs, patience=epochs)
        best = min(best, 1000 * (time.perf_counter() - started) / len(curves["validation_loss"]))
    return best


def plain_mlp() -> nn.Module:
    """Return the network of ``mlp`` for Adult's size with torch's own linear layers."""
    widths = [ADULT_FEATURES, *ADULT_HIDDEN]
    layers = [layer for pair in zip(widths, widths[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def meta_step(model: nn.Module) -> float:
    """Return the best time of a step of FaAlGrad with 10 inner steps on data of Adult's size."""
    train = samples(ADULT_TRAIN, 0, ADULT_FEATURES)
    inside = np.arange(len(train)) % 3 == 0
    support, query = (weighted_loss(as_batch(train.select(rows))) for rows in (inside, ~inside))
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        query(unroll(model, support, steps=10, lr=0.001)).backward()
        best = min(best, 1000 * (time.perf_counter() - started))
    return best


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    milliseconds(1, epochs=3)  # imports
    plain = milliseconds(None)
    rows = [
        ("plain training, full batch", plain),
        ("faalgrad, 1 inner step", milliseconds(1)),
        ("faalgrad, 10 inner steps", milliseconds(10)),
        ("faalgrad, 1 inner step, fairlearn in the loop", milliseconds(1, metrics_in_loop=True, epochs=5)),
    ]
    for name, value in rows:
        print(f"{name:46s} {value:9.2f} ms an epoch   x{value / plain:.1f}")
    here = meta_step(mlp(ADULT_FEATURES, ADULT_HIDDEN, seed=0))
    theirs = meta_step(plain_mlp())
    print(f"{'Adult, 10 inner steps':46s} {here:9.2f} ms an epoch")
    print(f"{'Adult, 10 inner steps, torch.nn.Linear':46s} {theirs:9.2f} ms an epoch   x{theirs / here:.2f} of that")


if __name__ == "__main__":
    main()
