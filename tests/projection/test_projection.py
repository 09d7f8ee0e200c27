"""What a projection guarantees: constraints, bounds, invariances, degenerate batches, bad input, memory and time."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
import torch
from instances import KINDS, make
from torch.nn.functional import binary_cross_entropy

from fairbench.api.projection import (
    Box,
    Contrasts,
    Infeasible,
    Past,
    Projection,
    project,
    project_parity,
    solve_contrasts,
    solve_parity,
)

DOUBLE, SINGLE = torch.float64, torch.float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(DOUBLE, 1e-9), (SINGLE, 1e-6)])
def test_constraints_hold_and_no_bound_is_passed(kind, dtype, tolerance):
    for seed in range(20):
        instance = make(kind, seed, dtype=dtype)
        value = instance.project(instance.score)
        assert value.dtype == dtype
        assert value.shape == instance.score.shape
        assert instance.lower <= value.min()
        assert value.max() <= instance.upper
        size = max(1.0, float(value.abs().max()))  # float32 rounds each output in proportion to it
        assert instance.excess(value.double().numpy()) <= tolerance * size


@pytest.mark.parametrize("n", [100, 5000])  # two ways to clip
def test_bounds_that_float32_does_not_have_are_kept_and_bce_never_raises(n):
    random = np.random.default_rng(0)
    lower, upper = 1e-6, 1 - 1e-6
    score = torch.tensor(random.normal(0.5, 1.0, n), dtype=SINGLE)
    value = project_parity(score, random.integers(0, 2, n), epsilon=0.01, lower=lower, upper=upper)
    assert lower <= value.double().min()
    assert value.double().max() <= upper
    assert torch.isfinite(binary_cross_entropy(value, torch.ones(n)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_scores_that_are_even_already_are_only_clipped(kind, dtype):
    instance = make(kind, 3, dtype=dtype)
    value = instance.project(instance.score, 100.0)
    assert torch.equal(value, instance.score.clamp(instance.lower, instance.upper))
    assert value.data_ptr() != instance.score.data_ptr()  # writing to the outputs must not reach the scores


@pytest.mark.parametrize("kind", KINDS)
def test_projecting_twice_changes_nothing(kind):
    for seed in range(10):
        instance = make(kind, seed)
        once = instance.project(instance.score)
        assert (instance.project(once) - once).abs().max() <= 1e-9


def shuffled(kind, order, dtype=DOUBLE):
    """Return a problem's outputs where its rows come in another order."""
    random = np.random.default_rng(7)
    n = len(order)
    score, group, y = random.normal(0.5, 0.5, n), random.integers(0, 2, (n, 2)), random.integers(0, 2, n)
    score, group, y = torch.tensor(score[order], dtype=dtype), group[order], y[order]
    box = {"lower": 0.0, "upper": 1.0, "epsilon": 0.02}
    if kind == "rows of one's own":
        return project(score, Contrasts.affine(random.normal(size=(3, n))[:, order] / n, [0.01, -0.02, 0.0]), **box)
    attributes = group if kind.endswith("2 attributes") else group[:, :1]
    if kind.startswith("range"):
        code = random.integers(0, int(kind.split()[2]), n)[order]
        return project_parity(score + 0.2 * torch.tensor(code), code, **box)
    if kind.startswith("equalized"):
        return project(score, Contrasts.equalized_odds(attributes, y), **box)
    if kind.startswith("mean residual"):
        return project(score, Contrasts.mean_residual(attributes, y / 3), **box)
    return project(score, Contrasts.mean_prediction(attributes), **box)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [61, 4999])
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
def test_the_order_of_the_rows_changes_no_bit(kind, n, dtype):
    straight = shuffled(kind, np.arange(n), dtype)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(n)
        assert torch.equal(shuffled(kind, order, dtype), straight[order])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "residual" not in kind and "rows" not in kind])
def test_a_constant_added_to_all_scores_moves_the_outputs_by_it(kind):
    instance = make(kind, 2)  # without bounds
    moved = instance.project(instance.score + 5) - 5
    assert (moved - instance.project(instance.score)).abs().max() <= 1e-12


def test_swapping_the_groups_names_swaps_their_shifts():
    random = np.random.default_rng(0)
    score, group = random.random(301), random.integers(0, 2, 301)
    there = solve_parity(score, group, 2, 0.01, Box(0.0, 0.9))
    back = solve_parity(score, 1 - group, 2, 0.01, Box(0.0, 0.9))
    np.testing.assert_allclose(back.shift, there.shift[::-1], rtol=1e-14)
    np.testing.assert_array_equal(there.value, np.clip(score - there.shift[group], 0, 0.9))


