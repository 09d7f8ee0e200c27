"""Where a method uses the group of the rows: what it declares, and that it is given no more than that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Optional, Protocol, Union, cast, runtime_checkable

import numpy as np

from fairbench.cells import Cell, Preparation
from fairbench.data.rows import Samples
from fairbench.data.withheld import known_rows, withheld
from fairbench.errors import FairbenchError, GroupWithheld, NotApplicable, PluginError
from fairbench.plugins.components import Fitted, Method, Predictor, Scenario
from fairbench.texts import counted

TRAINING, PREDICTION = "training", "prediction"
USES = (TRAINING, PREDICTION)
NEITHER, NOT_DECLARED = "neither", "not declared"
EVERYWHERE = Preparation()  # the group is known
WITHHELD = "the group is withheld then (group_at_prediction = false)"


@runtime_checkable
class UsesGroup(Protocol):
    """What a method also declares, so that it is given the group of rows only where it says that it uses it.

    ``uses_group`` is a class attribute, or a property if it depends on the method's parameters. ``()`` stands for a
    method that never uses the group, ``("training",)`` for one whose ``fit`` reads the group of the training or of the
    validation part, ``("prediction",)`` for one whose predictors do, and ``("training", "prediction")`` for both. What
    is not declared is withheld: ``group`` and ``protected`` of the rows raise ``GroupWithheld``, and so do those of
    everything that is made of them by ``select``, ``inputs`` or ``dataclasses.replace``. The names of the groups, and
    which of them is protected, are always there. A predictor that ``fit`` applies to the rows that it was given, such
    as the validation part, is not predicting in this sense.

    A method without a declaration is given the group everywhere, and is listed as ``not declared``.

    A run can also assume that the group is not known everywhere. ``fit`` of a method that uses the group at training,
    or declares nothing, is then given only the rows whose group is known, unless its class says ``takes_unknown_group =
    True``: it gets all rows, and ``group`` is -1 where it is not known. A scenario says so likewise, if it hands such
    rows to ``fit`` as they are and otherwise works with their ``known_rows``; others are skipped. A scenario that uses
    the group of the rows that are predicted itself declares ``uses_group`` too.
    """

    @property
    def uses_group(self) -> Sequence[str]:
        """Where it uses the group: some of ``training`` and ``prediction``."""
        ...


def group_use(method: Any) -> Optional[tuple[str, ...]]:
    """Return where a method uses the group, in the order of ``USES``; None if it does not declare it.

    Args:
        method: a method, or its class if the declaration does not depend on parameters.

    Raises:
        PluginError: the declaration is not understood, or cannot be read.
    """
    if not hasattr(method if isinstance(method, type) else type(method), "uses_group"):
        return None
    try:
        declared = method.uses_group
    except AttributeError as error:  # of a property: it declares something, and what is not known
        raise PluginError(f"uses_group cannot be read: AttributeError: {error}") from error
    if declared is None:
        return None
    listed = isinstance(declared, Sequence) and not isinstance(declared, str)
    if not listed or any(use not in USES for use in declared):
        raise PluginError(
            f"uses_group is {declared!r}; it must be (), ('training',), ('prediction',) or ('training', 'prediction')"
        )
    return tuple(use for use in USES if use in declared)


def check_group_use(cls: type) -> None:
    """Check what a method's class declares; what a property returns is only known of an instance.

    Raises:
        PluginError: the declaration is not understood.
    """
    if not depends_on_parameters(cls):
        group_use(cls)


def depends_on_parameters(cls: Any) -> bool:
    """Return whether only an instance of a method's class can tell what is declared."""
    return hasattr(getattr(cls, "uses_group", None), "__get__")


def declared_use(cls: Any) -> Optional[tuple[str, ...]]:
    """Return where a method of this class uses the group; see ``group_use``.

    Args:
        cls: the method's class; if the declaration depends on parameters, that of the defaults counts.
    """
    return group_use(cls() if depends_on_parameters(cls) else cls)


def shown_use(cls: Any) -> str:
    """Return the same in words: ``training, prediction``, ``neither``, ``not declared``."""
    try:
        uses = declared_use(cls)
    except Exception as error:  # of a plugin's code, or a parameter that users must give
        return f"unknown ({type(error).__name__})"
    return NOT_DECLARED if uses is None else ", ".join(uses) or NEITHER


def withholding(method: Method, preparation: Preparation = EVERYWHERE) -> Method:
    """Return the method, whose ``fit`` and predictors get rows without their group where it does not declare to use it.

    It is an instance of a subclass, with the same parameters: a scenario can make variants of it by
    ``dataclasses.replace``, and they withhold the group as well. Where the group is not known everywhere,

    - a method that uses the group to predict, where it is withheld, raises ``NotApplicable``; one without a declaration
      raises it when it asks for the group;
    - ``fit`` of a method that uses the group at training, or declares nothing, gets only the rows whose group is known,
      unless the method's class says ``takes_unknown_group = True``: then it gets all rows, with the code
      ``UNKNOWN_GROUP`` where the group is not known.

    Args:
        method: a frozen dataclass.
        preparation: says where the group is known.
    """
    uses, assumed = group_use(method), bool(preparation.assumption)
    if not assumed and (uses is None or (uses == USES and not depends_on_parameters(type(method)))):
        return method
    return cast(Method, _copied(method, _withholding(type(method), preparation.group_at_prediction)))


