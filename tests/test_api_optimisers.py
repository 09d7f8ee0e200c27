"""The direct Adam and AdamW against torch's own, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fairbench.api.optimisers import Adam, FusedAdamW


@settings(max_examples=40)
@given(
    shapes=st.lists(st.lists(st.integers(1, 37), min_size=1, max_size=2), min_size=1, max_size=4),
    lr=st.sampled_from([1e-4, 1e-2]),
    weight_decay=st.sampled_from([None, 0.0, 0.1]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    without=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_every_step_is_that_of_torch(shapes, lr, weight_decay, dtype, without, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = (
        [
            nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype))
            for shape in shapes
        ]
        for _ in range(2)
    )
    if weight_decay is None:
        mine, reference = Adam(ours, lr=lr), torch.optim.Adam(theirs, lr=lr)
    else:
        mine = FusedAdamW(ours, lr=lr, weight_decay=weight_decay)
        reference = torch.optim.AdamW(theirs, lr=lr, weight_decay=weight_decay, fused=True)
    for step in range(6):
        for place, (one, other) in enumerate(zip(ours, theirs)):
            skipped = place == without and step % 2  # a parameter that gets a gradient now and then
            one.grad = None if skipped else torch.randn(one.shape, generator=generator, dtype=dtype)
            other.grad = None if skipped else one.grad.clone()
        mine.step()
        reference.step()
        for one, other in zip(ours, theirs):
            assert torch.equal(one, other)


def test_without_any_gradient_nothing_moves() -> None:
    parameter = nn.Parameter(torch.ones(3))
    FusedAdamW([parameter], lr=1.0, weight_decay=0.5).step()
    assert torch.equal(parameter.detach(), torch.ones(3))


def test_weight_decay_acts_on_the_weights_themselves() -> None:
    parameter = nn.Parameter(torch.tensor([2.0]))
    parameter.grad = torch.tensor([4.0])
    FusedAdamW([parameter], lr=0.1, weight_decay=0.5).step()
    # 2 (1 - 0.1 * 0.5) - 0.1 * sign of the gradient, which is the first step of Adam
    assert float(parameter.detach()) == pytest.approx(1.8, abs=1e-6)


def test_gradients_are_forgotten() -> None:
    parameter = nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    Adam([parameter], lr=0.1).zero_grad()
    assert parameter.grad is None
