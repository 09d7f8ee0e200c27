"""Estimators in the style of scikit-learn and fairlearn as methods: what they are given, and what is read from them."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from typing import Any, Callable, ClassVar, Optional, Union

import numpy as np
from numpy.typing import NDArray

from fairbench.data.arrays import FLOAT32_ROUNDING
from fairbench.data.rows import Inputs, Predictions, Samples
from fairbench.data.withheld import GrouplessSamples
from fairbench.errors import CannotExport, DataError, NotApplicable, PluginError
from fairbench.plugins.components import Method, Predictor, parameter
from fairbench.plugins.exported import ESTIMATOR, ExportablePredictor, Exported
from fairbench.plugins.group_use import USES
from fairbench.plugins.ranges import Options, Range
from fairbench.system.generators import generators_seeded
from fairbench.texts import counted

GROUPS = "sensitive_features"
ROUTES = ("fit", "predict")
DIGITS = 12  # of chances of being selected, after the point
_RANDOMISED = "_pmf_predict"  # fairlearn's classifiers that decide by chance have no other name for their chances
_OWN = ("name", "fit", "grid", "ranges", "make", "routes", "is_reference", "uses_group")


def needs(package: str) -> None:
    """Stop loading a plugin whose library is not installed; it is then listed as unavailable, and harms nothing.

    The library is looked for and not imported, so that a command which does not use it starts as fast as before.

    Args:
        package: the library's top-level package, such as ``fairlearn``.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def from_estimator(
    name: str,
    estimator: Union[str, Callable[..., Any]],
    parameters: Optional[Mapping[str, Any]] = None,
    *,
    about: str = "",
    ranges: Optional[Mapping[str, Union[Range, Options]]] = None,
    sensitive_features: Optional[Sequence[str]] = None,
) -> type[Method]:
    """Return a method whose fit is that of an estimator; a hook returns it like a class written by hand.

    ``fit_estimator`` says what the estimator is given and what is read from it.

    Args:
        name: its name in suites and on the command line.
        estimator: what makes a new one from the parameters: a class or a function, or its place as a text,
            ``sklearn.svm:SVC``, which is imported at the first fit.
        parameters: by name a default value, or a ``parameter`` with its meaning, source and limits; users can change
            them. The default decides on the type: write 1.0 for a number that need not be whole.
        about: what the method does, in a sentence, for ``fairbench list``.
        ranges: of parameters, for a scenario that searches in them; see ``Searchable``.
        sensitive_features: which of ``fit`` and ``predict`` are given the group; None goes by their signatures. The
            method's ``uses_group`` follows from it.

    Raises:
        PluginError: the estimator is already made, a parameter has a name that is taken, or a text names no place.
        ModuleNotFoundError: the text names a package that is not installed.
    """
    make, shown = _maker(estimator)
    unknown = [route for route in sensitive_features or () if route not in ROUTES]
    if unknown:
        raise PluginError(f"method {name}: sensitive_features has {unknown[0]!r}; give some of {', '.join(ROUTES)}")
    fields = []
    for label, default in (parameters or {}).items():
        if label in _OWN:
            raise PluginError(f"method {name}: a parameter cannot be named {label!r}; give it another name")
        field = default if isinstance(default, dataclasses.Field) else parameter(default, f"{label} of {shown}")
        fields.append((label, _type_of(field.default), field))
    fields.sort(key=lambda one: one[2].default is not dataclasses.MISSING)  # those that users must give come first
    namespace = {
        "name": name,
        "make": staticmethod(make),
        "routes": None if sensitive_features is None else tuple(sensitive_features),
        "__doc__": about or f"Fit {shown}; nothing is chosen on validation.",
        **({} if ranges is None else {"ranges": ranges}),
    }
    made: type[Method] = make_dataclass(
        "Estimator", fields, bases=(_EstimatorMethod,), namespace=namespace, frozen=True
    )
    made.__module__ = sys._getframe(1).f_globals["__name__"]  # of the plugin, as if it had written the class
    return made


