"""The backward pass: finite differences in float64, and what must hold exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from instances import KINDS, make

from fairbench.api.projection import Contrasts, project, project_parity


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_the_scores_are_finite_differences(kind):
    active = 0
    for seed in range(12):
        instance = make(kind, seed, n=16 if "5" not in kind else 20)
        epsilon = float(np.random.default_rng(seed).uniform(0.001, 0.2))  # none on a kink
        score = instance.score.requires_grad_()
        assert torch.autograd.gradcheck(lambda z, e=epsilon, i=instance: i.project(z, e), (score,))
        moved = instance.project(score, epsilon) - score.clamp(instance.lower, instance.upper)
        active += bool(moved.detach().abs().max() > 1e-6)
    assert active >= 6  # else this would test clipping


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_epsilon_are_finite_differences(kind):
    for seed in range(8):
        instance = make(kind, seed)
        one = torch.tensor(np.random.default_rng(seed).uniform(0.01, 0.2), dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda e, i=instance: i.project(i.score, e), (one,))
        if not kind.startswith("range"):
            sizes = np.random.default_rng(seed).uniform(0.01, 0.2, len(instance.rows))
            each = torch.tensor(sizes, requires_grad=True)
            assert torch.autograd.gradcheck(lambda e, i=instance: i.project(i.score, e), (each,))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("range")])
def test_gradients_by_the_offsets_are_finite_differences(kind):
    for seed in range(8):
        instance = make(kind, seed)
        noise = np.random.default_rng(seed).normal(0, 0.003, len(instance.rows))
        offset = torch.tensor(instance.target + noise, requires_grad=True)
        assert torch.autograd.gradcheck(lambda d, i=instance: i.project(i.score, 0.05, d), (offset,))


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_a_group_wholly_outside_the_box_passes_no_wrong_gradient(groups):
    for seed in range(12):
        random = np.random.default_rng([groups, seed])
        code = np.arange(5 * groups) % groups
        score = random.normal(0.5, 0.4, len(code))
        score[code == seed % groups] += random.choice([-4, 4])  # all rows of one group at a bound
        if seed % 3 == 0:
            score[code == (seed + 1) % groups] += random.choice([-4, 4])
        tensor = torch.tensor(score, requires_grad=True)
        epsilon = torch.tensor(random.uniform(0.05, 0.4), dtype=torch.float64, requires_grad=True)

        def projected(z, e, code=code):
            return project_parity(z, code, epsilon=e, lower=0.0, upper=1.0)

        assert torch.autograd.gradcheck(projected, (tensor, epsilon))


@pytest.mark.parametrize("kind", ["equalized odds", "mean residual", "mean prediction, 2 attributes"])
def test_a_cell_wholly_outside_the_box_passes_no_wrong_gradient_to_other_contrasts(kind):
    active = 0
    for seed in range(12):
        random = np.random.default_rng([7, seed])
        n = 24
        group, y = np.stack([np.arange(n) % 2, np.arange(n) // 2 % 2], axis=1), np.arange(n) // 4 % 2
        score = random.normal(0.5, 0.3, n)
        outside = (group[:, 0] == seed % 2) & ((y == 1) if kind == "equalized odds" else True)
        score[outside] += random.choice([-4, 4])
        if kind == "equalized odds":
            contrasts = Contrasts.equalized_odds(group[:, 0], y)
        elif kind == "mean residual":
            contrasts = Contrasts.mean_residual(group[:, 0], 0.8 * y + 0.1)
        else:
            contrasts = Contrasts.mean_prediction(group)
        tensor = torch.tensor(score, requires_grad=True)
        epsilon = torch.tensor(random.uniform(0.05, 0.3), dtype=torch.float64, requires_grad=True)

        def projected(z, e, contrasts=contrasts):
            return project(z, contrasts, epsilon=e, lower=0.0, upper=1.0)

        assert torch.autograd.gradcheck(projected, (tensor, epsilon))
        active += bool((projected(tensor, epsilon) - tensor.clamp(0, 1)).abs().max() > 1e-6)
    assert active >= 6  # else this would test clipping


@pytest.mark.parametrize("groups", [6, 40])
def test_the_gradient_for_many_groups_is_that_of_finite_differences(groups):
    random = np.random.default_rng(groups)
    code = np.arange(3 * groups) % groups
    score = torch.tensor(random.normal(0.5, 0.3, len(code)) + 0.02 * code, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: project_parity(z, code, epsilon=0.1, lower=0.0, upper=1.0), (score,))


def test_codes_that_change_before_the_backward_pass_do_not_change_the_gradient():
    score = torch.tensor([0.1, 0.2, 0.5, 0.6, 0.9, 0.8], dtype=torch.float64, requires_grad=True)
    code = torch.tensor([0, 0, 1, 1, 2, 2])
    value = project_parity(score, code, epsilon=0.1)
    weights = torch.arange(6.0).double()
    (expected,) = torch.autograd.grad(value @ weights, score, retain_graph=True)
    code[:] = torch.tensor([0, 1, 2, 0, 1, 2])
    (found,) = torch.autograd.grad(value @ weights, score)
    assert torch.equal(found, expected)


def test_an_epsilon_of_another_type_gets_a_gradient_of_its_own():
    epsilon = torch.tensor(0.25, dtype=torch.bfloat16, requires_grad=True)
    project_parity(torch.tensor([0.0, 1.0]), [0, 1], epsilon=epsilon)[1].backward()
    assert epsilon.grad.dtype == torch.bfloat16
    assert float(epsilon.grad) == 0.5


def test_without_active_constraints_the_gradient_is_one_inside_the_box_and_zero_at_its_bounds():
    score = torch.tensor([-0.2, 0.0, 0.4, 0.6, 1.0, 1.3], dtype=torch.float64, requires_grad=True)
    project_parity(score, [0, 1, 0, 1, 0, 1], epsilon=0.9, lower=0.0, upper=1.0).backward(
        torch.arange(1.0, 7.0).double()
    )
    assert score.grad.tolist() == [0, 0, 3, 4, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_does_not_move_an_active_constraint(kind):
    found = 0
    for seed in range(6):
        instance = make(kind, seed)
        score = instance.score.requires_grad_()
        value = instance.project(score, 0.01)
        value.backward(torch.tensor(np.random.default_rng(seed).normal(size=len(score))))
        gap = np.abs(instance.rows @ value.detach().numpy() - instance.target)
        tight = instance.rows[gap > 0.01 - 1e-9]
        found += len(tight)
        assert np.abs(tight @ score.grad.numpy()).max(initial=0) < 1e-9
    assert found >= 3


def test_worked_example_by_hand():
    score = torch.tensor([0.2, 0.4, 0.9, 0.6, 0.8, 1.0], dtype=torch.float64, requires_grad=True)
    epsilon = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    value = project_parity(score, [0, 0, 0, 1, 1, 1], epsilon=epsilon, lower=0.0, upper=1.0)
    np.testing.assert_allclose(value.detach(), [0.33, 0.53, 1, 0.47, 0.67, 0.87], atol=1e-14)
    value[0].backward()
    np.testing.assert_allclose(score.grad, [0.8, -0.2, 0, 0.2, 0.2, 0.2], atol=1e-14)
    np.testing.assert_allclose(epsilon.grad, -0.6, atol=1e-14)


def test_an_infinite_slope_at_a_bound_does_not_reach_the_scores():
    score = torch.tensor([-1.0, 0.3, 0.6, 2.0], requires_grad=True)
    value = project_parity(score, [0, 1, 0, 1], epsilon=1.0, lower=0.0, upper=1.0)
    value.sqrt().sum().backward()  # the slope of the root is infinite at 0
    assert score.grad.isfinite().all()
    assert score.grad[0] == 0


def test_constraints_that_repeat_each_other_have_a_gradient():
    row = np.array([0.5, 0.5, -0.5, -0.5])
    contrasts = Contrasts.affine(np.stack([row, row, -row]))
    score = torch.tensor([1.0, 2.0, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: project(z, contrasts, epsilon=0.1), (score,))


def test_second_derivatives_are_refused_instead_of_wrong():
    score = torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)
    value = project_parity(score, [0, 1], epsilon=0.1)
    (slope,) = torch.autograd.grad((value**2).sum(), score, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
