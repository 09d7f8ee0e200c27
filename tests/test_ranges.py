"""Ranges of hyper-parameters are checked when they are written and when a method is loaded, and are shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from fairbench.api import Options, Range, Searchable, parameter
from fairbench.errors import PluginError
from fairbench.plugins.ranges import check_ranges
from fairbench.plugins.registry import Plugin, Registry


def method(ranges):
    """Return a method with a depth and these ranges."""

    @dataclass(frozen=True)
    class Deep:
        """Does nothing."""

        name = "deep"
        depth: int = parameter(3, "how deep", minimum=1, maximum=9)
        rate: float = parameter(0.1, "how fast", minimum=0)
        sizes: tuple[int, ...] = (1,)

        def fit(self, train, validation, *, seed):
            raise AssertionError

    Deep.ranges = ranges
    return Deep


def test_ranges_of_the_methods_own_parameters_are_taken():
    cls = method({"depth": Range(1, 9), "rate": Range(1e-4, 1, log=True), "sizes": Options((1,), (2, 3))})
    check_ranges(cls)
    assert isinstance(cls(), Searchable)
    assert Range(1, 9).whole
    assert not Range(1e-4, 1).whole


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([Range(1, 2)], r"ranges is \[Range.*\]; it must give ranges by parameter"),
        ({}, r"ranges is \{\}; it must"),
        ({"depth": (1, 2)}, r"ranges\['depth'\] is \(1, 2\); it must be a Range or Options"),
        ({"dept": Range(1, 2)}, "no parameter of ranges is named 'dept'; did you mean 'depth'"),
        ({"depth": Range(0, 5)}, "ranges: depth is 0; it must be at least 1"),
        ({"depth": Range(1, 10)}, "ranges: depth is 10; it must be at most 9"),
        ({"depth": Range(1.0, 5.0)}, r"ranges: depth is 1.0; it must be a whole number"),
        ({"rate": Options(0.1, "fast")}, "ranges: rate is 'fast'; it must be a number"),
        ({"sizes": Range(1.5, 2.5)}, "its ranges do not fit: ranges: sizes is 1.5"),
    ],
)
def test_those_that_do_not_fit_are_refused_with_the_place(ranges, message):
    with pytest.raises(PluginError, match=message):
        check_ranges(method(ranges))
    registry = Registry()
    registry.add(Plugin("ours", "tests", "1"), {"methods": [method(ranges)]})
    assert registry.names("methods") == []
    assert registry.problems[0].problem.startswith("method deep: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 1), "2 to 1 is empty: low must be below high"),
        ((1, 1), "1 to 1 is empty"),
        ((0, 1, True), "0 to 1, log: a logarithmic range starts above 0"),
        ((float("nan"), 1), "nan is not a finite number"),
        ((0, float("inf")), "inf is not a finite number"),
        (("a", 1), "'a' is not a finite number"),
        ((False, True), "False is not a finite number"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Range(*arguments)


def test_options_leave_a_choice():
    with pytest.raises(ValueError, match="leaves nothing to choose"):
        Options((8,))
    with pytest.raises(ValueError, match="has a value twice"):
        Options(1, 2, 1)


def test_a_parameter_cannot_be_called_ranges():
    @dataclass(frozen=True)
    class Wide:
        name: ClassVar[str] = "wide"
        ranges: int = 3

    with pytest.raises(PluginError, match="give the parameter another name"):
        check_ranges(Wide)


def test_a_plugin_with_an_empty_range_is_broken_and_says_why(fairbench, tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("from fairbench.api import Range\n\nrange_of_rates = Range(1.0, 0.1)\n")
    _, out, err = fairbench("plugins", "--plugin", path)
    assert "1.0 to 0.1 is empty: low must be below high" in " ".join((out + err).split())


def test_show_tells_the_ranges_with_their_sources(fairbench):
    _, out, _ = fairbench("show", "method", "tree")
    assert "ranges: depth 1 to 30 (Probst, Boulesteix and Bischl (2019)" in " ".join(out.split())
    _, out, _ = fairbench("show", "method", "mlp", "--json")
    shown = json.loads(out)["ranges"]
    assert shown["lr"]["low"] == 1e-5
    assert shown["lr"]["log"] is True
    assert shown["hidden"]["values"][0] == [8]
