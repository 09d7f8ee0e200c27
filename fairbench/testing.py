"""The checks that every component passes, built-in or not; public, so that other people's plugins can run them.

``CHECKS`` maps each kind to functions that take a component and raise ``Nonconforming``. ``fairbench check PLUGIN``
runs them; a plugin's own tests can too::

    from fairbench.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS["methods"])
    def test_my_method_conforms(check):
        check(MyMethod)
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import random
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Callable, ClassVar, NamedTuple, Optional, Union

import numpy as np

from fairbench.cells import DONE, Cell, Choice, Record, Value, canonical
from fairbench.components import (
    DatasetSpec,
    Executor,
    Fitted,
    Method,
    Metric,
    Outcome,
    Paper,
    Report,
    Resumable,
    Scenario,
)
from fairbench.data import Dataset, Inputs, Predictions, Samples, Split
from fairbench.errors import FairbenchError, NotApplicable, Undefined, UnknownName
from fairbench.examples import example_images, example_split
from fairbench.names import KINDS
from fairbench.papers.published import read_published
from fairbench.papers.rerun import read_rerun
from fairbench.parameters import check_parameters, values
from fairbench.registry import Registry, describe
from fairbench.results import Results
from fairbench.suite import read_suite

SCORE_TOLERANCE = 1e-5  # matrix products take sums in another order when rows move; float32 keeps about seven digits


class Nonconforming(AssertionError):
    """A component breaks a rule that the harness relies on."""


def require(condition: bool, message: str) -> None:
    """Raise Nonconforming with the message unless the condition holds."""
    if not condition:
        raise Nonconforming(message)


@cache
def _refuses_tables(method: type[Method]) -> bool:
    try:
        _fit(method(), example_split())
    except NotApplicable:
        return True
    return False


def _example(method: type[Method], groups: int = 2) -> Split:
    """Return rows of a table, or images if the method refuses tables."""
    return example_images(groups) if _refuses_tables(method) else example_split(groups)


def _fit(method: Method, split: Split, seed: int = 1) -> Fitted:
    return Fitted.of(method.fit(split.train, split.validation, seed=seed))


def _bytes(fitted: Fitted, inputs: Inputs) -> list[bytes]:
    made = [predictor(inputs) for _, predictor in sorted(fitted.points.items())]
    scores = [b"" if predictions.y_score is None else predictions.y_score.tobytes() for predictions in made]
    return [p.y_pred.tobytes() + score + p.decision.tobytes() for p, score in zip(made, scores)]


def _global_state() -> list[Any]:
    state: list[Any] = [random.getstate(), repr(np.random.get_state())]
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        state += [
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
        ]
    return state


@contextmanager
def _other_global_seeds(seed: int) -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed)
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch:
            torch.set_rng_state(torch_state)


def method_repeats_itself(method: type[Method]) -> None:
    """The same seed gives the same bytes, whatever the state of the global generators."""
    split = _example(method)
    with _other_global_seeds(1):
        first = _bytes(_fit(method(), split), split.test.inputs)
    with _other_global_seeds(2):
        second = _bytes(_fit(method(), split), split.test.inputs)
    require(first == second, "two fits with the same seed differ; take all randomness from the seed that fit is given")


def method_leaves_things_as_found(method: type[Method]) -> None:
    """Data, parameters and the global state of the generators are as before."""
    split, instance = _example(method), method()
    parts = [split.train, split.validation, split.test]
    before = [(part.X.copy(), part.y.copy(), part.group.copy()) for part in parts]
    fields, state = repr(instance), _global_state()
    fitted = _fit(instance, split)
    for predictor in fitted.points.values():
        predictor(split.test.inputs)
    unchanged = all(
        np.array_equal(part.X, X) and np.array_equal(part.y, y) and np.array_equal(part.group, group)
        for part, (X, y, group) in zip(parts, before)
    )
    require(unchanged, "fit or the predictor changed the data")
    require(repr(instance) == fields, "fit changed the method's own fields; keep what is learned in the predictor")
    require(_global_state() == state, "fit or the predictor left a global generator or a global setting changed")


def method_predicts_each_row_alone(method: type[Method]) -> None:
    """Predictions permute with the rows, and need no labels."""
    split = _example(method)
    inputs, order = split.test.inputs, np.random.default_rng(5).permutation(len(split.test))
    moved = inputs.select(order)
    for name, predictor in _fit(method(), split).points.items():
        straight, permuted = predictor(inputs), predictor(moved)
        require(
            len(straight.y_pred) == len(inputs),
            f"point {name!r}: {len(straight.y_pred)} predictions for {len(inputs)} rows",
        )
        if straight.y_score is not None and permuted.y_score is not None:
            near = np.abs(straight.y_score[order] - permuted.y_score).max()
            require(near <= SCORE_TOLERANCE, f"point {name!r}: scores change by {near:.2g} when the rows are permuted")
            agree = np.mean(straight.decision[order] == permuted.decision)
            require(bool(agree > 0.95), f"point {name!r}: decisions change when the rows are permuted")
        else:
            same = np.array_equal(straight.decision[order], permuted.decision)
            require(same, f"point {name!r}: decisions change when the rows are permuted")


def method_takes_three_groups(method: type[Method]) -> None:
    """Three groups work, or are refused by NotApplicable with a reason."""
    split = _example(method, groups=3)
    try:
        fitted = _fit(method(), split)
    except NotApplicable as reason:
        require(bool(str(reason)), "NotApplicable was raised without a reason")
        return
    for predictor in fitted.points.values():
        predictor(split.test.inputs)


def parameters_survive_json(component: type) -> None:
    """Every parameter comes back from JSON as it was, and the dataclass is frozen."""
    built = component()
    params = values(built)
    again = component(**check_parameters(component, component.__name__, json.loads(canonical(params))))
    require(again == built, f"{built} became {again} on its way through JSON")
    require(component.__dataclass_params__.frozen, "the dataclass is not frozen; write @dataclass(frozen=True)")  # type: ignore[attr-defined]
    require(bool((inspect.getdoc(component) or "").strip()), "the class has no docstring")


def dataset_files_are_pinned(spec: type[DatasetSpec]) -> None:
    """Every raw file has a full digest, and is served over http or https or says how a user gets it."""
    for file in spec.files:
        digests = [file.sha256, *([file.archive.sha256] if file.archive else [])]
        require(all(len(digest) == 64 for digest in digests), f"{file.path}: a sha256 has 64 hexadecimal digits")
        urls = [*file.urls, *([file.archive.url] if file.archive else [])]
        require(
            all(url.startswith(("http://", "https://")) for url in urls),
            f"{file.path}: only http and https are fetched",
        )
        require(bool(urls) != bool(file.obtain), f"{file.path}: give urls or an archive, or else obtain: how to get it")


def embedded_dataset_loads_alike(spec: type[DatasetSpec]) -> None:
    """A dataset without files loads, twice the same, with the attributes it declares, or says what it needs."""
    if spec.files:
        return
    try:
        first, second = spec().load({}), spec().load({})
    except NotApplicable as reason:  # it wants, say, a folder that only the user can name
        require(bool(str(reason)), "NotApplicable was raised without a reason")
        return
    require(isinstance(first, Dataset), f"load returned {type(first).__name__}, not a Dataset")
    require(first.digest == second.digest, "two loads differ; take all randomness from a parameter")
    declared, seen = tuple(spec.sensitive_features), tuple(first.sensitive_features.columns)
    require(declared == seen, f"sensitive_features declares {declared} but the table has {seen}")


def metric_is_a_pure_function(metric: Metric) -> None:
    """A metric stays in its range, repeats itself, ignores the order of rows and leaves the data alone."""
    samples = example_split(rows=2000).test
    score = np.random.default_rng(3).random(len(samples))
    predictions, order = Predictions.from_score(score), np.random.default_rng(4).permutation(len(samples))
    require(
        metric.better in ("higher", "lower", "neither"), f"better is {metric.better!r}; say higher, lower or neither"
    )
    try:
        value = metric(samples, predictions)
        moved = metric(samples.select(order), predictions.select(order))
        again = metric(samples, predictions)
    except Undefined as reason:
        require(bool(str(reason)), "Undefined was raised without a reason")
        return
    require(value == again, f"two calls gave {value} and {again}")
    require(
        math.isclose(value, moved, rel_tol=1e-9, abs_tol=1e-12), f"{value} became {moved} when the rows were permuted"
    )
    low, high = metric.range
    require(low <= value <= high, f"{value} is outside the range [{low}, {high}]")


@dataclasses.dataclass(frozen=True)
class _Majority:
    """A method for checking scenarios with."""

    name: ClassVar[str] = "majority"

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Any:
        label = int(train.y.mean() >= 0.5)
        return lambda inputs: Predictions(np.full(len(inputs), label))


def _with_key(split: Split) -> Split:
    """Return the same rows with a key, by which a scenario may form tasks."""
    parts = (split.train, split.validation, split.test)
    return Split(*(Samples(p.X, p.group, p.schema, p.y, {"age": 40 + np.round(12 * p.X[:, 4])}) for p in parts))


def scenario_yields_outcomes(scenario: type[Scenario]) -> None:
    """A scenario yields at least one outcome, its steps rising, each with its chosen point."""
    split = _with_key(example_split())
    outcomes = list(scenario().run(split, _Majority(), lambda purpose: len(purpose)))
    steps = [outcome.step for outcome in outcomes]
    require(bool(steps) and steps == sorted(set(steps)), f"the steps are {steps}; they must rise")
    for outcome in outcomes:
        require(
            outcome.chosen in outcome.predictions,
            f"step {outcome.step}: the chosen point {outcome.chosen!r} has no predictions",
        )


def scenario_goes_on_where_it_stopped(scenario: type[Scenario]) -> None:
    """A scenario that can resume yields from a step's state what it has yielded after that step."""
    built, split = scenario(), _with_key(example_split())
    if not isinstance(built, Resumable):
        return

    def seed(purpose: str) -> int:
        return len(purpose)

    first, *rest = built.run(split, _Majority(), seed)
    if first.state is None:
        return
    state = {name: np.array(array) for name, array in first.state.items()}
    again = list(built.resume(split, _Majority(), seed, first.step, state))
    require(
        [_shown(outcome) for outcome in rest] == [_shown(outcome) for outcome in again],
        f"what follows step {first.step} is not what resume yields from its state",
    )


