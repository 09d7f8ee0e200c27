"""The projection against other people's solvers, and against the optimality conditions themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from instances import KINDS, Instance, make
from scipy.optimize import minimize, nnls

from fairbench.api.projection import Box, Contrasts, solve_penalised

SEEDS = range(50)


def misfit(instance: Instance, value: np.ndarray) -> float:
    """Return how far score - value is from the cone of the constraints that are tight at value: 0 at the optimum.

    A convex problem's point is optimal if and only if it is feasible and the objective's descent direction is a
    non-negative combination of the tight constraints' normals (Karush-Kuhn-Tucker).
    """
    near = 1e-7  # of a tight constraint; the next tight one is farther in random problems
    normals = []
    for row, target, epsilon in zip(instance.rows, instance.target, instance.epsilon):
        gap = row @ value - target
        normals += [sign * row for sign in (1, -1) if sign * gap >= epsilon - near]
    unit = np.eye(len(value))
    normals += [row for row, y in zip(unit, value) if y >= instance.upper - near]
    normals += [-row for row, y in zip(unit, value) if y <= instance.lower + near]
    direction = instance.score.numpy() - value
    if not normals:
        return float(np.abs(direction).max())
    scale = np.array([np.linalg.norm(row) for row in normals])
    _, rest = nnls((np.array(normals) / scale[:, None]).T, direction)
    return float(rest)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_satisfy_the_optimality_conditions(kind):
    for seed in SEEDS:
        instance = make(kind, seed)
        value = instance.project(instance.score).numpy()
        assert instance.lower <= value.min()
        assert value.max() <= instance.upper
        assert instance.excess(value) <= 1e-9
        assert misfit(instance, value) <= 1e-6, seed  # nnls works to about 1e-8 on numbers of this size


@pytest.mark.parametrize("kind", KINDS)
def test_slsqp_finds_nothing_nearer_on_tiny_problems(kind):
    for seed in range(3):
        instance = make(kind, seed, n=20 if "5" in kind or "2 attributes" in kind else 8)
        z = instance.score.numpy()
        table = np.vstack([instance.rows, -instance.rows])
        limit = np.concatenate([instance.epsilon + instance.target, instance.epsilon - instance.target])
        found = minimize(
            lambda y, z=z: ((y - z) ** 2).sum(),
            np.clip(z, instance.lower, instance.upper),
            jac=lambda y, z=z: 2 * (y - z),
            bounds=[(instance.lower, instance.upper)] * len(z),
            constraints={"type": "ineq", "fun": lambda y, t=table, b=limit: b - t @ y, "jac": lambda y, t=table: -t},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        value = instance.project(instance.score).numpy()
        assert instance.excess(found.x) < 1e-6  # it did find a feasible point
        assert abs(((value - z) ** 2).sum() - found.fun) < 1e-4  # its constraints repeat each other, which costs digits


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_cvxpy_with_clarabel(kind):
    cvxpy = pytest.importorskip("cvxpy", reason="CVXPY is an oracle; pip install 'fairbench-harness[oracles]'")
    for seed in SEEDS:
        instance = make(kind, seed)
        y = cvxpy.Variable(len(instance.score))
        bounds = [y >= instance.lower] if np.isfinite(instance.lower) else []
        bounds += [y <= instance.upper] if np.isfinite(instance.upper) else []
        gap = instance.rows @ y - instance.target
        gaps = cvxpy.abs(gap) <= instance.epsilon if instance.epsilon.any() else gap == 0  # Clarabel needs an interior
        objective = cvxpy.Minimize(cvxpy.sum_squares(y - instance.score.numpy()))
        tight = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
        cvxpy.Problem(objective, [*bounds, gaps]).solve(solver="CLARABEL", **tight)
        np.testing.assert_allclose(instance.project(instance.score).numpy(), y.value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_cvxpy_with_diffcp(kind):
    cvxpy = pytest.importorskip("cvxpy", reason="CVXPY is an oracle; pip install 'fairbench-harness[oracles]'")
    pytest.importorskip("diffcp", reason="diffcp differentiates CVXPY's problems; pip install diffcp")
    for seed in (1, 4):  # whose boxes have two finite sides
        instance, weight = make(kind, seed), np.random.default_rng(seed).normal(size=24)
        y, z = cvxpy.Variable(24), cvxpy.Parameter(24, value=instance.score.numpy())
        gaps = cvxpy.abs(instance.rows @ y - instance.target) <= 0.02
        bounds = [y >= instance.lower, y <= instance.upper]
        problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(y - z)), [*bounds, gaps])
        problem.solve(solver="SCS", requires_grad=True, eps=1e-10)
        y.gradient = weight
        problem.backward()
        score = instance.score.requires_grad_()
        instance.project(score, 0.02).backward(torch.tensor(weight))
        np.testing.assert_allclose(score.grad.numpy(), z.gradient, atol=1e-4)  # the derivative is solved iteratively


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith(("range", "rows"))])
def test_the_penalised_step_is_that_of_cvxpy(kind):
    cvxpy = pytest.importorskip("cvxpy", reason="CVXPY is an oracle; pip install 'fairbench-harness[oracles]'")
    for seed in range(12):
        instance = make(kind, seed)
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, len(instance.score))
        group = instance.group
        if "odds" in kind:
            contrasts = Contrasts.equalized_odds(group, labels)
        elif "residual" in kind:
            contrasts = Contrasts.mean_residual(group, labels)
        else:
            contrasts = Contrasts.mean_prediction(group)
        rows, price = contrasts.weight[:, contrasts.code], random.choice([0.0, 0.3, 3.0, 100.0])
        value = solve_penalised(instance.score.numpy(), contrasts, price, Box(0.0, 1.0))
        y = cvxpy.Variable(len(value))
        worst = cvxpy.max(cvxpy.abs(rows @ y - contrasts.offset))
        objective = cvxpy.sum_squares(y - instance.score.numpy()) + price * worst
        tight = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
        cvxpy.Problem(cvxpy.Minimize(objective), [y >= 0, y <= 1]).solve(solver="CLARABEL", **tight)
        np.testing.assert_allclose(value, y.value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_projections_are_never_farther_apart_than_the_scores(kind):
    for seed in range(10):
        instance = make(kind, seed)
        other = instance.score + torch.tensor(np.random.default_rng(seed).normal(size=len(instance.score)))
        apart = (instance.project(instance.score) - instance.project(other)).norm()
        assert apart <= (instance.score - other).norm() + 1e-9
