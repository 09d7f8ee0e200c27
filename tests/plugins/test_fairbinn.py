"""FairBiNN's three methods against hand-written loops with two optimisers; who feels which loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from bilevel_helpers import flat, make_samples
from fairbench_bilevel._batches import StratifiedBatches
from fairbench_bilevel._penalties import PENALTIES, make_penalty
from fairbench_bilevel._players import SplitNetwork
from fairbench_bilevel.fairbinn import FairBiNN
from fairbench_bilevel.fairbinn_coupled import FairBiNNCoupled
from fairbench_bilevel.lagrangian_dp import LagrangianDP
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Samples, derive_seed
from fairbench.api.torch import as_batch, one_thread

FAST = {"hidden": (16, 8), "batch_size": 64, "epochs": 4}
FLOAT = 2e-5  # float32 weights of order one after some dozens of Adam steps, whose quotients round differently
TRAIN, VALIDATION = make_samples(600, seed=0), make_samples(400, seed=1)


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    with one_thread():  # as in a fit
        yield


def batches_of(method, train: Samples, seed: int) -> StratifiedBatches:
    by_label = method.loss.startswith("eo_")
    return StratifiedBatches(train, method.batch_size, by_label=by_label, seed=derive_seed("batches", seed))


def curves(method, train: Samples = TRAIN, seed: int = 3) -> dict[str, list[float]]:
    return method.fit(train, VALIDATION, seed=seed).diagnostics


def gap(loss: str, logit: torch.Tensor, batch) -> torch.Tensor:
    return PENALTIES[loss](torch.sigmoid(logit[:, 0]), batch.y[:, 0], batch.group, int(TRAIN.schema.protected == 0))


def trained_by_hand(method, steps, seed: int = 3) -> tuple[list[float], SplitNetwork]:
    """Train with ``steps(model, batches) -> cross-entropies of an epoch``; return their means and the model."""
    model = SplitNetwork(4, method.hidden, method.fair_layers, method.position, seed=seed)
    batches = batches_of(method, TRAIN, seed)
    return [float(np.mean(list(steps(model, batches)))) for _ in range(method.epochs)], model


def assert_trained_alike(method, steps) -> None:
    expected, model = trained_by_hand(method, steps)
    found = curves(method)
    np.testing.assert_allclose(found["training_bce"], expected, atol=FLOAT, rtol=0)
    rows = as_batch(TRAIN)
    with torch.no_grad():
        logit = model(rows.X)
    assert found["final_training_bce"] == [pytest.approx(float(cross_entropy(logit, rows.y)), abs=FLOAT)]
    assert found["final_training_penalty"] == [pytest.approx(float(gap(method.loss, logit, rows)), abs=FLOAT)]


# --- Each method is the loop that it says it is ---


@pytest.mark.parametrize("loss", PENALTIES)
@pytest.mark.parametrize(("position", "eta"), [(0, 3.0), (1, 0.5), (2, 40.0)])
def test_coupled_is_the_released_loop_with_gradients_cleared_once_a_batch(loss: str, position: int, eta: float) -> None:
    method, adams = FairBiNNCoupled(**FAST, eta=(eta,), loss=loss, position=position, fair_lr=1e-3), []

    def steps(model: SplitNetwork, batches: StratifiedBatches) -> Iterator[float]:
        if not adams:
            adams.extend(torch.optim.Adam(part, lr=1e-3) for part in (model.following(), model.leading()))
        for batch in batches:
            model.zero_grad()
            (eta * gap(loss, model(batch.X), batch)).backward()
            adams[0].step()
            bce = cross_entropy(model(batch.X), batch.y)
            bce.backward()  # on top of what is there
            adams[1].step()
            yield bce.item()

    assert_trained_alike(method, steps)


@pytest.mark.parametrize("same_batch", [False, True])
@pytest.mark.parametrize("order", ["accuracy_first", "fairness_first"])
@pytest.mark.parametrize(("optimizer", "follower_steps"), [("adam", 1), ("sgd", 3)])
def test_strict_is_the_printed_alternation(same_batch: bool, order: str, optimizer: str, follower_steps: int) -> None:
    method = FairBiNN(
        **FAST,
        eta=(5.0,),
        fair_lr=1e-2,
        same_batch=same_batch,
        order=order,
        follower_optimizer=optimizer,
        follower_steps=follower_steps,
    )
    optimisers = []

    def steps(model: SplitNetwork, batches: StratifiedBatches) -> Iterator[float]:
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
        if not optimisers:
            optimisers.extend([torch.optim.Adam(model.leading(), lr=1e-3), kind(model.following(), lr=1e-2)])
        for mine, theirs in batches.pairs():
            theirs = mine if same_batch else theirs
            for player in ("leader", "follower") if order == "accuracy_first" else ("follower", "leader"):
                for _ in range(follower_steps if player == "follower" else 1):
                    model.zero_grad()
                    if player == "leader":
                        bce = cross_entropy(model(mine.X), mine.y)
                        bce.backward()
                        optimisers[0].step()
                    else:
                        (5.0 * gap("dp_sq", model(theirs.X), theirs)).backward()
                        optimisers[1].step()
            yield bce.item()

    assert_trained_alike(method, steps)


def test_lagrangian_is_one_adam_over_every_parameter_once() -> None:
    method, adams = LagrangianDP(**FAST, eta=(3.0,)), []

    def steps(model: SplitNetwork, batches: StratifiedBatches) -> Iterator[float]:
        if not adams:
            adams.append(torch.optim.Adam(model.parameters(), lr=1e-3))
        for batch in batches:
            adams[0].zero_grad()
            logit = model(batch.X)
            bce = cross_entropy(logit, batch.y)
            (bce + 3.0 * gap("dp_sq", logit, batch)).backward()
            adams[0].step()
            yield bce.item()

    assert_trained_alike(method, steps)
    model = SplitNetwork(4, (16, 8), (), 0, seed=0)
    [player], _ = method.game(model, make_penalty("dp_sq", TRAIN), 3.0)
    assert sorted(map(id, player.parameters)) == sorted(map(id, model.parameters()))


def test_unrolling_takes_the_leaders_gradient_through_the_followers_steps() -> None:
    method, adams = FairBiNN(**FAST, eta=(4.0,), fair_lr=0.3, unroll_steps=2), []

    def steps(model: SplitNetwork, batches: StratifiedBatches) -> Iterator[float]:
        if not adams:
            adams.append(torch.optim.Adam(model.leading(), lr=1e-3))
        for mine, theirs in batches.pairs():
            weight, bias = model.following()

            def network(X: torch.Tensor, w: torch.Tensor, b: torch.Tensor, model: SplitNetwork = model) -> torch.Tensor:
                return model.after(torch.relu(model.before(X) @ w.T + b))

            w, b = weight, bias
            for _ in range(2):
                loss = 4.0 * gap("dp_sq", network(theirs.X, w, b), theirs)
                by_w, by_b = torch.autograd.grad(loss, (w, b), create_graph=True)
                w, b = w - 0.3 * by_w, b - 0.3 * by_b
            bce = cross_entropy(network(mine.X, w, b), mine.y)
            model.zero_grad()
            bce.backward()
            adams[0].step()
            with torch.no_grad():
                weight.copy_(w)
                bias.copy_(b)
            yield bce.item()

    assert_trained_alike(method, steps)


def test_the_unrolled_leaders_gradient_is_that_of_finite_differences() -> None:
    # One round of SGD-like moves on a batch: the leader's loss after the follower's response, as a function of one of
    # the leader's weights before the response.
    model = SplitNetwork(4, (3,), (), 0, seed=1).double()
    batch, penalty = as_batch(TRAIN.select(np.arange(80)), torch.float64), make_penalty("dp_sq", TRAIN)

    def response_loss() -> torch.Tensor:
        handed = model.before(batch.X)
        weight, bias = model.following()
        loss = 20 * penalty(model.after(torch.relu(handed @ weight.T + bias)), batch)
        by_weight, by_bias = torch.autograd.grad(loss, (weight, bias), create_graph=True)
        moved = torch.relu(handed @ (weight - 0.5 * by_weight).T + bias - 0.5 * by_bias)
        return cross_entropy(model.after(moved), batch.y)

    taken: list[torch.Tensor] = []
    [leader, _], play = FairBiNN(unroll_steps=1, fair_lr=0.5, same_batch=True).game(model, penalty, 20.0)
    target, step = leader.parameters[0], 1e-6
    with torch.no_grad():
        target[0, 0] += step
    above = float(response_loss().detach())
    with torch.no_grad():
        target[0, 0] -= 2 * step
    below = float(response_loss().detach())
    with torch.no_grad():
        target[0, 0] += step
    leader.step = taken.extend  # instead of moving, keep the gradients
    list(play([batch]))
    # central differences in float64: an error of order 1e-12 plus roundings of order 1e-10
    assert float(taken[0][0, 0]) == pytest.approx((above - below) / (2 * step), abs=1e-8)


# --- Who feels which loss ---


def gradients(
    method, eta: float, position: int = 2, fair_layers: tuple[int, ...] = ()
) -> tuple[dict[str, torch.Tensor], SplitNetwork, object]:
    """Return the gradients that each player is handed in one round, nobody moving."""
    model = SplitNetwork(4, (6, 5), fair_layers, position, seed=2).double()
    batch, seen = as_batch(TRAIN.select(np.arange(100)), torch.float64), {}
    players, play = method.game(model, make_penalty(method.loss, TRAIN), eta)
    for name, player in zip(("leader", "follower"), players):
        player.step = lambda handed, name=name: seen.update({name: flat(list(handed))})
    list(play([batch]))
    return seen, model, batch


@pytest.mark.parametrize("eta", [0.0, 1.0, 50.0])
def test_leader_and_follower_are_handed_the_gradients_of_the_right_losses(eta: float) -> None:
    seen, model, batch = gradients(FairBiNN(same_batch=True), eta)
    logit = model(batch.X)
    bce, unfairness = cross_entropy(logit, batch.y), eta * gap("dp_sq", logit, batch)
    by_accuracy = flat(list(torch.autograd.grad(bce, model.leading(), retain_graph=True)))
    by_fairness = flat(list(torch.autograd.grad(unfairness, model.leading(), retain_graph=True)))
    following = flat(list(torch.autograd.grad(unfairness, model.following())))
    torch.testing.assert_close(seen["leader"], by_accuracy, atol=1e-12, rtol=0)
    torch.testing.assert_close(seen["follower"], following, atol=1e-12, rtol=0)
    for coupling in (1.0, 0.3, 0.0):
        seen, *_ = gradients(FairBiNNCoupled(coupling=coupling), eta)
        torch.testing.assert_close(seen["leader"], by_accuracy + coupling * by_fairness, atol=1e-12, rtol=0)
        torch.testing.assert_close(seen["follower"], following, atol=1e-12, rtol=0)
    assert eta == 0 or by_fairness.norm() > 1e-5  # so that there is a difference to see


@pytest.mark.parametrize("loss", PENALTIES)
@pytest.mark.parametrize(("position", "fair_layers"), [(1, ()), (1, (4, 3, 4)), (2, ()), (3, (5, 9, 5))])
def test_written_out_gradients_are_those_of_the_graph_wherever_the_block_stands(loss, position, fair_layers) -> None:
    for method in (FairBiNN(same_batch=True, loss=loss), FairBiNNCoupled(loss=loss), LagrangianDP(loss=loss)):
        seen, model, batch = gradients(method, 1e4, position, fair_layers)
        logit = model(batch.X)
        bce, unfairness = cross_entropy(logit, batch.y), 1e4 * gap(loss, logit, batch)
        felt = bce if isinstance(method, FairBiNN) else bce + unfairness
        leading = flat(list(torch.autograd.grad(felt, model.leading(), retain_graph=True)))
        if isinstance(method, LagrangianDP):
            following = flat(list(torch.autograd.grad(felt, model.following())))
            seen = dict(zip(("leader", "follower"), seen["leader"].split([len(leading), len(following)])))
        else:
            following = flat(list(torch.autograd.grad(unfairness, model.following())))
        torch.testing.assert_close(seen["leader"], leading, atol=1e-12, rtol=0)
        torch.testing.assert_close(seen["follower"], following, atol=1e-12, rtol=0)
        assert following.norm() > 1e-5


def play_once(method, eta: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far leader and follower have moved after an epoch."""
    model = SplitNetwork(4, method.hidden, (), 0, seed=0)
    players, play = method.game(model, make_penalty(method.loss, TRAIN), eta)
    list(play(batches_of(method, TRAIN, 0)))
    return tuple(player.vector - player.first for player in players)


