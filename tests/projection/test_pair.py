"""The way of two groups against the general search: same outputs, same gradients, or none."""

from __future__ import annotations

import math
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from fairbench_projection._solver.backward import pull_back
from fairbench_projection._solver.pair import COMPILED, MEANS, solve_pair
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fairbench.api.projection as api
from fairbench.api.projection import Box, Contrasts, project, project_parity, solve_contrasts, solve_parity

BOXES = [Box(0.0, 1.0), Box(), Box(0.0), Box(-math.inf, 0.7), Box(-3.0, 3.0), Box(1e-6, 1 - 1e-6)]
SAME = 5e-14  # of outputs of the order of 1: both ways are exact on a grid of 2^-46 or finer, and round on their own


@st.composite
def batches(draw, most=60):
    """Return scores, groups with rows of both, epsilon and a box; some scores are clipped, tied, constant or even."""
    n = draw(st.integers(2, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    code = random.permutation(np.r_[0, 1, random.random(n - 2) < draw(st.sampled_from([0.1, 0.5]))]).astype(np.int64)
    score = (
        random.normal(0.5, draw(st.sampled_from([0.0, 0.24, 3.0])), n) + draw(st.sampled_from([0.0, 0.1, 2.0])) * code
    )
    digits = draw(st.sampled_from([None, 0, 1]))
    score = score if digits is None else np.round(score, digits)
    return score, code, draw(st.sampled_from([0.0, 0.05, 0.5])), draw(st.sampled_from(BOXES))


compiled = pytest.mark.skipif(not COMPILED, reason="the compiled part was not built: there was no compiler")


def solve(score, code, epsilon, box, weights=MEANS, target=0.0):
    """Return what ``solve_pair`` finds for arrays."""
    return solve_pair(torch.tensor(score), torch.tensor(code, dtype=torch.int64), epsilon, box, weights, target)


def assert_same(found, general, code, box, gradient):
    """Check outputs, gradients and whether the contrast is active."""
    value, pair = found[0].numpy(), found[1]
    np.testing.assert_allclose(value, general.value, rtol=0, atol=SAME * max(1, abs(value).max()))
    pulled, right = pair.pull_back(torch.tensor(gradient))
    expected = pull_back(general, code, box, gradient)
    np.testing.assert_allclose(pulled, expected.score, rtol=0, atol=1e-12 * max(1, abs(gradient).max()))
    assert pair.active == bool(len(expected.active))
    np.testing.assert_allclose(expected.right, right, rtol=1e-11, atol=1e-11 * len(code))
    assert np.array_equal(expected.slope, [np.sign(pair.multiplier)] if pair.active else [])


@given(batches(), st.integers(0, 2**32 - 1))
@example((np.array([5.9, 0.1, 4.2, 0.0]), np.array([0, 0, 0, 1]), 0.5, Box(-math.inf, 0.7)), 0)  # just within epsilon
@settings(max_examples=300)
def test_two_groups_are_projected_as_by_the_general_search(batch, seed):
    score, code, epsilon, box = batch
    found = solve(score, code, epsilon, box)
    if found is not None:
        gradient = np.random.default_rng(seed).normal(size=len(score))
        assert_same(found, solve_parity(score, code, 2, epsilon, box), code, box, gradient)


@given(batches(), st.floats(0.05, 2), st.floats(-2, -0.05), st.floats(-0.3, 0.3), st.integers(0, 2**32 - 1))
@settings(max_examples=200)
def test_unequal_weights_and_targets_are_met_as_by_the_general_search(batch, one, two, target, seed):
    score, code, epsilon, box = batch
    weights = (one / np.sum(code == 0), two / np.sum(code == 1))
    found = solve(score, code, epsilon, box, weights, target)
    if found is not None:
        contrasts = Contrasts(np.array([weights]), np.array([target]), code)
        gradient = np.random.default_rng(seed).normal(size=len(score))
        assert_same(found, solve_contrasts(score, contrasts, np.array([epsilon]), box), code, box, gradient)


@compiled
@pytest.mark.parametrize("n", [384, 5000])
@pytest.mark.parametrize("spread", [0.24, 1.0])
@pytest.mark.parametrize("box", BOXES)
def test_larger_batches_are_projected_as_by_the_general_search(n, spread, box):
    random = np.random.default_rng(n)
    code = random.integers(0, 2, n)
    score, gradient = random.normal(0.45 + 0.1 * code, spread), random.normal(size=n)
    for epsilon in (0.0, 0.02, 1.0):
        found = solve(score, code, epsilon, box)
        assert found is not None  # ordinary batches go this way
        assert_same(found, solve_parity(score, code, 2, epsilon, box), code, box, gradient)
        value = found[0].numpy()
        assert abs(value[code == 0].mean() - value[code == 1].mean()) <= epsilon + 2e-13


@pytest.mark.parametrize("code", [[0, 0], [1, 1], [0, 2], [-1, 0, 1], [0, 1, 2**60], []])
def test_other_groups_are_left_to_the_general_search(code):
    assert solve(np.linspace(0, 1, len(code)), code, 0.0, Box()) is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_that_are_no_numbers_are_left_to_the_general_search(wrong, dtype):
    assert solve(np.array([0.1, wrong, 0.4, 0.3], dtype=dtype), [0, 1, 0, 1], 0.0, Box()) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool])
