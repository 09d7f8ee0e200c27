"""Adversarial debiasing, LAFTR, FairGrad and the primal-dual Lagrangian."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from bilevel_helpers import make_samples
from fairbench_baselines.mlp import MLP
from fairbench_penalties._criteria import CRITERIA, deviations
from fairbench_penalties.adversarial_debiasing import AdversarialDebiasing, ScoreAdversary, against
from fairbench_penalties.fairgrad import FairGrad, error_coefficients, fairness, grown, row_weights, shares
from fairbench_penalties.laftr import LAFTR, adversary_objective
from fairbench_penalties.primal_dual import PrimalDual, ascended, violations
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

from fairbench.api import NotApplicable, Samples, Schema, group_rates
from fairbench.api.torch import as_batch, parity_gap

GAMES = (AdversarialDebiasing, LAFTR, FairGrad, PrimalDual)


def dp_gap(score, rows):
    return parity_gap(score, rows.group)


def decision_gaps(method):
    """Return the gaps of the training rows' decisions by criterion."""
    rates = group_rates(TRAIN, predict(method, TRAIN))
    true, false = np.ptp(rates.true_positive), np.ptp(rates.false_positive)
    return dict(zip(CRITERIA, (np.ptp(rates.selection), max(true, false), true)))


@pytest.mark.parametrize(
    "without", [LAFTR(gamma=0.0), FairGrad(dual_lr=0.0), PrimalDual(dual_lr=0.0), PrimalDual(tolerance=1.0)]
)
def test_whoever_plays_alone_is_the_plain_network_bit_for_bit(without):
    plain = scores(MLP(**QUICK, patience=None))
    np.testing.assert_array_equal(scores(dataclasses.replace(without, **QUICK)), plain)
    stronger = {"gamma": 10.0} if isinstance(without, LAFTR) else {"dual_lr": 1.0, "criterion": CRITERIA[0]}
    if getattr(without, "tolerance", 0.0) < 1:
        assert (scores(dataclasses.replace(without, **QUICK, **stronger)) != plain).any()


@pytest.mark.parametrize("method", GAMES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_groups_that_cannot_be_compared_are_not_applicable(method, criterion):
    with pytest.raises(NotApplicable, match=rf"{criterion.replace('_', ' ')} compares two groups .* only 'g0' has a"):
        method(criterion=criterion).fit(one_group(), VALIDATION, seed=0)


@pytest.mark.parametrize("method", [AdversarialDebiasing, FairGrad, PrimalDual])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_three_groups_and_a_rare_one_work(method, criterion):
    train, validation = (make_samples(n, seed=seed, n_groups=3) for n, seed in ((200, 4), (90, 5)))
    rare = np.flatnonzero((train.group == 2) & (train.y == 1))[2:]  # two rows of a group with a label
    fitted = method(**QUICK, criterion=criterion).fit(
        train.select(np.setdiff1d(np.arange(200), rare)), validation.select(validation.group != 2), seed=0
    )
    assert len(fitted.points[""](validation.inputs).y_pred) == 90


def test_the_step_against_the_adversary_is_the_papers():
    task, adversary = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 0.0])
    torch.testing.assert_close(against(task, adversary, 0.5), torch.tensor([1.0, -1.0, 3.0]))  # 2 - 2 - 0.5 * 2
    generator = torch.Generator().manual_seed(0)
    task, adversary = torch.randn(2, 50, generator=generator, dtype=torch.float64)
    for alpha in (0.0, 1.0):
        step = against(task, adversary, alpha)
        # To first order a descent along it changes the adversary's loss by alpha |a|^2: it gains nothing with alpha 0.
        assert float(step @ adversary) == pytest.approx(-alpha * float(adversary @ adversary), abs=1e-9)
    torch.testing.assert_close(against(task, 0 * adversary, 1.0), task)


def test_the_adversary_sees_the_scaled_score_and_the_label():
    logit, y = torch.tensor([[-1.0], [2.0]]), torch.tensor([[1.0], [0.0]])
    adversary = ScoreAdversary(3, with_label=True, seed=0)
    with torch.no_grad():
        adversary.scale.fill_(-0.5)  # its size counts: the score's logit is multiplied by 1.5
        s = torch.sigmoid(1.5 * logit)
        seen = torch.tensor([[float(s[0]), float(s[0]), 0.0], [float(s[1]), 0.0, float(s[1])]])
        torch.testing.assert_close(adversary(logit, y), adversary.guess(seen))
        blind = ScoreAdversary(2, with_label=False, seed=0)
        torch.testing.assert_close(blind(logit, y), blind(logit, 1 - y))


