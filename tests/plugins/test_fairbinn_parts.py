"""FairBiNN's parts: penalties against closed forms, batches by counting, players by what their gradients touch."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from bilevel_helpers import flat, make_samples
from fairbench_bilevel._batches import StratifiedBatches, deal, strata
from fairbench_bilevel._gradients import fairness_slope
from fairbench_bilevel._penalties import PENALTIES, Penalty, legacy_gap, make_penalty, squared_gap
from fairbench_bilevel._players import Player, SplitNetwork
from fairbench_bilevel.fairbinn import FairBiNN
from fairbench_bilevel.fairbinn_coupled import FairBiNNCoupled
from fairbench_bilevel.lagrangian_dp import LagrangianDP
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import NotApplicable, Samples, Schema
from fairbench.api.torch import Batch, as_batch

DOUBLE = 1e-12  # float64 on means of a few terms of order one


# --- Penalties ---


def tensors(score: list[float], group: list[int], y: list[int] | None = None) -> tuple[torch.Tensor, ...]:
    return torch.tensor(score, dtype=torch.float64), torch.tensor(y or [0] * len(score)), torch.tensor(group)


def value(name: str, score: list[float], group: list[int], y: list[int] | None = None, reference: int = 0) -> float:
    scores, labels, groups = tensors(score, group, y)
    return float(PENALTIES[name](scores, labels, groups, reference))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_parity_penalties_of_two_groups_by_hand() -> None:
    score, group = [0.9, 0.5, 0.2, 0.3, 0.1], [0, 0, 1, 1, 1]  # means 0.7 and 0.2
    assert value("dp_sq", score, group) == pytest.approx(0.25, abs=DOUBLE)
    assert value("dp_abs", score, group) == pytest.approx(0.5, abs=DOUBLE)
    twice = [sigmoid(s) for s in score]
    for reference, rows in ((0, twice[:2]), (1, twice[2:])):
        expected = (np.mean(rows) - np.mean(twice)) ** 2 / 2
        assert value("dp_legacy", score, group, reference=reference) == pytest.approx(expected, abs=DOUBLE)


def test_parity_penalties_of_nine_groups_by_hand() -> None:
    random = np.random.default_rng(0)
    score, group = random.random(90), np.repeat(np.arange(9), [2, 30, 5, 3, 20, 10, 12, 1, 7])
    score[group == 4] += 3.0  # one group far off, so that maximum and mean differ
    means, m = np.array([score[group == k].mean() for k in range(9)]), score.mean()
    assert value("dp_sq", list(score), list(group)) == pytest.approx(((means - m) ** 2).mean(), abs=DOUBLE)
    pairs = [abs(a - b) for a, b in itertools.combinations(means, 2)]
    assert value("dp_abs", list(score), list(group)) == pytest.approx(max(pairs), abs=DOUBLE)


@pytest.mark.parametrize("n_groups", [2, 3, 9])
def test_legacy_penalty_is_the_released_hinges_and_leaves_all_groups_but_one_free(n_groups: int) -> None:
    random = np.random.default_rng(1)
    score, group = torch.tensor(random.random(200)), torch.tensor(np.arange(200) % n_groups)
    # The released code has 2K rows of +1 and -1 on a group's mean and on the overall one; its column is always group 0.
    twice = score.sigmoid()
    mu = torch.stack([*(twice[group == k].mean() for k in range(n_groups)), twice.mean()])
    hinges = torch.zeros(2 * n_groups, n_groups + 1, dtype=torch.float64)
    hinges[0::2, 0], hinges[0::2, -1], hinges[1::2, 0], hinges[1::2, -1] = 1.0, -1.0, -1.0, 1.0
    theirs = torch.relu(hinges @ mu).square().mean()
    torch.testing.assert_close(legacy_gap(score, group == 0), theirs, atol=DOUBLE, rtol=0)


def test_odds_penalties_are_the_gaps_within_each_label() -> None:
    score = [0.9, 0.1, 0.6, 0.2, 0.8, 0.4]
    group, y = [0, 0, 1, 1, 2, 2], [1, 0, 1, 0, 1, 0]
    ones, zeros = np.array([0.9, 0.6, 0.8]), np.array([0.1, 0.2, 0.4])
    spread = [((part - part.mean()) ** 2).mean() for part in (ones, zeros)]
    assert value("eo_sq", score, group, y) == pytest.approx(np.mean(spread), abs=DOUBLE)
    assert value("eo_max", score, group, y) == pytest.approx(0.3, abs=DOUBLE)
    two = [0.9, 0.1, 0.6, 0.2], [0, 0, 1, 1], [1, 0, 1, 0]
    assert value("eo_sq", *two) == pytest.approx((0.3**2 + 0.1**2) / 2, abs=DOUBLE)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_penalties_have_the_gradients_of_finite_differences(name: str, n_groups: int) -> None:
    random = np.random.default_rng(3)
    score = torch.tensor(random.random(24), requires_grad=True)
    group, y = torch.tensor(np.arange(24) % n_groups), torch.tensor(np.arange(24) // 12)
    assert torch.autograd.gradcheck(lambda s: PENALTIES[name](s, y, group, 1), (score,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("codes", [(0, 1), (1, 3), (0, 1, 2), (0, 2, 3, 4, 7), (1,), (2,)])
def test_slopes_in_closed_form_have_the_bits_of_the_graph(name: str, codes: tuple[int, ...], dtype) -> None:
    random = np.random.default_rng(0)
    for n, tied in itertools.product((1, 7, 200), (False, True)):
        logit = torch.tensor(random.normal(size=(n, 1)), dtype=dtype)
        logit = (0 * logit if tied else logit).requires_grad_()
        group = torch.tensor(codes)[torch.arange(n) % len(codes)]
        y = torch.tensor(random.integers(0, 2, (n, 1)), dtype=dtype)
        batch, penalty = Batch(logit, y, group, group == 0, 8), Penalty(name, 0)
        value, slope = fairness_slope(penalty, 3.7, logit.detach(), batch)
        expected = penalty(logit, batch)
        assert torch.equal(value, expected)
        assert torch.equal(slope, torch.autograd.grad(3.7 * expected, logit)[0])
        assert not value.requires_grad


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize(("group", "y"), [([1, 1, 1], [0, 1, 1]), ([2, 2, 2], [1, 1, 1])])
def test_a_lone_group_has_penalty_and_gradient_zero_and_never_a_nan(name: str, group: list[int], y: list[int]) -> None:
    score = torch.tensor([0.2, 0.9, 0.5], dtype=torch.float64, requires_grad=True)
    penalty = PENALTIES[name](score, torch.tensor(y), torch.tensor(group), 0)
    (gradient,) = torch.autograd.grad(penalty, score)
    assert float(penalty.detach()) == pytest.approx(0, abs=DOUBLE)
    assert gradient.abs().max() < DOUBLE


def test_published_weights_of_the_legacy_loss_stand_for_those_of_the_squared_gap() -> None:
    # Two groups of shares pi and 1 - pi: legacy = (1 - pi)^2 / 2 * (gap of sigmoids of scores)^2, and the slope of the
    # sigmoid on [0, 1] is about 0.24; on Adult pi = 0.676 for men, so 10,000 stands for about 30.
    score = torch.cat([torch.full((676,), 0.32), torch.full((324,), 0.12)]).double()
    group = (torch.arange(1000) >= 676).long()
    ratio = float(legacy_gap(score, group == 0) / squared_gap(score, group))
    assert ratio == pytest.approx(0.0030, abs=0.0002)


def test_legacy_is_about_the_first_group_that_is_not_protected() -> None:
    for protected, reference in ((0, 1), (1, 0), (2, 0)):
        train = make_samples(60, seed=0, n_groups=3, protected=protected)
        batch = as_batch(train, torch.float64)
        logit = batch.X[:, :1]
        expected = legacy_gap(logit.sigmoid().reshape(-1), batch.group == reference)
        assert float(make_penalty("dp_legacy", train)(logit, batch)) == float(expected)


@pytest.mark.parametrize("kind", [FairBiNN, FairBiNNCoupled, LagrangianDP])
def test_legacy_without_rows_of_its_group_is_not_applicable(kind) -> None:
    rows = make_samples(90, seed=0, n_groups=3)
    train = rows.select(rows.group != 0)
    with pytest.raises(
        NotApplicable, match="dp_legacy is about the mean score of group 'g0', which has no training row"
    ):
        kind(loss="dp_legacy").fit(train, rows, seed=0)
    assert kind(loss="dp_sq", epochs=1).fit(train, rows, seed=0).points


# --- Batches ---


@settings(max_examples=200)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5), size=st.integers(1, 60), seed=st.integers(0, 5))
def test_every_batch_holds_every_stratum_and_only_rows_of_small_ones_come_again(
    sizes: list[int], size: int, seed: int
) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    n = len(group)
    schema = Schema(("row",), tuple(map(str, range(max(len(sizes), 2)))), 0)
    train = Samples(np.arange(n, dtype=np.float32)[:, None], group, schema, group % 2)
    batches = StratifiedBatches(train, size, by_label=False, seed=seed)
    parts = list(batches)
    assert len(parts) == batches.number == -(-n // size)
    times = torch.bincount(torch.cat([part.X for part in parts]).reshape(-1).long(), minlength=n)
    for stratum, rows in enumerate(sizes):  # a large stratum's rows come once, a small one's as evenly as can be
        least = max(len(parts) // rows, 1)
        assert set(times[torch.tensor(group) == stratum].tolist()) <= {least, least + (rows < len(parts))}
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1
    for stratum, rows in enumerate(sizes):
        counts = [int((part.group == stratum).sum()) for part in parts]
        assert set(counts) <= {max(rows // len(parts), 1), -(-rows // len(parts))}
    for part in parts:  # rows stay whole
        row = part.X.reshape(-1).long()
        torch.testing.assert_close(part.group, torch.tensor(group)[row])
        torch.testing.assert_close(part.y.reshape(-1).long(), torch.tensor(group % 2)[row])


def test_with_labels_every_batch_holds_both_labels_of_every_group() -> None:
    train = make_samples(300, seed=0, n_groups=3)
    for batch in StratifiedBatches(train, 50, by_label=True, seed=0):
        assert len(torch.unique(batch.group * 2 + batch.y.reshape(-1).long())) == 6


def test_dealing_is_anew_each_time_by_the_seed_alone_and_the_second_deal_is_another() -> None:
    train = make_samples(200, seed=0)

    def orders(seed: int) -> list[list[float]]:
        batches = StratifiedBatches(train, 50, by_label=False, seed=seed)
        first = torch.cat([batch.X[:, 0] for batch in batches]).tolist()
        mine, theirs = zip(*batches.pairs())
        return [first, *(torch.cat([batch.X[:, 0] for batch in hand]).tolist() for hand in (mine, theirs))]

    assert orders(1) == orders(1)
    assert len({tuple(order) for order in [*orders(1), *orders(2)]}) == 6


def test_without_small_strata_the_deal_is_every_nth_card_of_the_shuffled_strata() -> None:
    stratum = torch.tensor([2] * 9 + [0] * 30 + [5] * 4 + [1] * 17)  # codes 3 and 4 have no rows
    for batches in (1, 2, 4):
        shuffled = torch.randperm(60, generator=torch.Generator().manual_seed(7))
        cards = torch.cat([shuffled[stratum[shuffled] == code] for code in range(6)])
        dealt = deal(stratum, batches, torch.Generator().manual_seed(7))
        assert [part.tolist() for part in dealt] == [cards[first::batches].tolist() for first in range(batches)]


def test_one_row_of_a_group_costs_no_batches() -> None:
    rows = make_samples(600, seed=0, n_groups=3)
    train = rows.select(np.r_[np.flatnonzero(rows.group != 2), np.flatnonzero(rows.group == 2)[:1]])
    batches = StratifiedBatches(train, 20, by_label=False, seed=0)
    epochs = [list(batches) for _ in range(2)]
    for epoch in epochs:
        assert len(epoch) == -(-len(train) // 20) > 15
        assert all(int((batch.group == 2).sum()) == 1 and len(batch) <= 21 for batch in epoch)
    assert not torch.equal(epochs[0][0].X, epochs[1][0].X)
    method = FairBiNNCoupled(hidden=(8,), batch_size=20, epochs=10, lr=5e-3, eta=(0.0,))
    assert method.fit(train, rows, seed=0).diagnostics["training_bce"][-1] < 0.4  # a step an epoch leaves it at 0.6


def test_each_row_falls_into_each_batch_equally_often() -> None:
    generator, stratum = torch.Generator().manual_seed(0), torch.tensor([0] * 6 + [1] * 3)
    hits = torch.zeros(9, 3)
    for _ in range(3000):
        for number, rows in enumerate(deal(stratum, 3, generator)):
            hits[rows, number] += 1
    assert (hits - 1000).abs().max() < 130  # five standard deviations of a binomial count, 25.8 each


def test_a_group_that_lacks_a_label_is_named_where_odds_are_compared() -> None:
    schema = Schema(("x",), ("idle", "busy", "lazy"), 0)
    train = Samples(np.zeros((4, 1), dtype=np.float32), np.array([1, 1, 2, 2]), schema, np.array([0, 1, 0, 0]))
    assert strata(train, by_label=False).tolist() == [0, 0, 1, 1]  # a group without rows has no stratum
    with pytest.raises(NotApplicable, match="'lazy' has no training row with y = 1"):
        strata(train, by_label=True)


# --- Network and players ---


@pytest.mark.parametrize(
    ("hidden", "fair_layers", "position", "before", "block", "after"),
    [
        ((64, 32), (), 0, [(10, 64), (64, 32)], [(32, 32)], [(32, 1)]),  # the paper's table 2, Adult
        ((64, 32), (32, 32), 3, [(10, 64), (64, 32)], [(32, 32)], [(32, 1)]),
        ((5, 4), (5, 7, 5), 2, [(10, 5)], [(5, 7), (7, 5)], [(5, 4), (4, 1)]),
        ((5, 4), (), 1, [], [(10, 10)], [(10, 5), (5, 4), (4, 1)]),  # on the raw features
        ((), (10, 3, 10), 0, [], [(10, 3), (3, 10)], [(10, 1)]),
    ],
)
def test_layers_stand_where_they_are_asked_for(hidden, fair_layers, position, before, block, after) -> None:
    model = SplitNetwork(10, hidden, fair_layers, position, seed=0)
    for part, expected in ((model.before, before), (model.block, block), (model.after, after)):
        linear = [layer for layer in part if isinstance(layer, torch.nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in linear] == expected
    features = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    h = features
    weights = [p.detach() for p in model.parameters()]
    for number, (weight, bias) in enumerate(zip(weights[0::2], weights[1::2])):
        h = h @ weight.T + bias
        h = torch.relu(h) if number < len(weights) // 2 - 1 else h
    torch.testing.assert_close(model(features), h)


def test_published_networks_have_their_numbers_of_weights() -> None:
    released = SplitNetwork(101, (101, 101, 101), (101, 101), 2, seed=0)
    assert sum(p.numel() for p in released.parameters()) == 41_310


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_the_players_parameters_are_disjoint_and_complete(position: int) -> None:
    model = SplitNetwork(4, (5, 4), (), position, seed=0)
    leading, following = {id(p) for p in model.leading()}, {id(p) for p in model.following()}
    assert not leading & following
    assert leading | following == {id(p) for p in model.parameters()}
    assert following == {id(p) for p in model.block.parameters()}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"position": 4},
            r"position is 4; with hidden=\(64, 32\) it must be 1 to 3, the last linear layer \(or 0",
        ),
        ({"fair_layers": (32, 16)}, r"fair_layers=\(32, 16\) must begin and end with 32, the width of hidden layer 2"),
        ({"fair_layers": (32,)}, r"fair_layers=\(32,\) must begin and end with 32, .* and have two or more entries"),
        ({"fair_layers": (32, 32), "position": 2}, "must begin and end with 64, the width of hidden layer 1"),
        ({"hidden": (64, 0)}, "a layer needs at least one unit"),
        ({"eta": ()}, r"eta is \(\); give one weight or several different ones"),
        ({"eta": (3.0, 1.0, 3.0)}, r"eta is \(3.0, 1.0, 3.0\); give one weight or several different ones"),
    ],
)
@pytest.mark.parametrize("kind", [FairBiNN, FairBiNNCoupled, LagrangianDP])
def test_settings_that_do_not_fit_are_refused_before_anything_runs(kind, fields, message) -> None:
    with pytest.raises(NotApplicable, match=f"^{kind.name}: .*{message}"):
        kind(**fields)


def test_a_block_on_the_features_must_have_their_width() -> None:
    method = FairBiNN(position=1, fair_layers=(7, 7))  # how many features there are is known only when it is fitted
    with pytest.raises(NotApplicable, match="must begin and end with 4, the width of the features"):
        method.fit(make_samples(50, seed=0), make_samples(50, seed=1), seed=0)


def test_a_player_moves_its_own_weights_as_the_plain_optimiser_would() -> None:
    model = SplitNetwork(4, (5,), (), 0, seed=0)
    twin = copy.deepcopy(model)
    player, adam = Player(model.leading(), 0.01, decay=0.5), torch.optim.Adam(twin.leading(), lr=0.01)
    batch = as_batch(make_samples(40, seed=0))
    still = flat(model.following())
    for falls in (0, 0, 2):
        player.begin(falls)
        adam.param_groups[0]["lr"] = 0.01 * 0.5**falls
        player.step(torch.autograd.grad(cross_entropy(model(batch.X), batch.y), player.parameters))
        adam.zero_grad()
        cross_entropy(twin(batch.X), batch.y).backward()
        adam.step()
    # float32: Adam on one vector and on its pieces differ by roundings of its quotients
    torch.testing.assert_close(flat(model.leading()), flat(twin.leading()), atol=1e-6, rtol=0)
    assert torch.equal(flat(model.following()), still)
    moved = (flat(model.leading()) - flat(SplitNetwork(4, (5,), (), 0, seed=0).leading())).norm()
    assert player.displacement() == pytest.approx(float(moved), abs=1e-7)


def test_a_players_network_can_be_stored_and_restored() -> None:
    model = SplitNetwork(4, (5,), (), 0, seed=0)
    player = Player(model.following(), 0.1)
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    player.step([torch.ones_like(p) for p in player.parameters])
    assert player.displacement() > 0
    model.load_state_dict(kept)
    assert player.displacement() == 0  # the weights are views of the player's vector, before and after
