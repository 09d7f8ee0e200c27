"""Adaptation and its meta-gradients against loops written out by hand, finite differences, and higher."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairbench_meta._course import Learned
from fairbench_meta._inner import INNER_LOOPS, Rule, Table, Terms, adapt, forward, judge
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_meta.pdfm import PrimalDualFairMeta
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Samples, Schema
from fairbench.api.torch import mlp

LAMBDA = 0.6
METHODS = {
    "maml": FairMAML(gamma=0.0, inner_lr=0.4, inner_steps=3),
    "fair_maml": FairMAML(gamma=0.7, inner_lr=0.4, inner_steps=2),
    "fair_maml of opportunity": FairMAML(gamma=0.7, inner_lr=0.4, criterion="equal_opportunity"),
    "fair_maml as the code": FairMAML(
        gamma=5.0, inner_lr=0.4, inner_steps=3, batch_mean_reg=True, double_softmax=True, second_step_reg_only=True
    ),
    "m_ftml": MaskedFTML(inner_lr=0.4, inner_steps=2),
    "ffml": FFML(inner_lr=0.4, inner_steps=2, dual_rounds=3, dual_lr=2.0, bound=0.02, norm_weight=0.05),
    "ffml of odds": FFML(inner_lr=0.4, dual_rounds=3, dual_lr=2.0, bound=0.02, criterion="equalized_odds"),
    "pdfm": PrimalDualFairMeta(inner_lr=0.4, dual_rounds=3, dual_lr=2.0, bound=0.005),
}


def make_samples(n: int = 90, *, favorable_label: int = 1, seed: int = 0) -> Samples:
    """Return n rows of three features whose label follows them, with a shift for the protected group."""
    random = np.random.default_rng(seed)
    X, group = random.normal(size=(n, 3)).astype(np.float32), random.integers(0, 2, n)
    y = (X @ [1.0, -2.0, 0.5] - 0.8 * group + random.normal(size=n) > 0).astype(int)
    return Samples(X, group, Schema(("a", "b", "c"), ("other", "protected"), 1, favorable_label), y)


SUPPORT = [np.arange(0, 20), np.arange(20, 31), np.arange(31, 46)]  # of three tasks, of unequal size
QUERY = [np.arange(46, 60), np.arange(60, 78), np.arange(78, 90)]


def learned(method, n_terms: int, first: float = LAMBDA) -> Learned:
    """Return a net with three tanh units in float64, and multipliers."""
    first = method.gamma if isinstance(method, FairMAML) else first
    return Learned(mlp(3, (3,), "tanh", seed=4).double(), torch.full((n_terms,), first, dtype=torch.float64))


def hand_terms(method, score: torch.Tensor, samples: Samples, rows: np.ndarray) -> list[torch.Tensor]:
    """Return a task's fairness terms as the papers put them: differences and shortfalls of mean scores."""
    a, y = samples.protected[rows], samples.y[rows]
    good = y == samples.schema.favorable_label
    if isinstance(method, FairMAML):
        score = (2 * score - 1).sigmoid() if method.double_softmax else score
        score = score if samples.schema.favorable_label == 1 else 1 - score
        who = a & good if method.criterion == "equal_opportunity" else a
        return [1 - score[who].sum() / (len(rows) if method.batch_mean_reg else who.sum())]
    if isinstance(method, MaskedFTML):
        return []
    if isinstance(method, PrimalDualFairMeta):
        weights = torch.tensor(a - a.mean())
        return [(weights * score).mean().abs() - method.bound]
    sides = {"demographic_parity": [good | ~good], "equalized_odds": [good, ~good]}[method.criterion]
    return [
        (score[a & side].mean() - score[~a & side].mean()).abs() - method.bound
        if (a & side).any() and (~a & side).any()
        else score.sum() * 0
        for side in sides
    ]


def hand_judge(method, theta, samples: Samples, rows: np.ndarray):
    """Return loss and terms of one task under weights theta, without any batching."""
    w1, b1, w2, b2 = theta
    logit = (torch.tanh(torch.tensor(samples.X[rows]).double() @ w1.T + b1) @ w2.T + b2).reshape(-1)
    loss = cross_entropy(logit, torch.tensor(samples.y[rows]).double())
    return loss, hand_terms(method, logit.sigmoid(), samples, rows)


