"""SHAP values of a fitted method, attribute by attribute; they need the extra ``explain``.

Any method can be explained, since only its scores are asked for. The players are the dataset's attributes, not the
encoded columns: an attribute's one-hot columns are swapped together, so that no model is asked about a person with two
occupations.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fairbench.cells import Cell
from fairbench.data.rows import Dataset, Floats, Inputs, Samples
from fairbench.errors import NotApplicable
from fairbench.plugins.components import Fitted, Predictor
from fairbench.running.cell import Workbench
from fairbench.seeding import derive_seed

FOLDER = "explanations"
ROWS, BACKGROUND = 200, 50  # people explained, and people whose values stand in for an attribute that is left out
COMMON = 0.05  # the share of people from which on a category is named
ROUNDS = 4  # permutations of the attributes, each walked forwards and backwards


@dataclass(frozen=True, eq=False)
class Explanation:
    """SHAP values of one fit.

    Args:
        names: (p,) attributes; the sensitive one is the last.
        values: (n, p) contributions to the score, a fraction.
        levels: (n, p) each attribute's value as a rank in [0, 1]; NaN for an attribute of more than two categories.
        protected: (n,) whether the row belongs to the protected group.
        categories: (n, p) the name of each attribute's category; empty for numbers.
        seconds: the time that fitting and explaining took.
    """

    names: tuple[str, ...]
    values: Floats
    levels: Floats
    protected: Any
    categories: Any
    seconds: float

    @property
    def importance(self) -> Floats:
        """Return the mean absolute value (p,) of each attribute."""
        return np.asarray(np.abs(self.values).mean(axis=0))

    @property
    def rank(self) -> int:
        """Return the sensitive attribute's rank by importance; 1 is the most important."""
        return int((self.importance > self.importance[-1]).sum()) + 1

    @property
    def direction(self) -> float:
        """Return the sensitive attribute's mean value among protected rows minus that among the others."""
        values = self.values[:, -1]
        return float(values[self.protected].mean() - values[~self.protected].mean())

    def extremes(self, attribute: int) -> Optional[tuple[str, str]]:
        """Return the categories of an attribute with the lowest and the highest mean value, of those that are common.

        None for numbers, and where only one category is common.
        """
        names, values = self.categories[:, attribute], self.values[:, attribute]
        common = [name for name in np.unique(names) if name and (names == name).mean() >= COMMON]
        if len(common) < 2:
            return None
        ordered = sorted(common, key=lambda name: float(values[names == name].mean()))
        return str(ordered[0]), str(ordered[-1])


def explain(cell: Cell, workbench: Workbench, folder: Path) -> Explanation:
    """Return the explanation of the fit that a cell stands for, kept in the folder for the next time.

    Raises:
        NotApplicable: shap is missing, the dataset cannot be obtained, or the method has no score or does not apply.
    """
    path = folder / FOLDER / f"{cell.key}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            names, seconds = tuple(map(str, kept["names"])), float(kept["seconds"])
            stored = "categories" in kept  # a run of fairbench before 0.1 has none
            categories = kept["categories"] if stored else _categories_again(cell, workbench)
            return Explanation(names, kept["values"], kept["levels"], kept["protected"], categories, seconds)
    made = _explain(cell, workbench, require_shap())
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        names=np.array(made.names),
        values=made.values,
        levels=made.levels,
        protected=made.protected,
        categories=made.categories,
        seconds=made.seconds,
    )
    partial.replace(path)
    return made


