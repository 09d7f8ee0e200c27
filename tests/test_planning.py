"""Which value wins where a suite leaves something to the defaults."""

from __future__ import annotations

import pytest

from fairbench.plugins import load_plugins
from fairbench.suite import Suite, default_parameters, parse_suite, plan

EXTENDED = """
extends = "default"
datasets = ["compas"]
methods = ["faalgrad"]
repeats = 1
[parameters.compas.faalgrad]
inner_lr = 0.25
"""


@pytest.fixture(scope="module")
def registry():
    return load_plugins()[0]


def test_a_suites_own_parameters_win_over_the_default_suite_that_it_extends(registry):
    assert default_parameters()["compas"]["faalgrad"]["inner_lr"] != 0.25
    (cell,) = plan(parse_suite(EXTENDED, "x.toml", "x"), registry)
    assert cell.method.params["inner_lr"] == 0.25
    assert cell.method.params["outer_lr"] == default_parameters()["compas"]["faalgrad"]["outer_lr"]


@pytest.mark.parametrize("dataset", ["compas", "adult", "german"])
def test_the_group_is_the_datasets_first_attribute_unless_one_is_named(registry, dataset):
    attributes = registry.get("datasets", dataset).sensitive_features
    assert len(attributes) > 1
    (cell,) = plan(Suite("x", (dataset,), ("constant",), repeats=1), registry)
    assert cell.group == attributes[0]
    (cell,) = plan(Suite("x", (dataset,), ("constant",), repeats=1, group=(attributes[-1],)), registry)
    assert cell.group == attributes[-1]
