"""A cell of the grid; plain data that survives JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, Optional

from fairbench import seeding
from fairbench.errors import SuiteError
from fairbench.notation import show_params

SCALES = ("standard", "none")
WITHIN = {
    "split": 0,
    "search": 1,
    "known groups": 1,
}  # purpose of a seed -> whether it depends on neither, the tuning, or (else) the fit too
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@lru_cache(maxsize=64)
def _names(names: tuple[str, ...]) -> str:
    """Return the JSON text of names, which the cells of a plan have in common."""
    return canonical(names)


def canonical(value: Any) -> str:
    """Return the canonical JSON text of a plain value: sorted keys, no blanks, no NaN."""
    return _ENCODER.encode(value)


@dataclass(frozen=True)
class Choice:
    """A component's name with its parameters: ``faalgrad[inner_steps=10,split=config1]``.

    Args:
        name: the component's name.
        params: plain values by parameter name; parameters that are left out have their defaults.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the form that the command line reads."""
        return self._label

    @cached_property
    def _label(self) -> str:
        return f"{self.name}[{show_params(self.params)}]" if self.params else self.name

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Return name and parameters as plain data."""
        return {"name": self.name, "params": self.params}

    @cached_property
    def text(self) -> str:
        """Return the canonical JSON text, taken once: the cells of a plan share their choices."""
        return canonical(self.plain)


@dataclass(frozen=True)
class Preparation:
    """How a dataset becomes the parts of a split: the same for every method.

    Args:
        scale: ``standard`` (mean 0, variance 1 on the training part) or ``none`` (numbers as they are).
        sensitive_as_feature: whether the group is one of the features.
        stratify: whether the parts keep the proportions of (y, group).
        group_known: the share of the training rows, and of the validation rows, whose group is known.
        group_at_prediction: whether the group of a row is known when it is predicted.
    """

    scale: str = "standard"
    sensitive_as_feature: bool = False
    stratify: bool = False
    group_known: float = 1.0
    group_at_prediction: bool = True

    def __post_init__(self) -> None:
        """Check the scale and the share."""
        if self.scale not in SCALES:
            raise SuiteError(f"scale is {self.scale!r}; it must be one of {', '.join(SCALES)}")
        if not 0 <= self.group_known <= 1:
            raise SuiteError(f"group_known is {self.group_known!r}; it must be a share of the rows, from 0 to 1")
        object.__setattr__(self, "group_known", float(self.group_known))

    @cached_property
    def text(self) -> str:
        """Return the canonical JSON text, without the fields of an assumption that holds in all but a few runs.

        Keys are thus those of runs that knew no other assumption.
        """
        return canonical({name: value for name, value in asdict(self).items() if value != AVAILABLE.get(name)})

    @cached_property
    def split(self) -> dict[str, Any]:
        """Return the fields that determine a split."""
        return {name: value for name, value in asdict(self).items() if name not in AVAILABLE}

    @property
    def assumptions(self) -> list[str]:
        """Return in words where the group is not known; nothing if it is known everywhere."""
        known = f"group known for {100 * self.group_known:.6g}% of training and validation rows"
        told = [known] if self.group_known < 1 else []
        return [*told, *([] if self.group_at_prediction else ["group withheld at prediction"])]

    @property
    def assumption(self) -> str:
        """Return the assumptions in one text."""
        return "; ".join(self.assumptions)


AVAILABLE = {"group_known": 1.0, "group_at_prediction": True}
"""The fields of ``Preparation`` that say where the group is known, as they are where it is known everywhere."""