def declaring(method: Method, uses: Sequence[str]) -> Method:
    """Return the method as if it declared these uses and no others."""
    kind: Any = type(method)
    return withholding(_copied(method, type(kind.__name__, (kind,), {**_names(kind), "uses_group": tuple(uses)})))


@lru_cache(maxsize=256)
def _withholding(kind: type[Any], at_prediction: bool) -> type[Any]:
    """Return the subclass of a method's class that withholds, everywhere at prediction if not ``at_prediction``."""

    def fit(self: Any, train: Samples, validation: Samples, *, seed: int) -> Union[Predictor, Fitted]:
        uses = group_use(self)
        if not at_prediction and uses and PREDICTION in uses:
            raise NotApplicable(f"method {self.name} uses the group to predict, and {WITHHELD}")
        if uses is not None and TRAINING not in uses:
            train, validation = (withheld(part, _why(self, uses, TRAINING)) for part in (train, validation))
        elif not getattr(self, "takes_unknown_group", False):
            train, validation = _known(self, train, "training"), _known(self, validation, "validation")
        fitted = kind.fit(self, train, validation, seed=seed)
        if at_prediction and (uses is None or PREDICTION in uses):
            return cast("Union[Predictor, Fitted]", fitted)
        why, error = _why(self, uses, PREDICTION), _error(uses)
        fitted = Fitted.of(fitted)
        points = {name: _Blind(predictor, why, error) for name, predictor in fitted.points.items()}
        return Fitted(points, fitted.chosen, fitted.diagnostics)

    def reduce(self: Any) -> Any:
        return _copied_as, (_copied(self, kind), at_prediction)

    return type(kind.__name__, (kind,), {**_names(kind), "fit": fit, "__reduce__": reduce})


def _known(method: Any, part: Samples, where: str) -> Samples:
    """Return the rows whose group is known, as a method gets them that must know it.

    Raises:
        NotApplicable: some are not, and those that are left have rows of fewer than two groups or labels.
    """
    known = known_rows(part)
    if known is not part and min(len(np.unique(known.group)), len(np.unique(known.y))) < 2:
        does = "does not declare its use of the group" if group_use(method) is None else "uses the group at training"
        raise NotApplicable(
            f"method {method.name} {does}, and the {counted(len(known), 'row')} of the {where} part whose group is "
            f"known (of {len(part)}) have fewer than two groups or labels; make group_known larger"
        )
    return known


def _copied_as(method: Any, at_prediction: bool) -> Any:
    kind: Any = type(method)
    return _copied(method, _withholding(kind, at_prediction))


def _names(kind: type[Any]) -> dict[str, Any]:
    """Return what a subclass takes over from the class."""
    return {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__, "__slots__": ()}


def _copied(method: Any, kind: type[Any]) -> Any:
    """Return a copy of a method, a frozen dataclass, that is an instance of this class."""
    made = object.__new__(kind)
    values = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    for name, value in {**values, **getattr(method, "__dict__", {})}.items():
        object.__setattr__(made, name, value)
    return made


class _Blind:
    """A predictor that is given rows without their group.

    Functions that a scenario finds among its attributes, and functions that they return, get them so as well.
    """

    def __init__(self, inner: Any, why: str, error: type[FairbenchError]) -> None:
        self._inner, self._why, self._error = inner, why, error

    def __call__(self, *arguments: Any) -> Any:
        shown = [withheld(each, self._why, self._error) if hasattr(each, "schema") else each for each in arguments]
        return self._passed(self._inner(*shown))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":  # copy and pickle ask for them before there is an inner one
            raise AttributeError(name)
        return self._passed(getattr(self._inner, name))

    def _passed(self, found: Any) -> Any:
        return _Blind(found, self._why, self._error) if callable(found) else found


def _error(uses: Optional[Sequence[str]]) -> type[FairbenchError]:
    """Return what asking for a withheld group raises: a fault only where the method has declared not to."""
    return NotApplicable if uses is None else GroupWithheld


def _why(method: Any, uses: Optional[Sequence[str]], asked: str) -> str:
    if uses is None:
        return f"method {method.name} asked for the group to predict, and {WITHHELD}"
    declares = f"uses_group = {tuple(uses)!r}"
    needed = tuple(use for use in USES if use in uses or use == asked)
    return (
        f"method {method.name} asked for the group of rows at {asked}, but declares {declares}; declare "
        f"uses_group = {needed!r} if it is to use it"
    )


def check_assumption(cell: Cell, scenario: Scenario) -> None:
    """Refuse a cell whose scenario, or features, contradict what its preparation assumes about the group.

    Raises:
        NotApplicable: they do.
    """
    assumed = cell.preparation
    if assumed.assumption and assumed.sensitive_as_feature:
        raise NotApplicable(f"{assumed.assumption}: then the group cannot be one of the features; hide it")
    if assumed.group_known < 1 and not getattr(scenario, "takes_unknown_group", False):
        raise NotApplicable(
            f"{assumed.assumption}: scenario {scenario.name} does not say that it can work with rows whose group is "
            "not known (takes_unknown_group = True)"
        )
    if not assumed.group_at_prediction and PREDICTION in (group_use(scenario) or ()):
        raise NotApplicable(f"scenario {scenario.name} uses the group itself, and {WITHHELD}")