def require_shap() -> Any:
    """Return the module shap.

    Raises:
        NotApplicable: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shap's own use of matplotlib and numba is not ours to fix
            import shap
    except ImportError as error:
        raise NotApplicable(
            "explanations need the package 'shap': install the extra explain (pip install 'fairbench-harness[explain]')"
        ) from error
    return shap


def _explain(cell: Cell, workbench: Workbench, shap: Any) -> Explanation:
    started = time.perf_counter()
    split = workbench.split(cell)
    method = workbench.registry.method(cell.method, cell.preparation)
    fitted = Fitted.of(method.fit(split.train, split.validation, seed=cell.seed("fit")))
    blocks = _blocks(workbench.dataset(cell.dataset), split.train, cell.group)
    draw = np.random.default_rng(cell.seed("explain"))
    people, others = _some(split.test, ROWS, draw), _some(split.train, BACKGROUND, draw)
    score = _Score(fitted.points[fitted.chosen], people, others, list(blocks.values()))
    values = _shap_values(shap, score, len(people), len(others), derive_seed("shap", cell.seed("explain")))
    levels = np.column_stack([_levels(people.X[:, block]) for block in blocks.values()])
    seconds = time.perf_counter() - started
    return Explanation(tuple(blocks), values, levels, people.protected, _categories(people, blocks), seconds)


def _categories_again(cell: Cell, workbench: Workbench) -> Any:
    """Return the categories (n, p) of the people whom an explanation without them is about."""
    split = workbench.split(cell)
    blocks = _blocks(workbench.dataset(cell.dataset), split.train, cell.group)
    return _categories(_some(split.test, ROWS, np.random.default_rng(cell.seed("explain"))), blocks)


def _categories(people: Samples, blocks: Mapping[str, Any]) -> Any:
    """Return the name (n, p) of each attribute's category, from its encoded columns; empty for numbers."""
    found = []
    for attribute, block in blocks.items():
        names = [people.schema.feature_names[place].partition(f"{attribute}_")[2] for place in block]
        shown = people.X[:, block] == 1
        if attribute == list(blocks)[-1]:  # the sensitive one
            found.append(np.array(people.group_names)[people.group])
        elif all(names):
            found.append(np.where(shown.any(axis=1), np.array(names)[shown.argmax(axis=1)], ""))
        else:
            found.append(np.full(len(people), ""))
    return np.column_stack(found)


def _some(samples: Samples, count: int, draw: np.random.Generator) -> Samples:
    chosen = draw.choice(len(samples), size=min(count, len(samples)), replace=False)
    return samples.select(np.sort(chosen))


class _Score:
    """The score of made-up people, each of whose attributes comes from a real person."""

    def __init__(self, predictor: Predictor, people: Samples, others: Samples, blocks: Sequence[Any]) -> None:
        self.X = np.vstack([people.X, others.X])  # (n + m, d)
        self.group = np.concatenate([people.group, others.group])
        self.keys = {name: np.concatenate([keys, others.keys[name]]) for name, keys in people.keys.items()}
        self.predictor, self.schema, self.blocks = predictor, people.schema, blocks

    def __call__(self, sources: Any) -> Floats:
        """Return the scores (k,) of people whose attribute j is that of row ``sources[:, j]`` (k, p)."""
        rows = np.asarray(sources).astype(np.int64)
        X = np.empty((len(rows), self.X.shape[1]), dtype=np.float32)
        for player, block in enumerate(self.blocks):
            X[:, block] = self.X[rows[:, player]][:, block]
        last = rows[:, -1]  # the sensitive attribute is the last player; a row's keys go with it
        keys = {name: values[last] for name, values in self.keys.items()}
        y_score = self.predictor(Inputs(X, self.group[last], self.schema, keys)).y_score
        if y_score is None:
            raise NotApplicable("the method has decisions but no scores to explain")
        return y_score


def _shap_values(shap: Any, score: _Score, n: int, m: int, seed: int) -> Floats:
    """Return SHAP values (n, p) of the first n rows against the m others."""
    players = len(score.blocks)
    ids = np.repeat(
        np.arange(n + m, dtype=np.float64)[:, None], players, axis=1
    )  # the row that each attribute comes from
    state = np.random.get_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            masker = shap.maskers.Independent(ids[n:], max_samples=m)
            explainer = shap.PermutationExplainer(score, masker, seed=seed)
            found = explainer(ids[:n], max_evals=ROUNDS * (2 * players + 1), silent=True)
    finally:
        np.random.set_state(state)
    return np.asarray(found.values, dtype=np.float64)


def _blocks(dataset: Dataset, train: Samples, group: str) -> Mapping[str, Any]:
    """Return the encoded columns of each attribute by its name, the sensitive one last."""
    names = train.schema.feature_names
    width = 1 if len(train.group_names) == 2 else len(train.group_names)
    table: Any = dataset.X  # never images: they have no column for the group
    columns = sorted(table.columns, key=len, reverse=True)  # if two match, the longer one is meant
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names[: len(names) - width]):
        owner = name if name in columns else next(c for c in columns if name.startswith(f"{c}_"))
        found.setdefault(str(owner), []).append(place)
    found[group] = list(range(len(names) - width, len(names)))
    return {name: np.array(places) for name, places in found.items()}


def _levels(block: Any) -> Floats:
    """Return the values (n,) of an attribute as ranks in [0, 1], from its encoded columns (n, width)."""
    if block.shape[1] > 2:
        return np.full(len(block), np.nan)
    distinct, position = np.unique(block[:, -1], return_inverse=True)
    return np.asarray(position / max(len(distinct) - 1, 1), dtype=np.float64)
