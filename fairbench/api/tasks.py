"""Few-shot tasks from one training part: which task a row belongs to, and episodes of support and query rows.

A single table has no natural tasks. A plan forms them from a key of the rows (a state, an age), from their features, or
at random. The plan is determined by the training rows and a seed, and never looks at labels or groups of the rows to be
predicted::

    plan = plan_tasks(train, seed=seed)
    for episode in plan.episodes(train, Shots(support=15, query=15), count=100, seed=seed):
        ...  # learn from episode.support, judge on episode.query
    codes = plan.assign(test.inputs)  # (n,), NO_TASK where a row belongs to none
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from fairbench.data.rows import Episode, Inputs, Integers, Samples
from fairbench.errors import DataError, NotApplicable

__all__ = ["NO_TASK", "Shots", "TaskPlan", "draw_rows", "plan_tasks"]

NO_TASK = -1
"""The code of a row that belongs to no task of the plan."""

OTHER = "(other)"  # no value of a key is likely to be called that
CUT_ABOVE, PIECE = 2000, 1000  # rows: a value of a text key with more than the first is cut into tasks of the second

Codes = NDArray[np.int64]
Assign = Callable[[Inputs], Codes]


@dataclass(frozen=True)
class Shots:
    """How many rows an episode has.

    Args:
        support: number of rows to learn from, for each label if ``per_class``; never more than half of the task's rows
            (with that label).
        query: number of rows to evaluate on, none of them in the support.
        per_class: whether the support is drawn separately for each label.
    """

    support: int
    query: int
    per_class: bool = False


def draw_rows(y: Integers, rows: Integers, shots: Shots, random: np.random.Generator) -> tuple[Codes, Codes]:
    """Draw the support and the query of one episode from a task's rows, without replacement.

    Args:
        y: (n,) labels of all training rows.
        rows: (m,) positions of the task's rows.
        shots: how many rows to draw.
        random: generator of the draw.

    Returns:
        Two disjoint arrays of positions.

    Raises:
        NotApplicable: the task is too small to give both parts a row.
    """
    order = random.permutation(rows)
    if shots.per_class:
        first = np.zeros(len(order), dtype=bool)
        for label in (0, 1):
            positions = np.flatnonzero(y[order] == label)
            first[positions[: min(shots.support, len(positions) // 2)]] = True
    else:
        first = np.arange(len(order)) < min(shots.support, len(order) // 2)
    # Shuffled anew: early in the order, rows of a label that is rare are all in the support.
    support, query = order[first], random.permutation(order[~first])[: shots.query]
    if not (len(support) and len(query)):
        raise NotApplicable(f"a task of {len(rows)} rows cannot give a support and a query set; merge small tasks")
    return support, query


@dataclass(frozen=True, eq=False)
class TaskPlan:
    """A partition of n training rows into T tasks; ``plan_tasks`` creates it.

    Args:
        kind: ``random``, ``kmeans`` or the name of a key.
        names: (T,) the tasks' names in order: rising numbers, or words in alphabetical order with merged tasks last.
        codes: (n,) the task of each training row, an index into ``names``.
        assign: Inputs -> (n,) task codes, from keys and features only; ``NO_TASK`` for a row whose task was drawn at
            random, or whose key occurs in no training row. Raises DataError if rows lack the key.
        assigns: whether ``assign`` knows the task of any row; False for random tasks.
    """

    kind: str
    names: tuple[str, ...]
    codes: Codes
    assign: Assign
    assigns: bool = True

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.names)

    def rows(self, task: int) -> Codes:
        """Return the positions of a task's rows in the training part, in rising order."""
        return np.flatnonzero(self.codes == task)

    def episodes(self, train: Samples, shots: Shots, *, count: int, seed: int) -> Iterator[Episode]:
        """Yield episodes, each from a task drawn uniformly (tasks can repeat).

        Args:
            train: the rows that the plan was made from.
            shots: number of rows in support and query.
            count: number of episodes.
            seed: seed of the draws.
        """
        random = np.random.default_rng(seed)
        members = [self.rows(task) for task in range(len(self))]
        for task in random.integers(len(self), size=count):
            support, query = draw_rows(train.y, members[task], shots, random)
            yield Episode(train.select(support), train.select(query))