def test_codes_of_any_whole_type_give_the_same_outputs(dtype):
    code, score = np.array([0, 1, 1, 0]), torch.tensor([0.1, 0.9, 0.6, 0.3])
    expected = project_parity(score, code, epsilon=0.05)
    assert torch.equal(project_parity(score, code.astype(dtype), epsilon=0.05), expected)
    contrasts = Contrasts(np.array([[0.5, -0.5]]), np.zeros(1), code.astype(dtype))
    assert torch.equal(project(score, contrasts, epsilon=0.05), expected)


def test_a_contrast_out_of_reach_is_left_to_the_general_search():
    assert solve(np.array([0.2, 0.4, 0.6, 0.8]), [0, 0, 1, 1], 0.0, Box(0.0, 1.0), (0.5, -0.5), 7.0) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_by_scores_epsilon_and_offset_do_not_depend_on_the_way(dtype, monkeypatch):
    random = np.random.default_rng(5)
    code = random.integers(0, 2, 700)
    start, gradient = (
        torch.tensor(random.normal(0.4 + 0.3 * code, 0.5), dtype=dtype),
        torch.tensor(random.normal(size=700)),
    )
    contrasts = Contrasts.mean_prediction(code)

    def found():
        score, epsilon = start.clone().requires_grad_(), torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
        offset = torch.tensor([0.02], dtype=torch.float64, requires_grad=True)
        box = {"lower": 0.0, "upper": 1.0, "epsilon": epsilon}
        values = [project_parity(score, code, **box), project(score, contrasts, offset=offset, **box)]
        sum((value * gradient).sum() for value in values).backward()
        return [*values, score.grad, epsilon.grad, offset.grad]

    quick = found()
    monkeypatch.setattr(api, "solve_pair", lambda *_: None)
    for here, there in zip(quick, found()):
        torch.testing.assert_close(here, there, rtol=1e-6 if dtype == torch.float32 else 1e-10, atol=1e-6)


def test_writing_to_the_outputs_does_not_change_the_gradient():
    score = torch.tensor([0.2, 0.4, 0.9, 0.6], dtype=torch.float64, requires_grad=True)
    value = project_parity(score, [0, 0, 1, 1], epsilon=0.05, lower=0.0, upper=1.0)
    with torch.no_grad():
        value.numpy()[:] = 5.0  # outside the box, past autograd's own check
    value.sum().backward()
    assert score.grad.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.0])


def projected(score, code, gradient):
    """Return the outputs and the gradient by the scores."""
    leaf = score.detach().requires_grad_()
    value = project_parity(leaf, code, epsilon=0.02, lower=0.0, upper=1.0)
    value.backward(gradient)
    return value.detach(), leaf.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_that_do_not_lie_together_in_memory_are_read_right(dtype):
    random = torch.Generator().manual_seed(0)
    wide, code = torch.rand((50, 3), generator=random, dtype=dtype), torch.arange(50) % 2
    expected = projected(wide[:, 1].clone(), code, wide[:, 2].clone())
    scattered = torch.stack([code, torch.full_like(code, 7)], dim=1)[:, 0]
    for here, there in zip(projected(wide[:, 1], scattered, wide[:, 2]), expected):
        assert torch.equal(here, there)
    column, by_score = projected(wide[:, 1:2], scattered.reshape(-1, 1), wide[:, 2:])
    assert torch.equal(column, expected[0].reshape(-1, 1))
    assert torch.equal(by_score, expected[1].reshape(-1, 1))


def test_a_gradient_that_is_expanded_from_one_number_is_read_right():
    score = torch.tensor([0.2, 0.4, 0.9, 0.6], dtype=torch.float64, requires_grad=True)
    project_parity(score, [0, 0, 1, 1], epsilon=0.05).sum().backward()
    assert score.grad.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.0])


def test_threads_that_project_at_once_find_what_one_alone_finds():
    random = torch.Generator().manual_seed(0)
    batches = [torch.rand(20_000, generator=random) for _ in range(8)]
    code, gradient = torch.arange(20_000) % 2, torch.rand(20_000, generator=random)
    expected = [projected(score, code, gradient) for score in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda score: projected(score, code, gradient), batches))
    for here, there in zip(found, expected):
        assert all(torch.equal(a, b) for a, b in zip(here, there))


@pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="this machine has no compiler")
def test_the_compiled_part_is_there_where_it_could_be_built():
    assert COMPILED
