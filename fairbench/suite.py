"""A grid: read from a suite file or from choices on the command line, and planned into cells."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairbench.cells import Cell, Choice, Preparation, canonical
from fairbench.choices import parse_choices
from fairbench.errors import SuiteError, did_you_mean
from fairbench.registry import Registry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALL = "all"
EVERY_DATASET = "any"  # in a suite's parameters: whatever the dataset


@dataclass(frozen=True)
class Suite:
    """A grid of cells; a field may hold alternatives wherever it is a tuple.

    Args:
        name: for the run directory.
        datasets: choices such as ``compas`` or ``adult[missing=category]``, or ``all``.
        methods: choices such as ``faalgrad[split=config1|config2]``, or ``all``.
        scenarios: choices; ``holdout`` by default.
        metrics: names, or ``all``.
        group: the sensitive attributes to measure by; empty for each dataset's first.
        repeats: number of splits, each with its own seed.
        scale: ``standard`` or ``none``.
        sensitive_as_feature: whether the group is among the features.
        stratify: whether splits keep the shares of label and group.
        parameters: hyper-parameters by dataset (or ``any``) and method; a choice's own parameters win.
    """

    name: str
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    scenarios: tuple[str, ...] = ("holdout",)
    metrics: tuple[str, ...] = (ALL,)
    group: tuple[str, ...] = ("",)
    repeats: int = 5
    scale: tuple[str, ...] = ("standard",)
    sensitive_as_feature: tuple[bool, ...] = (False,)
    stratify: bool = False
    parameters: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what does not need the registry."""
        if self.repeats < 1:
            raise SuiteError(f"suite {self.name}: repeats is {self.repeats}; at least 1 is needed")
        for what in ("datasets", "methods"):
            if not getattr(self, what):
                raise SuiteError(f"suite {self.name}: {what} is empty; name at least one, or 'all'")

    def to_dict(self) -> dict[str, Any]:
        """Return the suite as plain data, as ``run.json`` keeps it."""
        return dataclasses.asdict(self)


_TUPLES = {
    "datasets": str,
    "methods": str,
    "scenarios": str,
    "metrics": str,
    "group": str,
    "scale": str,
    "sensitive_as_feature": bool,
}
_PLAIN = {"name": str, "repeats": int, "stratify": bool}


def read_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises:
        SuiteError: the file cannot be read, is not TOML, or holds an unknown key or a value of the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"suite {path} cannot be read: {error}") from error
    return parse_suite(text, str(path), path.stem)


def parse_suite(text: str, where: str, name: str) -> Suite:
    """Return the suite that a TOML text describes; ``where`` is for messages."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"suite {where} is not valid TOML: {error}") from error
    known = [*_PLAIN, *_TUPLES, "parameters", "extends"]
    for key in table:
        if key not in known:
            raise SuiteError(
                f"suite {where}: {key!r} is not a key{did_you_mean(key, known)} (keys: {', '.join(known)})"
            )
    for needed in ("datasets", "methods"):
        if needed not in table:
            raise SuiteError(f"suite {where} has no {needed!r}; add e.g. {needed} = ['all']")
    fields: dict[str, Any] = {"name": name}
    for key, kind in _PLAIN.items():
        if key in table:
            fields[key] = _checked(table[key], kind, f"suite {where}: {key}")
    for key, kind in _TUPLES.items():
        if key in table:
            items = table[key] if isinstance(table[key], list) else [table[key]]
            fields[key] = tuple(_checked(item, kind, f"suite {where}: {key}") for item in items)
    parameters = checked_parameters(table.get("parameters", {}), where)
    if "extends" in table:
        if table["extends"] != "default":
            raise SuiteError(f"suite {where}: extends is {table['extends']!r}; only 'default' can be extended")
        parameters = merge_parameters(default_parameters(), parameters)
    return Suite(**fields, parameters=parameters)


def _checked(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        words = {str: "a text", int: "a whole number", bool: "true or false"}[kind]
        raise SuiteError(f"{where} is {value!r}; it must be {words}")
    return value


def checked_parameters(table: Any, where: str) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return hyper-parameters by dataset and method as they are, if they are tables of that depth.

    Raises:
        SuiteError: they are not; ``where`` is for the message.
    """
    levels = isinstance(table, dict) and all(
        isinstance(methods, dict) and all(isinstance(params, dict) for params in methods.values())
        for methods in table.values()
    )
    if not levels:
        raise SuiteError(
            f"suite {where}: parameters must be tables such as [parameters.compas.faalgrad], or [parameters.any.mlp]"
        )
    return table  # type: ignore[no-any-return]


