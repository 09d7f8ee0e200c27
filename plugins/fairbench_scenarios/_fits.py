"""Fits of several configurations of a method on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from fairbench.api import Fitted, Method, Split, Stackable


def fit_each(method: Method, configurations: Sequence[Method], split: Split, seed: int) -> list[Fitted]:
    """Return the fit of each configuration of the method, one after another."""
    return [Fitted.of(each.fit(split.train, split.validation, seed=seed)) for each in configurations]


def fit_together(method: Method, configurations: Sequence[Method], split: Split, seed: int) -> list[Fitted]:
    """Return the fit of each configuration of the method, together where the method can."""
    if isinstance(method, Stackable):
        fits = list(method.fit_together(configurations, split.train, split.validation, seed=seed))
        if len(fits) != len(configurations):
            raise ValueError(
                f"{method.name}.fit_together returned {len(fits)} fits for {len(configurations)} configurations; it "
                "must return one for each, in their order"
            )
        return [Fitted.of(fit) for fit in fits]
    return fit_each(method, configurations, split, seed)
