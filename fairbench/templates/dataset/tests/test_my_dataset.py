"""The dataset keeps fairbench's rules, and holds what is said of it."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from fairbench.testing import CHECKS
from my_dataset.dataset import MyDataset


@pytest.mark.parametrize("check", CHECKS["datasets"])
def test_it_keeps_the_rules(check: Callable[[Any], Any]) -> None:
    check(MyDataset)


def test_rows_labels_and_groups_are_those_of_the_table() -> None:
    dataset = MyDataset().load({})
    counts = dataset.sensitive_features["sex"].value_counts()
    assert (len(dataset.X), int(dataset.y.sum())) == (600, 434)
    assert (int(counts["female"]), int(counts["male"])) == (242, 358)
    assert "sex" not in list(dataset.X)
