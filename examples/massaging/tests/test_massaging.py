"""The method keeps fairbench's rules, and its labels are those worked out here by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.api import Samples, Schema
from fairbench.testing import CHECKS, example_split
from massaging.method import Massaging, massaged, swaps

# The protected group is favoured in 1 of 4 rows, the other in 3 of 4: one swap evens them out.
Y = np.array([1, 0, 0, 0, 1, 1, 1, 0])
PROTECTED = np.array([1, 1, 1, 1, 0, 0, 0, 0])
SCORE = np.array([0.9, 0.4, 0.6, 0.1, 0.8, 0.3, 0.7, 0.2])


def rows(favourable: int = 1) -> Samples:
    y = Y if favourable == 1 else 1 - Y
    return Samples(np.zeros((8, 1)), PROTECTED, Schema(("x",), ("other", "protected"), 1, favourable), y)


@pytest.mark.parametrize("check", CHECKS["methods"])
def test_it_keeps_the_rules(check):
    check(Massaging)


@pytest.mark.parametrize("favourable", [1, 0])
def test_the_protected_row_with_the_best_score_is_promoted_and_the_other_with_the_worst_demoted(favourable):
    assert swaps(rows(favourable)) == 1.0
    changed = massaged(rows(favourable), SCORE, 1) != rows(favourable).y
    assert np.flatnonzero(changed).tolist() == [2, 5]
    assert not (massaged(rows(favourable), SCORE, 0) != rows(favourable).y).any()


def test_all_swaps_leave_both_groups_favoured_equally_often():
    train = example_split(rows=1000).train
    y = massaged(train, train.X[:, 0], round(swaps(train)))
    rates = [y[train.protected].mean(), y[~train.protected].mean()]
    assert rates[0] == pytest.approx(rates[1], abs=2 / len(train))
    assert abs(train.y[train.protected].mean() - train.y[~train.protected].mean()) > 0.05
