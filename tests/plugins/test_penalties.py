"""Penalties added to the cross-entropy, and group DRO."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bilevel_helpers import make_samples
from fairbench_baselines.mlp import MLP
from fairbench_penalties import hsic as kernels
from fairbench_penalties.gap_penalties import (
    DemographicParityPenalty,
    EqualizedOddsPenalty,
    EqualOpportunityPenalty,
)
from fairbench_penalties.group_dro import GroupDRO, cell_losses, raised
from fairbench_penalties.hsic import HSIC, hsic
from fairbench_penalties.prejudice_remover import PrejudiceRemover, prejudice_index
from penalty_helpers import (
    LEARNING,
    QUICK,
    TRAIN,
    VALIDATION,
    doubled,
    falls,
    favourable,
    on_training_rows,
    one_group,
    predict,
    scores,
)
from sklearn.metrics import mutual_info_score
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import NotApplicable
from fairbench.api.torch import as_batch, gap_by_label, parity_gap

GAPS = (DemographicParityPenalty, EqualizedOddsPenalty, EqualOpportunityPenalty)
PENALTIES = (*GAPS, HSIC, PrejudiceRemover)


def all_gaps(score, rows):
    """Return the gap in mean score among all rows, among y = 0, and among y = 1."""
    by_label = gap_by_label(parity_gap, score, rows.y.reshape(-1), rows.group)
    return parity_gap(score, rows.group), *by_label


@pytest.mark.parametrize("method", PENALTIES)
def test_a_penalty_of_weight_0_leaves_the_plain_network_bit_for_bit(method):
    plain = scores(MLP(**QUICK))
    np.testing.assert_array_equal(scores(method(**QUICK, weight=0.0)), plain)
    assert (scores(method(**QUICK, weight=30.0)) != plain).any()


@pytest.mark.parametrize(
    ("method", "weights", "measure"),
    [
        (DemographicParityPenalty, (0.0, 0.3, 1.0, 3.0), lambda score, rows: all_gaps(score, rows)[0]),
        (EqualizedOddsPenalty, (0.0, 0.3, 1.0, 3.0), lambda score, rows: max(all_gaps(score, rows)[1:])),
        (EqualOpportunityPenalty, (0.0, 0.3, 1.0), lambda score, rows: all_gaps(score, rows)[2]),
        (HSIC, (0.0, 10.0, 30.0, 100.0), lambda score, rows: hsic(score, rows.group, 0.5)),
        (PrejudiceRemover, (0.0, 1.0, 3.0, 10.0), lambda score, rows: prejudice_index(score, rows.group)),
    ],
)
def test_what_is_penalised_falls_as_the_weight_rises(method, weights, measure):
    values = on_training_rows(method, "weight", weights, measure)
    assert falls(values)
    assert values[-1] < values[0] / 5


def test_each_gap_is_that_of_its_criterion():
    rows = as_batch(TRAIN)
    score = torch.linspace(0.1, 0.9, len(rows))
    every, negatives, positives = all_gaps(score, rows)
    for method, expected in zip(GAPS, (every, torch.maximum(negatives, positives), positives)):
        assert float(method().penalty(TRAIN)(score, rows)) == float(expected)
    assert float(EqualOpportunityPenalty().penalty(favourable(TRAIN, 0))(score, rows)) == float(negatives)


@pytest.mark.parametrize("method", PENALTIES)
def test_one_group_has_nothing_to_be_compared_with(method):
    with pytest.raises(NotApplicable, match=r"compares two groups or more, and only 'g0' has a training row"):
        method().fit(one_group(), VALIDATION, seed=0)


@pytest.mark.parametrize("method", [EqualizedOddsPenalty, EqualOpportunityPenalty])
def test_a_label_in_one_group_only_is_not_compared(method):
    one_sided = TRAIN.select((TRAIN.group == 0) | (TRAIN.y == 0))
    with pytest.raises(NotApplicable, match=r"and only 'g0' has a training row with y = 1"):
        method().fit(one_sided, VALIDATION, seed=0)
    without = TRAIN.select(TRAIN.y == 0)
    with pytest.raises(NotApplicable, match=r"and there is no training row with y = 1"):
        method().fit(without, VALIDATION, seed=0)
    DemographicParityPenalty(**QUICK).fit(one_sided, VALIDATION, seed=0)


@pytest.mark.parametrize("method", [*PENALTIES, GroupDRO])
def test_three_groups_and_a_group_without_validation_rows_work(method):
    train, validation = (make_samples(n, seed=seed, n_groups=3) for n, seed in ((200, 4), (90, 5)))
    fitted = method(**QUICK).fit(train, validation.select(validation.group != 2), seed=0)
    assert len(fitted.points[""](validation.inputs).y_pred) == 90


@pytest.mark.parametrize("groups", [2, 3])
def test_hsic_is_the_trace_of_centred_kernel_matrices(groups):
    random = np.random.default_rng(0)
    score, group = random.random(40), random.integers(0, groups, 40)
    sigma, n = 0.3, 40
    kernel = np.array([[np.exp(-((a - b) ** 2) / (2 * sigma**2)) for b in score] for a in score])
    alike = np.array([[float(a == b) for b in group] for a in group])
    centring = np.eye(n) - 1 / n
    expected = np.trace(kernel @ centring @ alike @ centring) / (n - 1) ** 2
    assert float(hsic(torch.tensor(score), torch.tensor(group), sigma)) == pytest.approx(expected, rel=1e-12)


def test_hsic_sees_what_means_hide_and_is_small_under_independence():
    group = torch.tensor([0, 1] * 200)
    spread = torch.where(group == 0, torch.tensor(0.5), torch.tensor([0.1, 0.1, 0.9, 0.9] * 100))
    assert float(parity_gap(spread, group)) < 1e-6
    generator = torch.Generator().manual_seed(0)
    independent = spread[torch.randperm(400, generator=generator)]
    assert float(hsic(spread, group, 0.5)) > 20 * float(hsic(independent, group, 0.5))
    assert float(hsic(spread[:1], group[:1], 0.5)) == 0


def test_hsic_of_two_groups_of_equal_scores_is_what_the_docstring_says():
    group = torch.tensor([0, 1] * 200)
    assert float(hsic(0.4 + 0.2 * group, group, 0.5)) == pytest.approx(0.02, abs=0.002)


def test_many_rows_are_taken_in_blocks(monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK", 30)
    rows = as_batch(TRAIN.select(np.arange(70)))
    score = torch.linspace(0.1, 0.9, 70)
    blocks = [hsic(score[here], rows.group[here], 0.5) for here in (slice(0, 30), slice(30, 60), slice(60, 70))]
    expected = (30 * blocks[0] + 30 * blocks[1] + 10 * blocks[2]) / 70
    assert float(HSIC().penalty(TRAIN)(score, rows)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("groups", [2, 3])
def test_prejudice_index_of_decisions_is_scikit_learns_mutual_information(groups):
    random = np.random.default_rng(1)
    for _ in range(20):
        group, decision = random.integers(0, groups, 60), random.integers(0, 2, 60)
        ours = prejudice_index(torch.tensor(decision, dtype=torch.float64), torch.tensor(group))
        assert float(ours) == pytest.approx(mutual_info_score(group, decision), abs=1e-12)
    certain = prejudice_index(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 1, 1]))
    assert float(certain) == pytest.approx(np.log(2), abs=1e-5)


@pytest.mark.parametrize("method", [DemographicParityPenalty, HSIC, PrejudiceRemover])
def test_penalties_have_the_gradients_of_finite_differences(method):
    rows = doubled(make_samples(12, seed=6, n_groups=3))
    score = torch.linspace(0.1, 0.9, 12, dtype=torch.float64, requires_grad=True)
    penalty = method().penalty(make_samples(12, seed=6, n_groups=3))
    assert torch.autograd.gradcheck(lambda values: penalty(values, rows), (score,))


@pytest.mark.parametrize("by_label", [False, True])
def test_cell_losses_are_means_within_each_cell(by_label):
    rows = as_batch(make_samples(50, seed=7, n_groups=3))
    rows.group[rows.group == 1] = 0  # group 1 has no row
    logit = torch.linspace(-2, 2, 50).reshape(-1, 1)
    loss, count = cell_losses(logit, rows, by_label=by_label)
    y = rows.y.reshape(-1)
    cells = [(group, label) for group in range(3) for label in ((0, 1) if by_label else (None,))]
    for found, number, (group, label) in zip(loss, count, cells):
        here = (rows.group == group) & (torch.ones(50, dtype=torch.bool) if label is None else y == label)
        assert int(number) == int(here.sum())
        expected = cross_entropy(logit[here], rows.y[here]) if here.any() else torch.zeros(())
        assert float(found) == pytest.approx(float(expected), abs=1e-6)


def test_the_weights_of_cells_rise_exponentially_with_their_losses():
    weight = raised(torch.tensor([0.5, 0.25, 0.25, 0.0]), torch.tensor([0.2, 1.0, 0.0, 0.0]), 2.0)
    grown = np.array([0.5 * np.exp(0.4), 0.25 * np.exp(2.0), 0.25, 0.0])
    np.testing.assert_allclose(weight, grown / grown.sum(), rtol=1e-6)


def test_group_dro_lowers_the_worst_loss_and_weighs_the_best_served_least():
    rows = as_batch(TRAIN)
    fitted = GroupDRO(**LEARNING, step_size=0.1).fit(TRAIN, VALIDATION, seed=3)
    weights = {name: curve[-1] for name, curve in fitted.diagnostics.items() if name.startswith("weight of")}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-5)

    def losses(method):
        score = torch.tensor(predict(method, TRAIN).y_score).clamp(1e-6, 1 - 1e-6)
        return cell_losses(score.logit().float().reshape(-1, 1), rows, by_label=True)[0]

    plain = losses(MLP(**LEARNING))
    assert float(losses(GroupDRO(**LEARNING, step_size=0.1)).max()) < float(plain.max())
    best_served = list(weights)[int(plain.argmin())]
    assert weights[best_served] == min(weights.values())


def test_without_steps_group_dro_weighs_the_cells_that_have_rows_alike():
    lacking = TRAIN.select((TRAIN.group == 0) | (TRAIN.y == 0))
    curves = GroupDRO(**QUICK, step_size=0.0).fit(lacking, VALIDATION, seed=0).diagnostics
    last = {name: curve[-1] for name, curve in curves.items() if name.startswith("weight of")}
    third = pytest.approx(1 / 3)
    assert last == {
        "weight of g0, y = 0": third,
        "weight of g0, y = 1": third,
        "weight of g1, y = 0": third,
        "weight of g1, y = 1": 0.0,
    }
    by_group = GroupDRO(**QUICK, step_size=0.0, by_label=False).fit(one_group(), VALIDATION, seed=0).diagnostics
    assert by_group["weight of g0"][-1] == 1
