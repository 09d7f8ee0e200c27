"""A plugin that offers two methods; the name of one is taken, so neither is loaded."""

from dataclasses import dataclass

from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Fresh:
    """A method under a name of its own."""

    name = "fresh"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions.from_score([0.0] * len(inputs))


@dataclass(frozen=True)
class Taken(Fresh):
    """A method under a built-in name."""

    name = "constant"


@hookimpl
def fairbench_methods():
    return [Fresh, Taken]