def fit_estimator(
    estimator: Any, train: Samples, *, seed: int, sensitive_features: Optional[Sequence[str]] = None
) -> Predictor:
    """Fit a classifier in the style of scikit-learn or fairlearn, and return what predicts with it.

    The estimator is given X (n, d) as float64 and y (n,) in {0, 1}, copies that it can write to. Where ``fit`` or
    ``predict`` names an argument ``sensitive_features``, or takes any keyword and is fairlearn's, it is given the names
    of the groups (n,) as well. Every ``random_state`` that is None becomes the seed, nested ones included. The global
    generators are seeded for each call and are afterwards as before.

    Decisions are what ``predict`` returns, (n,) in {0, 1}, and scores the column of label 1 of ``predict_proba``; an
    estimator without it has no scores, and metrics that need them are undefined. Of fairlearn's randomised classifiers
    the chances of being selected are taken, and decisions are drawn from them by the seed.

    Args:
        estimator: not fitted yet; it is fitted in place.
        train: what it is fitted to, with both labels.
        seed: of everything random in fit and prediction.
        sensitive_features: which of ``fit`` and ``predict`` are given the group; None goes by their signatures.

    Raises:
        NotApplicable: all rows have the same label; or, when it predicts, the estimator is given a group without a
            training row.
        DataError: when it predicts, the estimator returns something other than labels 0 and 1.
    """
    labels = np.unique(train.y)
    if len(labels) < 2:
        who, rows = type(estimator).__name__, counted(len(train), "training row")
        raise NotApplicable(f"{who} needs both labels; all {rows} have {labels[0]}")
    _set_seed(estimator, seed)
    fitted = _Fitted.of(estimator, train, seed, sensitive_features)
    fitted.call("fit", train, np.array(train.y))
    return fitted.predictor


def predictor_of(
    estimator: Any, train: Samples, *, seed: int, sensitive_features: Optional[Sequence[str]] = None
) -> Predictor:
    """Return what predicts with a classifier that is fitted already; ``fit_estimator`` says what is read from it.

    Args:
        estimator: a fitted classifier.
        train: what it was fitted to.
        seed: of everything random in prediction.
        sensitive_features: ``("predict",)`` if it is given the group, ``()`` if not; None goes by its signatures.
    """
    return _Fitted.of(estimator, train, seed, sensitive_features).predictor


def estimator_of(exported: Exported) -> Predictor:
    """Return what predicts with an exported estimator.

    Raises:
        CannotExport: it names no seed.
    """
    seed = exported.about.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise CannotExport("the model has no whole number 'seed'")
    return _Fitted(exported.estimator, type(exported.estimator).__name__, None, seed, ()).predictor


class _EstimatorMethod:
    """What the classes that ``from_estimator`` returns have in common."""

    make: ClassVar[Callable[..., Any]]
    routes: ClassVar[Optional[Sequence[str]]]
    name: ClassVar[str]

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the fitted estimator's predictor; validation is not used."""
        return fit_estimator(self._made(), train, seed=seed, sensitive_features=self.routes)

    @property
    def uses_group(self) -> tuple[str, ...]:
        """Where the estimator is given the group: at training if ``fit`` is, at prediction if ``predict`` is."""
        routes = _routes(self._made() if self.routes is None else None, self.routes)
        return tuple(use for use, route in zip(USES, ROUTES) if route in routes)

    def _made(self) -> Any:
        """Return a new estimator."""
        declared = dataclasses.fields(self)  # type: ignore[arg-type]  # what is made of this class is a dataclass
        return self.make(**{field.name: getattr(self, field.name) for field in declared})


