"""The same algorithm in two libraries, on the same splits: how far they diverge, and why."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aif360_helpers import two_group_split

pytest.importorskip("aif360")
pytest.importorskip("fairlearn")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, which are called directly
SCRIPT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "two_libraries.py")))
SEEDS = pytest.mark.parametrize("seed", range(4))


def balanced_accuracy(found):
    return float((found[0] + 1 - found[1]).mean() / 2)


def equalized(split, given):
    """Return the rates on validation by AIF360 and by fairlearn, which both make even between the groups."""
    part = split.validation
    made = SCRIPT.by_aif360(split, part), SCRIPT.by_fairlearn(split, part, given)
    ours, theirs = (SCRIPT.rates(part, chance) for chance in made)
    for found in (ours, theirs):
        assert np.ptp(found, axis=1).max() < 1e-6
    return ours, theirs


@SEEDS
def test_equalized_odds_of_decisions_is_the_same_problem_in_both(seed, record_property):
    ours, theirs = equalized(two_group_split(rows=1200, seed=seed), SCRIPT.DECISIONS)
    divergence = float(np.abs(ours - theirs).max())
    record_property("divergence of rates", divergence)
    assert divergence <= 2 / SCRIPT.GRID, f"rates diverge by {divergence:.4f}"
    assert balanced_accuracy(ours) >= balanced_accuracy(theirs) - 1e-9  # the linear program needs no grid


@SEEDS
def test_scores_let_fairlearn_reach_at_least_what_decisions_allow(seed, record_property):
    ours, theirs = equalized(two_group_split(rows=1200, seed=seed), SCRIPT.SCORES)
    record_property("divergence of rates", float(np.abs(ours - theirs).max()))
    assert balanced_accuracy(theirs) >= balanced_accuracy(ours) - 1 / SCRIPT.GRID


@SEEDS
def test_reweighing_is_the_same_in_both_implementations_and_even_by_fairlearn(seed):
    train = two_group_split(rows=1200, seed=seed).train
    one, other = SCRIPT.weights(train)
    assert one == pytest.approx(other, rel=1e-12)
    assert SCRIPT.weighted_difference(train, np.ones(len(train))) > 0.05
    assert SCRIPT.weighted_difference(train, one) == pytest.approx(0, abs=1e-12)


def test_the_table_has_a_number_for_each_column():
    found = SCRIPT.row(two_group_split(rows=600))
    assert len(found) == len(SCRIPT.COLUMNS)
    assert np.isfinite(found).all()
