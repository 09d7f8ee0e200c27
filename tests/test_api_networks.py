"""The plain network that methods share: what a method changes, and what stays the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Predictor, Samples, derive_seed, parameter
from fairbench.api.networks import Network, descend, sum_of_losses
from fairbench.api.torch import Batch, Model, as_batch, gradient, minibatches, mlp, parity_gap, predictor, weighted_loss
from fairbench.data.examples import example_split

SPLIT = example_split()
QUICK = {"hidden": (6,), "epochs": 5, "batch_size": 32}


@dataclass(frozen=True)
class SquaredGap(Network):
    """The example in the module's docstring."""

    name = "squared_gap"
    weight: float = parameter(1.0, "weight of the penalty", minimum=0)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        def objective(model: Model, batch: Batch) -> Tensor:
            logit = model(batch.X)
            return cross_entropy(logit, batch.y) + self.weight * parity_gap(logit.sigmoid(), batch.group) ** 2

        model, _ = self.minimise(objective, train, validation, seed=seed)
        return predictor(model)


def test_the_example_without_its_penalty_is_the_network_trained_directly_bit_for_bit() -> None:
    model, _ = Network(**QUICK).train(SPLIT.train, SPLIT.validation, seed=1)
    plain = predictor(model)(SPLIT.test.inputs)
    for weight, same in ((0.0, True), (5.0, False)):
        found = SquaredGap(**QUICK, weight=weight).fit(SPLIT.train, SPLIT.validation, seed=1)(SPLIT.test.inputs)
        assert np.array_equal(found.y_score, plain.y_score) is same


def test_descend_sets_the_gradients_anew() -> None:
    batch = as_batch(SPLIT.train)
    model = mlp(batch.n_features, (4,), seed=0)
    expected = gradient(model, weighted_loss(batch))
    for _ in range(2):  # nothing adds up
        loss = descend(lambda trained, rows: weighted_loss(rows)(trained))(model, batch)
        torch.testing.assert_close(torch.cat([part.grad.reshape(-1) for part in model.parameters()]), expected)
    assert not loss.requires_grad


def test_learn_sees_every_row_with_its_group_once_in_an_epoch() -> None:
    seen: list[Batch] = []

    def learn(model: Model, batch: Batch) -> Tensor:
        seen.append(batch)
        return descend(lambda trained, rows: weighted_loss(rows)(trained))(model, batch)

    Network(hidden=(4,), epochs=1, batch_size=50).train(SPLIT.train, SPLIT.validation, seed=2, learn=learn)
    assert [len(batch) for batch in seen] == [50, 50, 50, 18]
    rows = {
        (tuple(X), float(y), int(group), bool(protected))
        for batch in seen
        for X, y, group, protected in zip(batch.X.tolist(), batch.y, batch.group, batch.protected)
    }
    train = SPLIT.train
    assert rows == {
        (tuple(X), float(y), int(group), bool(protected))
        for X, y, group, protected in zip(train.X.tolist(), train.y, train.group, train.protected)
    }
    assert {batch.n_groups for batch in seen} == {2}


def test_early_stopping_watches_what_it_is_told_to_and_records_what_is_diagnosed() -> None:
    values, epochs = iter([3.0, 1.0, 2.0, 2.0, 2.0]), []

    def diagnose() -> dict[str, float]:
        epochs.append(len(epochs))
        return {"epoch": float(epochs[-1])}

    network = Network(hidden=(4,), epochs=9, patience=2, batch_size=0)
    _, curves = network.train(
        SPLIT.train,
        SPLIT.validation,
        seed=0,
        validation_loss=lambda model: torch.tensor(next(values)),
        diagnose=diagnose,
    )
    assert curves["validation_loss"] == [3.0, 1.0, 2.0, 2.0]
    assert curves["epoch"] == [0.0, 1.0, 2.0, 3.0]
    assert len(curves["training_loss"]) == 4


def test_without_patience_all_epochs_are_run() -> None:
    network = Network(hidden=(4,), epochs=6, patience=None, batch_size=0, lr=1.0)
    _, curves = network.train(SPLIT.train, SPLIT.validation, seed=0)
    assert len(curves["validation_loss"]) == 6


@settings(max_examples=60)
@given(size=st.integers(1, 300), full=st.integers(1, 5), rest=st.integers(0, 299), seed=st.integers(0, 99))
def test_losses_computed_after_the_epoch_are_those_of_the_steps(size: int, full: int, rest: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    total, batches = torch.zeros(()), []
    for n in [size] * full + [rest % size] * (rest % size > 0):
        logits = 5 * torch.randn(n, 1, generator=generator)
        labels = (torch.rand(n, 1, generator=generator) < 0.5).float()
        total += cross_entropy(logits, labels) * n
        batches.append((logits, labels))
    assert torch.equal(sum_of_losses(batches), total)


@pytest.mark.parametrize("batch_size", [0, 32, 50, 2000])
def test_training_is_that_of_torchs_graph_and_optimiser_bit_for_bit(batch_size: int) -> None:
    method = Network(hidden=(6, 4), activation="tanh", epochs=4, batch_size=batch_size, weight_decay=0.1)
    model, curves = method.train(SPLIT.train, SPLIT.validation, seed=1)
    rows, expected = as_batch(SPLIT.train), mlp(SPLIT.train.X.shape[1], (6, 4), "tanh", seed=1)
    order = torch.Generator().manual_seed(derive_seed("batches", 1))
    adamw = torch.optim.AdamW(expected.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    losses = []
    for _ in range(4):
        total = torch.zeros(())
        for features, labels in minibatches(rows, batch_size, order):
            adamw.zero_grad()
            loss = cross_entropy(expected(features), labels)
            loss.backward()
            adamw.step()
            total += loss.detach() * len(labels)
        losses.append(float(total) / len(rows))
    assert curves["training_loss"] == losses
    assert all(map(torch.equal, model.parameters(), expected.parameters()))
