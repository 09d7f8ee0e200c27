"""A written model, read again: predictions from raw columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union, cast

import numpy as np

from fairbench.cells import Choice
from fairbench.data.encoding import Encoding
from fairbench.data.preparation import group_features
from fairbench.data.rows import Floats, Inputs, Integers, Predictions, Schema
from fairbench.data.withheld import withheld
from fairbench.errors import CannotExport, DataError
from fairbench.models.files import ABOUT, Written, read
from fairbench.plugins.components import Predictor
from fairbench.plugins.exported import ESTIMATOR, NETWORK, Exported
from fairbench.plugins.loading import load_plugins
from fairbench.running.arguments import PathText, files_of, given_path, listed, wrong_type

if TYPE_CHECKING:
    import pandas

WITHHELD = "the model was fitted to be used without the group, and asks for it"


class LoadedModel:
    """A fitted model with all that it takes to predict from the columns of a table.

    Args:
        written: what the files hold.
        predictor: made of it.
        where: the folder, for messages.

    Raises:
        CannotExport: what the files say does not fit together.
    """

    def __init__(self, written: Written, predictor: Predictor, where: Path) -> None:
        """Check what is said of features and groups."""
        self.about: Mapping[str, Any] = written.about
        self._predictor, self._where = predictor, where
        try:
            self._encoding = Encoding.of(self.about["features"])
            groups = self.about["groups"]
            names = tuple(groups["names"])
            if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
                raise ValueError("the names of groups are not distinct texts")
            if type(groups["protected"]) is not int or not 0 <= groups["protected"] < len(names):
                raise ValueError(f"the protected group is {groups['protected']!r}, of {len(names)}")
            self._as_feature, self._needed = (groups[name] for name in ("as_feature", "at_prediction"))
            if not isinstance(self._as_feature, bool) or not isinstance(self._needed, bool):
                raise ValueError("'as_feature' and 'at_prediction' must be true or false")
            flags = group_features(np.zeros(1, np.int64), names, groups["protected"])[1] if self._as_feature else ()
            self._schema = Schema(
                (*self._encoding.names, *flags), names, groups["protected"], self.about["favorable_label"]
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CannotExport(f"{where / ABOUT} is no written model: {type(error).__name__}: {error}") from error
        try:  # a row of zeros shows whether features and model belong together
            self._predicted(np.zeros((1, len(self._schema.feature_names)), np.float32), np.zeros(1, np.int64))
        except Exception as error:
            raise CannotExport(f"{where}: model and features do not fit: {type(error).__name__}: {error}") from error

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that a table needs."""
        return self._encoding.columns

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the names of the groups."""
        return self._schema.group_names

    def predict(self, features: pandas.DataFrame, groups: Optional[Sequence[str]] = None) -> Predictions:
        """Return the predictions: ``y_pred`` (n,) in {0, 1}, ``y_score`` (n,) or None, ``decision`` (n,).

        Args:
            features: n rows with the ``columns``, as they were before anything was encoded; others are not looked at.
            groups: the group of each row (n,), one of ``groups``; needed only where the model uses it to predict.

        Raises:
            DataError: a column is missing or does not fit, or a group is missing or unknown.
            SuiteError: an argument is of another type.
        """
        import pandas

        if not isinstance(features, pandas.DataFrame):
            raise wrong_type("features", features, f"a pandas table with the columns {', '.join(self.columns)}")
        X = self._encoding.apply(features)
        codes = np.zeros(len(X), np.int64)
        if groups is not None:
            codes = self._codes(groups, len(X))
        elif self._as_feature or self._needed:
            raise DataError(f"the model uses the group to predict; give one for each row: {', '.join(self.groups)}")
        if self._as_feature:
            X = np.hstack([X, group_features(codes, self.groups, self._schema.protected)[0]])
        return self._predicted(X, codes)

    def _predicted(self, X: Floats, codes: Integers) -> Predictions:
        inputs = Inputs(X, codes, self._schema)
        return self._predictor(inputs if self._needed else withheld(inputs, WITHHELD))

    def _codes(self, groups: Sequence[str], n: int) -> Any:
        known = {name: code for code, name in enumerate(self.groups)}
        given = list(listed("groups", groups) or ())
        unknown = [group for group in given if group not in known]
        if unknown:
            raise DataError(f"no group is called {unknown[0]!r}; there are {', '.join(self.groups)}")
        if len(given) != n:
            raise DataError(f"there are {len(given)} groups for {n} rows; every row needs one")
        return np.array([known[group] for group in given], dtype=np.int64)

    def __repr__(self) -> str:
        """Return which model it is."""
        return f"LoadedModel({self.about.get('method')}, {self._where})"


def load_model(path: PathText, *, plugins: Union[PathText, Sequence[PathText]] = ()) -> LoadedModel:
    """Return a model that ``fairbench export-model`` has written; nothing in its files is executed.

    Args:
        path: its folder.
        plugins: path of a local plugin file, or several, if one of them supplies the method.

    Raises:
        CannotExport: a file is missing, damaged, or holds what no written model holds.
        UnknownName: no plugin supplies the method.
        SuiteError: the path is empty, or no path.
    """
    where = Path(given_path("path", path))
    written = read(where)
    return LoadedModel(written, predictor_of(written, files_of(plugins), where), where)


def predictor_of(written: Written, plugins: tuple[str, ...], where: Path) -> Predictor:
    """Return the predictor that a written model stands for: as its method's class makes it, or as fairbench does."""
    name = written.about.get("method")
    if not isinstance(name, str):
        raise CannotExport(f"{where / ABOUT} names no method")
    kind = load_plugins(plugins)[0].get("methods", Choice(name).name)
    try:
        return cast(Predictor, (getattr(kind, "from_export", None) or _made)(written.exported))
    except CannotExport as error:
        raise CannotExport(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotExport(f"{where} holds no {name}: {type(error).__name__}: {error}") from error


def _made(exported: Exported) -> Predictor:
    if exported.form == NETWORK:
        from fairbench.api.exports import network_of
        from fairbench.api.torch import predictor

        return predictor(network_of(exported))
    if exported.form == ESTIMATOR:
        from fairbench.api.estimators import estimator_of

        return estimator_of(exported)
    raise CannotExport(f"the form {exported.form!r} is not known here, and the method does not make it")
