"""Every registered component passes the checks of fairbench.testing, whoever brought it."""

from __future__ import annotations

import pytest

from fairbench.names import KINDS
from fairbench.plugins import load_plugins
from fairbench.testing import CHECKS

REGISTRY, _ = load_plugins()
CASES = [
    pytest.param(kind, name, check, id=f"{kind}-{name}-{check.__name__}")
    for kind in KINDS
    for name in REGISTRY.names(kind)
    for check in CHECKS[kind]
]


@pytest.mark.parametrize(("kind", "name", "check"), CASES)
def test_component_conforms(kind, name, check):
    check(REGISTRY.get(kind, name))


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_something_to_check(kind):
    assert REGISTRY.names(kind)
