"""Where a method uses the group of the rows: what it declares, and that it is given no more than that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Optional, Protocol, Union, cast, runtime_checkable

from fairbench.data.rows import Samples
from fairbench.data.withheld import withheld
from fairbench.errors import PluginError
from fairbench.plugins.components import Fitted, Method, Predictor

TRAINING, PREDICTION = "training", "prediction"
USES = (TRAINING, PREDICTION)
NEITHER, NOT_DECLARED = "neither", "not declared"


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
        PluginError: the declaration is not understood.
    """
    declared = getattr(method, "uses_group", None)
    if declared is None:
        return None
    if isinstance(declared, str) or not isinstance(declared, Sequence) or not set(declared) <= set(USES):
        raise PluginError(
            f"uses_group is {declared!r}; it must be (), ('training',), ('prediction',) or ('training', 'prediction')"
        )
    return tuple(use for use in USES if use in declared)


def check_group_use(cls: type) -> None:
    """Check what a method's class declares; what a property returns is only known of an instance.

    Raises:
        PluginError: the declaration is not understood.
    """
    if not _is_property(cls):
        group_use(cls)


def _is_property(cls: Any) -> bool:
    return hasattr(getattr(cls, "uses_group", None), "__get__")


def shown_use(cls: Any) -> str:
    """Return where a method uses the group, in words: ``training, prediction``, ``neither``, ``not declared``.

    Args:
        cls: the method's class; if the declaration depends on parameters, that of the defaults counts.
    """
    try:
        uses = group_use(cls() if _is_property(cls) else cls)
    except Exception as error:  # of a plugin's code, or a parameter that users must give
        return f"unknown ({type(error).__name__})"
    return NOT_DECLARED if uses is None else ", ".join(uses) or NEITHER


def withholding(method: Method) -> Method:
    """Return the method, whose ``fit`` and predictors get rows without their group where it does not declare to use it.

    It is an instance of a subclass, with the same parameters: a scenario can make variants of it by
    ``dataclasses.replace``, and they withhold the group as well.
    """
    fixed = not _is_property(type(method))
    if group_use(method) is None or (fixed and group_use(method) == USES):
        return method
    return cast(Method, _copied(method, _withholding(type(method))))


def declaring(method: Method, uses: Sequence[str]) -> Method:
    """Return the method as if it declared these uses and no others."""
    kind: Any = type(method)
    return withholding(_copied(method, type(kind.__name__, (kind,), {**_names(kind), "uses_group": tuple(uses)})))


@lru_cache(maxsize=256)
def _withholding(kind: type[Any]) -> type[Any]:
    """Return the subclass of a method's class that withholds."""

    def fit(self: Any, train: Samples, validation: Samples, *, seed: int) -> Union[Predictor, Fitted]:
        uses = group_use(self) or ()
        if TRAINING not in uses:
            why = _why(self, uses, TRAINING)
            train, validation = withheld(train, why), withheld(validation, why)
        fitted = kind.fit(self, train, validation, seed=seed)
        if PREDICTION in uses:
            return cast("Union[Predictor, Fitted]", fitted)
        fitted, why = Fitted.of(fitted), _why(self, uses, PREDICTION)
        points = {name: _Blind(predictor, why) for name, predictor in fitted.points.items()}
        return Fitted(points, fitted.chosen, fitted.diagnostics)

    def reduce(self: Any) -> Any:
        return withholding, (_copied(self, kind),)

    return type(kind.__name__, (kind,), {**_names(kind), "fit": fit, "__reduce__": reduce})


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

    def __init__(self, inner: Any, why: str) -> None:
        self._inner, self._why = inner, why

    def __call__(self, *arguments: Any) -> Any:
        shown = [withheld(each, self._why) if hasattr(each, "schema") else each for each in arguments]
        return self._passed(self._inner(*shown))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":  # copy and pickle ask for them before there is an inner one
            raise AttributeError(name)
        return self._passed(getattr(self._inner, name))

    def _passed(self, found: Any) -> Any:
        return _Blind(found, self._why) if callable(found) else found


def _why(method: Any, uses: Sequence[str], asked: str) -> str:
    declares = f"uses_group = {tuple(uses)!r}"
    needed = tuple(use for use in USES if use in uses or use == asked)
    return (
        f"method {method.name} asked for the group of rows at {asked}, but declares {declares}; declare "
        f"uses_group = {needed!r} if it is to use it"
    )
