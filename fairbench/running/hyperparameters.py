"""Hyper-parameters by dataset and method: those of a suite, and the default suite's."""

from __future__ import annotations

import importlib.resources
import sys
from collections.abc import Mapping
from typing import Any

from fairbench.errors import SuiteError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def checked_parameters(table: Any, where: str) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return hyper-parameters by dataset and method unchanged, if they are tables of that depth.

    Raises:
        SuiteError: they are not; ``where`` is for the message.
    """
    levels = isinstance(table, dict) and all(
        isinstance(methods, dict) and all(isinstance(params, dict) for params in methods.values())
        for methods in table.values()
    )
    if not levels:
        raise SuiteError(
            f"suite {where}: parameters must be tables such as [parameters.compas.faalgrad], or [parameters.any.mlp]"
        )
    return table  # type: ignore[no-any-return]  # just checked


def merge_parameters(
    base: Mapping[str, Mapping[str, Mapping[str, Any]]], over: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return both tables merged; if both give a value, the second wins."""
    merged = {
        dataset: {method: dict(params) for method, params in methods.items()} for dataset, methods in base.items()
    }
    for dataset, methods in over.items():
        for method, params in methods.items():
            merged.setdefault(dataset, {}).setdefault(method, {}).update(params)
    return merged


def default_parameters() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return the hyper-parameters of the default suite, which command-line runs use."""
    text = importlib.resources.files("fairbench.running").joinpath("default_suite.toml").read_text(encoding="utf-8")
    return checked_parameters(tomllib.loads(text)["parameters"], "default")
