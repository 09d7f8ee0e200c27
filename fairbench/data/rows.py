"""The data types that move through a cell; every shape is checked once, when an instance is built."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import numpy as np
from numpy.typing import NDArray

from fairbench.data import tables
from fairbench.data.arrays import check_key, check_labels, copied, fractions, frozen, thresholds, unchecked
from fairbench.data.columns import check_length, features, refuse_missing, shown
from fairbench.data.digest import dataset_digest
from fairbench.errors import DataError, NotApplicable
from fairbench.records import OVERLAPS, POOL, UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Keys = Mapping[str, NDArray[Any]]
UNKNOWN_GROUP = -1
"""The code of a row whose group is not known; see ``UsesGroup``."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table, or images, as the loader returns it: nothing is encoded, scaled or split yet.

    Rows are matched by position, and pandas objects must agree on it: their indexes are the same, in the same order.
    Columns with an unclear meaning are refused by name.

    Args:
        name: the dataset's name, for messages.
        X: (n, d) DataFrame of numeric, boolean, string or categorical columns, with distinct names. For images an
            array (n, d), a flattened image in each row: float in [0, 1], or uint8 (0 to 255, a quarter of the memory).
        y: (n,) labels in {0, 1}, or True and False.
        sensitive_features: (n, k) DataFrame, a column for each attribute; the first is the default group. Groups are
            named by texts; whole numbers and truth values become texts: 1 and 1.0 become ``1``, True ``True``.
        protected_group: for each attribute the group whose rows are protected (AIF360: unprivileged).
        favorable_label: the label, 0 or 1, that is good for the person.
        sensitive_columns: for an attribute the columns of X with the same information; they are removed from X when
            the attribute is the group. A column with the attribute's own name must be one of them.
        missing_values: True if X lacks values on purpose; they are then imputed from the training part.
        notes: sentences to be shown with every result on these data.
        image_shape: (channels, height, width) of images; empty for a table.
        partition: how the rows must be split if they cannot be split freely (a published split, rows that belong
            together): seed of a repeat -> disjoint positions of train, validation and test. None leaves it to the
            harness.
        keys: (n, m) DataFrame of numbers or strings that name a row's task or cluster (e.g. its state), the default
            first; None if there are none. A key is not a feature, and a key that carries the group is removed with it.
        overlap: how the rows of two repeats overlap: ``pool`` if each splits the same rows again at random, ``fresh``
            if they share no row, ``unknown`` otherwise (e.g. a published test part, or draws from a larger pool). The
            default is ``pool`` without a partition and ``unknown`` with one.
    """

    name: str
    X: Union[pd.DataFrame, NDArray[Any]]
    y: Integers
    sensitive_features: pd.DataFrame
    protected_group: Mapping[str, str]
    favorable_label: int = 1
    sensitive_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing_values: bool = False
    notes: tuple[str, ...] = ()
    image_shape: tuple[int, ...] = ()
    partition: Optional[Callable[[int], Sequence[NDArray[Any]]]] = None
    keys: Optional[pd.DataFrame] = None
    overlap: str = ""

    def __post_init__(self) -> None:
        """Convert every part to its standard form, and refuse parts whose meaning is not clear."""
        tables.check_kinds(self)
        n, where = len(self.X), self.name
        set_field = object.__setattr__
        set_field(self, "y", frozen(tables.labels(self.y, n, where)))
        if len(np.unique(self.y)) < 2:
            raise DataError(f"{where}: all {n} labels are {self.y[0]}; a benchmark needs both classes")
        groups, protected = tables.groups(self.sensitive_features, self.protected_group, where)
        set_field(self, "sensitive_features", groups)
        set_field(self, "protected_group", protected)
        if self.keys is not None:
            set_field(self, "keys", tables.keys(self.keys, n, where))
            for name, values in self.key_arrays().items():
                check_key(name, values, where)
        if isinstance(self.X, np.ndarray):
            set_field(self, "image_shape", tables.check_images(self.X, self.image_shape, where))
            set_field(self, "X", copied(self.X, None))  # the loader, or a plugin, may keep a reference
        else:
            self._check_features(self.X)
        features_, keys = (list(getattr(part, "columns", ())) for part in (self.X, self.keys))
        carrying = tables.sensitive_columns(self.sensitive_columns, list(groups.columns), features_, keys, where)
        set_field(self, "sensitive_columns", carrying)
        set_field(self, "favorable_label", int(self.favorable_label))
        set_field(self, "notes", tuple(self.notes))
        overlap = self.overlap or (POOL if self.partition is None else UNKNOWN)
        if overlap not in OVERLAPS:
            raise DataError(f"{where}: overlap is {shown(overlap)}; it must be one of {', '.join(OVERLAPS)}")
        set_field(self, "overlap", overlap)

    @property
    def digest(self) -> str:
        """Return a sha256 over all that can change a number; the notes are left out. It is computed at each call."""
        return dataset_digest(self)

    def key_arrays(self, without: Collection[str] = ()) -> Keys:
        """Return the task keys except those in ``without``, each (n,): numbers unchanged, others as strings."""
        if self.keys is None:
            return {}
        return {name: tables.key_array(self.keys[name]) for name in self.keys.columns if name not in without}

    def _check_features(self, X: pd.DataFrame) -> None:
        if not isinstance(self.image_shape, (tuple, list)) or self.image_shape:
            raise DataError(
                f"{self.name}: image_shape is {shown(self.image_shape)} but X is a table; give X as an array, or leave "
                "image_shape out"
            )
        table = features(X, self.name)
        for column in () if self.missing_values else table.columns:
            advice = (
                "drop or fill them in load(), or set missing_values=True to have them imputed from the training part"
            )
            refuse_missing(table[column], f"feature {column!r}", self.name, advice)
        object.__setattr__(self, "X", table)


@dataclass(frozen=True)
class Schema:
    """What the rows of all parts of a split have in common.

    Args:
        feature_names: (d,) names of the encoded columns.
        group_names: (G,) names; a row's group code is an index into them.
        protected: the code of the protected group.
        favorable_label: the label that is good for the person.
        image_shape: (channels, height, width) if a row is a flattened image in [0, 1]; empty for a table.
    """

    feature_names: tuple[str, ...]
    group_names: tuple[str, ...]
    protected: int
    favorable_label: int = 1
    image_shape: tuple[int, ...] = ()


class _Rows:
    """What Inputs and Samples share; it has no fields, so that each of them can order its own."""

    X: Floats
    group: Integers
    schema: Schema
    keys: Keys

    def __post_init__(self) -> None:
        """Check shapes and values, and freeze the arrays."""
        if self.X.ndim != 2 or self.X.shape[1] != len(self.schema.feature_names):
            raise DataError(f"X has shape {self.X.shape} but there are {len(self.schema.feature_names)} feature names")
        check_length("group", len(self.group), len(self.X), "inputs")
        if not np.isfinite(self.X).all():
            row, column = np.argwhere(~np.isfinite(self.X))[0]
            name = self.schema.feature_names[column]
            raise DataError(
                f"X has a NaN or infinite value in row {row}, feature {name!r}; impute it before a method sees it"
            )
        if len(self.group):
            low, high, names = int(self.group.min()), int(self.group.max()), len(self.schema.group_names)
            if not UNKNOWN_GROUP <= low <= high < names:
                raise DataError(f"group codes run from {low} to {high} but only {names} are named")
        object.__setattr__(self, "X", frozen(self.X, np.float32))
        object.__setattr__(self, "group", frozen(self.group, np.int64))
        keys = {name: frozen(values) for name, values in self.keys.items()}
        for name, values in keys.items():
            check_key(name, values, "inputs")
            check_length(f"key {name!r}", len(values), len(self.X), "inputs")
        object.__setattr__(self, "keys", keys)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.group)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Return the names of the groups, in the order of their codes."""
        return self.schema.group_names

    @property
    def protected(self) -> NDArray[np.bool_]:
        """Return a mask (n,) of the protected group's rows."""
        return np.asarray(self.group == self.schema.protected)

    def _selected_keys(self, rows: NDArray[Any]) -> Keys:
        return {name: values[rows] for name, values in self.keys.items()}