def test_the_gap_falls_as_the_network_goes_more_against_the_adversary():
    assert falls(on_training_rows(AdversarialDebiasing, "alpha", (0.0, 0.3, 1.0), dp_gap))


def test_an_adversary_is_asked_about_the_rows_of_the_criterion_only():
    method = AdversarialDebiasing(**QUICK, criterion=CRITERIA[2])
    left = TRAIN.y == 1
    shuffled = TRAIN.group.copy()
    shuffled[~left] = 1 - shuffled[~left]  # groups of rows with the other label do not matter
    changed = Samples(TRAIN.X, shuffled, TRAIN.schema, TRAIN.y)
    np.testing.assert_array_equal(predict(method, TRAIN, changed).y_score, predict(method, TRAIN).y_score)
    parity = dataclasses.replace(method, criterion=CRITERIA[0])
    assert (predict(parity, TRAIN, changed).y_score != predict(parity, TRAIN).y_score).any()


def test_the_adversarys_objective_weighs_groups_alike_and_is_the_gap_of_decisions():
    member = torch.tensor([True] * 10 + [False] * 30)
    every = [torch.ones(40, dtype=torch.bool)]
    assert float(adversary_objective(torch.full((40,), 0.3), member, every)) == pytest.approx(0, abs=1e-6)
    assert float(adversary_objective(member.float(), member, every)) == 1
    halves = [torch.arange(40) % 2 == parity for parity in (0, 1)]
    assert float(adversary_objective(member.float(), member, halves)) == 2
    decision = torch.tensor([1.0] * 7 + [0.0] * 3 + [1.0] * 6 + [0.0] * 24)
    assert float(adversary_objective(decision, member, every)) == pytest.approx(0.7 - 0.2)  # Madras et al., 4.2
    assert float(adversary_objective(decision, member, [torch.zeros(40, dtype=torch.bool)])) == 0


def test_the_gap_falls_as_the_representation_keeps_more_from_its_adversary():
    assert falls(on_training_rows(LAFTR, "gamma", (0.0, 1.0, 3.0), dp_gap))


def test_laftr_refuses_three_groups_and_no_hidden_layer():
    train = make_samples(90, seed=0, n_groups=3)
    with pytest.raises(NotApplicable, match=r"tells two groups apart, and training rows are of 3; adversarial_debias"):
        LAFTR().fit(train, train, seed=0)
    two_of_three = train.select(train.group != 1)
    LAFTR(**QUICK).fit(two_of_three, train, seed=0)
    with pytest.raises(NotApplicable, match=r"laftr: hidden is \(\); the adversary sees the last hidden layer"):
        LAFTR(hidden=())


def errors(decision, rows):
    """Return the error rate of each label and group."""
    wrong, y = decision != rows.y.reshape(-1), rows.y.reshape(-1)
    cells = [(y == label) & (rows.group == group) for label in (0, 1) for group in range(rows.n_groups)]
    return torch.stack([wrong[cell].double().mean() for cell in cells])


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("labels", [(), (0, 1), (1,), (0,)])
def test_fairness_is_linear_in_error_rates(groups, labels):
    # The identity on which FairGrad rests: F = C0 + C P(error), with C0 what correct decisions would have.
    rows = doubled(make_samples(300, seed=2, n_groups=groups))
    decision = (torch.arange(300) % 7 < 3).long()
    coefficient = error_coefficients(shares(rows), labels)
    perfect = fairness(rows.y.reshape(-1).long(), rows, labels).reshape(-1)
    linear = perfect + coefficient @ errors(decision, rows)
    torch.testing.assert_close(fairness(decision, rows, labels).reshape(-1), linear, atol=1e-12, rtol=0)