def hand_adapt(method, theta, multiplier, samples: Samples, rows: np.ndarray) -> list[torch.Tensor]:
    """Return a task's weights after the method's inner loop, by plain double backward."""
    multiplier, total = list(multiplier), [torch.zeros_like(w) for w in theta]
    rounds = getattr(method, "dual_rounds", 1)
    for number in range(rounds * method.inner_steps):
        theta = [w.clone() for w in theta]  # so that multipliers, though made from theta, are constants to this step
        loss, terms = hand_judge(method, theta, samples, rows)
        penalty = sum(m * term for m, term in zip(multiplier, terms))
        only_terms = number > 0 and getattr(method, "second_step_reg_only", False)
        slopes = torch.autograd.grad(penalty if only_terms else loss + penalty, theta, create_graph=True)
        theta = [w - method.inner_lr * slope for w, slope in zip(theta, slopes)]
        total = [past + w for past, w in zip(total, theta)]
        if hasattr(method, "dual_lr") and (number + 1) % method.inner_steps == 0:
            seen = [past / (number + 1) for past in total] if isinstance(method, PrimalDualFairMeta) else theta
            _, terms = hand_judge(method, seen, samples, rows)
            multiplier = [torch.relu(m + method.dual_lr * term) for m, term in zip(multiplier, terms)]
    return theta


def hand_objective(method, theta, multiplier, samples: Samples) -> torch.Tensor:
    """Return what the method's outer step goes down on with the first weights."""
    losses = []
    for support, query in zip(SUPPORT, QUERY):
        end = hand_adapt(method, theta, multiplier, samples, support)
        loss, terms = hand_judge(method, end, samples, query)
        losses.append(loss)
        if not isinstance(method, PrimalDualFairMeta):
            losses[-1] = loss + sum(m * term for m, term in zip(multiplier, terms))
    if isinstance(method, PrimalDualFairMeta):
        return sum(losses)
    if not isinstance(method, FFML):
        return sum(losses) / len(losses)
    norm = torch.cat([w.reshape(-1) for w in theta]).norm()
    return sum(losses) / len(losses) - method.dual_decay / 2 * (multiplier**2).sum() + method.norm_weight * norm


def meta_gradients(method, samples: Samples, loop: str = "batched") -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient by the first weights and the slope of the first multipliers that the method's step takes."""
    terms = method.terms(samples.schema)
    table, state = Table(samples, terms, torch.float64), learned(method, len(terms))
    before = state.multiplier.detach().clone()
    step = method.outer_step(SimpleNamespace(learned=state))
    support, query = table.batch(SUPPORT), table.batch(QUERY)
    weights = INNER_LOOPS[loop](state.net, state.multiplier, support, terms, method.rule())
    step(judge(forward(state.net, weights, query.X), query, terms))
    slope = (state.multiplier.detach() - before) / getattr(method, "outer_dual_lr", 1.0)
    return torch.cat([w.grad.reshape(-1) for w in state.net.parameters()]), slope


@pytest.mark.parametrize("favorable_label", [1, 0])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_meta_gradient_is_that_of_a_double_backward_and_of_finite_differences(method, favorable_label):
    samples = make_samples(favorable_label=favorable_label)
    state = learned(method, len(method.terms(samples.schema)))
    shapes = [w.shape for w in state.net.parameters()]
    start = torch.cat([w.detach().reshape(-1) for w in state.net.parameters()])

    def objective(vector: torch.Tensor, multiplier: torch.Tensor) -> torch.Tensor:
        parts = vector.split([shape.numel() for shape in shapes])
        return hand_objective(method, [p.reshape(s) for p, s in zip(parts, shapes)], multiplier, samples)

    by_weights, by_multiplier = meta_gradients(method, samples)
    at = start.clone().requires_grad_(), state.multiplier.detach().clone().requires_grad_()
    by_hand = torch.autograd.grad(objective(*at), at, allow_unused=True)
    torch.testing.assert_close(by_weights, by_hand[0], rtol=1e-9, atol=1e-11)  # float64; other orders of adding
    h, random = 1e-5, torch.Generator().manual_seed(0)
    for _ in range(3):
        unit = torch.randn(len(start), generator=random, dtype=torch.float64)
        two_sided = [float(objective((start + s * h * unit).requires_grad_(), at[1]).detach()) for s in (1, -1)]
        assert float(by_weights @ unit) == pytest.approx((two_sided[0] - two_sided[1]) / (2 * h), rel=1e-4)
    if isinstance(method, FFML):
        torch.testing.assert_close(by_multiplier, by_hand[1], rtol=1e-9, atol=1e-11)
        for i, unit in enumerate(torch.eye(len(at[1]), dtype=torch.float64)):
            two_sided = [float(objective(at[0], at[1].detach() + s * h * unit).detach()) for s in (1, -1)]
            assert float(by_multiplier[i]) == pytest.approx((two_sided[0] - two_sided[1]) / (2 * h), rel=1e-4)


