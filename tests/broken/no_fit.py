"""A plugin whose method cannot be fitted."""

from dataclasses import dataclass

from fairbench.api import hookimpl


@dataclass(frozen=True)
class Idle:
    """A method without fit."""

    name = "idle"


@hookimpl
def fairbench_methods():
    return [Idle]