@dataclass(frozen=True, eq=False)
class _Fitted:
    """An estimator with what is needed to call it.

    Args:
        estimator: fitted before ``predict`` is called.
        who: its name in messages.
        groups: codes of the groups that have training rows; None if it is not told.
        seed: of the global generators in each call.
        routes: see ``fit_estimator``.
    """

    estimator: Any
    who: str
    groups: Optional[frozenset[int]]
    seed: int
    routes: Optional[Sequence[str]]

    @classmethod
    def of(cls, estimator: Any, train: Samples, seed: int, routes: Optional[Sequence[str]]) -> _Fitted:
        """Return the estimator that is, or will be, fitted to these rows."""
        told = _routes(estimator, routes) and not isinstance(train, GrouplessSamples)
        groups = frozenset(np.unique(train.group).tolist()) if told else None
        return cls(estimator, type(estimator).__name__, groups, seed, routes)

    def call(self, name: str, rows: Union[Inputs, Samples], *more: Any) -> Any:
        """Call a function of the estimator with the features, ``more``, and the groups where it takes them."""
        function = getattr(self.estimator, name)
        groups = {}
        if _takes_groups(self.estimator, name, self.routes):
            groups = {GROUPS: np.array(rows.group_names)[rows.group]}
            self._refuse_new_groups(rows)
        with generators_seeded(self.seed):
            return function(np.array(rows.X, dtype=np.float64), *more, **groups)

    def _refuse_new_groups(self, rows: Union[Inputs, Samples]) -> None:
        new = sorted(set(np.unique(rows.group).tolist()) - self.groups) if self.groups is not None else []
        if new:
            raise NotApplicable(
                f"{self.who} uses the group to predict, and group {rows.group_names[new[0]]!r} has no row among those "
                "that it was fitted to"
            )

    @property
    def predictor(self) -> ExportablePredictor:
        """Return what predicts, and can be written if the estimator is scikit-learn's own."""
        return ExportablePredictor(self.predict, self._export)

    def _export(self) -> Exported:
        kind = type(self.estimator)
        if kind.__module__.partition(".")[0] != "sklearn" or self.groups is not None:
            raise CannotExport(
                f"it wraps {kind.__module__}.{kind.__qualname__}; only estimators of scikit-learn itself that are not "
                "given the group can be written without pickle"
            )
        return Exported(ESTIMATOR, {"seed": self.seed}, estimator=self.estimator)

    def predict(self, inputs: Inputs) -> Predictions:
        """Return the decisions, and the scores if there are any."""
        if hasattr(self.estimator, _RANDOMISED):
            chance = self._positive(_RANDOMISED, inputs)
            # Sums of weights depend in their last digits on how many rows stand beside a row.
            return Predictions.from_decision(chance.round(DIGITS), seed=self.seed)
        score = self._positive("predict_proba", inputs) if hasattr(self.estimator, "predict_proba") else None
        return Predictions(self._labels(inputs), score)

    def _labels(self, inputs: Inputs) -> NDArray[np.int64]:
        given = np.asarray(self.call("predict", inputs))
        flat = given.reshape(-1)
        if len(flat) != len(inputs):
            raise DataError(f"{self.who}.predict returned shape {given.shape} for {counted(len(inputs), 'row')}")
        wrong = [value for value in flat.tolist() if value not in (0, 1)]
        if wrong:
            raise DataError(
                f"{self.who}.predict returned {wrong[0]!r}; a classifier returns the labels 0 and 1 that it was fitted "
                "to (turn a regressor into one with a threshold)"
            )
        return flat.astype(np.int64)

    def _positive(self, name: str, inputs: Inputs) -> NDArray[np.float64]:
        """Return the column (n,) of label 1 of a table of chances; 0 if label 1 is not among the classes."""
        table = np.asarray(self.call(name, inputs), dtype=np.float64)
        classes = np.asarray(getattr(self.estimator, "classes_", [0, 1]))
        if table.shape != (len(inputs), len(classes)):
            raise DataError(
                f"{self.who}.{name} returned shape {table.shape} for {counted(len(inputs), 'row')} and "
                f"{counted(len(classes), 'label')}"
            )
        chance: NDArray[np.float64] = table[:, classes == 1].sum(axis=1)
        within = chance.clip(0, 1)
        return np.where(np.abs(chance - within) < FLOAT32_ROUNDING, within, chance)  # others are refused with the value


def _routes(estimator: Any, routes: Optional[Sequence[str]]) -> list[str]:
    """Return which of ``fit`` and ``predict`` are given the group, the latter with all that gives predictions."""
    called = {"fit": ("fit",), "predict": ("predict", "predict_proba", _RANDOMISED)}
    return [route for route in ROUTES if any(_takes_groups(estimator, name, routes) for name in called[route])]


def _takes_groups(estimator: Any, name: str, routes: Optional[Sequence[str]]) -> bool:
    """Return whether a function of the estimator is given the group."""
    if routes is not None:
        return (name if name in ROUTES else "predict") in routes
    if not hasattr(estimator, name):
        return False
    found = inspect.signature(getattr(estimator, name)).parameters.values()
    if any(one.name == GROUPS for one in found):
        return True
    fairlearns = any(base.__module__.partition(".")[0] == "fairlearn" for base in type(estimator).__mro__)
    return fairlearns and any(one.kind is one.VAR_KEYWORD for one in found)


def _set_seed(estimator: Any, seed: int) -> None:
    if not hasattr(estimator, "get_params"):
        return
    unset = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    if unset:
        estimator.set_params(**unset)


def _maker(estimator: Any) -> tuple[Callable[..., Any], str]:
    """Return what makes a new estimator, and its name in sentences."""
    if isinstance(estimator, str):
        module, _, attribute = estimator.partition(":")
        if not (module and attribute):
            raise PluginError(f"{estimator!r} names no place; write package.module:Class")
        needs(module.partition(".")[0])
        return lambda **given: getattr(importlib.import_module(module), attribute)(**given), f"{module}.{attribute}"
    if not callable(estimator):
        kind = type(estimator).__name__
        raise PluginError(
            f"an estimator of type {kind} is already made; give its class and parameters instead: "
            f"from_estimator('name', {kind}, {{'parameter': value}})"
        )
    return estimator, f"{estimator.__module__}.{getattr(estimator, '__qualname__', 'estimator')}"


def _type_of(default: Any) -> Any:
    """Return the type of parameter that a default value stands for."""
    if default is None or default is dataclasses.MISSING:
        return Any
    if isinstance(default, (tuple, list)):
        kinds = {type(item) for item in default}
        return tuple[kinds.pop(), ...] if len(kinds) == 1 else tuple[Any, ...]  # type: ignore[misc]  # built as it runs
    return type(default)