def merge_parameters(
    base: Mapping[str, Mapping[str, Mapping[str, Any]]], over: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return both tables in one; where both give a value, the second wins."""
    merged = {
        dataset: {method: dict(params) for method, params in methods.items()} for dataset, methods in base.items()
    }
    for dataset, methods in over.items():
        for method, params in methods.items():
            merged.setdefault(dataset, {}).setdefault(method, {}).update(params)
    return merged


def default_parameters() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return the hyper-parameters of the default suite, which command-line runs use."""
    text = importlib.resources.files("fairbench").joinpath("default_suite.toml").read_text(encoding="utf-8")
    return checked_parameters(tomllib.loads(text)["parameters"], "default")


def plan(suite: Suite, registry: Registry) -> list[Cell]:
    """Return the suite's cells, those that share a split side by side.

    Raises:
        UnknownName, SuiteError: a name or a value is wrong; nothing has run yet.
    """
    datasets = [registry.shorten("datasets", choice) for choice in _choices(suite.datasets, "datasets", registry)]
    methods = _choices(suite.methods, "methods", registry)
    scenarios = [registry.complete("scenarios", choice) for choice in _choices(suite.scenarios, "scenarios", registry)]
    metrics = metric_names(suite.metrics, registry)
    if not registry.restricted:  # else the default suite speaks of methods that were left out
        for name in (name for tables in suite.parameters.values() for name in tables):
            registry.get("methods", name)
    cells = []
    for dataset in datasets:
        tuned = [registry.complete("methods", tune(suite.parameters, dataset.name, method)) for method in methods]
        groups = [group or registry.get("datasets", dataset.name).sensitive_features[0] for group in suite.group]
        for group in groups:
            for preparation in _preparations(suite):
                for scenario in scenarios:
                    for repeat in range(suite.repeats):
                        cells += [
                            Cell(dataset, method, group, repeat, preparation, scenario, metrics) for method in tuned
                        ]
    unique = {cell.key: cell for cell in cells}
    return list(unique.values())


def plan_digest(cells: Sequence[Cell]) -> str:
    """Return the hash of a plan: cells and metrics."""
    return hashlib.sha256(canonical([[cell.key, list(cell.metrics)] for cell in cells]).encode()).hexdigest()


def tune(parameters: Mapping[str, Mapping[str, Mapping[str, Any]]], dataset: str, choice: Choice) -> Choice:
    """Return the choice with the suite's hyper-parameters for the dataset where it gives none itself."""
    general = parameters.get(EVERY_DATASET, {}).get(choice.name, {})
    special = parameters.get(dataset, {}).get(choice.name, {})
    return Choice(choice.name, {**general, **special, **choice.params})


def _choices(texts: Sequence[str], kind: str, registry: Registry) -> list[Choice]:
    choices = []
    for choice in (choice for text in texts for choice in parse_choices(text)):
        choices += _all(kind, registry) if choice.name == ALL else [choice]
    return choices


def _all(kind: str, registry: Registry) -> list[Choice]:
    """Return every component of a kind but those that want to be named (``only_by_name``)."""
    return [
        Choice(name) for name in registry.names(kind) if not getattr(registry.get(kind, name), "only_by_name", False)
    ]


def metric_names(texts: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """Return the names that texts such as ``all`` or ``accuracy,roc_auc`` stand for.

    Raises:
        UnknownName: no metric has a name.
    """
    names: list[str] = []
    for choice in _choices(texts, "metrics", registry):
        if choice.params:
            raise SuiteError(f"metric {choice.name} takes no parameters, seen {choice}")
        names.append(registry.metric(choice.name).name)
    return tuple(dict.fromkeys(names))


def _preparations(suite: Suite) -> list[Preparation]:
    return [
        Preparation(scale, sensitive, suite.stratify)
        for scale in suite.scale
        for sensitive in suite.sensitive_as_feature
    ]
