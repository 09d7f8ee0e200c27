"""Training of several settings side by side, each with its own early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Callable

Curves = dict[str, list[float]]
"""A value for each epoch, by name."""


def train_members(
    names: Sequence[str],
    step: Callable[[int, list[int]], Mapping[str, Any]],
    keep: Callable[[int, int], None],
    *,
    epochs: int,
    patience: int,
) -> list[Curves]:
    """Train settings as ``train_model`` trains one, and return their curves; one that stops leaves the others.

    Args:
        names: what each setting is called in an error.
        step: called with the number of the epoch and the places of the settings that still train. It runs one epoch
            and returns values, one for each of these places, by name; ``validation_loss`` is among them.
        keep: called with a position among those places and the place when the setting's weights are the best so far.
        epochs: the largest number of epochs.
        patience: epochs without a smaller validation loss before a setting stops.

    Raises:
        ArithmeticError: a setting never has a finite validation loss.
    """
    curves: list[Curves] = [{} for _ in names]
    best, best_epoch = [math.inf] * len(names), [-1] * len(names)
    active = list(range(len(names)))
    for epoch in range(epochs):
        measured, stopped = step(epoch, active), set()
        for position, place in enumerate(active):
            for name, values in measured.items():
                curves[place].setdefault(name, []).append(float(values[position]))
            value = curves[place]["validation_loss"][-1]
            if value < best[place]:  # false for NaN too
                best[place], best_epoch[place] = value, epoch
                keep(position, place)
            elif epoch - best_epoch[place] >= patience:
                stopped.add(place)
        active = [place for place in active if place not in stopped]
        if not active:
            break
    for place, value in enumerate(best):
        if not math.isfinite(value):
            raise ArithmeticError(
                f"training diverged: the validation loss of setting {place + 1} of {len(names)}, with {names[place]}, "
                "was never finite; lower the learning rate or scale the features"
            )
    return curves