@pytest.mark.parametrize("kind", [FairBiNN, FairBiNNCoupled])
def test_a_player_without_a_learning_rate_stands_still_and_the_other_moves(kind) -> None:
    leader, follower = play_once(kind(**FAST, lr=0.0, fair_lr=1e-2))
    assert leader.abs().max() == 0
    assert follower.abs().max() > 0
    leader, follower = play_once(kind(**FAST, lr=1e-2, fair_lr=0.0))
    assert leader.abs().max() > 0
    assert follower.abs().max() == 0


def test_strict_without_a_following_rate_is_plain_training_of_the_other_layers() -> None:
    strict, _ = play_once(FairBiNN(**FAST, fair_lr=0.0, same_batch=True), eta=50.0)
    plain, _ = play_once(FairBiNNCoupled(**FAST, fair_lr=0.0, coupling=0.0), eta=50.0)
    coupled, _ = play_once(FairBiNNCoupled(**FAST, fair_lr=0.0), eta=50.0)
    model = SplitNetwork(4, (16, 8), (), 0, seed=0)
    adam, before = torch.optim.Adam(model.leading(), lr=1e-3), flat(model.leading())
    for batch in batches_of(FairBiNN(**FAST), TRAIN, 0):
        adam.zero_grad()
        cross_entropy(model(batch.X), batch.y).backward()
        adam.step()
    by_hand = flat(model.leading()) - before
    torch.testing.assert_close(strict, by_hand, atol=FLOAT, rtol=0)
    torch.testing.assert_close(plain, by_hand, atol=FLOAT, rtol=0)
    assert (coupled - by_hand).abs().max() > 100 * FLOAT


def test_adam_cancels_eta_in_the_strict_followers_steps_and_plain_descent_does_not() -> None:
    def moved(eta: float, optimizer: str) -> float:
        model = SplitNetwork(4, (16, 8), (), 0, seed=0)
        method = FairBiNN(lr=0.0, fair_lr=1e-2, follower_optimizer=optimizer, same_batch=True)
        (_, follower), play = method.game(model, make_penalty("dp_sq", TRAIN), eta)
        if optimizer == "adam":  # without an epsilon to speak of
            follower.optimizer = torch.optim.Adam([follower.vector], lr=1e-2, eps=1e-20)
        batch = as_batch(TRAIN)
        list(play([batch] * 5))
        return follower.displacement()

    assert moved(10.0, "adam") == pytest.approx(moved(1.0, "adam"), rel=0.01)
    assert moved(10.0, "sgd") > 5 * moved(1.0, "sgd")