@dataclass(frozen=True, eq=False)
class Inputs(_Rows):
    """What a predictor sees of n rows, read-only; never the labels.

    Args:
        X: (n, d) float32 features.
        group: (n,) group codes.
        schema: the names of features and groups.
        keys: by name, (n,) numbers or strings that say which task or cluster a row belongs to; often empty.
    """

    X: Floats
    group: Integers
    schema: Schema
    keys: Keys = field(default_factory=dict)

    def select(self, rows: NDArray[Any]) -> Inputs:
        """Return the rows selected by a boolean mask or an array of positions (positions can repeat)."""
        return Inputs(self.X[rows], self.group[rows], self.schema, self._selected_keys(rows))


@dataclass(frozen=True, eq=False)
class Samples(_Rows):
    """What a method learns from: the fields of ``Inputs``, and labels.

    Args:
        X: (n, d) features, encoded and scaled.
        group: (n,) codes, indexes into ``schema.group_names``.
        schema: the names of features and groups.
        y: (n,) labels in {0, 1}.
        keys: by name, (n,) values that say which task or cluster a row belongs to; they are not features.
        rows: (n,) each row's position in the dataset, so that stored predictions can be joined back to people; only
            the test part of a split has it.
    """

    X: Floats
    group: Integers
    schema: Schema
    y: Integers
    keys: Keys = field(default_factory=dict)
    rows: Optional[Integers] = None

    def __post_init__(self) -> None:
        """Also check the labels, and the rows if they are given."""
        super().__post_init__()
        if self.rows is not None:
            check_length("rows", len(self.rows), len(self.X), "samples")
            object.__setattr__(self, "rows", frozen(self.rows, np.int64))
        check_length("y", len(self.y), len(self.X), "samples")
        check_labels(self.y, "samples")
        object.__setattr__(self, "y", frozen(self.y, np.int64))

    @property
    def inputs(self) -> Inputs:
        """Return the same rows without their labels."""
        return Inputs(self.X, self.group, self.schema, self.keys)

    def select(self, rows: NDArray[Any]) -> Samples:
        """Return the rows selected by a boolean mask or an array of positions (positions can repeat)."""
        fields = {name: frozen(getattr(self, name)[rows]) for name in ("X", "group", "y")}
        places = None if self.rows is None else frozen(self.rows[rows])
        keys = {name: frozen(values) for name, values in self._selected_keys(rows).items()}
        return unchecked(Samples, schema=self.schema, keys=keys, rows=places, **fields)


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint parts of one dataset: train, validation and test, encoded by what train alone shows."""

    train: Samples
    validation: Samples
    test: Samples


@dataclass(frozen=True, eq=False)
class Episode:
    """One few-shot task, or the two sides of a bilevel step: support (inner loop) and query (outer loop)."""

    support: Samples
    query: Samples


def tables_only(schema: Schema, who: str) -> None:
    """Refuse images, by their schema, on behalf of ``who``, e.g. ``method columns``.

    Raises:
        NotApplicable: the rows are images.
    """
    if schema.image_shape:
        shape = " x ".join(map(str, schema.image_shape))
        raise NotApplicable(f"{who} works on tables, and these rows are images of {shape} values")


def images_only(schema: Schema, who: str) -> tuple[int, int, int]:
    """Return the schema's (channels, height, width); refuse a table on behalf of ``who``, e.g. ``method cnn``.

    Raises:
        NotApplicable: the rows are those of a table.
    """
    if not schema.image_shape:
        raise NotApplicable(f"{who} works on images, and this is a table of {len(schema.feature_names)} columns")
    channels, height, width = schema.image_shape
    return channels, height, width


@dataclass(frozen=True, eq=False)
class Predictions:
    """Decisions for n rows; the arrays are copied, so that a method can reuse its own.

    Args:
        y_pred: (n,) in {0, 1}; for a randomised method one seeded draw from ``decision``.
        y_score: (n,) in [0, 1], or None if the method has no score.
        decision: (n,) in [0, 1], the chance of being selected; None means ``y_pred`` itself.
    """

    y_pred: Integers
    y_score: Optional[Floats] = None
    decision: Floats = field(default=None)  # type: ignore[arg-type]  # None is replaced below

    def __post_init__(self) -> None:
        """Check ranges and fill in the decision of a deterministic method."""
        object.__setattr__(self, "y_pred", copied(check_labels(self.y_pred, "predictions"), np.int64))
        n = len(self.y_pred)
        if self.y_score is not None:
            object.__setattr__(self, "y_score", fractions(self.y_score, "y_score", n))
        decision = self.y_pred if self.decision is None else self.decision
        object.__setattr__(self, "decision", fractions(decision, "decision", n))

    @property
    def randomised(self) -> bool:
        """Return whether any row is decided by chance."""
        return bool((self.decision != self.y_pred).any())

    @classmethod
    def from_score(cls, y_score: Any, threshold: Any = 0.5) -> Predictions:
        """Select the rows whose ``y_score`` (n,), in [0, 1], reaches the threshold: a number or an array (n,).

        Raises:
            DataError: a score is outside [0, 1] or NaN, or the threshold is NaN or of another shape.
        """
        y_score = fractions(y_score, "y_score")
        return cls(np.asarray(y_score >= thresholds(threshold, len(y_score)), dtype=np.int64), y_score)

    @classmethod
    def from_decision(cls, decision: Any, *, seed: int, y_score: Any = None) -> Predictions:
        """Draw ``y_pred`` by chance, as a randomised method does.

        Args:
            decision: (n,) in [0, 1], each row's chance of being selected.
            seed: seed of the draw, which uses its own generator.
            y_score: (n,) in [0, 1], or None if the method has no score.

        Raises:
            DataError: a chance or a score is outside [0, 1] or NaN.
        """
        decision = fractions(decision, "decision")
        drawn = np.random.default_rng(seed).random(len(decision)) < decision
        return cls(drawn.astype(np.int64), y_score, decision)

    def select(self, rows: NDArray[Any]) -> Predictions:
        """Return the predictions for the rows selected by a mask or an array of positions."""
        y_score = None if self.y_score is None else frozen(self.y_score[rows])
        y_pred, decision = frozen(self.y_pred[rows]), frozen(self.decision[rows])
        return unchecked(Predictions, y_pred=y_pred, y_score=y_score, decision=decision)