def test_fairgrads_multipliers_sum_what_exceeds_epsilon():
    level = torch.tensor([[0.3, -0.1], [0.0, 0.0]])
    first = grown(torch.zeros(2, 2, 2), level, 0.5, 0.1)
    torch.testing.assert_close(first[0], torch.tensor([[0.1, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(first[1], torch.zeros(2, 2))
    second = grown(first, -level, 0.5, 0.1)
    torch.testing.assert_close(second[0], torch.zeros(2, 2))
    torch.testing.assert_close(second[1], torch.tensor([[0.1, 0.0], [0.0, 0.0]]))


def test_a_disadvantaged_group_gains_weight():
    rows = doubled(TRAIN)
    decision = (rows.y.reshape(-1) * (rows.group == 0)).long()  # right, but for the second group's positives
    share, labels = shares(rows), (0, 1)
    level = fairness(decision, rows, labels)
    assert float(level[1, 0]) > 0 > float(level[1, 1])
    coefficient = error_coefficients(share, labels)
    weight = row_weights(grown(torch.zeros(2, 2, 2, dtype=torch.float64), level, 0.1, 0.0), coefficient, share)
    assert float(weight[1, 1]) > 1 > float(weight[1, 0])
    assert weight[0].tolist() == [1, 1]  # their errors are alike
    assert float((weight * share).sum()) == pytest.approx(1)
    assert row_weights(torch.zeros(2, 2, 2).double(), coefficient, 0 * share).tolist() == [[1, 1], [1, 1]]


def row_sets():
    """Return six rows of two groups, two of which have y = 1."""
    schema = Schema(("a",), ("g0", "g1"), 1)
    y, group = np.array([1, 0, 0, 1, 0, 0]), np.array([0, 0, 0, 1, 1, 1])
    return as_batch(Samples(np.zeros((6, 1), np.float32), group, schema, y))


def test_deviations_and_violations_by_hand():
    rows = row_sets()
    value = torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    torch.testing.assert_close(deviations(value, rows, ()), torch.tensor([[1 / 6, -1 / 6]]))
    torch.testing.assert_close(deviations(value, rows, (0, 1)), torch.tensor([[0.0, 0.0], [0.5, -0.5]]))
    above, below = violations(value, rows, (), 0.1)
    torch.testing.assert_close(above, torch.tensor([[1 / 6 - 0.1, -1 / 6 - 0.1]]))
    torch.testing.assert_close(below, torch.tensor([[-1 / 6 - 0.1, 1 / 6 - 0.1]]))
    rows.group[:] = 0
    assert deviations(value, rows, ()).tolist() == [[0, 0]]  # a group without rows has none


def test_multipliers_ascend_along_the_violation_within_their_bounds():
    start, violation = torch.tensor([0.0, 0.2, 0.0, 1.9]), torch.tensor([0.3, -0.1, -0.5, 1.0])
    torch.testing.assert_close(ascended(start, violation, 0.5, 2.0), torch.tensor([0.15, 0.15, 0.0, 2.0]))


def test_the_first_multiplier_of_a_fit_is_the_violation_of_the_initial_decisions():
    whole = {**QUICK, "epochs": 1, "batch_size": 0, "lr": 0.0, "hidden": ()}
    initial = predict(MLP(**whole), TRAIN).y_pred
    rows = as_batch(TRAIN)
    expected = 0.5 * float(violations(torch.tensor(initial, dtype=torch.float32), rows, (), 0.01).max())
    assert expected > 0
    curves = PrimalDual(**whole, dual_lr=0.5).fit(TRAIN, VALIDATION, seed=3).diagnostics
    assert curves["largest_multiplier"] == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize("method", [FairGrad, PrimalDual])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_multipliers_narrow_the_gap_of_decisions(method, criterion):
    plain = decision_gaps(MLP(**LEARNING, patience=None))[criterion]
    fair = decision_gaps(method(**LEARNING, criterion=criterion, dual_lr=0.1))[criterion]
    assert fair < 0.75 * plain


def test_equal_opportunity_is_about_the_favourable_label():
    for label in (0, 1):
        method = PrimalDual(**QUICK, criterion=CRITERIA[2], dual_lr=1.0)
        flipped = Samples(TRAIN.X, np.where(TRAIN.y != label, 1 - TRAIN.group, TRAIN.group), TRAIN.schema, TRAIN.y)
        one, other = (favourable(part, label) for part in (TRAIN, flipped))
        np.testing.assert_array_equal(predict(method, TRAIN, one).y_score, predict(method, TRAIN, other).y_score)
