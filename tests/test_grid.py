"""The configurations that a method declares are checked when it is loaded, and shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from fairbench.api import Tunable, parameter
from fairbench.errors import PluginError
from fairbench.plugins.parameters import check_grid
from fairbench.plugins.registry import Plugin, Registry


def method(grid):
    """Return a method with a depth and this grid."""

    @dataclass(frozen=True)
    class Deep:
        """Does nothing."""

        name = "deep"
        depth: int = parameter(3, "how deep", minimum=1)
        sizes: tuple[int, ...] = (1,)

        def fit(self, train, validation, *, seed):
            raise AssertionError

    Deep.grid = grid
    return Deep


@pytest.mark.parametrize("grid", [({},), [{"depth": 1}, {"depth": 2}], ({"depth": 1, "sizes": (2, 3)},)])
def test_a_grid_of_the_methods_own_parameters_is_taken(grid):
    check_grid(method(grid))
    assert isinstance(method(grid)(), Tunable)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"depth": [1, 2]}, r"grid is \{'depth': \[1, 2\]\}; it must list parameters by name"),
        ((), r"grid is \(\); it must"),
        ((1,), r"grid is \(1,\); it must"),
        (property(lambda self: ()), "grid is <property"),
        (({"dept": 1},), r"no parameter of grid\[0\] is named 'dept'; did you mean 'depth'\?"),
        (({"depth": 1}, {"depth": 0}), r"grid\[1\]: depth is 0; it must be at least 1"),
        (({"depth": "deep"},), r"grid\[0\]: depth is 'deep'; it must be a whole number"),
        (({"depth": object()},), "its grid does not fit"),
        (({"depth": 1}, {"depth": 1}), r"grid\[1\] is \{'depth': 1\}, which the grid already has"),
    ],
)
def test_one_that_does_not_fit_is_refused_with_the_place(grid, message):
    with pytest.raises(PluginError, match=message):
        check_grid(method(grid))
    registry = Registry()
    registry.add(Plugin("ours", "tests", "1"), {"methods": [method(grid)]})
    assert registry.names("methods") == []
    assert registry.problems[0].problem.startswith("method deep: ")


def test_a_parameter_cannot_be_called_grid():
    @dataclass(frozen=True)
    class Meshed:
        name: ClassVar[str] = "meshed"
        grid: int = 3

    with pytest.raises(PluginError, match="give the parameter another name"):
        check_grid(Meshed)


def test_show_tells_the_grid_and_who_is_a_reference(fairbench):
    _, out, _ = fairbench("show", "method", "m_ftml")
    assert "grid: inner_lr=0.01,outer_lr=0.001 | inner_lr=0.01,outer_lr=0.01 | " in out
    _, out, _ = fairbench("show", "method", "m_ftml", "--json")
    assert json.loads(out)["grid"][0] == {"inner_lr": 0.01, "outer_lr": 0.001}
    _, out, _ = fairbench("show", "method", "coin")
    assert "is_reference: True" in out
    _, out, _ = fairbench("show", "method", "logistic")
    assert "is_reference" not in out