def _shown(outcome: Outcome) -> Any:
    made = {point: p.y_pred.tobytes() + p.decision.tobytes() for point, p in outcome.predictions.items()}
    return outcome.step, outcome.chosen, made, repr(outcome.values)


def report_renders_anything(report: Report) -> None:
    """A report renders an empty run and one with a value, an undefined value and a failure."""
    cells = [
        Cell(Choice("data & more"), Choice("method_1", {"a": 1}), "sex", repeat, metrics=("accuracy",))
        for repeat in range(3)
    ]
    values = (Value(0, "", "", "accuracy", 0.5), Value(0, "", "", "roc_auc", None, "no score"))
    records = [
        Record(cells[0], DONE, values=values),
        Record(cells[1], "skipped", "why"),
        Record(cells[2], "failed", "Oh: <b>"),
    ]
    labels = {"accuracy": ("accuracy", "higher"), "roc_auc": ("ROC AUC", "higher")}
    for results in (Results((), {}, 0, labels), Results(records, {}, 3, labels)):
        require(isinstance(report.render(results), (str, bytes)), "render did not return text, nor a picture's bytes")


def function_has_a_docstring(component: Union[Metric, Report]) -> None:
    """The function has a docstring of its own, of which ``fairbench list`` shows the first line."""
    require(bool(describe(component)), "the function has no docstring of its own")


