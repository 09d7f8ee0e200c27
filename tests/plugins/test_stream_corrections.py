"""Corrections of a stream: what each one guarantees, the published algorithm's numbers, and their memory."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from fairbench_projection._streaming import CORRECTIONS, PrimalDual, RunningPool, Settings, make_correction, mean_gap

from fairbench.api.projection import Box, Infeasible, Past, solve_parity

EPSILON = 0.05
TWO = Settings(2, EPSILON)


def stream(n, seed=0):
    """Return scores and groups of a stream whose groups' means differ by about 0.29."""
    random = np.random.default_rng(seed)
    group = (random.random(n) < 0.35).astype(int)
    return np.where(group == 0, random.beta(4.2, 2.4, n), random.beta(2.2, 4.0, n)), group


def parts(n, size):
    return [slice(start, start + size) for start in range(0, n, size)]


def pooled_gaps(value, group, size, n_groups=2):
    """Return the gap of all outputs so far, after each batch."""
    rows = np.eye(n_groups)[group]
    total, count = np.cumsum(rows * value[:, None], axis=0), np.cumsum(rows, axis=0)
    ends = np.append(np.arange(size, len(value), size), len(value)) - 1
    with np.errstate(invalid="ignore"):
        means = total[ends] / count[ends]
    return np.nanmax(means, axis=1) - np.nanmin(means, axis=1)


def corrected(correction, score, group, size):
    return np.concatenate([correction.correct(score[part], group[part]) for part in parts(len(score), size)])


def test_worked_example_of_the_primal_dual_step_by_hand():
    score, group = np.array([0.2, 0.4, 0.9, 0.6, 0.8, 1.0]), np.array([0, 0, 0, 1, 1, 1])
    correction = PrimalDual(TWO, eta=0.5)
    np.testing.assert_allclose(correction.correct(score, group), score)
    assert correction.price == pytest.approx(0.5 * 6 * (0.3 - 0.05))
    value = correction.correct(score, group)
    np.testing.assert_allclose(value, [0.36, 0.56, 1, 0.44, 0.64, 0.84], atol=1e-12)
    assert correction.price == pytest.approx(0.75 - 0.3 * 0.5 / np.sqrt(2))
    assert correction.average_gap == pytest.approx(0.15)
    correction.price = 0.1
    np.testing.assert_allclose(correction.correct(score, group), [0.3, 0.5, 1, 0.5, 0.7, 0.9], atol=1e-12)


@pytest.mark.parametrize("size", [4, 16, 48])
def test_the_average_gap_stays_below_its_bound_and_reaches_epsilon(size):
    score, group = stream(1000 * size)
    correction = PrimalDual(TWO)
    for part in parts(len(score), size):
        correction.correct(score[part], group[part])
        assert correction.average_gap <= correction.bound + 1e-12  # sums of a thousand floats
    assert correction.average_gap <= EPSILON + 0.002
    assert correction.largest <= 1 + 0.5 * size * (1 - EPSILON)  # the scores' range, and one step beyond it


def test_batches_of_one_row_are_not_corrected_by_the_published_algorithm():
    score, group = stream(400)
    correction = PrimalDual(TWO)
    np.testing.assert_array_equal(corrected(correction, score, group, 1), score)
    assert correction.price == 0.0
    assert correction.average_gap == pytest.approx(0.0, abs=1e-12)  # a sum of 400 floats
    assert mean_gap(score, group, 2) > 0.2


@pytest.mark.parametrize("kind", ["pool", "dual_pool"])
@pytest.mark.parametrize("size", [1, 4, 16, 64])
def test_the_pool_stays_within_epsilon_after_every_batch(kind, size):
    score, group = stream(200 * size, seed=size)
    value = corrected(make_correction(kind, TWO, 0.5), score, group, size)
    assert pooled_gaps(value, group, size).max() <= EPSILON + 1e-9
    assert 0 <= value.min() <= value.max() <= 1


@pytest.mark.parametrize(("n_groups", "epsilon"), [(3, 0.05), (5, 0.0)])
def test_the_pool_takes_any_number_of_groups(n_groups, epsilon):
    random = np.random.default_rng(0)
    group = random.integers(0, n_groups, 500)
    score = np.clip(random.normal(0.3, 0.2, 500) + 0.1 * group, 0, 1)
    for size in (1, 7):
        correction = RunningPool(Settings(n_groups, epsilon))
        value = corrected(correction, score, group, size)
        assert pooled_gaps(value, group, size, n_groups).max() <= epsilon + 1e-9
        assert correction.infeasible == 0


def test_the_pool_holds_logits_without_bounds_too():
    score, group = stream(300)
    correction = RunningPool(Settings(2, EPSILON, -np.inf, np.inf))
    assert pooled_gaps(corrected(correction, 10 * score, group, 3), group, 3).max() <= EPSILON + 1e-9


