"""Boxes and scores of another order than the rest: the constraint holds all the same, on either way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fairbench.api.projection as api
from fairbench.api.projection import Box, Contrasts, Infeasible, project, project_parity, solve_contrasts, solve_parity

DOUBLE, SINGLE = torch.float64, torch.float32
WIDE = [(-size, size) for size in (1e3, 1e7, 1e10, 1e16, 1e300)] + [(0.0, 1e18), (-1e18, 1.0), (-np.inf, 1e18)]


@pytest.fixture(params=["pair", "general"])
def way(request, monkeypatch):
    """Take the way of two groups, or the general search."""
    if request.param == "general":
        monkeypatch.setattr(api, "solve_pair", lambda *_: None)


def two_groups(n):
    random = np.random.default_rng(n)
    code = random.permutation(np.arange(n) % 2)
    return random.normal(0.4 + 0.2 * code, 0.1, n), code


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("dtype", "tolerance"), [(DOUBLE, 1e-12), (SINGLE, 1e-7)])
@pytest.mark.parametrize("n", [6, 5000])
@pytest.mark.parametrize("box", WIDE)
def test_a_box_far_beyond_the_scores_is_as_good_as_none(dtype, tolerance, n, box):
    score, code = two_groups(n)
    for epsilon in (0.0, 0.05):
        value = project_parity(torch.tensor(score, dtype=dtype), code, epsilon=epsilon, lower=box[0], upper=box[1])
        means = [value[code == g].double().mean() for g in (0, 1)]
        assert abs(means[0] - means[1]) <= epsilon + tolerance
        near = project_parity(torch.tensor(score, dtype=dtype), code, epsilon=epsilon, lower=max(box[0], -3), upper=9)
        assert (value - near).abs().max() <= tolerance


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("dtype", "tolerance"), [(DOUBLE, 1e-12), (SINGLE, 1e-7)])
@pytest.mark.parametrize("n", [6, 5000])
@pytest.mark.parametrize("outlier", [1e6, -1e8, 1e12, 1e17, -1e30])
def test_a_score_far_outside_the_box_does_not_coarsen_the_others(dtype, tolerance, n, outlier):
    score, code = two_groups(n)
    score[n // 2] = outlier
    nearer = np.clip(score, -3, 3)
    for epsilon in (0.0, 0.05):
        value, expected = (
            project_parity(torch.tensor(values, dtype=dtype), code, epsilon=epsilon, lower=0.0, upper=1.0)
            for values in (score, nearer)
        )
        assert (value - expected).abs().max() <= tolerance
        assert abs(value[code == 0].double().mean() - value[code == 1].double().mean()) <= epsilon + tolerance


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("box", "outlier"), [((0.0, np.inf), -1e17), ((-np.inf, 1.0), 1e17), ((0.0, 1.0), 7e20)])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_an_outlier_beside_scores_of_any_size_does_no_harm(box, outlier, size):
    random = np.random.default_rng(3)
    code = np.arange(12) % 2
    for seed in range(5):
        score = np.random.default_rng(seed).normal(0.2, 1.0, 12) * size
        score[random.integers(12)] = outlier
        value = project_parity(torch.tensor(score), code, epsilon=0.0, lower=box[0], upper=box[1])
        assert abs(value[code == 0].mean() - value[code == 1].mean()) <= 1e-9 * max(1.0, float(value.abs().max()))


def test_what_is_far_off_comes_back_where_it_matters():
    score, wide = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=DOUBLE), {"lower": -1e20, "epsilon": 0.0}
    lone = Contrasts.affine(np.array([1e-3, 0, 0, 0]), [1.0])
    assert project(score, lone, upper=1e20, **wide).tolist() == pytest.approx([1000, 0.2, 0.3, 0.4])
    with pytest.raises(Infeasible, match=r"contrast 0 cannot come within 0 of 1: .* by 0.9 or more"):
        project(score, lone, upper=100.0, **wide)
    apart = torch.tensor([1e17, 1e17, 0.0, 0.0], dtype=DOUBLE)  # the shift of a small group is as large as its scores
    box = {"lower": 0.0, "upper": 1.0, "epsilon": 0.05}
    assert project_parity(apart, [0, 0, 1, 1], **box).tolist() == pytest.approx([1, 1, 0.95, 0.95])
    rows = Contrasts.affine(np.array([[1.0, 0, 0, 0], [0, 1e-9, 0, 1e-9]]), [0.5, 1e-9])
    value = solve_contrasts(np.array([1e9, 0.3, 0.3, 0.3]), rows, np.zeros(2), Box(0.0, 1.0)).value
    assert value.tolist() == pytest.approx([0.5, 0.5, 0.3, 0.5])


def test_three_groups_at_scale():
    random = np.random.default_rng(0)
    code = np.arange(3000) % 3
    score = random.normal(0.3 + 0.1 * code, 0.2)
    expected = solve_parity(score, code, 3, 0.01, Box(-50.0, 50.0)).value
    np.testing.assert_allclose(solve_parity(score, code, 3, 0.01, Box(-1e15, 1e15)).value, expected, atol=1e-12)


@pytest.mark.usefixtures("way")
def test_a_box_that_holds_nothing_but_zeros_or_nothing_at_all():
    box = {"lower": 0.0, "upper": 1.0, "epsilon": 0.0}
    assert project_parity(torch.tensor([0.0, 5.0], dtype=DOUBLE), [0, 1], **box).tolist() == pytest.approx([1.0, 1.0])
    assert project_parity(torch.tensor([-9.0, 5.0], dtype=DOUBLE), [0, 1], **box).tolist() == pytest.approx([0, 0])
    assert project_parity(torch.tensor([-9.0, 99.0], dtype=DOUBLE), [0, 1], **box).tolist() == pytest.approx([1, 1])


@pytest.mark.usefixtures("way")
def test_scores_whose_sums_might_be_infinite_are_refused():
    for dtype, size in ((DOUBLE, 1.7e308), (DOUBLE, -1e301)):
        with pytest.raises(
            ValueError, match=r"the score in row 2 is -?1\.?7?e\+30[18]; at most 1e\+300 can be projected"
        ):
            project_parity(torch.tensor([0.0, 1.0, size, 0.0], dtype=dtype), [0, 1, 0, 1])


@pytest.mark.usefixtures("way")
def test_bounds_that_float32_cannot_hold_raise_no_warning():
    score, code = two_groups(40)
    value = project_parity(torch.tensor(score, dtype=SINGLE), code, lower=-1e300, upper=1e300)
    assert value.isfinite().all()