@dataclass(frozen=True)
class Cell:
    """One fit: scenario, dataset, group, preparation, method and repeat, with the names of its metrics.

    Method and scenario spell out every parameter, so that a key means the same computation even if defaults change;
    the dataset lists the parameters that differ from its defaults (a run keeps the digest of what was loaded).

    Args:
        dataset, method, scenario: choices.
        group: the sensitive attribute.
        repeat: number of the split, from 0.
        preparation: how the dataset becomes parts.
        metrics: names.
        tuning: number of the division into training and validation part, within the repeat, which a search's seed
            depends on too; the test part stays.
        fit: number of the fit, within the tuning, each with seeds of its own for everything but the split.
    """

    dataset: Choice
    method: Choice
    group: str
    repeat: int
    preparation: Preparation = Preparation()
    scenario: Choice = Choice("holdout")
    metrics: tuple[str, ...] = ()
    tuning: int = 0
    fit: int = 0

    @cached_property
    def key(self) -> str:
        """Return the cell's hash, by which a run resumes; metrics are not part of it (they can be rescored)."""
        return hashlib.sha256(self._text("", self.repeat, self.tuning, self.fit).encode()).hexdigest()[:32]

    @cached_property
    def split_key(self) -> str:
        """Return the hash of everything that determines the split, which all methods share."""
        plain = [self.dataset.plain, self.group, self.repeat, self.preparation.split]
        plain += [self.tuning] if self.tuning else []
        return hashlib.sha256(canonical(plain).encode()).hexdigest()[:32]

    @property
    def place(self) -> str:
        """Return dataset and attribute, and where the group is not known everywhere, what is assumed of it."""
        assumption = self.preparation.assumption
        return f"{self.dataset} by {self.group}{f' ({assumption})' if assumption else ''}"

    @property
    def alike(self) -> tuple[str, str, str, tuple[str, ...]]:
        """Return what cells of the same ``components`` share; a plan has many cells and few of these."""
        return self.dataset.name, self.method.name, self.scenario.name, self.metrics

    @property
    def components(self) -> list[tuple[str, str]]:
        """Return kind and name of each component that affects the cell's numbers."""
        used = [("datasets", self.dataset.name), ("methods", self.method.name), ("scenarios", self.scenario.name)]
        return used + [("metrics", name) for name in self.metrics]

    def seed(self, purpose: str) -> int:
        """Return the seed for a purpose; all methods share it, and therefore splits and initial weights.

        That of the split depends on neither ``tuning`` nor ``fit``, that of a search on ``tuning``, others on both.
        """
        within: tuple[int, ...] = (self.tuning, self.fit)[: WITHIN.get(purpose, 2)]
        if not any(within):  # as before there were others
            within = ()
        return seeding.derive_seed(purpose, self.dataset.name, self.group, self.repeat, *within)

    @property
    def validation_seed(self) -> Optional[int]:
        """Return the seed that draws the validation part anew; None for the first tuning, which has the split's own."""
        if not self.tuning:
            return None
        return seeding.derive_seed("validation", self.dataset.name, self.group, self.repeat, self.tuning)

    def to_json(self) -> str:
        """Return the cell as one line of JSON."""
        return self._text(f',"metrics":{canonical(self.metrics)}', self.repeat, self.tuning, self.fit)

    def _text(self, metrics: str, repeat: int, tuning: int, fit: int) -> str:
        """Return the canonical JSON text of the fields, put together from those of its parts: plans have many cells.

        The first tuning and the first fit are left out: keys are those of runs that knew no others.
        """
        number = int.__repr__  # of a whole number only
        fits = f',"fit":{number(fit)}' if fit else ""
        tunings = f',"tuning":{number(tuning)}' if tuning else ""
        return (
            f'{{"dataset":{self.dataset.text}{fits},"group":{canonical(self.group)},"method":{self.method.text}{metrics},'
            f'"preparation":{self.preparation.text},"repeat":{number(repeat)},"scenario":{self.scenario.text}{tunings}}}'
        )

    @cached_property
    def frame(self) -> str:
        """Return the cell as JSON, but for its numbers (repeat, tuning and fit): what many cells have in common."""
        return self._text(f',"metrics":{_names(self.metrics)}', 0, 0, 0)

    def placed(self, repeat: int, tuning: int, fit: int, key: str) -> Cell:
        """Return the cell of the same frame with these numbers, whose ``key`` is known: many are made quickly.

        Args:
            repeat: number of the split.
            tuning: number of the tuning.
            fit: number of the fit.
            key: what ``key`` would return.
        """
        made = object.__new__(Cell)
        made.__dict__.update(self._lasting, repeat=repeat, tuning=tuning, fit=fit, key=key)
        return made

    @cached_property
    def _lasting(self) -> dict[str, Any]:
        """Return what cells of the same frame have in common."""
        return {**{known.name: getattr(self, known.name) for known in fields(self)}, "frame": self.frame}

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """Return the cell that ``to_json`` wrote as this text."""
        read = json.loads(text)
        for name in ("dataset", "method", "scenario"):
            read[name] = Choice(**read[name])
        read["preparation"] = Preparation(**read["preparation"])
        read["metrics"] = tuple(read["metrics"])
        return cls(**read)