def test_the_pool_at_once_is_the_projection():
    score, group = stream(200)
    value = RunningPool(TWO).correct(score, group)
    np.testing.assert_array_equal(value, solve_parity(score, group, 2, EPSILON, Box(0.0, 1.0)).value)


def test_shift_and_pool_together_move_scores_less_than_the_pool_alone_on_small_batches():
    score, group = stream(6000)
    moved = {
        kind: float(((corrected(make_correction(kind, TWO, 0.5), score, group, 4) - score) ** 2).mean())
        for kind in ("pool", "dual_pool")
    }
    assert moved["dual_pool"] < moved["pool"]


def test_a_pool_that_rounding_has_spoilt_clips_and_counts():
    correction = RunningPool(TWO)
    correction.total, correction.count = np.array([0.0, 100.0]), np.array([100.0, 100.0])
    past = Past(correction.total, correction.count)
    with pytest.raises(Infeasible):
        solve_parity(np.array([1.2]), np.array([1]), 2, EPSILON, Box(0.0, 1.0), past)
    assert correction.correct(np.array([1.2]), np.array([1])).tolist() == [1.0]
    assert correction.infeasible == 1


# --- Memory ---


@pytest.mark.parametrize("kind", CORRECTIONS)
def test_a_stream_goes_on_from_its_saved_state_to_the_last_bit(kind):
    score, group = stream(330)
    straight = make_correction(kind, TWO, 0.5)
    expected = corrected(straight, score, group, 11)
    first = make_correction(kind, TWO, 0.5)
    head = corrected(first, score[:165], group[:165], 11)
    saved = json.dumps(first.state(), allow_nan=False)
    again = make_correction(kind, TWO, 0.5)
    again.restore(json.loads(saved))
    tail = corrected(again, score[165:], group[165:], 11)
    np.testing.assert_array_equal(np.concatenate([head, tail]), expected)
    assert again.state() == straight.state()


@pytest.mark.parametrize("kind", CORRECTIONS)
def test_a_new_correction_repeats_a_stream(kind):
    score, group = stream(120)
    runs = [corrected(make_correction(kind, TWO, 0.5), score, group, 5).tobytes() for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("kind", "settings", "eta", "message"),
    [
        ("dual", TWO, 0.5, "its kind is 'primal_dual', but this stream's is 'dual'"),
        ("primal_dual", Settings(2, 0.1), 0.5, "its epsilon is 0.05, but this stream's is 0.1"),
        ("primal_dual", Settings(2, EPSILON, -1.0), 0.5, "its lower is '0.0', but this stream's is '-1.0'"),
        ("primal_dual", TWO, 0.1, "its eta is 0.5, but this stream's is 0.1"),
    ],
)
def test_a_state_from_other_settings_is_refused(kind, settings, eta, message):
    state = make_correction("primal_dual", TWO, 0.5).state()
    if kind == "dual":
        state = {**make_correction("dual", TWO, 0.5).state(), "kind": "primal_dual"}
    with pytest.raises(ValueError, match=re.escape(message)):
        make_correction(kind, settings, eta).restore(state)


def test_a_state_of_other_groups_or_with_parts_missing_is_refused():
    with pytest.raises(ValueError, match=r"its n_groups is 3, but this stream's is 2; begin a new stream"):
        RunningPool(TWO).restore(RunningPool(Settings(3, EPSILON)).state())
    with pytest.raises(ValueError, match=r"this state cannot be restored: it lacks count, infeasible"):
        RunningPool(TWO).restore(
            {"kind": "pool", "n_groups": 2, "epsilon": 0.05, "lower": "0", "upper": "1", "total": []}
        )
    both = make_correction("dual_pool", TWO, 0.5)
    mixed = both.state()
    mixed["pool"]["epsilon"] = 0.2
    with pytest.raises(ValueError, match=r"its epsilon is 0.2, but this stream's is 0.05"):
        both.restore(mixed)


def test_a_state_of_other_attributes_is_refused():
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    four = Settings(4, EPSILON)
    state = json.loads(json.dumps(PrimalDual(four, 0.5, codes).state()))
    PrimalDual(four, 0.5, codes).restore(state)
    with pytest.raises(
        ValueError, match=r"its attributes is \[\[0, 0\], .*, but this stream's is \[\[0, 0\], \[1, 0\]"
    ):
        PrimalDual(four, 0.5, codes[:, ::-1]).restore(state)


def test_a_batch_without_rows_leaves_the_price():
    correction = PrimalDual(TWO)
    assert correction.correct(np.zeros(0), np.zeros(0, dtype=np.int64)).shape == (0,)
    assert (correction.price, correction.rows) == (0.0, 0)


