"""No cheater: it fails at once."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import hookimpl


@dataclass(frozen=True)
class Failing:
    """Raises an error that has markup in its message."""

    name = "failing"

    def fit(self, train, validation, *, seed):
        raise ValueError("the matrix is singular <b>& more</b>")


@hookimpl
def fairbench_methods():
    return [Failing]