@pytest.mark.parametrize(
    ("score", "group"),
    [
        (np.full(6, 0.3), [0, 0, 0, 1, 1, 1]),  # constant
        (np.array([5.0, 6.0, 7.0, -3.0, -4.0, -5.0]), [0, 0, 0, 1, 1, 1]),  # all outside the box
        (np.array([7.0, 7.0, 7.0, 8.0]), [0, 0, 1, 1]),  # all above it
        (np.array([0.1, 0.9]), [0, 1]),  # two rows
        (np.array([0.1, 0.2, 0.3, 0.9]), [0, 0, 0, 1]),  # a group of one row
        (np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0]), [0, 0, 0, 1, 1, 1]),  # duplicates, on the bounds
        (np.array([0.1, 0.9]), [3, 0]),  # empty groups between
        (np.array([0.1, 0.9, 2.0]), [0, 1, 2]),
        (np.array([1e-30, -1e-30, 1e5, -1e5]), [0, 1, 0, 1]),
    ],
)
@pytest.mark.parametrize("epsilon", [0.0, 0.05, 1.0])
def test_degenerate_batches_end_within_epsilon(score, group, epsilon):
    value = project_parity(torch.tensor(score), group, epsilon=epsilon, lower=0.0, upper=1.0).numpy()
    means = [value[np.array(group) == code].mean() for code in sorted(set(group))]
    assert max(means) - min(means) <= epsilon + 1e-9
    assert 0 <= value.min() <= value.max() <= 1


def test_stress_with_rounded_constant_and_clipped_scores():
    random = np.random.default_rng(1)
    for trial in range(300):
        n, groups = int(random.integers(2, 60)), int(random.integers(2, 5))
        code = random.integers(0, groups, n)
        score = np.round(random.normal(0.5, random.choice([0.2, 3.0]), n), int(random.integers(0, 2)))
        epsilon = float(random.choice([0.0, 0.1]))
        box = [Box(0.0, 1.0), Box(0.0), Box(-np.inf, 0.7), Box()][trial % 4]
        value = solve_parity(score, code, groups, epsilon, box).value
        means = [value[code == g].mean() for g in np.unique(code)]
        assert max(means) - min(means) <= epsilon + 1e-9
        attributes, y = random.integers(0, 2, (n, 2)), random.integers(0, 2, n)
        for contrasts in (Contrasts.mean_prediction(attributes), Contrasts.equalized_odds(attributes, y)):
            value = solve_contrasts(score, contrasts, np.full(len(contrasts.offset), epsilon), box).value
            gaps = contrasts.weight[:, contrasts.code] @ value
            assert np.abs(gaps).max(initial=0) <= epsilon + 1e-9


def test_codes_that_leave_most_numbers_out_cost_no_memory_for_them():
    score = torch.tensor([0.1, 0.5, 0.9], dtype=DOUBLE, requires_grad=True)
    value = project_parity(score, [0, 1, 10**9], epsilon=0.2)
    value[0].backward()
    assert value.tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert score.grad.tolist() == pytest.approx([0.5, 0.0, 0.5])


def test_no_rows_at_all_are_returned_as_they_are():
    assert project_parity(torch.zeros(0), []).shape == (0,)


def test_a_column_keeps_its_shape():
    score = torch.tensor([[0.2], [0.9]], requires_grad=True)
    value = project_parity(score, torch.tensor([[0], [1]]), epsilon=0.1)
    assert value.shape == (2, 1)
    value.sum().backward()
    assert score.grad.shape == (2, 1)


def test_past_outputs_count_in_the_means_and_groups_without_rows_stay():
    past = Past(total=np.array([3.0, 0.0, 1.2]), count=np.array([10.0, 0.0, 4.0]))  # means .3, none, .3
    solution = solve_parity(np.array([0.9, 0.8]), np.array([1, 0]), 3, 0.05, Box(0.0, 1.0), past)
    total, count = past.total.copy(), past.count.copy()
    np.add.at(total, [1, 0], solution.value)
    np.add.at(count, [1, 0], 1)
    means = total / count
    assert means.max() - means.min() <= 0.05 + 1e-12
    assert solution.shift[2] == 0


def test_past_outputs_too_far_apart_are_infeasible():
    past = Past(total=np.array([0.0, 100.0]), count=np.array([100.0, 100.0]))
    with pytest.raises(Infeasible, match=r"the gap between the means of two groups cannot come within 0.05 of"):
        solve_parity(np.array([0.5]), np.array([0]), 2, 0.05, Box(0.0, 1.0), past)
    past = Past(total=np.array([0.0, 100.0, 50.0]), count=np.array([100.0, 100.0, 100.0]))
    with pytest.raises(Infeasible, match=r"the group means cannot come within 0.05 of each other"):
        solve_parity(np.array([0.5]), np.array([2]), 3, 0.05, Box(0.0, 1.0), past)


# --- The layer ---


