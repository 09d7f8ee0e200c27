"""A grid: read from a suite file or from choices on the command line, and planned into cells."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import math
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Optional

from fairbench.cells import Cell, Choice, Preparation, canonical
from fairbench.choices import parse_choices
from fairbench.data.own.declaration import OwnData, declared
from fairbench.errors import SuiteError, UnknownName, did_you_mean
from fairbench.plugins.kinds import component_label
from fairbench.plugins.parameters import check_parameters
from fairbench.plugins.registry import Registry
from fairbench.running.attributes import check_group_names, check_known, plain_attributes
from fairbench.running.hyperparameters import checked_parameters, default_parameters, merge_parameters
from fairbench.running.references import added_methods, reference_scenario

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALL = "all"
EVERY_DATASET = "any"  # in a suite's parameters: whatever the dataset
MOST_CELLS = 1_000_000
LARGEST_FILE = 1_000_000  # bytes
DEEPEST = 10  # tables or lists within each other


@dataclass(frozen=True)
class Suite:
    """A grid of cells; a field that is a tuple can hold alternatives.

    Args:
        name: for the run directory.
        datasets: choices such as ``compas`` or ``adult[missing=category]``, or ``all``.
        methods: choices such as ``faalgrad[split=config1|config2]``, or ``all``.
        scenarios: choices; ``holdout`` by default.
        metrics: names, or ``all``.
        group: the sensitive attributes whose groups are compared; empty for each dataset's first.
        repeats: number of splits, each with its own seed: how results vary with the data.
        tunings: for each split, number of ways to divide what is not its test part into training and validation part:
            how results vary with what is tuned on.
        fits: for each of these, number of fits with seeds of their own: how results vary with the model's seed.
        scale: ``standard`` or ``none``.
        sensitive_as_feature: whether the group is one of the features.
        stratify: whether the parts keep the proportions of label and group.
        group_known: the share of training and validation rows whose group is known.
        group_at_prediction: whether the group of a row is known when it is predicted.
        baseline: the method that others are compared with; empty for ``mlp``.
        reference: whether the methods that reference lines are drawn through are added: ``attainable``, and the
            baseline if the suite lacks it. None leaves it to whoever runs the suite: ``fairbench run`` adds them.
        parameters: hyper-parameters by dataset (or ``any``) and method; a choice's own parameters win.
        data: tables of the user's own by the name of their dataset, each declared as in ``[data.NAME]``.
    """

    name: str
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    scenarios: tuple[str, ...] = ("holdout",)
    metrics: tuple[str, ...] = (ALL,)
    group: tuple[str, ...] = ("",)
    repeats: int = 5
    tunings: int = 1
    fits: int = 1
    scale: tuple[str, ...] = ("standard",)
    sensitive_as_feature: tuple[bool, ...] = (False,)
    stratify: tuple[bool, ...] = (False,)
    group_known: tuple[float, ...] = (1.0,)
    group_at_prediction: tuple[bool, ...] = (True,)
    baseline: str = ""
    reference: Optional[bool] = None
    parameters: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what does not need the registry."""
        for what, kind in _PLAIN.items():
            if what != "reference" or self.reference is not None:
                _checked(getattr(self, what), kind, f"suite {self.name}: {what}")
        for what, kind in _TUPLES.items():
            if not isinstance(getattr(self, what), tuple):
                raise SuiteError(f"suite {self.name}: {what} is {getattr(self, what)!r}; it must be a list")
            for item in getattr(self, what):
                _checked(item, kind, f"suite {self.name}: {what}")
            if not getattr(self, what):
                advice = "or 'all'" if what in ("datasets", "methods") else "or leave it out for the default"
                raise SuiteError(f"suite {self.name}: {what} is empty; name at least one, {advice}")

        for what in ("repeats", "tunings", "fits"):
            if getattr(self, what) < 1:
                raise SuiteError(f"suite {self.name}: {what} is {getattr(self, what)}; at least 1 is needed")

    @property
    def runs(self) -> int:
        """Return how often each method runs on a dataset: repeats by tunings by fits."""
        return self.repeats * self.tunings * self.fits

    def with_data(self, data: Mapping[str, Mapping[str, Any]]) -> Suite:
        """Return the suite with further tables of the user's own, which run even if its datasets do not name them."""
        named = {choice.name for text in self.datasets for choice in parse_choices(text)}
        more = [] if ALL in named else [name for name in data if name not in named]
        return dataclasses.replace(self, data={**self.data, **data}, datasets=(*self.datasets, *more))

    def own(self, given: Optional[OwnData] = None) -> tuple[OwnData, ...]:
        """Return the tables of the user's own; ``given`` stands for the declaration with its name.

        Raises:
            SuiteError: a declaration cannot be read, or its rows were given in Python.
        """
        return tuple(
            given if given and name == given.name else declared(name, table, f"suite {self.name}: data.{name}")
            for name, table in self.data.items()
        )

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
    "stratify": bool,
    "group_known": float,
    "group_at_prediction": bool,
}
_PLAIN = {"name": str, "repeats": int, "tunings": int, "fits": int, "baseline": str, "reference": bool}


