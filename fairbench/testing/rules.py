"""How a check says that a component breaks a rule."""

from __future__ import annotations


class Nonconforming(AssertionError):
    """A component breaks a rule that the harness relies on."""


def require(condition: bool, message: str) -> None:
    """Raise Nonconforming with the message unless the condition holds."""
    if not condition:
        raise Nonconforming(message)
