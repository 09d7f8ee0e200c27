"""The check of what a method declares about the group: it uses no less and no more."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import fairbench
from fairbench.data.rows import Samples, Split
from fairbench.data.withheld import partly_known
from fairbench.errors import GroupWithheld, NotApplicable
from fairbench.plugins.components import Method
from fairbench.plugins.group_use import PREDICTION, TRAINING, USES, declaring, group_use, withholding
from fairbench.testing.methods import _all_bytes, _example, _fit
from fairbench.testing.rules import Nonconforming, require

DRAWS = 3  # permutations of the group that must all leave the predictions as they are


def method_uses_the_group_as_declared(method: type[Method]) -> str:
    """A method asks for the group only where ``uses_group`` says so; what is returned says what else it declares.

    A use that makes no difference to the predictions for the example is named, and so is a missing declaration.
    """
    instance, split = method(), _example(method)
    declared = group_use(instance)
    try:
        if declared is None:
            uses = next(uses for uses in ((), (TRAINING,), (PREDICTION,), USES) if _suffice(instance, split, uses))
            return f"uses_group is not declared; for what it does with the example it would be {uses!r}"
        expected = _predicted(declaring(instance, declared), split, split)
    except GroupWithheld as error:
        raise Nonconforming(f"{error} ({_place(error)})") from error
    except NotApplicable:  # other checks say so
        return ""
    idle = [use for use in declared if not _matters(instance, split, declared, use, expected)]
    if not idle:
        return ""
    fewer = tuple(use for use in declared if use not in idle)
    return (
        f"warning: uses_group declares {' and '.join(idle)}, where the group made no difference to the predictions for "
        f"the example; declare uses_group = {fewer!r} if it never does"
    )


def method_takes_rows_of_unknown_group(method: type[Method]) -> None:
    """A method that says so (``takes_unknown_group``) works where the group of most rows is not known, or refuses."""
    instance, split = method(), _example(method)
    if not getattr(instance, "takes_unknown_group", False):
        return
    try:
        _predicted(withholding(instance), partly_known(split, 0.3, seed=1), split)
    except NotApplicable as reason:
        require(bool(str(reason)), "NotApplicable was raised without a reason")


def _matters(method: Method, split: Split, declared: Sequence[str], use: str, expected: list[bytes]) -> bool:
    """Return whether predictions change with the group at ``use``."""
    if _suffice(method, split, [other for other in declared if other != use]):
        return False
    for seed in range(DRAWS):
        if use == TRAINING:
            learned = replace(split, train=_mixed(split.train, seed), validation=_mixed(split.validation, seed))
            predicted = replace(split)
        else:
            learned, predicted = split, replace(split, test=_mixed(split.test, seed))
        try:
            if _predicted(method, learned, predicted) != expected:
                return True
        except NotApplicable:
            return True
    return False


def _suffice(method: Method, split: Split, uses: Sequence[str]) -> bool:
    """Return whether the method can do with these uses of the group."""
    try:
        _predicted(declaring(method, uses), split, split)
    except GroupWithheld:
        return False
    return True


def _predicted(method: Method, learned: Split, predicted: Split) -> list[bytes]:
    """Return what every operating point predicts, and which is chosen."""
    fitted = _fit(method, learned)
    return [*_all_bytes(fitted, predicted.test.inputs), str(fitted.chosen).encode()]


def _mixed(part: Samples, seed: int) -> Samples:
    """Return the rows with the groups of other rows."""
    return replace(part, group=part.group[np.random.default_rng(seed).permutation(len(part))])


def _place(error: GroupWithheld) -> str:
    """Return the line that asked for the group: the last one outside of the harness."""
    own = str(Path(fairbench.__file__).parent)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(own)]
    last = frames[-1]
    return f"{last.filename}, line {last.lineno}: {last.line}"