@pytest.mark.parametrize(("activation", "first_order"), [("relu", False), ("tanh", False), ("relu", True)])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_tasks_side_by_side_agree_with_higher(method, activation, first_order):
    samples = make_samples()
    method = dataclasses.replace(method, first_order=first_order)
    terms = method.terms(samples.schema)
    table = Table(samples, terms, torch.float64)
    net = mlp(3, (5, 4), activation, seed=1).double()
    multiplier = torch.full((len(terms),), LAMBDA, dtype=torch.float64, requires_grad=True)
    support, query = table.batch(SUPPORT), table.batch(QUERY)
    at, gradients, ends = [*net.parameters(), multiplier], [], []
    for loop in INNER_LOOPS.values():
        weights = loop(net, multiplier, support, terms, method.rule())
        ends += [weights]
        judged = judge(forward(net, weights, query.X), query, terms)
        slopes = torch.autograd.grad(judged.loss.sum() + judged.terms.sum(), at, allow_unused=True)
        gradients += [slopes]
    for one, other in zip(*ends):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    for one, other in zip(*gradients):
        if one is None or other is None:  # nothing flows to the multiplier
            assert all(slope is None or not slope.any() for slope in (one, other))
        else:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["fair_maml", "ffml"])
def test_the_two_loops_agree_in_the_precision_that_training_has(name):
    method, samples = METHODS[name], make_samples()
    terms = method.terms(samples.schema)
    net, table = mlp(3, (8,), seed=1), Table(samples, terms)
    multiplier = torch.full((len(terms),), LAMBDA)
    ends = [loop(net, multiplier, table.batch(SUPPORT), terms, method.rule()) for loop in INNER_LOOPS.values()]
    for one, other in zip(*ends):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)  # float32


@pytest.mark.parametrize("name", ["fair_maml", "m_ftml", "ffml", "pdfm"])
def test_without_inner_movement_first_and_second_order_coincide(name):
    samples, gradients = make_samples(), []
    for first_order in (False, True):
        method = dataclasses.replace(METHODS[name], inner_lr=0.0, first_order=first_order)
        gradients.append(meta_gradients(method, samples))
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    moving = [
        meta_gradients(dataclasses.replace(METHODS[name], first_order=first_order), samples)[0]
        for first_order in (False, True)
    ]
    assert (moving[0] - moving[1]).abs().max() > 1e-4


def test_first_order_leaves_only_the_direct_slope_of_the_multiplier():
    method, samples = dataclasses.replace(METHODS["ffml"], first_order=True), make_samples()
    _, slope = meta_gradients(method, samples)
    state = learned(method, 1)
    violations = []
    for support, query in zip(SUPPORT, QUERY):
        end = hand_adapt(method, list(state.net.parameters()), state.multiplier, samples, support)
        violations.append(float(hand_judge(method, end, samples, query)[1][0].detach()))
    assert float(slope) == pytest.approx(np.mean(violations) - method.dual_decay * LAMBDA, abs=1e-10)


