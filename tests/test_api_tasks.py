"""Task plans: partitions of the training rows that need no label to place a row, and episodes without overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.api import DataError, Inputs, NotApplicable, Samples, Schema
from fairbench.api.tasks import NO_TASK, Shots, draw_rows, plan_tasks


def make_samples(n: int, *, seed: int = 0, keys: dict | None = None, y: np.ndarray | None = None) -> Samples:
    """Return n rows of three features in two groups; a key is an array (n,)."""
    random = np.random.default_rng(seed)
    X, group = random.normal(size=(n, 3)).astype(np.float32), random.integers(0, 2, n)
    y = random.integers(0, 2, n) if y is None else y
    schema = Schema(("a", "b", "c"), ("other", "protected"), protected=1)
    return Samples(X, group, schema, y, {name: np.asarray(values) for name, values in (keys or {}).items()})


@st.composite
def trainings(draw: st.DrawFn) -> Samples:
    """Draw a training part with a key of words and one of numbers; some of their values are rare."""
    n, seed = draw(st.integers(20, 200)), draw(st.integers(0, 99))
    random = np.random.default_rng(seed)
    share = draw(st.sampled_from([0.05, 0.3, 0.5]))
    y = (random.random(n) < share).astype(int)
    y[:2] = [0, 1]
    sites = np.array(["north", "south", "east", "west", "isle", "cape"])
    chances = random.dirichlet(np.full(len(sites), draw(st.sampled_from([0.3, 3.0]))))
    age = np.round(random.gamma(2.0, draw(st.sampled_from([0.5, 20.0])), n))  # the first with many ties
    return make_samples(n, seed=seed, keys={"site": random.choice(sites, n, p=chances), "age": age}, y=y)


@settings(max_examples=150)
@given(
    train=trainings(),
    kind=st.sampled_from(["auto", "site", "age", "random", "kmeans"]),
    count=st.sampled_from([0, 1, 3, 12]),
    min_rows=st.sampled_from([0, 2, 9]),
    seed=st.integers(0, 3),
)
def test_a_plan_is_a_partition_that_places_rows_without_labels(train, kind, count, min_rows, seed):
    count = min(count, 1) if kind in ("auto", "site") else count  # words are as many as they are
    plan = plan_tasks(train, kind, seed=seed, count=count, min_rows=min_rows)
    sizes = np.bincount(plan.codes, minlength=len(plan))
    assert len(plan.codes) == len(train)
    assert sizes.sum() == len(train)
    assert len(sizes) == len(plan) == len(set(plan.names))
    if len(plan) > 1:
        for task in range(len(plan)):
            assert set(train.y[plan.codes == task]) == {0, 1}
            assert sizes[task] >= (min_rows or 14)
            assert plan.rows(task).tolist() == np.flatnonzero(plan.codes == task).tolist()
    if count == 1:
        assert plan.names == ("all",)
    again = plan_tasks(train, kind, seed=seed, count=count, min_rows=min_rows)
    assert again.codes.tolist() == plan.codes.tolist()
    assert again.names == plan.names
    known = plan.assign(train.inputs)
    assert plan.assigns == bool((known != NO_TASK).any())
    assert known[known != NO_TASK].tolist() == plan.codes[known != NO_TASK].tolist()
    other = Inputs(train.X, 1 - train.group, train.schema, train.keys)
    order = np.random.default_rng(seed).permutation(len(train))
    assert plan.assign(other).tolist() == known.tolist()
    assert plan.assign(train.inputs.select(order)).tolist() == known[order].tolist()


@pytest.mark.parametrize(("n", "tasks"), [(700, 5), (1395, 5), (4320, 10), (31655, 20)])
def test_bins_are_quantiles_and_grow_in_number_with_the_rows(n, tasks):
    train = make_samples(n, keys={"age": np.random.default_rng(1).random(n)})
    plan = plan_tasks(train, seed=0)
    assert (plan.kind, len(plan)) == ("age", tasks)
    sizes = np.bincount(plan.codes)
    assert sizes.max() - sizes.min() <= 2  # quantiles of distinct numbers
    ages = [train.keys["age"][plan.rows(task)] for task in range(tasks)]
    assert all(low.max() < high.min() for low, high in zip(ages, ages[1:]))


def test_a_bin_that_is_too_small_or_of_one_label_joins_its_smaller_neighbour():
    age = np.repeat([10, 20, 30, 40], [30, 20, 20, 50])
    y = np.tile([0, 1], 60)
    y[age == 30] = 1  # of one label; its neighbours have 20 and 50 rows
    plan = plan_tasks(make_samples(120, keys={"age": age}, y=y), "age", seed=0, count=6, min_rows=15)
    assert plan.names == ("age < 20", "20 <= age < 40", "age >= 40")
    assert np.bincount(plan.codes).tolist() == [30, 40, 50]
    ages = make_samples(4, keys={"age": np.array([-5, 19, 39.5, 400])}).inputs
    assert plan.assign(ages).tolist() == [0, 0, 1, 2]


def test_rare_words_are_one_task_and_so_is_an_unknown_one():
    site = np.repeat(["b", "a", "rare", "pure"], [40, 30, 3, 20])
    y = np.tile([0, 1], 47)[:93]
    y[site == "pure"] = 0
    plan = plan_tasks(make_samples(93, keys={"site": site}, y=y), seed=0)
    assert plan.names == ("a", "b", "(other)")
    assert np.bincount(plan.codes).tolist() == [30, 40, 23]
    seen = make_samples(4, keys={"site": np.array(["b", "pure", "never seen", "rare"])}).inputs
    assert plan.assign(seen).tolist() == [1, 2, 2, 2]


def test_without_merged_tasks_an_unknown_word_has_no_task():
    plan = plan_tasks(make_samples(60, keys={"site": np.repeat(["a", "b"], 30)}), seed=0)
    unknown = make_samples(2, keys={"site": np.array(["b", "zz"])}).inputs
    assert plan.assign(unknown).tolist() == [1, NO_TASK]


def test_merged_tasks_that_are_still_too_small_take_in_the_smallest_other():
    site = np.repeat(["a", "b", "c"], [60, 40, 3])
    plan = plan_tasks(make_samples(103, keys={"site": site}), seed=0)
    assert plan.names == ("a", "(other)")
    assert np.bincount(plan.codes).tolist() == [60, 43]


def test_a_frequent_word_is_cut_at_random_and_its_other_rows_have_no_task():
    n = 4500
    site = np.where(np.arange(n) < 4100, "land", "isle")
    train = make_samples(n, keys={"site": site})
    plan = plan_tasks(train, seed=0)
    assert plan.names == ("isle", "land 1", "land 2", "land 3", "land 4")
    assert np.bincount(plan.codes).tolist() == [400, 1025, 1025, 1025, 1025]
    known = plan.assign(train.inputs)
    assert (known[site == "land"] == NO_TASK).all()
    assert (known[site == "isle"] == 0).all()
    assert plan.assigns
    assert plan_tasks(train, seed=1).codes.tolist() != plan.codes.tolist()


def test_random_tasks_keep_the_shares_of_label_and_group():
    train = make_samples(2000, y=(np.random.default_rng(5).random(2000) < 0.2).astype(int))
    plan = plan_tasks(train, "random", seed=0, count=10)
    cell = train.group * 2 + train.y
    whole = np.bincount(cell) / len(train)
    for task in range(10):
        part = cell[plan.codes == task]
        assert np.abs(np.bincount(part, minlength=4) / len(part) - whole).max() < 0.02
    assert (plan.assign(train.inputs) == NO_TASK).all()
    assert not plan.assigns
    assert plan_tasks(train, "random", seed=1, count=10).codes.tolist() != plan.codes.tolist()


@pytest.mark.parametrize("kind", ["random", "kmeans"])
def test_other_kinds_have_as_many_tasks_as_the_words_by_default(kind):
    site = np.random.default_rng(0).choice(["a", "b", "c", "d", "e", "f", "g"], 700)
    train = make_samples(700, keys={"site": site, "age": np.arange(700)})
    assert len(plan_tasks(train, seed=0)) == 7
    assert len(plan_tasks(train, kind, seed=0, min_rows=2)) == 7
    assert len(plan_tasks(train, "age", seed=0)) == 7


def test_clusters_are_those_of_the_standardised_features():
    random = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [1000, 0, 0], [0, 0.01, 0]])  # told apart only after scaling
    code = np.arange(300) % 3
    X = (centres[code] + random.normal(size=(300, 3)) * [10, 1e-4, 1]).astype(np.float32)
    train = Samples(X, random.integers(0, 2, 300), make_samples(3).schema, random.integers(0, 2, 300))
    plan = plan_tasks(train, "kmeans", seed=0, count=3)
    assert len(plan) == 3
    assert len(set(zip(code.tolist(), plan.codes.tolist()))) == 3
    fresh = Inputs(centres.astype(np.float32), np.zeros(3, int), train.schema)
    assert plan.assign(fresh).tolist() == [plan.codes[code == cluster][0] for cluster in range(3)]


def test_clusters_of_few_distinct_rows_are_fewer():
    X = np.repeat([[0.0], [1.0]], 40, axis=0).astype(np.float32)
    schema = Schema(("x",), ("a", "b"), 0)
    train = Samples(X, np.arange(80) % 2, schema, np.tile([0, 0, 1, 1], 20))
    plan = plan_tasks(train, "kmeans", seed=0, count=9)
    assert np.bincount(plan.codes).tolist() == [40, 40]


@pytest.mark.parametrize(
    ("kind", "count", "message"),
    [
        ("state", 0, "tasks by 'state' need a key of that name; the data's keys: site, age"),
        ("site", 4, "tasks by 'site' are given by its values and cannot be 4"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_there_is(kind, count, message):
    train = make_samples(60, keys={"site": np.repeat(["a", "b"], 30), "age": np.arange(60)})
    with pytest.raises(NotApplicable, match=message):
        plan_tasks(train, kind, seed=0, count=count)


def test_one_label_is_refused():
    with pytest.raises(NotApplicable, match="all 30 training labels are 1; a task needs both"):
        plan_tasks(make_samples(30, y=np.ones(30, int)), seed=0)


def test_rows_that_lost_their_key_are_refused():
    plan = plan_tasks(make_samples(60, keys={"site": np.repeat(["a", "b"], 30)}), seed=0)
    with pytest.raises(DataError, match="carry no key 'site', by which tasks were formed"):
        plan.assign(make_samples(5).inputs)


@settings(max_examples=200)
@given(
    y=st.lists(st.integers(0, 1), min_size=4, max_size=60).filter(lambda y: 2 <= sum(y) <= len(y) - 2),
    support=st.integers(1, 30),
    query=st.integers(1, 30),
    per_class=st.booleans(),
    seed=st.integers(0, 9),
)
def test_support_and_query_never_overlap_and_have_their_sizes(y, support, query, per_class, seed):
    labels, rows = np.array(y), np.arange(len(y))
    first, second = draw_rows(labels, rows, Shots(support, query, per_class), np.random.default_rng(seed))
    assert len({*first.tolist(), *second.tolist()}) == len(first) + len(second)
    if per_class:
        counts = [min(support, np.sum(labels == label) // 2) for label in (0, 1)]
        assert np.bincount(labels[first], minlength=2).tolist() == counts
    else:
        assert len(first) == min(support, len(y) // 2)
    assert len(second) == min(query, len(y) - len(first))


def test_query_rows_are_a_fair_sample_of_what_the_support_leaves():
    y = (np.arange(100) < 20).astype(int)  # 5 of the 20 go to the support: 15 of 90 are left
    random = np.random.default_rng(0)
    shares = [y[draw_rows(y, np.arange(100), Shots(5, 10, per_class=True), random)[1]].mean() for _ in range(2000)]
    expected = 15 / 90
    error = np.sqrt(expected * (1 - expected) / 10 / 2000)  # of sampling with replacement, which is the larger one
    assert abs(np.mean(shares) - expected) < 4 * error


def test_a_task_too_small_for_two_parts_is_refused():
    with pytest.raises(NotApplicable, match="a task of 1 rows cannot give a support and a query set"):
        draw_rows(np.array([0, 1]), np.array([1]), Shots(5, 5), np.random.default_rng(0))


def test_episodes_come_from_one_task_each_and_repeat_with_the_seed():
    site = np.repeat(["a", "b", "c"], 40)
    train = make_samples(120, keys={"site": site, "row": np.arange(120)})
    plan = plan_tasks(train, seed=0)
    episodes = list(plan.episodes(train, Shots(10, 8), count=50, seed=3))
    seen = set()
    for episode in episodes:
        assert (len(episode.support), len(episode.query)) == (10, 8)
        (place,) = {*episode.support.keys["site"], *episode.query.keys["site"]}
        seen.add(str(place))
        assert not set(episode.support.keys["row"]) & set(episode.query.keys["row"])
    assert seen == {"a", "b", "c"}
    again = plan.episodes(train, Shots(10, 8), count=50, seed=3)
    for one, other in zip(episodes, again):
        assert one.query.keys["row"].tolist() == other.query.keys["row"].tolist()
