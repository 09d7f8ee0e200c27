"""Rows to read the meta-learners against: the coin, and the plain network with Fair-MAML's term."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from fairbench_baselines.coin import Coin
from fairbench_baselines.mlp import MLP
from fairbench_baselines.mlp_regularised import RegularisedMLP, shortfall
from fairbench_datasets.compas import Compas
from fairbench_metrics.demographic_parity import demographic_parity_ratio

from fairbench.api import NotApplicable, Predictions, Samples, Schema, group_rates
from fairbench.api.torch import one_thread
from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute as the harness does; many threads on tiny tensors would only wait for each other."""
    with one_thread():
        yield


def make_samples(n: int, *, seed: int, favorable_label: int = 1) -> Samples:
    """Return n rows of three features, one of which leans on the group."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 2, n)
    X = random.normal(size=(n, 3)) - np.outer(group, [1.0, 0, 0])
    y = (X @ [1.0, 1.0, 0.0] + random.normal(size=n) > 0).astype(int)
    return Samples(X.astype(np.float32), group, Schema(("a", "b", "c"), ("o", "p"), 1, favorable_label), y)


def test_coin_is_even_in_every_group_and_right_half_of_the_time():
    train, test = make_samples(50, seed=0), make_samples(4000, seed=1)
    predictions = Coin().fit(train, train, seed=3)(test.inputs)
    rates = group_rates(test, predictions)
    for rate in (rates.selection, rates.true_positive, rates.false_positive, rates.accuracy):
        assert rate.tolist() == [0.5, 0.5]
    assert abs(predictions.y_pred.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)  # five standard errors of the one toss
    again, other = (Coin().fit(train, train, seed=seed)(test.inputs) for seed in (3, 4))
    assert predictions.y_pred.tolist() == again.y_pred.tolist() != other.y_pred.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_directed_ratio_of_rates_and_the_undirected_metric_say_the_same(seed):
    samples, random = make_samples(80, seed=seed), np.random.default_rng(seed)
    predictions = Predictions.from_score(random.random(80), np.where(samples.protected, 0.3, 0.6))
    directed = predictions.y_pred[samples.protected].mean() / predictions.y_pred[~samples.protected].mean()
    assert demographic_parity_ratio(samples, predictions) == pytest.approx(min(directed, 1 / directed))


@pytest.mark.parametrize(
    ("favorable_label", "over_batch", "expected"),
    [(1, False, 1 - (0.2 + 0.7) / 2), (0, False, (0.2 + 0.7) / 2), (1, True, 1 - 0.9 / 4), (0, True, 1 - 1.1 / 4)],
)
def test_shortfall_by_hand(favorable_label, over_batch, expected):
    score = torch.tensor([[0.2], [0.9], [0.7], [0.4]], requires_grad=True)
    counted = torch.tensor([True, False, True, False])
    value = shortfall(score, counted, favorable_label, over_batch=over_batch)
    assert float(value.detach()) == pytest.approx(expected)
    value.backward()
    sign, share = (-1 if favorable_label == 1 else 1), (1 / 4 if over_batch else 1 / 2)
    assert score.grad.reshape(-1).tolist() == pytest.approx([sign * share, 0, sign * share, 0])
    assert float(shortfall(score.detach(), torch.zeros(4, dtype=bool), favorable_label)) == 0


def test_without_its_term_it_is_the_plain_network():
    train, validation, test = (make_samples(n, seed=seed) for n, seed in ((200, 0), (80, 1), (100, 2)))
    settings = {"hidden": (5,), "epochs": 6, "batch_size": 32}
    one, other = (
        cls(**settings, **more).fit(train, validation, seed=4)
        for cls, more in ((RegularisedMLP, {"gamma": 0.0}), (MLP, {}))
    )
    scores = [fitted.points[""](test.inputs).y_score for fitted in (one, other)]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("criterion", ["demographic_parity", "equal_opportunity"])
@pytest.mark.parametrize("favorable_label", [1, 0])
def test_the_term_raises_the_favourable_rate_of_the_protected_it_counts(criterion, favorable_label):
    train, validation = (
        make_samples(n, seed=seed, favorable_label=favorable_label) for n, seed in ((400, 0), (200, 1))
    )
    method = RegularisedMLP(criterion=criterion, hidden=(8,), epochs=30, lr=1e-2, batch_size=64)
    counted = validation.protected
    if criterion == "equal_opportunity":
        counted = counted & (validation.y == favorable_label)
    rates = []
    for gamma in (0.0, 0.5, 2.0):
        fitted = dataclasses.replace(method, gamma=gamma).fit(train, validation, seed=0)
        score = fitted.points[""](validation.inputs).y_score[counted]
        rates.append(np.mean(score if favorable_label == 1 else 1 - score))
    assert rates[0] < rates[1] < rates[2]


def test_nobody_protected_is_not_applicable():
    train = make_samples(60, seed=0)
    with pytest.raises(NotApplicable, match="no training row is in the protected group"):
        RegularisedMLP().fit(train.select(~train.protected), train, seed=0)


@pytest.mark.training
def test_compas_with_race_as_a_feature_trades_accuracy_for_parity_as_published():
    # The experiment on COMPAS in the code of Slack et al. (2020): 40 and 40 units, 5 epochs of batches of 32, the term
    # over the whole batch. Its accuracy is 66.9% (standard deviation over seeds 1.6) and its ratio of rates without
    # rearrest, protected to others, .67 (.06) without the term; 63.8 (1.0) and .84 (.04) at gamma = 0.5.
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with compas/compas-scores-two-years.csv")
    folder = Path(os.environ["FAIRBENCH_DATA"])
    dataset = Compas().load({file.path: folder / file.path for file in Compas.files})
    accuracy, ratio = {}, {}
    for gamma, seeds in ((0.0, 8), (0.5, 8), (1.0, 4)):
        method = RegularisedMLP(gamma=gamma, mean_over="batch", hidden=(40, 40), batch_size=32, epochs=5, patience=5)
        measured = []
        for seed in range(seeds):
            raw = Preparation(scale="none", sensitive_as_feature=True)
            split = split_dataset(dataset, group="race", seed=seed, preparation=raw)
            predictions = method.fit(split.train, split.validation, seed=seed).points[""](split.test.inputs)
            spared = 1 - group_rates(split.test, predictions).selection
            protected = split.test.schema.protected
            measured.append((np.mean(predictions.y_pred == split.test.y), spared[protected] / spared[1 - protected]))
        accuracy[gamma], ratio[gamma] = np.mean(measured, axis=0)
    assert 0.65 <= accuracy[0.0] <= 0.69
    assert 0.58 <= ratio[0.0] <= 0.76
    assert 0.62 <= accuracy[0.5] <= 0.66
    assert 0.76 <= ratio[0.5] <= 0.92
    assert ratio[0.0] < ratio[0.5] < ratio[1.0]
