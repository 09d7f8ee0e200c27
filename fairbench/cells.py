"""A point of the grid, and the record of what happened at it; plain data that survives JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Optional

from fairbench import seeding
from fairbench.errors import SuiteError
from fairbench.values import show_params

DONE, SKIPPED, FAILED = "done", "skipped", "failed"
POOL, FRESH, UNKNOWN = "pool", "fresh", "unknown"
OVERLAPS = (POOL, FRESH, UNKNOWN)
SCALES = ("standard", "none")


def canonical(value: Any) -> str:
    """Return the one JSON text of a plain value: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Choice:
    """A component's name with its parameters: ``faalgrad[inner_steps=10,split=config1]``."""

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
    """One fit: scenario, dataset, group, preparation, method and repeat.

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
        fields = asdict(self)
        del fields["metrics"]
        return hashlib.sha256(canonical(fields).encode()).hexdigest()[:32]

    @cached_property
    def split_key(self) -> str:
        """Return the hash of all that determines the split, which every method shares."""
        fields = [asdict(self.dataset), self.group, self.repeat, asdict(self.preparation)]
        return hashlib.sha256(canonical(fields).encode()).hexdigest()[:32]

    @property
    def components(self) -> list[tuple[str, str]]:
        """Return kind and name of each component that has a part in the cell's numbers."""
        used = [("datasets", self.dataset.name), ("methods", self.method.name), ("scenarios", self.scenario.name)]
        return used + [("metrics", name) for name in self.metrics]

    def seed(self, purpose: str) -> int:
        """Return the seed for a purpose; methods share it, and so their splits and first weights."""
        return seeding.seed(purpose, self.dataset.name, self.group, self.repeat)

    def to_json(self) -> str:
        """Return the cell as one line of JSON."""
        return canonical(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """Read what ``to_json`` wrote."""
        fields = json.loads(text)
        for name in ("dataset", "method", "scenario"):
            fields[name] = Choice(**fields[name])
        fields["preparation"] = Preparation(**fields["preparation"])
        fields["metrics"] = tuple(fields["metrics"])
        return cls(**fields)


@dataclass(frozen=True)
class Parts:
    """How many rows each part of a cell's split has, and how the splits of the repeats overlap.

    ``overlap`` is ``pool`` where every repeat parts the same rows anew (Nadeau and Bengio's correction applies),
    ``fresh`` where no two repeats share a row, and ``unknown`` where neither holds: no interval is then known.
    """

    train: int
    validation: int
    test: int
    overlap: str = POOL


def compares_groups(metric: str) -> bool:
    """Return whether a metric's name says that it compares groups: a difference, ratio or gap, or what is worst.

    Its value over fewer groups than the dataset has is another quantity, and says nothing of a method that decides
    alike for everybody.
    """
    return metric.endswith(("_difference", "_ratio", "_gap")) or metric.startswith("worst_")


def no_rows(groups: Sequence[str]) -> str:
    """Return a sentence about groups of the dataset without a row in the test part."""
    names = " and ".join(map(repr, groups))
    return (
        f"group {names} has no row in the test part"
        if len(groups) == 1
        else f"groups {names} have no row in the test part"
    )


class Value(NamedTuple):
    """One measured number; ``group`` is empty for all rows together.

    ``reason`` says why ``value`` is None, or without which groups of the dataset it is taken.
    """

    step: int
    point: str
    group: str
    metric: str
    value: Optional[float]
    reason: str = ""

    @property
    def whole(self) -> Optional[float]:
        """Return the value if it is taken over all groups of the dataset, else None."""
        return None if self.reason else self.value


@dataclass(frozen=True)
class Record:
    """What happened at a cell.

    Args:
        cell: the cell.
        status: ``done``, ``skipped`` (``reason`` says why) or ``failed`` (``reason`` is the traceback).
        reason: empty for a cell that is done.
        values: every metric at every step, operating point and group.
        chosen: the operating point that stands for the method.
        diagnostics: curves recorded while training, by name.
        seconds: wall-clock time of the cell.
        cpu_seconds: CPU time of the process that ran it.
        versions: distribution -> version of fairbench and of each plugin that had a part in the numbers.
        parts: sizes of the split's parts; None if the cell had no split, or an old store does not say.
        alike: (step, operating point) of the predictions that decide alike for everybody, see ``alike.py``.
        remarks: sentences that must stand beside the cell, e.g. which setting of the process its method changed.
        supports: (group, rows of the test part) for every group of the dataset, in the order of the codes; of the last
            step. Empty if the cell had no test part, or an old store does not say.
    """

    cell: Cell
    status: str
    reason: str = ""
    values: tuple[Value, ...] = ()
    chosen: str = ""
    diagnostics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    parts: Optional[Parts] = None
    alike: tuple[tuple[int, str], ...] = ()
    remarks: tuple[str, ...] = ()
    supports: tuple[tuple[str, int], ...] = ()

    @property
    def decides_alike(self) -> bool:
        """Return whether the chosen operating point decides alike for everybody at the last step."""
        return (max((value.step for value in self.values), default=0), self.chosen) in self.alike