def plan_tasks(train: Samples, kind: str = "auto", *, seed: int, count: int = 0, min_rows: int = 0) -> TaskPlan:
    """Return the tasks of a training part.

    - a key of numbers (``age``): bins at the training part's quantiles. A bin that is too small joins a neighbour.
    - a key of words (``state``, ``country``): a task for each value. Values with too few rows form the task
      ``(other)``, which also takes values that the training part does not have. A value with more than 2,000 rows is
      cut at random into tasks of about 1,000; rows outside the training part with this value then have no task.
    - ``random``: parts with the same proportions of (y, group); rows outside the training part have no task.
    - ``kmeans``: clusters of the standardised features; any row belongs to the nearest centre.

    A task is too small if it has fewer than ``min_rows`` rows or only one label.

    Args:
        train: (n,) rows.
        kind: a key's name, ``random``, ``kmeans``, or ``auto``: the data's first key, or random tasks if there is none.
        seed: seed of all draws.
        count: number of bins, parts or clusters; 0 for one per 400 rows, at least 5 and at most 20, or, if the data's
            first key is a key of words, for as many as that key has tasks. 1 makes one task of all rows, whatever the
            kind.
        min_rows: the smallest size of a task; 0 for a hundredth of the rows, at least 14 and at most 30.

    Raises:
        NotApplicable: the data have no such key, ``count`` is given for a key of words, or all labels are equal.
    """
    n, default = len(train), next(iter(train.keys), "random")
    kind = default if kind == "auto" else kind
    if kind not in train.keys and kind not in ("random", "kmeans"):
        known = ", ".join(train.keys) or "none"
        raise NotApplicable(f"tasks by {kind!r} need a key of that name; the data's keys: {known} (or random, kmeans)")
    if len(np.unique(train.y)) < 2:
        raise NotApplicable(f"all {n} training labels are {train.y[0]}; a task needs both")
    if count == 1:
        return _one_task(kind, n)
    small = _Smallness(train.y, min_rows or min(30, max(14, -(-n // 100))))
    if kind in train.keys and not _is_number(train.keys[kind]):
        if count:
            raise NotApplicable(
                f"tasks by {kind!r} are given by its values and cannot be {count}; leave the number out, or use 1"
            )
        return _by_value(train, kind, small, seed)
    if not count:
        words = kind != default and default != "random" and not _is_number(train.keys[default])
        count = len(_by_value(train, default, small, seed)) if words else min(20, max(5, n // 400))
    if kind == "random":
        return _at_random(train, count, small, seed)
    return _by_cluster(train, count, small, seed) if kind == "kmeans" else _by_bin(train, kind, count, small)


@dataclass(frozen=True, eq=False)
class _Smallness:
    """When a task of these labels is too small to stand alone."""

    y: Integers
    min_rows: int

    def of(self, rows: NDArray[Any]) -> bool:
        """Return whether the rows (a mask or positions) are too few, or of one label."""
        labels = self.y[rows]
        return len(labels) < self.min_rows or bool(labels.min() == labels.max())


def _is_number(key: NDArray[Any]) -> bool:
    return key.dtype.kind in "iuf"


def _key(inputs: Inputs | Samples, name: str) -> NDArray[Any]:
    if name not in inputs.keys:
        raise DataError(f"the rows carry no key {name!r}, by which tasks were formed; pass the split's own inputs on")
    return inputs.keys[name]


def _nowhere(inputs: Inputs) -> Codes:
    return np.full(len(inputs), NO_TASK, dtype=np.int64)


def _one_task(kind: str, n: int) -> TaskPlan:
    return TaskPlan(kind, ("all",), np.zeros(n, dtype=np.int64), lambda inputs: np.zeros(len(inputs), dtype=np.int64))


def _merge(codes: Codes, names: Sequence[str], small: _Smallness) -> tuple[Codes, tuple[str, ...]]:
    """Return the task of each code, every one of which has rows, and the tasks' names; what is too small comes last.

    If the others together are too small, the smallest of those that stand alone joins them, until they are not.
    """
    sizes = np.bincount(codes)
    alone = [code for code in range(len(names)) if not small.of(codes == code)]
    others = [code for code in range(len(names)) if code not in alone]
    while others and alone and small.of(np.isin(codes, others)):
        smallest = min(alone, key=lambda code: int(sizes[code]))
        alone.remove(smallest)
        others.append(smallest)
    task = np.full(len(names), len(alone), dtype=np.int64)
    task[alone] = np.arange(len(alone))
    return task, (*(names[code] for code in alone), *([OTHER] if others else []))


def _by_value(train: Samples, key: str, small: _Smallness, seed: int) -> TaskPlan:
    values, codes = np.unique(_key(train, key).astype(np.str_), return_inverse=True)
    task, names = _merge(codes, list(map(str, values)), small)
    if len(names) == 1:
        return _one_task(key, len(train))
    train_codes, pieces = _cut(train, task[codes], len(names), seed)
    # What the pieces of one value are called, and where a value's rows go; a value in pieces has no task of its own.
    cut_names = [
        f"{name} {piece + 1}" if count > 1 else name for name, count in zip(names, pieces) for piece in range(count)
    ]
    start = np.cumsum([0, *pieces])
    home = np.array([start[code] if count == 1 else NO_TASK for code, count in enumerate(pieces)], dtype=np.int64)
    unknown = home[-1] if names[-1] == OTHER else NO_TASK

    def assign(inputs: Inputs) -> Codes:
        seen = _key(inputs, key).astype(np.str_)
        position = np.minimum(np.searchsorted(values, seen), len(values) - 1)
        return np.where(values[position] == seen, home[task[position]], unknown)

    return TaskPlan(key, tuple(cut_names), train_codes, assign, assigns=bool((home != NO_TASK).any()))


def _cut(train: Samples, codes: Codes, n_codes: int, seed: int) -> tuple[Codes, list[int]]:
    """Cut large tasks at random; return the new codes (n,) and in how many pieces each task is."""
    random, cut = np.random.default_rng(seed), np.empty_like(codes)
    pieces: list[int] = []
    for code in range(n_codes):
        rows = np.flatnonzero(codes == code)
        parts = _deal(train.select(rows), round(len(rows) / PIECE) if len(rows) > CUT_ABOVE else 1, random)
        cut[rows] = sum(pieces) + parts
        pieces.append(int(parts.max()) + 1)
    return cut, pieces


def _deal(samples: Samples, count: int, random: np.random.Generator) -> Codes:
    """Return a part (n,) for each row, at random, such that all parts have the shares of (y, group).

    There are fewer parts than asked for if a label has fewer rows: each part has both labels.
    """
    count = min(count, int(samples.y.sum()), int((1 - samples.y).sum()))
    stratum = samples.y * len(samples.group_names) + samples.group
    shuffled = random.permutation(len(samples))
    order = shuffled[np.argsort(stratum[shuffled], kind="stable")]  # a label's rows follow one another
    parts = np.empty(len(samples), dtype=np.int64)
    parts[order] = np.arange(len(samples)) % count
    return parts


def _at_random(train: Samples, count: int, small: _Smallness, seed: int) -> TaskPlan:
    parts = _deal(train, max(1, min(count, len(train) // small.min_rows)), np.random.default_rng(seed))
    names = tuple(f"part {part + 1}" for part in range(int(parts.max()) + 1))
    if len(names) == 1:
        return _one_task("random", len(train))
    return TaskPlan("random", names, parts, _nowhere, assigns=False)


def _by_bin(train: Samples, key: str, count: int, small: _Smallness) -> TaskPlan:
    values = _key(train, key)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])).tolist()
    while edges:
        codes = np.searchsorted(edges, values, side="right")
        bad = [code for code in range(len(edges) + 1) if small.of(codes == code)]
        if not bad:
            break
        sizes = np.bincount(codes, minlength=len(edges) + 1)
        worst = min(bad, key=lambda code: int(sizes[code]))
        left = worst == len(edges) or (worst > 0 and sizes[worst - 1] <= sizes[worst + 1])
        del edges[worst - 1 if left else worst]  # it joins the smaller neighbour
    if not edges:
        return _one_task(key, len(train))
    inner = [f"{low:g} <= {key} < {high:g}" for low, high in zip(edges, edges[1:])]

    def assign(inputs: Inputs) -> Codes:
        return np.searchsorted(edges, _key(inputs, key), side="right").astype(np.int64)

    names = (f"{key} < {edges[0]:g}", *inner, f"{key} >= {edges[-1]:g}")
    return TaskPlan(key, names, codes.astype(np.int64), assign)


def _by_cluster(train: Samples, count: int, small: _Smallness, seed: int) -> TaskPlan:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    mean, spread = train.X.mean(axis=0, dtype=np.float64), train.X.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1

    def standardised(inputs: Inputs | Samples) -> NDArray[np.float64]:
        return np.asarray((inputs.X - mean) / spread)

    def nearest(inputs: Inputs | Samples, centres: NDArray[np.float64]) -> Codes:
        X = standardised(inputs)  # a centre at a time: sums over a row do not depend on the rows beside it
        distances = np.stack([((X - centre) ** 2).sum(axis=1) for centre in centres])  # (T, n)
        return np.asarray(distances.argmin(axis=0), dtype=np.int64)

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters: the rest stay empty
        centres = KMeans(min(count, len(train)), n_init=1, random_state=seed).fit(standardised(train)).cluster_centers_
    centres = centres[np.unique(nearest(train, centres))]  # those that have rows
    codes = nearest(train, centres)
    task, names = _merge(codes, [f"cluster {code + 1}" for code in range(len(centres))], small)
    if len(names) == 1:
        return _one_task("kmeans", len(train))
    return TaskPlan("kmeans", names, task[codes], lambda inputs: task[nearest(inputs, centres)])