def test_a_state_that_was_damaged_is_refused_and_changes_nothing():
    pool, both = RunningPool(TWO), make_correction("dual_pool", TWO, 0.5)
    with pytest.raises(ValueError, match=r"its total is \[5.0\]; it must be 2 finite numbers"):
        pool.restore({**pool.state(), "total": [5.0]})
    with pytest.raises(ValueError, match=r"its infeasible is nan; it must be a finite number"):
        pool.restore({**pool.state(), "infeasible": math.nan})
    both.correct(np.array([0.1, 0.9]), np.array([0, 1]))
    before, later = both.state(), both.state()
    later["dual"]["down"], later["pool"]["total"] = 7.0, [math.nan, 0.0]
    with pytest.raises(ValueError, match=r"its total is \[nan, 0.0\]"):
        both.restore(later)
    assert both.state() == before


# --- Bad input ---


def test_a_negative_tolerance_and_an_empty_interval_are_refused():
    with pytest.raises(ValueError, match=r"epsilon is -0.1; it must be a number, 0 or more"):
        Settings(2, -0.1)
    with pytest.raises(ValueError, match=r"the box is \[1, 0\]; lower must be below upper"):
        Settings(2, EPSILON, 1.0, 0.0)


@pytest.mark.parametrize("kind", ["primal_dual", "dual", "dual_pool"])
def test_three_groups_are_refused_by_what_compares_two(kind):
    with pytest.raises(ValueError, match=f"correction {kind} compares two groups, not 3: use 'pool'"):
        make_correction(kind, Settings(3, EPSILON), 0.5)


def test_scores_that_are_not_numbers_are_refused():
    for kind in set(CORRECTIONS) - {"none"}:
        with pytest.raises(ValueError, match="NaN or infinite scores: 1 of 2"):
            make_correction(kind, TWO, 0.5).correct(np.array([0.1, np.nan]), np.array([0, 1]))


# --- The published package ---


def published(score, sides, size, batches):
    """Yield the price after each batch, as the package documents it, each step solved by a general-purpose solver."""
    cvxpy = pytest.importorskip("cvxpy", reason="CVXPY is an oracle; pip install 'fairbench-harness[oracles]'")
    price = 0.0
    for step in range(batches):
        part = slice(step * size, (step + 1) * size)
        y, z = cvxpy.Variable(size), score[part]
        both = [g for g in (side[part] for side in sides) if 0 < g.sum() < size]
        rows = [(g == 0) / (g == 0).sum() - (g == 1) / (g == 1).sum() for g in both]
        penalty = price * size * cvxpy.maximum(0, *(cvxpy.abs(row @ y) for row in rows)) if rows else 0
        problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(y - z) + penalty), [y >= 0, y <= 1])
        problem.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        gap = max((abs(row @ y.value) for row in rows), default=0.0)
        price = max(0.0, price + 0.5 / np.sqrt(step + 1) * size * (gap - EPSILON))
        yield price


@pytest.mark.parametrize("size", [4, 16, 48])
def test_prices_are_the_published_ones_for_twenty_batches(size):
    score, group = stream(20 * size)
    correction = PrimalDual(TWO)
    for part, price in zip(parts(len(score), size), published(score, [group], size, 20)):
        correction.correct(score[part], group[part])
        assert correction.price == pytest.approx(price, abs=1e-4)  # the trajectory is chaotic and amplifies rounding


def test_prices_for_two_attributes_are_the_published_ones_for_twenty_batches():
    score, first = stream(20 * 16)
    second = (np.random.default_rng(4).random(len(score)) < 0.3 + 0.3 * first).astype(int)
    correction = PrimalDual(Settings(4, EPSILON), 0.5, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    for part, price in zip(parts(len(score), 16), published(score, [first, second], 16, 20)):
        correction.correct(score[part], (2 * first + second)[part])
        assert correction.price == pytest.approx(price, abs=1e-3)


@pytest.mark.parametrize("attributes", [1, 2])
def test_prices_are_those_of_the_released_package(attributes):
    package = pytest.importorskip("fairness_training", reason="the package is a peer; pip install fairness-training")
    torch = pytest.importorskip("torch")

    class Given(torch.nn.Module):
        def forward(self, x):
            return x[:, -1:]

    score, first = stream(20 * 16)
    sides = np.stack([first, (np.random.default_rng(4).random(len(score)) < 0.3 + 0.3 * first).astype(int)], axis=1)
    model = package.FairModel(
        input_dim=attributes + 1,
        protected_attr_idx=list(range(attributes)),
        prediction_bounds=(0.0, 1.0),
        custom_network=Given(),
    )
    four = PrimalDual(Settings(4, EPSILON), 0.5, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    correction, group = (PrimalDual(TWO), first) if attributes == 1 else (four, sides @ [2, 1])
    for part in parts(len(score), 16):
        correction.price = model.lambda_dual  # step by step: its solver's errors, 1e-4 in a gap, would add up
        model(
            torch.tensor(np.column_stack([sides[part, :attributes], score[part]]), dtype=torch.float32), inference=True
        )
        correction.correct(score[part], group[part])
        assert correction.price == pytest.approx(model.lambda_dual, abs=0.5 * 16 * 1e-4)
