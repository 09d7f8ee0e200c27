"""FaAlGrad: exact partitions, the plain network as its limit, and the recorded cosine against closed forms."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from fairbench_meta.faalgrad import SPLITS, FaAlGrad, partition
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import NotApplicable, Samples, Schema, derive_seed
from fairbench.api.torch import mlp

SHORT = FaAlGrad(epochs=6, inner_lr=0.1)


def schema(n_groups: int = 2, protected: int = 1, favorable_label: int = 1) -> Schema:
    """Return the schema of three features and so many groups."""
    return Schema(("a", "b", "c"), tuple(f"g{code}" for code in range(n_groups)), protected, favorable_label)


def make_samples(n: int, *, seed: int, n_groups: int = 2) -> Samples:
    """Return n rows whose label follows the features, with a shift for the protected group."""
    random = np.random.default_rng(seed)
    features, group = random.normal(size=(n, 3)), random.integers(0, n_groups, size=n)
    y = (features @ [1.0, -2.0, 0.5] - 0.8 * (group == 1) + 0.5 * random.normal(size=n) > 0).astype(int)
    return Samples(features.astype(np.float32), group, schema(n_groups), y)


def numbered(group: list[int], y: list[int], described: Schema) -> Samples:
    """Return rows whose first feature is their number."""
    features = np.zeros((len(y), 3), dtype=np.float32)
    features[:, 0] = np.arange(len(y))
    return Samples(features, np.array(group), described, np.array(y))


def rows(samples: Samples) -> list[int]:
    """Return the numbers of the rows."""
    return samples.X[:, 0].astype(int).tolist()


@st.composite
def trainings(draw: st.DrawFn) -> Samples:
    """Draw a training part of up to 40 rows in two to four groups."""
    n_groups = draw(st.integers(2, 4))
    cells = draw(st.lists(st.tuples(st.integers(0, n_groups - 1), st.integers(0, 1)), min_size=1, max_size=40))
    group, y = zip(*cells)
    described = schema(n_groups, draw(st.integers(0, n_groups - 1)), draw(st.integers(0, 1)))
    return numbered(list(group), list(y), described)


@settings(max_examples=300)
@given(train=trainings(), split=st.sampled_from(SPLITS), share=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_partition_is_exact_and_holds_the_right_rows(train: Samples, split: str, share: float, seed: int) -> None:
    try:
        episode = partition(train, split, support_share=share, seed=seed)
    except NotApplicable:
        sides = {"proportions": train.protected.sum(), "swapped": (~train.protected).sum()}
        if split in sides:  # refused only if rows lack, or a part is empty
            needed = int(share * len(train) + 0.5)
            assert needed > sides[split] or needed in (0, len(train))
        elif split == "config1":
            assert len(set(train.protected.tolist())) == 1
        return
    support, query = episode.support, episode.query
    assert len(support)
    assert len(query)
    assert sorted(rows(support) + rows(query)) == rows(train)  # disjoint and complete
    for part in (support, query):
        assert rows(part) == sorted(rows(part))
        np.testing.assert_array_equal(part.y, train.y[rows(part)])
        np.testing.assert_array_equal(part.group, train.group[rows(part)])
    if split == "config1":
        assert support.protected.all()
        assert not query.protected.any()
    elif split.startswith("config2"):
        good = train.schema.favorable_label
        countering, others = (query, support) if split == "config2_released" else (support, query)
        assert all(p == (y == good) for p, y in zip(countering.protected, countering.y))
        assert all(p != (y == good) for p, y in zip(others.protected, others.y))
    else:
        assert (support.protected == (split == "proportions")).all()
        assert abs(len(support) - share * len(train)) <= 0.5


def test_config2_by_hand_for_a_favourable_and_an_unfavourable_label() -> None:
    group, y = [1, 1, 0, 0, 1, 0], [0, 1, 0, 1, 1, 1]
    income = partition(numbered(group, y, schema(favorable_label=1)), "config2", support_share=0.2, seed=0)
    assert rows(income.support) == [1, 2, 4]  # protected with 1, others with 0
    arrest = partition(numbered(group, y, schema(favorable_label=0)), "config2", support_share=0.2, seed=0)
    assert rows(arrest.support) == [0, 3, 5]  # protected with 0, others with 1


def test_the_released_config2_has_the_parts_of_the_papers_exchanged() -> None:
    train = numbered([1, 1, 0, 0, 1, 0], [0, 1, 0, 1, 1, 1], schema(favorable_label=0))
    released = partition(train, "config2_released", support_share=0.2, seed=0)
    assert (rows(released.support), rows(released.query)) == ([1, 2, 4], [0, 3, 5])


def test_too_few_protected_rows_for_the_share_names_both_numbers() -> None:
    n, protected = 31_655, 10_300
    train = numbered([1] * protected + [0] * (n - protected), [0, 1] * (n // 2) + [0], schema())
    message = "the share 0.5 of 31,655 training rows needs 15,828 protected rows; there are 10,300"
    with pytest.raises(NotApplicable, match=f"^{re.escape(message)}$"):
        partition(train, "proportions", support_share=0.5, seed=0)
    with pytest.raises(NotApplicable, match="needs 28,490 unprotected rows; there are 21,355"):
        partition(train, "swapped", support_share=0.9, seed=0)
    assert len(partition(train, "swapped", support_share=0.5, seed=0).support) == 15_828


@pytest.mark.parametrize(
    ("split", "group", "y", "share"),
    [
        ("config1", [0, 0, 0], [0, 1, 1], 0.2),
        ("config1", [1, 1, 1], [0, 1, 1], 0.2),
        ("config2", [1, 1, 0], [1, 1, 0], 0.2),
        ("proportions", [1, 1, 0], [1, 1, 0], 0.1),
        ("swapped", [0, 0, 0], [1, 1, 0], 1.0),
    ],
)
def test_an_empty_part_is_not_applicable(split: str, group: list[int], y: list[int], share: float) -> None:
    with pytest.raises(NotApplicable, match="both the support and the query set need rows"):
        partition(numbered(group, y, schema()), split, support_share=share, seed=0)


def test_unknown_split_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError,
        match="split is 'config3'; it must be one of config1, config2, config2_released, proportions, swapped",
    ):
        partition(make_samples(9, seed=0), "config3", support_share=0.2, seed=0)


def test_the_seed_decides_which_rows_are_drawn_and_nothing_else_does() -> None:
    train = numbered([1, 0] * 50, [0, 0, 1, 1] * 25, schema())
    drawn = [rows(partition(train, "proportions", support_share=0.2, seed=seed).support) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("first_order", [False, True])
def test_without_inner_rate_it_is_plain_training_on_the_query_set(split: str, first_order: bool) -> None:
    train, validation = make_samples(300, seed=0), make_samples(100, seed=1)
    method = FaAlGrad(split=split, inner_steps=3, inner_lr=0.0, epochs=25, patience=25, first_order=first_order)
    fitted = method.fit(train, validation, seed=7)
    query = partition(train, split, support_share=0.2, seed=derive_seed("support", 7)).query
    model = mlp(3, (8,), "relu", seed=7)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    features, y = torch.tensor(query.X), torch.tensor(query.y, dtype=torch.float32).reshape(-1, 1)
    expected = []
    for _ in range(25):
        adam.zero_grad()
        cross_entropy(model(features), y).backward()
        adam.step()
        with torch.no_grad():
            logit = model(torch.tensor(validation.X))
            expected.append(float(cross_entropy(logit, torch.tensor(validation.y, dtype=torch.float32).reshape(-1, 1))))
    np.testing.assert_allclose(fitted.diagnostics["validation_loss"], expected, atol=1e-6, rtol=0)  # float32


@pytest.mark.parametrize("inner_steps", [1, 4])
def test_fit_is_the_hand_written_bilevel_loop(inner_steps: int) -> None:
    train, validation = make_samples(300, seed=0), make_samples(100, seed=1)
    method = FaAlGrad(split="config1", inner_steps=inner_steps, inner_lr=0.7, outer_lr=0.02, hidden=(), epochs=12)
    fitted = method.fit(train, validation, seed=7)
    support, query, held_out = (
        (torch.tensor(part.X), torch.tensor(part.y, dtype=torch.float32).reshape(-1, 1))
        for part in (train.select(train.protected), train.select(~train.protected), validation)
    )

    def loss(theta: list[torch.Tensor], part: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return cross_entropy(part[0] @ theta[0].T + theta[1], part[1])

    theta = list(mlp(3, (), seed=7).parameters())
    adam, expected = torch.optim.Adam(theta, lr=0.02), []
    for _ in range(12):
        end = theta
        for _ in range(inner_steps):
            end = [w - 0.7 * g for w, g in zip(end, torch.autograd.grad(loss(end, support), end, create_graph=True))]
        adam.zero_grad()
        loss(end, query).backward()
        adam.step()
        expected.append(float(loss(theta, held_out).detach()))
    np.testing.assert_allclose(fitted.diagnostics["validation_loss"], expected, atol=1e-5, rtol=0)  # float32, 12 steps


def test_gradient_cosine_of_a_linear_model_is_the_closed_form() -> None:
    train, validation = make_samples(200, seed=0), make_samples(50, seed=1)
    fitted = FaAlGrad(hidden=(), epochs=1).fit(train, validation, seed=4)
    weight, bias = (p.detach().double().numpy() for p in mlp(3, (), seed=4).parameters())
    sides = []
    for mask in (train.protected, ~train.protected):
        features, y = train.X[mask].astype(float), train.y[mask]
        residual = 1 / (1 + np.exp(-(features @ weight[0] + bias[0]))) - y
        sides.append(np.append(residual @ features, residual.sum()) / len(y))
    cosine = sides[0] @ sides[1] / np.linalg.norm(sides[0]) / np.linalg.norm(sides[1])
    assert fitted.diagnostics["gradient_cosine"] == [pytest.approx(cosine, abs=1e-5)]  # float32


def test_recording_the_cosine_changes_no_prediction() -> None:
    train, validation = make_samples(200, seed=0), make_samples(80, seed=1)
    with_curve = SHORT.fit(train, validation, seed=0)
    without = dataclasses.replace(SHORT, record_cosine=False).fit(train, validation, seed=0)
    scores = [fitted.points[""](validation.inputs).y_score for fitted in (with_curve, without)]
    np.testing.assert_array_equal(*scores)
    assert set(with_curve.diagnostics) == {"validation_loss", "query_loss", "gradient_cosine"}
    assert set(without.diagnostics) == {"validation_loss", "query_loss"}
    assert all(len(curve) == 6 for curve in with_curve.diagnostics.values())


def test_aligned_training_raises_the_cosine_above_plain_training_on_the_query_set() -> None:
    train, validation = make_samples(600, seed=0), make_samples(200, seed=1)
    last = {}
    for inner_lr in (0.0, 2.0):
        method = FaAlGrad(split="config2", inner_steps=3, inner_lr=inner_lr, epochs=40, patience=40)
        last[inner_lr] = method.fit(train, validation, seed=0).diagnostics["gradient_cosine"][-1]
    assert last[2.0] > last[0.0]


@pytest.mark.parametrize("inner_steps", [1, 10])
def test_it_learns_what_a_plain_model_learns_where_groups_agree(inner_steps: int) -> None:
    train, validation = make_samples(600, seed=0), make_samples(300, seed=1)
    method = FaAlGrad(inner_steps=inner_steps, outer_lr=0.05)
    predictions = method.fit(train, validation, seed=0).points[""](validation.inputs)
    assert (predictions.y_pred == validation.y).mean() > 0.8  # the rule without noise reaches about 0.9


def test_first_order_gives_another_fit_than_second_order() -> None:
    train, validation = make_samples(200, seed=0), make_samples(80, seed=1)
    method = FaAlGrad(inner_steps=3, inner_lr=0.5, epochs=10)
    curves = [
        dataclasses.replace(method, first_order=flag).fit(train, validation, seed=0).diagnostics["query_loss"]
        for flag in (False, True)
    ]
    assert curves[0][0] == curves[1][0]  # the same first weights and the same inner loop
    assert max(abs(a - b) for a, b in zip(*curves)) > 1e-4


def test_same_seed_gives_the_same_bytes_whatever_the_global_state() -> None:
    train, validation = make_samples(200, seed=0), make_samples(80, seed=1)
    method = dataclasses.replace(SHORT, split="proportions")
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    before = [array.copy() for part in (train, validation) for array in (part.X, part.y, part.group)]
    first = method.fit(train, validation, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    try:
        torch.manual_seed(1)
        torch.set_num_threads(2)
        np.random.seed(1)  # the global state is what must not matter
        second = method.fit(train, validation, seed=5)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    other = method.fit(train, validation, seed=6)
    scores = [fitted.points[""](validation.inputs).y_score.tobytes() for fitted in (first, second, other)]
    assert scores[0] == scores[1] != scores[2]
    assert first.diagnostics == second.diagnostics
    after = [array for part in (train, validation) for array in (part.X, part.y, part.group)]
    for kept, now in zip(before, after):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize("split", SPLITS)
def test_three_groups_are_the_protected_one_against_the_rest(split: str) -> None:
    train, validation = make_samples(300, seed=0, n_groups=3), make_samples(100, seed=1, n_groups=3)
    fitted = dataclasses.replace(SHORT, split=split).fit(train, validation, seed=0)
    assert len(fitted.points[fitted.chosen](validation.inputs).y_pred) == 100
