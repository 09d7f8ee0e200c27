"""The checks of every kind except methods: datasets, metrics, scenarios, reports, executors and papers."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from typing import Any, ClassVar, Optional, Union

import numpy as np

from fairbench.cells import Cell, Choice, canonical
from fairbench.data.digest import dataset_digest
from fairbench.data.examples import example_split
from fairbench.data.rows import Dataset, Predictions, Samples, Split
from fairbench.errors import FairbenchError, NotApplicable, Undefined
from fairbench.papers.published import read_published
from fairbench.papers.rerun import read_rerun
from fairbench.plugins.components import DatasetSpec, Metric, Outcome, Paper, Report, Resumable, Scenario
from fairbench.plugins.executing import RAISED, RETURNED, Executor
from fairbench.plugins.parameters import check_parameters, values
from fairbench.plugins.registry import describe
from fairbench.records import DONE, Partial, Record, Results, Value
from fairbench.running.suite import read_suite
from fairbench.testing.rules import Nonconforming, require


def parameters_survive_json(component: type) -> None:
    """Every parameter comes back from JSON as it was, and the dataclass is frozen."""
    built = component()
    params = values(built)
    again = component(**check_parameters(component, component.__name__, json.loads(canonical(params))))
    require(again == built, f"{built} became {again} on its way through JSON")
    require(component.__dataclass_params__.frozen, "the dataclass is not frozen; write @dataclass(frozen=True)")  # type: ignore[attr-defined]
    require(bool((inspect.getdoc(component) or "").strip()), "the class has no docstring")


def dataset_files_are_pinned(dataset: type[DatasetSpec]) -> None:
    """Every raw file has a full digest, and either http or https addresses or a text that says how to get it."""
    for file in dataset().files:
        digests = [file.sha256, *([file.archive.sha256] if file.archive else [])]
        require(all(len(digest) == 64 for digest in digests), f"{file.path}: a sha256 has 64 hexadecimal digits")
        urls = [*file.urls, *([file.archive.url] if file.archive else [])]
        require(
            all(url.startswith(("http://", "https://")) for url in urls),
            f"{file.path}: only http and https are fetched",
        )
        require(bool(urls) != bool(file.obtain), f"{file.path}: give urls or an archive, or else obtain: how to get it")


def embedded_dataset_loads_alike(dataset: type[DatasetSpec]) -> None:
    """A dataset without files loads twice with the same result and its declared attributes, or says what it needs."""
    spec = dataset()
    if spec.files:
        return
    try:
        first, second = spec.load({}), dataset().load({})
    except NotApplicable as reason:  # it wants, say, a folder that only the user can name
        require(bool(str(reason)), "NotApplicable was raised without a reason")
        return
    require(isinstance(first, Dataset), f"load returned {type(first).__name__}, not a Dataset")
    require(dataset_digest(first) == dataset_digest(second), "two loads differ; take all randomness from a parameter")
    declared, seen = tuple(spec.sensitive_features), tuple(first.sensitive_features.columns)
    require(declared == seen, f"sensitive_features declares {declared} but the table has {seen}")


def metric_is_a_pure_function(metric: Metric) -> None:
    """A metric stays in its range, is reproducible, ignores the order of rows and does not change the data.

    Its value is ``Partial`` only if a group lacks rows.
    """
    require(
        metric.better in ("higher", "lower", "neither"), f"better is {metric.better!r}; say higher, lower or neither"
    )
    whole = example_split(groups=3, rows=2000).test
    value = _measures_purely(metric, whole)
    require(not isinstance(value, Partial), "the value is Partial, though every group has rows with both labels")
    for label in (0, 1):  # the third group has none
        _measures_purely(metric, whole.select((whole.group < 2) | (whole.y != label)))


def _measures_purely(metric: Metric, samples: Samples) -> Optional[float]:
    """Return the value, None if it is undefined, of random decisions about these rows."""
    score = np.random.default_rng(3).random(len(samples))
    predictions, order = Predictions.from_score(score), np.random.default_rng(4).permutation(len(samples))
    try:
        value = metric(samples, predictions)
        moved = metric(samples.select(order), predictions.select(order))
        again = metric(samples, predictions)
    except Undefined as reason:
        require(bool(str(reason)), "Undefined was raised without a reason")
        return None
    require(value == again, f"two calls gave {value} and {again}")
    require(
        math.isclose(value, moved, rel_tol=1e-9, abs_tol=1e-12), f"{value} became {moved} when the rows were permuted"
    )
    low, high = metric.range
    require(low <= value <= high, f"{value} is outside the range [{low}, {high}]")
    return value


@dataclasses.dataclass(frozen=True)
class _Majority:
    """A method for checking scenarios with."""

    name: ClassVar[str] = "majority"

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Any:
        label = int(train.y.mean() >= 0.5)
        return lambda inputs: Predictions(np.full(len(inputs), label))


def _with_key(split: Split) -> Split:
    """Return the same rows with a key, by which a scenario can form tasks."""
    parts = (split.train, split.validation, split.test)
    return Split(*(Samples(p.X, p.group, p.schema, p.y, {"age": 40 + np.round(12 * p.X[:, 4])}) for p in parts))


def scenario_yields_outcomes(scenario: type[Scenario]) -> None:
    """A scenario yields at least one outcome, with rising steps and a chosen point in each."""
    split = _with_key(example_split())
    outcomes = list(scenario().run(split, _Majority(), lambda purpose: len(purpose)))
    steps = [outcome.step for outcome in outcomes if outcome.predictions]
    require(bool(steps) and steps == sorted(set(steps)), f"the steps are {steps}; they must rise")
    for outcome in outcomes:
        saves = outcome.state is not None and not outcome.predictions
        require(
            saves or outcome.chosen in outcome.predictions,
            f"step {outcome.step}: the chosen point {outcome.chosen!r} has no predictions",
        )


def scenario_goes_on_where_it_stopped(scenario: type[Scenario]) -> None:
    """A scenario that can resume yields from the state of a step what it yielded after that step."""
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
        require(
            isinstance(report.render(results), (str, bytes)), "render returned neither text nor the bytes of an image"
        )


def function_has_a_docstring(component: Union[Metric, Report]) -> None:
    """The function has its own docstring; ``fairbench list`` shows the first line."""
    require(bool(describe(component)), "the function has no docstring of its own")


def _double(item: int) -> int:
    if item == 3:
        raise ValueError("three")
    return 2 * item


def executor_maps_every_item(executor: type[Executor]) -> None:
    """An executor returns every item once, with its result or what went wrong, or says what it needs."""
    try:
        ended = {end.item: end for end in executor().map(_double, list(range(6)))}
    except NotApplicable as reason:  # it wants, say, a cluster
        require(bool(str(reason)), "NotApplicable was raised without a reason")
        return
    require(sorted(ended) == list(range(6)), f"of the items 0 to 5 only {sorted(ended)} came back")
    third = ended.pop(3)
    require(third.how == RAISED and isinstance(third.error, ValueError), f"an exception came back as {third}")
    right = all((end.how, end.result, end.error) == (RETURNED, 2 * item, None) for item, end in ended.items())
    require(right, f"results came back as {list(ended.values())}")


def paper_can_be_read(paper: Paper) -> None:
    """A paper's directory holds published numbers, suites and protocols that can be read; names are not looked up."""
    try:
        published = read_published(paper)
        for part in read_rerun(paper, published).parts.values():
            for suite in part.suites:
                read_suite(paper.directory / suite)
    except FairbenchError as error:
        raise Nonconforming(str(error)) from error