def read_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises:
        SuiteError: the file cannot be read, is not TOML, or holds an unknown key or a value of the wrong type.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SuiteError(
                f"suite {path} is not a file that can be read (a folder, a pipe or a device); name a TOML file"
            )
        if found.st_size > LARGEST_FILE:
            raise SuiteError(f"suite {path} has {found.st_size} bytes; at most {LARGEST_FILE} are read")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError(
            f"suite {path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise SuiteError(f"suite {path} cannot be read: {error}") from error
    return parse_suite(text, str(path), path.stem, path.parent)


def parse_suite(text: str, where: str, name: str, folder: Path = Path()) -> Suite:
    """Return the suite that a TOML text describes; ``where`` is for messages, and files are relative to ``folder``."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # Python refuses numbers of thousands of digits by a ValueError
        raise SuiteError(f"suite {where} is not valid TOML: {error}") from error
    check_plain(table, f"suite {where}")
    known = [*_PLAIN, *_TUPLES, "parameters", "extends", "data"]
    for key in table:
        if key not in known:
            raise SuiteError(
                f"suite {where}: {key!r} is not a key{did_you_mean(key, known)} (keys: {', '.join(known)})"
            )
    data = _own_tables(table.get("data", {}), where, folder)
    if data:
        table.setdefault("datasets", list(data))
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
    check_group_names(fields.get("group", ()), f"suite {where}: ")
    parameters = checked_parameters(table.get("parameters", {}), where)
    if "extends" in table:
        if table["extends"] != "default":
            raise SuiteError(f"suite {where}: extends is {table['extends']!r}; only 'default' can be extended")
        parameters = merge_parameters(default_parameters(), parameters)
    return Suite(**fields, parameters=parameters, data=data)


def _own_tables(tables: Any, where: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the declarations ``[data.NAME]`` with absolute paths, checked."""
    if not isinstance(tables, dict):
        raise SuiteError(f"suite {where}: data is {tables!r}; declare tables of your own as [data.NAME]")
    found = {}
    for name, table in tables.items():
        if isinstance(table, dict) and isinstance(table.get("file"), str) and table["file"]:
            table = {**table, "file": str(folder / Path(table["file"]).expanduser())}
        found[name] = declared(name, table, f"suite {where}: data.{name}").to_dict()
    return found


def check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Refuse TOML values that nothing can have: dates, deep nesting, numbers that are infinite or too large to record.

    Raises:
        SuiteError: there is one; the message begins with ``where`` and names the key.
    """
    if depth > DEEPEST:
        raise SuiteError(f"{where[:200]} is nested more than {DEEPEST} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            check_plain(item, f"{where}{'.' if depth else ': '}{key}", depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_plain(item, where, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SuiteError(f"{where} is {value}; it must be a finite number")
    elif isinstance(value, int) and value.bit_length() > 64:
        raise SuiteError(f"{where} is a whole number of {value.bit_length()} bits; at most 64 can be kept")
    elif isinstance(value, (datetime.date, datetime.time)):
        raise SuiteError(f"{where} is the date or time {value}; write it in quotes if a text is meant")


def _checked(value: Any, kind: type, where: str) -> Any:
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (kind in (int, float) and isinstance(value, bool)):
        words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[kind]
        raise SuiteError(f"{where} is {value!r}; it must be {words}")
    return value


def plan(suite: Suite, registry: Registry) -> list[Cell]:
    """Return the suite's cells, those that share a split side by side.

    Raises:
        UnknownName, SuiteError: a name or a value is wrong; nothing has run yet.
    """
    _check_tables(suite, registry)
    datasets = [registry.shorten("datasets", choice) for choice in _choices(suite.datasets, "datasets", registry)]
    methods = _choices(suite.methods, "methods", registry)
    scenarios = [registry.complete("scenarios", choice) for choice in _choices(suite.scenarios, "scenarios", registry)]
    metrics = metric_names(suite.metrics, registry)
    attributes, prepared = list(map(plain_attributes, suite.group)), math.prod(map(len, _axes(suite)))
    declared = {str(dataset): list(registry.dataset(dataset).sensitive_features) for dataset in datasets}
    check_known(attributes, declared)
    added = added_methods(suite.baseline, methods, registry)  # refuses a baseline that does not exist
    added = added if suite.reference else []
    beside = reference_scenario(scenarios, registry) if added else None
    every = len(methods) * len(scenarios) + (len(added) if beside else 0)
    count = len(datasets) * len(attributes) * prepared * every * suite.runs
    if count > MOST_CELLS:
        raise SuiteError(
            f"suite {suite.name} has {count} cells; at most {MOST_CELLS} are planned, so ask for fewer repeats"
        )
    preparations = [Preparation(*choice) for choice in product(*_axes(suite))]
    cells = []
    for dataset in datasets:
        tuned = [registry.complete("methods", tune(suite.parameters, dataset.name, method)) for method in methods]
        extra = [registry.complete("methods", tune(suite.parameters, dataset.name, method)) for method in added]
        groups = [group or declared[str(dataset)][0] for group in attributes]
        for group in groups:
            for preparation in preparations:
                runs = [(scenario, tuned) for scenario in scenarios]
                if beside is not None:
                    runs.append((beside, extra))
                for scenario, several in runs:
                    within = product(range(suite.repeats), range(suite.tunings), range(suite.fits), several)
                    cells += [
                        Cell(dataset, method, group, repeat, preparation, scenario, metrics, tuning, fit)
                        for repeat, tuning, fit, method in within
                    ]
    unique = {cell.key: cell for cell in cells}
    return list(unique.values())


def left_out(suite: Suite, registry: Registry) -> list[str]:
    """Return a sentence for each component that ``all`` leaves out because it cannot be built without parameters."""
    sentences = []
    for kind in ("datasets", "methods", "scenarios"):
        named = [choice.name for text in getattr(suite, kind) for choice in parse_choices(text)]
        if ALL in named:
            reasons = [
                (name, registry.lacks(kind, name)) for name in _meant_by_all(kind, registry) if name not in named
            ]
            sentences += [
                f"{component_label(kind, name)} is left out of 'all': {reason}" for name, reason in reasons if reason
            ]
    return sentences


def _check_tables(suite: Suite, registry: Registry) -> None:
    """Refuse unknown names and wrong values in the suite's hyper-parameters, even if this run does not use them.

    If FAIRBENCH_PLUGINS leaves plugins out, an unknown name may belong to one of them and is ignored.
    """
    datasets = [EVERY_DATASET, *registry.names("datasets")]
    for dataset, methods in suite.parameters.items():
        if dataset not in datasets and not registry.restricted:
            hint = f" (in a suite's [parameters.{dataset}]; 'any' stands for every dataset)"
            raise UnknownName("dataset", dataset, datasets, hint)
        for method, params in methods.items():
            if method in registry.names("methods") or not registry.restricted:
                where = f"[parameters.{dataset}] method {method}"
                check_parameters(registry.get("methods", method), where, params)


def plan_digest(cells: Sequence[Cell]) -> str:
    """Return the hash of a plan: of the canonical JSON text of all pairs of key and metrics."""
    metrics = lru_cache(canonical)  # most cells of a plan have the same
    pairs = ",".join(f'["{cell.key}",{metrics(cell.metrics)}]' for cell in cells)
    return hashlib.sha256(f"[{pairs}]".encode()).hexdigest()


def tune(parameters: Mapping[str, Mapping[str, Mapping[str, Any]]], dataset: str, choice: Choice) -> Choice:
    """Return the choice, with the suite's hyper-parameters for the dataset where the choice gives none."""
    general = parameters.get(EVERY_DATASET, {}).get(choice.name, {})
    special = parameters.get(dataset, {}).get(choice.name, {})
    return Choice(choice.name, {**general, **special, **choice.params})


def _choices(texts: Sequence[str], kind: str, registry: Registry) -> list[Choice]:
    choices = []
    for choice in (choice for text in texts for choice in parse_choices(text)):
        if choice.name == ALL:
            if choice.params:
                raise SuiteError(f"{choice} gives parameters to all {kind}; name those that take them")
            names = _meant_by_all(kind, registry)
            choices += [Choice(name) for name in names if kind == "metrics" or not registry.lacks(kind, name)]
        else:
            choices.append(choice)
    return choices


def _meant_by_all(kind: str, registry: Registry) -> list[str]:
    """Return every component of a kind except those that must be named (``only_by_name``)."""
    return [name for name in registry.names(kind) if not getattr(registry.get(kind, name), "only_by_name", False)]


def metric_names(texts: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """Return the names that texts such as ``all`` or ``accuracy,roc_auc`` stand for.

    Raises:
        UnknownName: there is no metric of a given name.
    """
    names: list[str] = []
    for choice in _choices(texts, "metrics", registry):
        if choice.params:
            raise SuiteError(f"metric {choice.name} takes no parameters, seen {choice}")
        names.append(registry.metric(choice.name).name)
    return tuple(dict.fromkeys(names))


def _axes(suite: Suite) -> tuple[tuple[Any, ...], ...]:
    """Return the alternatives of each field of a preparation."""
    return suite.scale, suite.sensitive_as_feature, suite.stratify, suite.group_known, suite.group_at_prediction
