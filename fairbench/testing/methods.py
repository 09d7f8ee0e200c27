"""The checks of methods: the same seed gives the same bytes, nothing is left changed, every row is decided alone."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from fairbench.data.examples import example_images, example_split
from fairbench.data.rows import Inputs, Predictions, Samples, Split
from fairbench.errors import NotApplicable
from fairbench.plugins.components import Fitted, Method, Predictor
from fairbench.system.isolation import process_state_kept
from fairbench.system.library_settings import load_libraries
from fairbench.testing.rules import require

SCORE_TOLERANCE = 1e-5  # matrix products take sums in another order when rows move; float32 keeps about seven digits
SINGLE_ROWS = 8  # how many are predicted by themselves


@cache
def refuses_tables(method: type[Method]) -> bool:
    """Return whether a method is for images only."""
    try:
        _fit(method(), example_split())
    except NotApplicable:
        return True
    return False


def _example(method: type[Method], groups: int = 2) -> Split:
    """Return rows of a table, or images if the method refuses tables."""
    return example_images(groups) if refuses_tables(method) else example_split(groups)


def _fit(method: Method, split: Split, seed: int = 1) -> Fitted:
    """Fit, and put back what that changes in the process, so that each check begins alike."""
    load_libraries()
    with process_state_kept():
        return Fitted.of(method.fit(split.train, split.validation, seed=seed))


def _bytes(predictions: Predictions) -> bytes:
    score = b"" if predictions.y_score is None else predictions.y_score.tobytes()
    return predictions.y_pred.tobytes() + score + predictions.decision.tobytes()


def _all_bytes(fitted: Fitted, inputs: Inputs) -> list[bytes]:
    return [_bytes(predictor(inputs)) for _, predictor in sorted(fitted.points.items())]


def _generators() -> list[Any]:
    """Return the state of the global generators."""
    state: list[Any] = [random.getstate(), repr(np.random.get_state())]
    if "torch" in sys.modules:
        state.append(sys.modules["torch"].get_rng_state().tolist())
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
        first = _all_bytes(_fit(method(), split), split.test.inputs)
    with _other_global_seeds(2):
        second = _all_bytes(_fit(method(), split), split.test.inputs)
    require(first == second, "two fits with the same seed differ; take all randomness from the seed that fit is given")


def _contents(split: Split) -> list[bytes]:
    return [
        array.tobytes()
        for part in (split.train, split.validation, split.test)
        for array in (part.X, part.y, part.group, *part.keys.values())
    ]


def method_leaves_things_as_found(method: type[Method]) -> None:
    """Data, parameters, global generators and the settings of the process are as before."""
    split, instance = _example(method), method()
    before, fields, generators = _contents(split), repr(instance), _generators()
    with process_state_kept() as changed:
        fitted = Fitted.of(instance.fit(split.train, split.validation, seed=1))
        for predictor in fitted.points.values():
            predictor(split.test.inputs)
    require(_contents(split) == before, "fit or the predictor changed the data")
    require(repr(instance) == fields, "fit changed the method's own fields; keep what is learned in the predictor")
    require(not changed, f"fit or the predictor changed {', '.join(changed)}; restore every setting that a fit changes")
    after = _generators()  # torch's may be new: it is imported by the first fit
    require(after[: len(generators)] == generators, "fit or the predictor left a global generator changed")


def method_predicts_each_row_alone(method: type[Method]) -> str:
    """A row's prediction depends on nothing but the row: not on its place, nor on the rows that it comes with.

    A predictor that means to decide on batches as a whole says so by an attribute ``whole_batch = True``; of it only
    the order of the rows is checked. What is returned names such operating points.
    """
    split = _example(method)
    declared = []
    for name, predictor in _fit(method(), split).points.items():
        whole = bool(getattr(predictor, "whole_batch", False))
        declared += [f"{name!r}"] * whole
        _check_point(f"point {name!r}" if name else "the predictor", predictor, split, whole)
    return f"decides on whole batches, as it declares: {', '.join(declared)}" if declared else ""


def _check_point(name: str, predictor: Predictor, split: Split, whole: bool) -> None:
    inputs, others = split.test.inputs, split.train.inputs
    n, half = len(inputs), len(inputs) // 2
    straight = predictor(inputs)
    kept = _bytes(straight)
    require(len(straight.y_pred) == n, f"{name}: {len(straight.y_pred)} predictions for {n} rows")
    order = np.random.default_rng(5).permutation(n)
    _require_same(name, straight.select(order), [predictor(inputs.select(order))], "the rows are permuted")
    if not whole:
        rows = np.arange(n)
        singles = [predictor(inputs.select(rows[row : row + 1])) for row in range(SINGLE_ROWS)]
        _require_same(name, straight.select(rows[:SINGLE_ROWS]), singles, "rows are predicted one by one")
        parts = [predictor(inputs.select(part)) for part in (rows[:half], rows[half:])]
        _require_same(name, straight, parts, "the rows are predicted in two halves")
        mixed = Inputs(
            np.concatenate([inputs.X[:half], others.X[: n - half]]),
            np.concatenate([inputs.group[:half], others.group[: n - half]]),
            inputs.schema,
        )
        beside = predictor(mixed).select(rows[:half])
        _require_same(name, straight.select(rows[:half]), [beside], "other rows stand beside them")
        crowd = Inputs(
            np.concatenate([inputs.X, others.X]), np.concatenate([inputs.group, others.group]), inputs.schema
        )
        among = predictor(crowd).select(rows)
        _require_same(name, straight, [among], "many other rows stand beside them")
    require(_bytes(predictor(inputs)) == kept, f"{name}: predictions of the same rows change from call to call")


def _require_same(name: str, expected: Predictions, parts: list[Predictions], when: str) -> None:
    """Require the same scores but for rounding, and decisions; one may move whose own score rounding has changed."""
    decision = np.concatenate([part.decision for part in parts])
    differs = decision != expected.decision
    moved = int(differs.sum())
    scores = [part.y_score for part in parts if part.y_score is not None]
    if expected.y_score is not None and len(scores) == len(parts):
        change = np.abs(np.concatenate(scores) - expected.y_score)
        far = float(change.max())
        require(far <= SCORE_TOLERANCE, f"{name}: scores change by {far:.2g} when {when}")
        moved -= int((differs & (change > 0)).any())
    require(moved <= 0, f"{name}: decisions change when {when}")


def method_takes_three_groups(method: type[Method]) -> None:
    """Three groups work, or are refused by NotApplicable with a reason."""
    split = _example(method, groups=3)
    _require_predictions(method, split)


def method_takes_a_validation_part_without_a_group(method: type[Method]) -> None:
    """Where the validation part has no row of a group, the method works, or raises NotApplicable with a reason."""
    split = _example(method)
    for group in (0, 1):
        _require_predictions(method, replace(split, validation=_without(split.validation, group)))


def _without(part: Samples, group: int) -> Samples:
    return part.select(part.group != group)


def _require_predictions(method: type[Method], split: Split) -> None:
    """Require a prediction for each test row, or a reason why there is none."""
    try:
        for predictor in _fit(method(), split).points.values():
            predictor(split.test.inputs)
    except NotApplicable as reason:
        require(bool(str(reason)), "NotApplicable was raised without a reason")
