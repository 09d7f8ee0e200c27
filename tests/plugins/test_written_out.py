"""FaAlGrad's written-out derivatives against torch's graph, bit for bit."""

from __future__ import annotations

import pytest
import torch
from fairbench_meta._written_out import InnerLoop, written_out
from fairbench_meta.faalgrad import in_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.api.torch import Batch, mlp, one_thread

ROWS = st.sampled_from([1, 2, 61, 700, 1023, 1024, 2500])  # from 1,024 on they are columns


def draw(rows: int, features: int, seed: int) -> Batch:
    """Return normal features and random labels."""
    generator = torch.Generator().manual_seed(seed)
    y = (torch.rand(rows, 1, generator=generator) < 0.4).float()
    nobody = torch.zeros(rows, dtype=torch.int64)
    return Batch(torch.randn(rows, features, generator=generator), y, nobody, nobody.bool(), n_groups=1)


@settings(max_examples=60)
@given(
    rows=st.tuples(ROWS, ROWS),
    features=st.integers(1, 30),
    hidden=st.sampled_from([(8,), (8, 8), (1,), (5, 1, 3), (16, 4, 2)]),
    steps=st.sampled_from([0, 1, 2, 5]),
    lr=st.floats(0, 1),
    first_order=st.booleans(),
    plain=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_written_out_epoch_has_the_bits_of_torchs_graph(
    rows, features, hidden, steps, lr, first_order, plain, seed
) -> None:
    support, query = draw(rows[0], features, seed), draw(rows[1], features, seed + 1)
    model, loop = mlp(features, hidden, seed=seed), InnerLoop(steps, lr, first_order, plain)
    computes = [way(model, support, query, loop) for way in (written_out, in_graph)]
    assert computes[0] is not None
    with one_thread():
        for _ in range(2):  # the second time in memory that has been used, under other weights
            mine, theirs = (compute() for compute in computes)
            assert torch.equal(mine.loss, theirs.loss)
            assert all(map(torch.equal, mine.gradient, theirs.gradient))
            assert (mine.plain is None) == (theirs.plain is None) == (not plain)
            assert all(map(torch.equal, mine.plain or (), theirs.plain or ()))
            with torch.no_grad():
                for weight, slope in zip(model.parameters(), theirs.gradient):
                    weight.sub_(slope)


@pytest.mark.parametrize(
    ("hidden", "activation", "rows"), [((), "relu", 50), ((8,), "tanh", 50), ((17,), "relu", 1024)]
)
def test_what_it_is_not_written_for_is_left_to_the_graph(hidden, activation, rows) -> None:
    few, many = draw(50, 3, 0), draw(rows, 3, 1)
    model, loop = mlp(3, hidden, activation, seed=0), InnerLoop(1, 0.1, first_order=False, plain=True)
    assert written_out(model, few, many, loop) is None
    assert written_out(model, many, few, loop) is None
