"""Methods whose fit and predictions happen in the environment of an isolated plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Optional, Union

from fairbench.data.rows import Inputs, Predictions, Samples
from fairbench.errors import PluginError
from fairbench.plugins import parameters
from fairbench.plugins.components import Fitted, Predictor
from fairbench.plugins.isolated.declared import declare
from fairbench.plugins.isolated.environments import Environment, Found, again, environment_of, python_of


class IsolatedMethod:
    """What the methods of all environments have in common.

    Of a class, ``_usual`` has the defaults of the parameters, and ``_usual_uses`` what is declared for them. Names
    begin with ``_``, because a parameter can have any other.
    """

    name: ClassVar[str]
    _environment: ClassVar[Environment]
    _usual: ClassVar[Mapping[str, Any]]
    _usual_uses: ClassVar[Optional[tuple[str, ...]]]

    @property
    def uses_group(self) -> Optional[tuple[str, ...]]:
        """Where it uses the group, if that depends on its parameters; other classes declare it in its place.

        The environment is only asked about parameters that differ from the defaults.
        """
        from fairbench.plugins.isolated.client import process_of

        given = parameters.values(self)
        return self._usual_uses if given == self._usual else process_of(self._environment).uses(self.name, given)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Union[Predictor, Fitted]:
        """Fit the method in its environment, and return what predicts there.

        Raises:
            NotApplicable: the method said so.
            MethodFailed: it raised anything else.
            ProcessFailed: the environment's process could not be started, or ended.
        """
        from fairbench.plugins.isolated.client import process_of

        process = process_of(self._environment)
        given = parameters.values(self)
        handle, names, header, curves = process.fit(self.name, given, train, validation, seed)

        def predictor(number: int) -> Predictor:
            def predict(inputs: Inputs) -> Predictions:
                return process.predict(handle, number, inputs)

            return predict

        if header["plain"]:
            return predictor(0)
        points = {name: predictor(number) for number, name in enumerate(names)}
        return Fitted(points, header["chosen"], curves)


def methods_of(found: Found) -> tuple[Environment, list[Any]]:
    """Return an environment with the classes of its methods.

    Raises:
        PluginError: its manifest is damaged, or its Python is gone.
    """
    name = found.name
    environment = environment_of(name, found.manifest)
    try:
        methods = [declare(about, IsolatedMethod, _environment=environment) for about in environment.methods]
    except Exception as error:  # of a manifest that was edited
        raise PluginError(f"its manifest is damaged ({type(error).__name__}: {error}); {again(name)}") from error
    if not found.usable:
        raise PluginError(f"its Python {python_of(environment.folder)} is gone; {again(name)}")
    return environment, methods
