"""A point of the grid; plain data that survives JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from fairbench import seeding
from fairbench.errors import SuiteError
from fairbench.notation import show_params

SCALES = ("standard", "none")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """Return the one JSON text of a plain value: sorted keys, no blanks, no NaN."""
    return _ENCODER.encode(value)


@dataclass(frozen=True)
class Choice:
    """A component's name with its parameters: ``faalgrad[inner_steps=10,split=config1]``.

    Args:
        name: of the component.
        params: plain values by the parameter's name; those that are left out have their defaults.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the form that the command line reads."""
        return f"{self.name}[{show_params(self.params)}]" if self.params else self.name


@dataclass(frozen=True)
class Preparation:
    """How a dataset becomes the parts of a split: the same for every method.

    Args:
        scale: ``standard`` (mean 0, variance 1 on the training part) or ``none`` (numbers as they are).
        sensitive_as_feature: whether the group is among the features.
        stratify: whether the parts keep the shares of (y, group).
    """

    scale: str = "standard"
    sensitive_as_feature: bool = False
    stratify: bool = False

    def __post_init__(self) -> None:
        """Check the scale."""
        if self.scale not in SCALES:
            raise SuiteError(f"scale is {self.scale!r}; it must be one of {', '.join(SCALES)}")


@dataclass(frozen=True)
class Cell:
    """One fit: scenario, dataset, group, preparation, method and repeat, with the names of its metrics.

    Method and scenario spell out every parameter, so that a key stands for the same computation whatever the defaults;
    the dataset gives those that differ from its defaults (a run keeps the digest of what was loaded).
    """

    dataset: Choice
    method: Choice
    group: str
    repeat: int
    preparation: Preparation = Preparation()
    scenario: Choice = Choice("holdout")
    metrics: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return the cell's hash, which the store resumes by; metrics are not part of it (they can be rescored)."""
        plain = self._plain()
        del plain["metrics"]
        return hashlib.sha256(canonical(plain).encode()).hexdigest()[:32]

    @cached_property
    def split_key(self) -> str:
        """Return the hash of all that determines the split, which every method shares."""
        plain = [vars(self.dataset), self.group, self.repeat, vars(self.preparation)]
        return hashlib.sha256(canonical(plain).encode()).hexdigest()[:32]

    @property
    def components(self) -> list[tuple[str, str]]:
        """Return kind and name of each component that has a part in the cell's numbers."""
        used = [("datasets", self.dataset.name), ("methods", self.method.name), ("scenarios", self.scenario.name)]
        return used + [("metrics", name) for name in self.metrics]

    def seed(self, purpose: str) -> int:
        """Return the seed for a purpose; methods share it, and so their splits and first weights."""
        return seeding.derive_seed(purpose, self.dataset.name, self.group, self.repeat)

    def to_json(self) -> str:
        """Return the cell as one line of JSON."""
        return canonical(self._plain())

    def _plain(self) -> dict[str, Any]:
        """Return the fields as plain data; unlike ``dataclasses.asdict`` without copies, which each cell would pay."""
        parts = (Choice, Preparation)
        values = {known.name: getattr(self, known.name) for known in fields(self)}
        return {name: vars(value) if isinstance(value, parts) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """Return the cell whose text ``to_json`` wrote."""
        read = json.loads(text)
        for name in ("dataset", "method", "scenario"):
            read[name] = Choice(**read[name])
        read["preparation"] = Preparation(**read["preparation"])
        read["metrics"] = tuple(read["metrics"])
        return cls(**read)
