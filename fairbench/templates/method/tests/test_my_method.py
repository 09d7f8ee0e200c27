"""The method keeps fairbench's rules, and does what it is for."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from fairbench.api import group_rates
from fairbench.testing import CHECKS, example_split
from my_method.method import MyMethod


@pytest.mark.parametrize("check", CHECKS["methods"])
def test_it_keeps_the_rules(check: Callable[[Any], Any]) -> None:
    check(MyMethod)


def gap(amount: float) -> float:
    """Return the demographic parity difference on the training part."""
    split = example_split()
    predict = MyMethod(amount=amount).fit(split.train, split.validation, seed=0)
    selection = group_rates(split.train, predict(split.train.inputs)).selection
    return float(selection.max() - selection.min())


def test_it_brings_the_selection_rates_together() -> None:
    assert gap(amount=1.0) < gap(amount=0.5) < gap(amount=0.0)
