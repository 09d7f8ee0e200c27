"""Fits of the in-processing methods on small rows; the tests beside import this by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bilevel_helpers import make_samples
from numpy.typing import NDArray
from torch import Tensor

from fairbench.api import Predictions, Samples
from fairbench.api.networks import Network
from fairbench.api.torch import Batch, as_batch

TRAIN, VALIDATION, TEST = (make_samples(n, seed=seed) for n, seed in ((400, 0), (200, 1), (100, 2)))
QUICK = {"hidden": (8,), "epochs": 4, "batch_size": 32}
LEARNING = {"hidden": (8,), "epochs": 30, "batch_size": 64, "lr": 1e-2}


def predict(method: Network, part: Samples = TEST, train: Samples = TRAIN) -> Predictions:
    """Return what the fitted method says about these rows."""
    return method.fit(train, VALIDATION, seed=3).points[""](part.inputs)  # type: ignore[attr-defined, no-any-return]


def scores(method: Network) -> NDArray[Any]:
    """Return the scores of the test rows."""
    found = predict(method).y_score
    assert found is not None
    return found


def on_training_rows(
    method: type[Network], name: str, values: tuple[float, ...], measure: Callable[[Tensor, Batch], Tensor], **more: Any
) -> list[float]:
    """Return a measure of the training rows' scores for each value of a hyper-parameter."""
    rows, found = as_batch(TRAIN), []
    for value in values:
        predictions = predict(method(**LEARNING, **{name: value}, **more), TRAIN)
        found.append(float(measure(torch.tensor(predictions.y_score, dtype=torch.float32), rows)))
    return found


def one_group(part: Samples = TRAIN) -> Samples:
    """Return the rows of the first group."""
    return part.select(part.group == 0)


def favourable(part: Samples, label: int) -> Samples:
    """Return the same rows with another favourable label."""
    return dataclasses.replace(part, schema=dataclasses.replace(part.schema, favorable_label=label))


def doubled(part: Samples) -> Batch:
    """Return the rows in float64, for differences that are finite but small."""
    return as_batch(part, torch.float64)


def falls(values: list[float]) -> bool:
    """Return whether every value is smaller than the one before it."""
    return bool((np.diff(values) < 0).all())