def test_the_layer_counts_what_it_could_not_constrain():
    layer = Projection(epsilon=0.01, lower=0.0, upper=1.0)
    score = torch.tensor([0.2, 0.9, 1.4])
    assert layer(score, [1, 1, 1]).tolist() == pytest.approx([0.2, 0.9, 1.0])
    layer(score, [0, 1, 1])
    assert layer.counts == {"batches": 2, "one_group": 1, "dropped": 0, "infeasible": 0}
    residual = Projection("mean_residual", epsilon=0.0, lower=0.0, upper=1.0)
    assert residual(score, [0, 0, 1], [7.0, 7.0, 7.0]).tolist() == pytest.approx([0.2, 0.9, 1.0])
    residual(score, [1, 1, 1], [0.0, 1.0, 1.0])
    assert residual.counts == {"batches": 2, "one_group": 1, "dropped": 2, "infeasible": 1}
    odds = Projection("equalized_odds", epsilon=0.0, lower=0.0, upper=1.0)
    odds(score, [0, 1, 1], [0, 0, 1])  # only one group has rows with y = 1
    assert odds.counts == {"batches": 1, "one_group": 0, "dropped": 1, "infeasible": 0}


def test_the_strict_layer_raises_instead():
    layer = Projection(strict=True)
    with pytest.raises(ValueError, match=r"a batch of 3 rows has nothing to compare: its group codes are \[2\]"):
        layer(torch.zeros(3), [2, 2, 2])
    with pytest.raises(Infeasible, match=r"the mean residual of group 0 cannot come within 0.05 of 7: .* by 6 or more"):
        Projection("mean_residual", lower=0.0, upper=1.0, strict=True)(torch.zeros(3), [0, 0, 1], [7.0, 7.0, 0.0])


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
def test_a_learned_epsilon_survives_a_checkpoint(dtype):
    layer, again = (
        Projection(epsilon=torch.nn.Parameter(torch.tensor(size, dtype=dtype)), lower=0.0, upper=1.0)
        for size in (0.1, 0.5)
    )
    score = torch.tensor([0.1, 0.4, 0.9, 0.8], dtype=dtype)
    layer(score, [0, 0, 1, 1])[0].backward()
    assert layer.epsilon.grad == pytest.approx(-0.5)  # half of what the gap may grow by
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(score, [0, 0, 1, 1]), layer(score, [0, 0, 1, 1]))


def test_equalized_odds_for_three_groups_are_parity_within_each_class():
    random = np.random.default_rng(0)
    score, group, y = torch.tensor(random.random(60)), random.integers(0, 3, 60), random.integers(0, 2, 60)
    value = Projection("equalized_odds", epsilon=0.01)(score, group, y)
    for label in (0, 1):
        expected = project_parity(score[y == label], group[y == label], epsilon=0.01)
        assert torch.equal(value[y == label], expected)


def test_two_attributes_are_constrained_one_by_one():
    random = np.random.default_rng(0)
    group, score = random.integers(0, 2, (80, 2)), random.random(80)
    value = Projection(epsilon=0.01)(torch.tensor(score + 0.3 * group[:, 0] - 0.2 * group[:, 1]), group).numpy()
    for attribute in group.T:
        assert abs(value[attribute == 0].mean() - value[attribute == 1].mean()) <= 0.01 + 1e-12


def test_epsilon_can_be_learned():
    layer = Projection(epsilon=torch.nn.Parameter(torch.tensor(0.1)))
    assert [name for name, _ in layer.named_parameters()] == ["epsilon"]
    value = layer(torch.tensor([0.0, 1.0]), [0, 1])
    value[1].backward()
    assert layer.epsilon.grad == pytest.approx(0.5)
    assert "mean_prediction, epsilon=0.1" in repr(layer)


def test_a_label_that_only_an_audit_may_use_leaks_through_odds():
    """A score that knows the group and nothing else separates the labels perfectly once it has passed their layer."""
    random = np.random.default_rng(0)
    group = random.integers(0, 2, 400)
    y = (random.random(400) < 0.3 + 0.4 * group).astype(int)
    score = torch.tensor(0.4 + 0.2 * group + 0.001 * random.random(400))
    audited = Projection("equalized_odds", epsilon=0.0)(score, group, y).numpy()
    within = [(audited[(group == g) & (y == 1)], audited[(group == g) & (y == 0)]) for g in (0, 1)]
    for positive, negative in within:
        assert len({bool(a > b) for a in positive for b in negative}) == 1


# --- Cost ---


def peak_bytes(n):
    random = np.random.default_rng(0)
    score, group = random.random(n), random.integers(0, 3, n)
    tracemalloc.start()
    solve_parity(score, group, 3, 0.001, Box(0.0, 0.9))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_grows_in_proportion_to_the_rows():
    peak_bytes(400_000)  # the arrays that are used again grow now
    small, large = peak_bytes(100_000), peak_bytes(400_000)
    assert large < 5 * small
    assert large < 400_000 * 60  # bytes for each row


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_on_a_cuda_device_are_those_of_the_cpu(kind):
    for seed in range(5):
        instance = make(kind, seed, dtype=SINGLE)
        both = []
        for device in ("cpu", "cuda"):
            score = instance.score.detach().to(device).requires_grad_()
            value = instance.project(score)
            assert value.device.type == device
            value.square().sum().backward()
            both.append((value.detach().cpu(), score.grad.cpu()))
        for here, there in zip(*both):
            assert (here - there).abs().max() <= 1e-6