def test_pdfm_raises_its_multiplier_by_the_sum_of_violations():
    method, samples = METHODS["pdfm"], make_samples()
    _, slope = meta_gradients(method, samples)
    state = learned(method, 1)
    total = 0.0
    for support, query in zip(SUPPORT, QUERY):
        end = hand_adapt(method, list(state.net.parameters()), state.multiplier, samples, support)
        total += float(hand_judge(method, end, samples, query)[1][0].detach())
    assert float(slope) == pytest.approx(total, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_score_gap_is_the_normalised_covariance(seed):
    random = np.random.default_rng(seed)
    samples = make_samples(60, seed=seed)
    score, a = random.random(60), samples.protected
    logit = torch.tensor(np.log(score / (1 - score))).unsqueeze(0)
    gap = score[a].mean() - score[~a].mean()
    values = {}
    for form in ("gap", "covariance"):
        terms = Terms("demographic_parity", form)
        batch = Table(samples, terms, torch.float64).batch([np.arange(60)])
        values[form] = float(judge(logit, batch, terms).terms)
    share = a.mean()
    weights = (a - share) / (share * (1 - share))
    assert values["gap"] == pytest.approx(abs(np.mean(weights * score)), abs=1e-12)  # the papers' form
    assert values["gap"] == pytest.approx(abs(gap), abs=1e-12)
    assert values["covariance"] == pytest.approx(share * (1 - share) * abs(gap), abs=1e-12)


@pytest.mark.parametrize("form", ["gap", "covariance", "reward", "batch_reward"])
@pytest.mark.parametrize("missing", ["protected", "others"])
def test_a_task_without_one_side_has_no_term_and_makes_no_dual_step(form, missing):
    samples = make_samples()
    rows = np.flatnonzero(samples.protected == (missing == "others"))[:12]
    terms = Terms("demographic_parity", form, bound=0.01)
    batch = Table(samples, terms, torch.float64).batch([rows, np.arange(30)])
    net = mlp(3, (3,), seed=0).double()
    logit = forward(net, [w.expand(2, *w.shape) for w in net.parameters()], batch.X)
    judged = judge(logit, batch, terms)
    if form.endswith("reward") and missing == "others":
        assert float(judged.terms[0].detach()) > 0  # it looks at the protected alone
        return
    slopes = torch.autograd.grad(judged.terms[0].sum(), list(net.parameters()))
    assert float(judged.terms[0].detach()) == 0
    assert all(torch.isfinite(slope).all() and not slope.any() for slope in slopes)
    assert float(Rule(0.1, dual_lr=9.0).raised(torch.tensor([[0.3]]), judged.terms[:1].detach())) == pytest.approx(0.3)
    lone = adapt(net, torch.full((1,), 5.0).double(), batch, terms, Rule(0.1, rounds=3, dual_lr=9.0))
    plain = adapt(
        net, torch.zeros(0).double(), Table(samples, Terms(), torch.float64).batch([rows]), Terms(), Rule(0.1, 3)
    )
    for one, other in zip(lone, plain):
        torch.testing.assert_close(one[0], other[0], rtol=0, atol=1e-12)


def test_flipped_labels_change_the_loss_of_their_task_alone():
    samples = make_samples()
    terms = Terms("demographic_parity", "reward")
    table = Table(samples, terms, torch.float64)
    logit = torch.zeros(2, 20, dtype=torch.float64) + 0.7
    plain, flipped = (judge(logit, table.batch(SUPPORT[:2], flip), terms) for flip in ((), (False, True)))
    assert torch.equal(plain.terms, flipped.terms)
    assert float(plain.loss[0]) == float(flipped.loss[0])
    share = 1 - samples.y[SUPPORT[1]].mean()
    expected = share * np.log1p(np.exp(-0.7)) + (1 - share) * np.log1p(np.exp(0.7))
    assert float(flipped.loss[1]) == pytest.approx(expected, abs=1e-12)


def dual_steps(method: FFML, violation: float, steps: int) -> list[float]:
    """Return the first multiplier after each outer step with a constant violation and weights that do not matter."""
    state = Learned(mlp(1, (), seed=0), torch.full((1,), method.first_multiplier))
    step, values = method.outer_step(SimpleNamespace(learned=state)), []
    for _ in range(steps):
        nothing = sum(w.sum() for w in state.net.parameters()) * 0
        terms = torch.full((4, 1), violation)
        values.append(step(SimpleNamespace(loss=nothing.expand(4), terms=terms, known=torch.ones(4, 1)))["multiplier"])
    return values


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_multiplier_tends_to_the_violation_over_the_decay(variant):
    method = FFML(variant=variant, outer_dual_lr=1.0, dual_decay=0.05, bound=0.02)
    values = dual_steps(method, 0.1, 400)
    assert values[0] > 0
    assert all(later >= earlier for earlier, later in zip(values, values[1:]))
    seen = 0.1 if variant == "paper" else 0.12  # the bound does not reach the code's multiplier
    assert values[-1] == pytest.approx(seen / 0.05, rel=1e-3)


def test_multiplier_falls_to_zero_and_stays_there_where_the_constraint_holds():
    values = dual_steps(FFML(first_multiplier=0.5, outer_dual_lr=0.2), -0.5, 30)
    assert values[0] < 0.5
    assert min(values) == 0
    assert values[-1] == 0


def test_weights_stay_within_the_ball_or_are_reset_as_in_the_code():
    for variant, expected in (("paper", 2.0), ("code", 1.0)):
        state = Learned(mlp(3, (4,), seed=0), torch.zeros(1))
        with torch.no_grad():
            for weight in state.net.parameters():
                weight.mul_(10)
        direction = [weight.detach().clone() for weight in state.net.parameters()]
        method = FFML(variant=variant, radius=2.0, outer_lr=0.0, norm_weight=0.0)
        nothing = sum(w.sum() for w in state.net.parameters()) * 0
        judged = SimpleNamespace(loss=nothing.expand(2), terms=torch.zeros(2, 1), known=torch.ones(2, 1))
        method.outer_step(SimpleNamespace(learned=state))(judged)
        norms = [float(weight.detach().norm()) for weight in state.net.parameters()]
        assert (np.linalg.norm(norms) if variant == "paper" else sum(norms)) == pytest.approx(expected, rel=1e-6)
        scale = float(next(state.net.parameters()).detach().norm() / direction[0].norm())
        for weight, was in zip(state.net.parameters(), direction):
            torch.testing.assert_close(weight.detach(), scale * was)