def _double(item: int) -> int:
    if item == 3:
        raise ValueError("three")
    return 2 * item


def executor_maps_every_item(executor: type[Executor]) -> None:
    """An executor gives every item back once, with its result or what went wrong."""
    results = dict(executor().map(_double, list(range(6))))
    require(sorted(results) == list(range(6)), f"items {sorted(results)} came back of 0..5")
    require(all(results[item] == 2 * item for item in results if item != 3), f"results are {results}")
    require(isinstance(results[3], BaseException), f"an exception in the function came back as {results[3]!r}")


def paper_can_be_read(paper: Paper) -> None:
    """A paper's directory holds published numbers, suites and protocols that can be read; names are not looked up."""
    try:
        published = read_published(paper)
        for part in read_rerun(paper, published).parts.values():
            for suite in part.suites:
                read_suite(paper.directory / suite)
    except FairbenchError as error:
        raise Nonconforming(str(error)) from error


CHECKS: Mapping[str, Sequence[Callable[[Any], None]]] = {
    "datasets": (parameters_survive_json, dataset_files_are_pinned, embedded_dataset_loads_alike),
    "methods": (
        parameters_survive_json,
        method_repeats_itself,
        method_leaves_things_as_found,
        method_predicts_each_row_alone,
        method_takes_three_groups,
    ),
    "metrics": (metric_is_a_pure_function, function_has_a_docstring),
    "scenarios": (parameters_survive_json, scenario_yields_outcomes, scenario_goes_on_where_it_stopped),
    "reports": (report_renders_anything, function_has_a_docstring),
    "executors": (parameters_survive_json, executor_maps_every_item),
    "papers": (paper_can_be_read,),
}


class Finding(NamedTuple):
    """The result of one check of one component: ``passed`` or ``failed``, with what was wrong."""

    component: str
    check: str
    result: str
    detail: str


def check_plugin(registry: Registry, name: str) -> list[Finding]:
    """Run every check on the components of a plugin, named by its module, its package or its file.

    Raises:
        UnknownName: no plugin has the name.
    """
    plugins = [plugin for plugin in registry.plugins if plugin.name == name or plugin.name.startswith(f"{name}.")]
    if not plugins:
        raise UnknownName(
            "plugin", name, [plugin.name for plugin in registry.plugins], " ('fairbench plugins' shows all)"
        )
    findings = [Finding(plugin.name, "loads", "failed", plugin.problem) for plugin in plugins if plugin.problem]
    for plugin in plugins:
        for kind in KINDS:
            for component in plugin.components.get(kind, ()):
                for check in CHECKS[kind]:
                    detail = _detail(check, registry.get(kind, component))
                    result = "passed" if detail is None else "failed"
                    findings.append(Finding(component, check.__name__, result, detail or ""))
    return findings


def _detail(check: Callable[[Any], None], component: Any) -> Optional[str]:
    try:
        check(component)
    except Nonconforming as error:
        return str(error)
    except Exception:
        return traceback.format_exc().strip().splitlines()[-1]
    return None
