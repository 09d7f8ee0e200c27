"""A constraint with epsilon = 0 holds the outputs even where nothing had to be shifted: on scores that are fair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fairbench_projection._solver.backward import pull_back

import fairbench.api.projection as api
from fairbench.api.projection import Box, Contrasts, Past, Projection, project, project_parity, solve_parity

N = 24
GROUP = np.stack([np.arange(N) % 2, np.arange(N) // 2 % 2], axis=1)
Y = np.arange(N) // 4 % 2  # as many of each class in every combination of groups
RANDOM = np.random.default_rng(8)
WEIGHT = torch.tensor(RANDOM.normal(size=N))
OWN = np.random.default_rng(9).integers(-4, 5, (3, N)) / 8.0  # exact in binary, as are the scores: their sums are too

CONTRASTS = {
    "mean prediction": Contrasts.mean_prediction(GROUP[:, 0]),
    "mean prediction, 2 attributes": Contrasts.mean_prediction(GROUP),
    "equalized odds": Contrasts.equalized_odds(GROUP[:, 0], Y),
    "equalized odds, 2 attributes": Contrasts.equalized_odds(GROUP, Y),
    "mean residual": Contrasts.mean_residual(GROUP[:, 0], Y),
    "mean residual, 3 groups": Contrasts.mean_residual(np.arange(N) % 3, Y),
    "mean residual, 2 attributes": Contrasts.mean_residual(GROUP, Y),
    "rows of one's own": Contrasts.affine(OWN, OWN @ np.full(N, 0.5)),
}
BOXES = [{}, {"lower": 0.0, "upper": 1.0}, {"lower": 0.25}]


@pytest.fixture(params=["two groups", "general"])
def way(request, monkeypatch):
    """Run a test by the way of two groups (compiled where it could be) and by the general search."""
    if request.param == "general":
        monkeypatch.setattr(api, "solve_pair", lambda *_: None)


def constant(value=0.5, n=N):
    return torch.full((n,), value, dtype=torch.float64, requires_grad=True)


def slopes(projected, score, weight, step=1e-4):
    """Return central differences of projected(score) @ weight by each score."""
    found = []
    for row in torch.eye(len(score), dtype=torch.float64):
        ends = [float(projected(score.detach() + side * step * row).detach() @ weight) for side in (1, -1)]
        found.append((ends[0] - ends[1]) / (2 * step))
    return np.array(found)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_on_fair_scores_is_shared_within_the_groups(dtype):
    weight = torch.tensor([1.0, 2.0, 3.0, 5.0], dtype=dtype)
    for function in (
        lambda z: project_parity(z, [0, 0, 1, 1], epsilon=0),
        lambda z: project_parity(z, [0, 0, 1, 1], epsilon=torch.tensor(0.0), lower=0.0, upper=1.0),
        lambda z: project(z, Contrasts.mean_prediction(np.array([0, 0, 1, 1])), epsilon=0),
        lambda z: project(z, Contrasts.affine([0.5, 0.5, -0.5, -0.5]), epsilon=0),
        lambda z: Projection(epsilon=0.0)(z, [0, 0, 1, 1]),
        lambda z: Projection("mean_residual", epsilon=0.0)(z, [0, 0, 1, 1], [0, 1, 0, 1]),
    ):
        score = torch.full((4,), 0.5, dtype=dtype, requires_grad=True)
        value = function(score)
        value.backward(weight)
        assert value.tolist() == [0.5] * 4
        assert score.grad.tolist() in ([2.25, 3.25, 1.75, 3.75], [-0.5, 0.5, -1.0, 1.0])  # parity; each group's mean


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("kind", CONTRASTS)
def test_contrasts_of_fair_scores_have_the_gradient_of_finite_differences(kind, box):
    contrasts, score = CONTRASTS[kind], constant()

    def projected(z):
        return project(z, contrasts, epsilon=0.0, **box)

    value = projected(score)
    value.backward(WEIGHT)
    assert value.tolist() == score.tolist()
    np.testing.assert_allclose(score.grad, slopes(projected, score, WEIGHT), atol=1e-8)
    assert (score.grad - WEIGHT).abs().max() > 0.01  # and so the constraint is active


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("value", [0.5, 0.1], ids=["exact sums", "sums that round"])
@pytest.mark.parametrize("groups", [2, 3, 5])
def test_means_of_fair_scores_have_the_gradient_of_finite_differences(groups, value):
    code = np.sort(np.arange(N) ** 2 % groups)  # groups of unlike sizes, some without rows
    score = constant(value)

    def projected(z):
        return project_parity(z, code, epsilon=0.0, lower=0.0, upper=1.0)

    projected(score).backward(WEIGHT)
    np.testing.assert_allclose(score.grad, slopes(projected, score, WEIGHT), atol=1e-8)


@pytest.mark.parametrize("kind", ["equalized odds", "mean residual", "mean prediction, 2 attributes"])
def test_a_contrast_that_is_fair_beside_one_that_is_not_holds_too(kind):
    contrasts = CONTRASTS[kind]
    raised = {"equalized odds": Y == 1, "mean residual": GROUP[:, 0] == 0}.get(kind, GROUP[:, 0] == 0)
    score = torch.tensor(0.5 + 0.25 * (raised & (GROUP[:, 0] == 0)), requires_grad=True)

    def projected(z):
        return project(z, contrasts, epsilon=0.0)

    projected(score).backward(WEIGHT)
    np.testing.assert_allclose(score.grad, slopes(projected, score, WEIGHT), atol=1e-8)
    assert np.abs(contrasts.weight[:, contrasts.code] @ score.grad.numpy()).max() < 1e-12


def test_a_group_in_the_middle_moves_with_the_others():
    score = torch.tensor([0.2, 0.4, 0.5, 0.5, 0.6, 0.8], dtype=torch.float64, requires_grad=True)
    weight = WEIGHT[:6]

    def projected(z):
        return project_parity(z, [0, 0, 1, 1, 2, 2], epsilon=0.0)

    projected(score).backward(weight)
    np.testing.assert_allclose(score.grad, slopes(projected, score, weight), atol=1e-8)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("groups", [2, 3])
def test_rows_at_the_edge_of_the_box_get_no_gradient_and_the_others_share_theirs(groups):
    code = np.arange(12) % groups
    start = np.full(12, 0.5)
    start[:groups], start[groups : 2 * groups] = 0.0, 1.0  # of each group one row at either bound
    score, weight = torch.tensor(start, requires_grad=True), WEIGHT[:12]
    project_parity(score, code, epsilon=0.0, lower=0.0, upper=1.0).backward(weight)
    free = np.flatnonzero(start == 0.5)
    inner = torch.tensor(start[free], requires_grad=True)
    project_parity(inner, code[free], epsilon=0.0).backward(weight[free])
    assert not score.grad[: 2 * groups].any()
    np.testing.assert_allclose(score.grad[free], inner.grad, atol=1e-14)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("groups", [2, 3])
def test_a_group_wholly_at_the_edge_of_the_box_holds_the_others(groups):
    code = np.arange(12) % groups
    sides = np.where(np.arange(12) < 6, -1.25, 1.25)  # clipped: mean 0, which is where the other groups are
    score = torch.tensor(np.where(code == 0, sides, 0.0), requires_grad=True)
    with torch.no_grad():
        for other in range(1, groups):
            score[torch.tensor(code == other)] = torch.tensor([-0.5, 0.5] * (12 // groups // 2), dtype=torch.float64)

    def projected(z):
        return project_parity(z, code, epsilon=0.0, lower=-1.0, upper=1.0)

    projected(score).backward(WEIGHT[:12])
    assert not score.grad[code == 0].any()
    np.testing.assert_allclose(score.grad, slopes(projected, score, WEIGHT[:12]), atol=1e-8)


@pytest.mark.parametrize("groups", [2, 3])
def test_groups_that_were_given_out_before_hold_the_level(groups):
    code, past = np.zeros(4, dtype=int), Past(np.full(groups, 2.0), np.full(groups, 4.0))
    solution = solve_parity(np.full(4, 0.5), code, groups, 0.0, Box(0.0, 1.0), past)
    gradient = np.array([1.0, 2.0, 3.0, 6.0])
    np.testing.assert_allclose(pull_back(solution, code, Box(0.0, 1.0), gradient).score, gradient - 3, atol=1e-14)


@pytest.mark.usefixtures("way")
def test_an_offset_moves_fair_scores():
    offset = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    contrasts = Contrasts.mean_prediction(np.array([0, 0, 1, 1]))
    value = project(constant(n=4), contrasts, epsilon=0.0, offset=offset)
    value.backward(torch.tensor([1.0, 2.0, 3.0, 5.0], dtype=torch.float64))
    assert offset.grad.tolist() == [(1 + 2 - 3 - 5) / 2]  # half of it each way


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("means", [(0.5, 0.5), (0.25, 0.75), (0.5, 0.5, 0.5), (0.25, 0.5, 0.75), (0.125, 0.5, 0.5)])
def test_an_epsilon_that_grows_from_zero_has_its_derivative_from_there(means):
    code = np.arange(12) % len(means)
    score, step = torch.tensor(np.array(means)[code]), 1e-6
    epsilon = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    weight = WEIGHT[:12]
    project_parity(score, code, epsilon=epsilon).backward(weight)
    values = [float(project_parity(score, code, epsilon=e) @ weight) for e in (0.0, step)]
    assert float(epsilon.grad) == pytest.approx((values[1] - values[0]) / step, abs=1e-8)


def test_each_contrast_has_the_derivative_by_its_own_epsilon_from_zero_on():
    raised = torch.tensor(0.5 + 0.25 * ((GROUP[:, 0] == 0) & (Y == 1)))
    epsilon = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    contrasts = CONTRASTS["equalized odds"]
    project(raised, contrasts, epsilon=epsilon).backward(WEIGHT)
    assert epsilon.grad[0] == 0  # fair among y = 0, whatever that epsilon
    ends = [project(raised, contrasts, epsilon=torch.tensor([0.0, e])) @ WEIGHT for e in (0.0, 1e-6)]
    assert float(epsilon.grad[1]) == pytest.approx(float(ends[1] - ends[0]) / 1e-6, abs=1e-8)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("groups", [2, 3, 4])
def test_a_gap_exactly_at_epsilon_has_the_derivative_of_a_smaller_one(groups):
    score = torch.tensor(0.25 * (np.arange(12) % groups > 0) + 0.25, requires_grad=True)
    project_parity(score, np.arange(12) % groups, epsilon=0.25).backward(WEIGHT[:12])
    assert torch.equal(score.grad, WEIGHT[:12])
    if groups == 2:
        score.grad = None
        project(score, Contrasts.mean_prediction(np.arange(12) % 2), epsilon=0.25).backward(WEIGHT[:12])
        assert torch.equal(score.grad, WEIGHT[:12])


def test_a_gap_that_rounding_puts_above_epsilon_has_the_derivative_of_one_side():
    code, means = np.arange(12) % 3, np.array([0.3, 0.4, 0.5])
    for epsilon in (0.2, np.nextafter(0.2, 0), np.nextafter(0.2, 1)):
        score = torch.tensor(means[code], requires_grad=True)
        project_parity(score, code, epsilon=float(epsilon)).backward(WEIGHT[:12])
        outside = torch.tensor(np.array([0.29, 0.4, 0.51])[code], requires_grad=True)
        project_parity(outside, code, epsilon=0.2).backward(WEIGHT[:12])
        sides = (WEIGHT[:12], outside.grad)
        assert any(torch.allclose(score.grad, side, rtol=0, atol=1e-12) for side in sides)
