"""STAR with stub samplers: quotas, refills, and the closed form of the composition that it leads to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairbench_feedback._measures import divergence
from fairbench_feedback._star import Source, star, strata, uniform

UNIFORM = uniform(4)


class Script:
    """Rows (n, 2) that carry their own number and stratum, handed out from a list and then at random."""

    def __init__(self, codes=(), shares=None, n_groups=2, seed=0):
        self.codes, self.shares, self.n_groups = list(codes), shares, n_groups
        self.random = np.random.default_rng(seed)
        self.drawn, self.labelled, self.annotated = 0, [], []

    def sample(self, n):
        codes = [self.codes.pop(0) for _ in range(min(n, len(self.codes)))]
        if len(codes) < n:
            codes += self.random.choice(2 * self.n_groups, n - len(codes), p=self.shares).tolist()
        rows = np.column_stack([np.arange(self.drawn, self.drawn + n), codes]).astype(float)
        self.drawn += n
        return rows

    def label(self, rows):
        self.labelled += rows[:, 0].tolist()
        return (rows[:, 1] // self.n_groups).astype(int)

    def annotate(self, rows):
        self.annotated += rows[:, 0].tolist()
        return (rows[:, 1] % self.n_groups).astype(int)

    @property
    def source(self):
        return Source(self.sample, self.label, self.annotate, self.n_groups)


def run(script, size, budget, ideal=UNIFORM, **options):
    return star(script.source, size, budget, ideal, np.random.default_rng(1), **options)


def counts(batch, n_strata=4):
    return np.bincount(batch.X[:, 1].astype(int), minlength=n_strata).tolist()


def test_quotas_are_filled_by_the_first_drawn_and_the_rest_by_new_rows():
    # quota 2 each; the pool of 10 holds 5, 2, 3, 0 rows of the strata
    script = Script([0, 0, 0, 1, 2, 0, 2, 1, 2, 0], shares=[1, 0, 0, 0])
    batch = run(script, 8, 2)
    assert batch.pool.tolist() == [5, 2, 3, 0]
    assert batch.deficit == 2
    assert sorted(batch.X[:, 0]) == [0, 1, 3, 4, 6, 7, 10, 11]  # rows 2, 5, 8, 9 are beyond their quota
    assert batch.y.tolist() == (batch.X[:, 1] // 2).tolist()
    assert set(script.labelled) == set(range(12))
    assert set(script.annotated) == set(range(10))  # the group annotator is not asked about refilled rows
    assert batch.X[:, 0].tolist() != sorted(batch.X[:, 0])  # in random order


def test_nothing_is_refilled_where_every_stratum_has_its_quota():
    script = Script([0, 1, 2, 3] * 5)
    batch = run(script, 16, 4)
    assert (batch.deficit, counts(batch), script.drawn) == (0, [4, 4, 4, 4], 20)


@pytest.mark.parametrize(
    ("codes", "size", "budget", "deficit"),
    [
        ([0, 1, 2, 3] * 10, 30, 8, 2),  # quota 7: 28 of 30, though no stratum is short
        ([0, 1, 2] * 14, 32, 8, 8),  # an empty stratum
        ([1] * 40, 32, 8, 24),  # one stratum alone: three quarters of the batch
    ],
)
def test_the_batch_has_its_size_whatever_the_pool(codes, size, budget, deficit):
    script = Script(codes, shares=[0.25] * 4)
    batch = run(script, size, budget)
    assert len(batch.X) == len(batch.y) == size
    assert batch.deficit == deficit
    pool = np.bincount(codes[: size + budget], minlength=4)
    assert size - batch.deficit == np.minimum(size // 4, pool).sum()  # min(q, n_k), stratum by stratum


def test_surplus_rows_can_refill_and_nothing_new_is_drawn():
    script = Script([0, 0, 0, 1, 2, 0, 2, 1, 2, 0])
    batch = run(script, 8, 2, refill="surplus")
    assert (batch.deficit, script.drawn) == (2, 10)
    assert sorted(batch.X[:, 0]) == [0, 1, 2, 3, 4, 5, 6, 7]  # rows 2 and 5 are the first beyond their quota


def test_resampling_goes_on_until_the_quotas_are_full():
    script = Script([0] * 10 + [1, 2] * 5 + [3] * 10)
    batch = run(script, 8, 2, refill="resample")
    assert (batch.deficit, counts(batch), script.drawn) == (0, [2, 2, 2, 2], 30)


def test_resampling_gives_up_on_a_stratum_that_has_died_out():
    script = Script(shares=[0.5, 0.25, 0.25, 0])
    batch = run(script, 8, 2, refill="resample")
    assert batch.deficit == 2
    assert script.drawn == 20 * 10 + 2
    assert len(batch.X) == 8


@pytest.mark.parametrize(
    ("size", "budget", "ideal", "message"),
    [
        (8, 0, UNIFORM, "at least one row each, not 8 and 0"),
        (0, 2, UNIFORM, "at least one row each, not 0 and 2"),
        (8, 2, (0.5, 0.5), "distribution over 4 strata"),
        (8, 2, (0.5, 0.5, 0.5, 0.5), "and sum 2"),
        (8, 2, (1.5, -0.5, 0, 0), "minimum -0.5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(size, budget, ideal, message):
    with pytest.raises(ValueError, match=message):
        run(Script(shares=[0.25] * 4), size, budget, ideal)
    with pytest.raises(ValueError, match="refill is 'none'"):
        run(Script(shares=[0.25] * 4), 8, 2, refill="none")


def expected_shares(pool, ideal, budget):
    """Return the strata's expected shares (K,) of a batch with random refill, exact as the batch grows.

    A stratum with share p of the generator's samples keeps m = min(ideal, (1 + b/B) p) of the batch; what all of them
    leave open, d = 1 - sum(m), is refilled in the shares of the pool: m + d p.

    Args:
        pool: (K,) shares of the strata among the generator's samples.
        ideal: (K,) shares that the quotas aim at.
        budget: b/B, rows drawn beyond the batch as a share of it.
    """
    p = np.asarray(pool)
    kept = np.minimum(ideal, (1 + budget) * p)
    return kept + (1 - kept.sum()) * p


@pytest.mark.parametrize(
    ("pool", "expected", "before", "after"),
    [
        ((0.35, 0.15, 0.15, 0.35), (0.29375, 0.20625, 0.20625, 0.29375), 0.0823, 0.0154),
        ((0.60, 0.30, 0.08, 0.02), (0.475, 0.3625, 0.13, 0.0325), 0.438, 0.288),
    ],
)
def test_the_composition_is_that_of_the_closed_form(pool, expected, before, after):
    np.testing.assert_allclose(expected_shares(pool, UNIFORM, 0.25), expected, atol=1e-12)
    assert divergence(pool, UNIFORM) == pytest.approx(before, abs=5e-4)
    assert divergence(expected, UNIFORM) == pytest.approx(after, abs=5e-4)
    script = Script(shares=pool)
    seen = np.mean([counts(run(script, 256, 64)) for _ in range(400)], axis=0) / 256
    # 400 batches of 256 rows: a standard error of .0016 at most
    np.testing.assert_allclose(seen, expected, atol=0.005)


def test_twenty_eight_strata_and_an_uneven_ideal_work():
    shares = np.full(28, 1 / 28)
    batch = star(Script(shares=shares, n_groups=14).source, 256, 64, uniform(28), np.random.default_rng(0))
    assert len(batch.X) == 256
    assert batch.deficit >= 256 - 28 * 9  # quotas of 9 rows, 252 in all
    ideal = (0.29, 0.5, 0.01, 0.2)
    batch = run(Script(shares=[0.25] * 4), 100, 400, ideal)
    assert batch.deficit == 0
    assert counts(batch) == [29, 50, 1, 20]  # and not 28, though 0.29 * 100 is 28.999... in floating point


def test_strata_are_numbered_by_label_and_then_by_group():
    assert strata(np.array([0, 0, 1, 1]), np.array([0, 2, 0, 2]), 3).tolist() == [0, 2, 3, 5]


def test_divergence_is_in_nats_and_takes_empty_strata():
    assert divergence(UNIFORM, UNIFORM) == 0
    assert divergence((1, 0, 0, 0), UNIFORM) == pytest.approx(math.log(4))
    assert divergence((0.5, 0.5), (1, 0)) == math.inf
    assert divergence((0.5, 0.5), (0.25, 0.75)) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
