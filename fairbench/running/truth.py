"""What stored predictions are scored on: everything that a metric can read of a test part, except the features."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import canonical
from fairbench.data.rows import Inputs, Integers, Keys, Samples, Schema
from fairbench.errors import Undefined

FEATURES = "features are not stored, so a metric that reads X has a value only in the run itself"
OLD = (
    "this run was stored by an older fairbench, which kept neither the protected group, the favourable label, the keys "
    "nor the rows' positions; run it again"
)


@dataclass(frozen=True, eq=False)
class Truth:
    """What test predictions are scored on.

    Args:
        y: (n,) labels.
        group: (n,) group codes.
        group_names: the names of the groups.
        protected: the code of the protected group; None if the run was stored by an older fairbench, which kept
            neither this nor anything below.
        favorable_label: the label that is good for the person.
        feature_names: (d,) names of the encoded columns.
        image_shape: shape of images, see ``Schema``.
        keys: by name, (n,) numbers or strings that say which task or cluster a row belongs to.
        rows: (n,) positions in the dataset; None if the rows are not rows of the dataset.
    """

    y: Integers
    group: Integers
    group_names: tuple[str, ...]
    protected: Optional[int] = None
    favorable_label: Optional[int] = None
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, ...] = ()
    keys: Keys = field(default_factory=dict)
    rows: Optional[Integers] = None

    @classmethod
    def of(cls, samples: Samples) -> Truth:
        """Return what a metric may read of a test part."""
        schema = samples.schema
        return cls(
            samples.y,
            samples.group,
            schema.group_names,
            schema.protected,
            schema.favorable_label,
            schema.feature_names,
            schema.image_shape,
            samples.keys,
            samples.rows,
        )

    @cached_property
    def key(self) -> str:
        """Return a hash of the contents, by which equal test parts are stored once."""
        total = hashlib.sha256(canonical(self.about).encode())
        for name, array in self.arrays.items():
            total.update(f"{name} {array.nbytes} ".encode())
            total.update(array.tobytes())
        return total.hexdigest()[:32]

    @property
    def about(self) -> dict[str, Any]:
        """Return everything except the arrays, as plain data."""
        return {
            "group_names": list(self.group_names),
            "protected": None if self.protected is None else int(self.protected),
            "favorable_label": None if self.favorable_label is None else int(self.favorable_label),
            "feature_names": list(self.feature_names),
            "image_shape": [int(size) for size in self.image_shape],
            "keys": [[name, _portable(values).dtype.str] for name, values in self.keys.items()],
            "rows": self.rows is not None,
        }

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays as they are stored, each (n,), in the types of ``array_types``."""
        arrays = {"y": self.y.astype("u1"), "group": self.group.astype("<i4")}
        if self.rows is not None:
            arrays["rows"] = self.rows.astype("<i8")
        arrays.update({f"key {place}": _portable(values) for place, values in enumerate(self.keys.values())})
        return arrays

    @staticmethod
    def array_types(about: Mapping[str, Any]) -> dict[str, str]:
        """Return the type of each array that belongs to what ``about`` says."""
        rows = {"rows": "<i8"} if about["rows"] else {}
        keys = {f"key {place}": dtype for place, (_, dtype) in enumerate(about["keys"])}
        return {"y": "u1", "group": "<i4", **rows, **keys}

    @classmethod
    def rebuilt(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Truth:
        """Return the truth that has these ``about`` and ``arrays``."""
        return cls(
            arrays["y"].astype(np.int64),
            arrays["group"].astype(np.int64),
            tuple(about["group_names"]),
            about["protected"],
            about["favorable_label"],
            tuple(about["feature_names"]),
            tuple(about["image_shape"]),
            {name: arrays[f"key {place}"] for place, (name, _) in enumerate(about["keys"])},
            arrays["rows"].astype(np.int64) if about["rows"] else None,
        )

    def samples(self, features: str = FEATURES, old: str = OLD) -> Samples:
        """Return the test part for metrics; reading what was not kept raises ``Undefined``.

        Args:
            features: why there are no features.
            old: why there is nothing else, if ``protected`` is None.
        """
        return StoredSamples.of(self, features, old)


def _portable(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array with the byte order of the files."""
    return values.astype(values.dtype.newbyteorder("<") if values.dtype.itemsize else "<U1")


class _Partly:
    """An object that raises ``Undefined``, with the reason, when something is read that was not kept."""

    def __getattribute__(self, name: str) -> Any:
        """Return an attribute, unless it is one of the absent ones."""
        absent = super().__getattribute__("__dict__").get("absent", {})
        if name in absent:
            raise Undefined(absent[name])
        return super().__getattribute__(name)


class _StoredSchema(_Partly, Schema):
    """The schema of a stored test part."""


class StoredSamples(_Partly, Samples):
    """A stored test part: everything that a metric can read of ``Samples``, except the features."""

    @classmethod
    def of(cls, truth: Truth, features: str = FEATURES, old: str = OLD) -> StoredSamples:
        """Return the samples of a truth; see ``Truth.samples``."""
        lacking = truth.protected is None
        unkept = ("protected", "favorable_label", "feature_names", "image_shape")
        schema = _filled(
            _StoredSchema,
            group_names=truth.group_names,
            protected=truth.protected,
            favorable_label=truth.favorable_label,
            feature_names=truth.feature_names,
            image_shape=truth.image_shape,
            absent=dict.fromkeys(unkept, old) if lacking else {},
        )
        absent = {"X": features, **(dict.fromkeys(("keys", "rows"), old) if lacking else {})}
        fields = {"group": truth.group, "y": truth.y, "keys": truth.keys, "rows": truth.rows}
        made: StoredSamples = _filled(cls, schema=schema, absent=absent, **fields)
        return made

    @property
    def inputs(self) -> Inputs:
        """Raise ``Undefined``, because inputs are features."""
        raise Undefined(self.__dict__["absent"]["X"])

    def select(self, rows: NDArray[Any]) -> StoredSamples:
        """Return the rows selected by a boolean mask or an array of positions (positions can repeat)."""
        fields = dict(self.__dict__)
        fields["keys"] = {name: values[rows] for name, values in fields["keys"].items()}
        fields["rows"] = None if fields["rows"] is None else fields["rows"][rows]
        made: StoredSamples = _filled(type(self), **{**fields, "group": self.group[rows], "y": self.y[rows]})
        return made


def _filled(kind: Any, **fields: Any) -> Any:
    """Return an instance with these fields, without its checks, which were made before it was stored."""
    made = object.__new__(kind)
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        made.__dict__[name] = value
    return made
