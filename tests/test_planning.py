"""Which value wins where a suite leaves something to the defaults."""

from __future__ import annotations

import pytest

from fairbench.cells import Preparation
from fairbench.errors import SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.running.suite import (
    MOST_CELLS,
    Suite,
    default_parameters,
    merge_parameters,
    metric_names,
    parse_suite,
    plan,
    plan_digest,
)

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


def test_every_cell_has_the_suites_metrics_scenario_and_preparation(registry):
    suite = Suite(
        "x",
        ("synthetic",),
        ("constant", "logistic"),
        ("holdout", "tuned"),
        ("accuracy", "roc_auc"),
        repeats=2,
        scale=("none", "standard"),
        sensitive_as_feature=(True, False),
        stratify=True,
    )
    cells = plan(suite, registry)
    assert {cell.metrics for cell in cells} == {("accuracy", "roc_auc")}
    assert {cell.scenario.name for cell in cells} == {"holdout", "tuned"}
    assert {cell.preparation for cell in cells} == {
        Preparation(scale, sensitive, True) for scale in ("none", "standard") for sensitive in (True, False)
    }
    assert len(cells) == len({cell.key for cell in cells}) == 2 * 2 * 2 * 4


def test_all_may_stand_beside_names_and_stands_for_scenarios_too(registry):
    cells = plan(Suite("x", ("synthetic",), ("constant",), ("all",), ("accuracy",), repeats=1), registry)
    assert {cell.scenario.name for cell in cells} == set(registry.names("scenarios"))
    both = plan(Suite("x", ("synthetic[rows=300]", "all"), ("constant",), repeats=1), registry)
    assert str(both[0].dataset) == "synthetic[rows=300]"
    assert len({str(cell.dataset) for cell in both}) > 5


def test_the_digest_of_a_plan_hangs_on_cells_and_metrics(registry):
    def digest(*methods, metrics=("accuracy",)):
        return plan_digest(plan(Suite("x", ("synthetic",), methods, metrics=metrics, repeats=1), registry))

    assert digest("constant") == digest("constant")
    assert digest("constant") != digest("logistic")
    assert digest("constant") != digest("constant", metrics=("accuracy", "roc_auc"))


def test_parameters_of_new_datasets_and_methods_are_merged_in():
    base = {"a": {"mlp": {"lr": 1, "epochs": 2}}}
    over = {"a": {"mlp": {"lr": 3}, "tree": {"depth": 4}}, "b": {"mlp": {"lr": 5}}}
    assert merge_parameters(base, over) == {
        "a": {"mlp": {"lr": 3, "epochs": 2}, "tree": {"depth": 4}},
        "b": {"mlp": {"lr": 5}},
    }
    assert base == {"a": {"mlp": {"lr": 1, "epochs": 2}}}


@pytest.mark.parametrize(
    ("field", "advice"), [("datasets", "or 'all'"), ("methods", "or 'all'"), ("metrics", "or leave it out")]
)
def test_an_empty_list_is_refused_with_what_may_stand_there(field, advice):
    fields = {"datasets": ("synthetic",), "methods": ("constant",), field: ()}
    with pytest.raises(SuiteError, match=advice):
        Suite("x", **fields)


def test_a_suite_file_takes_its_name_from_its_file_and_single_values_for_lists(tmp_path):
    suite = parse_suite('datasets = "synthetic"\nmethods = ["constant", "mlp"]', "y.toml", "y")
    assert (suite.name, suite.datasets, suite.methods) == ("y", ("synthetic",), ("constant", "mlp"))


def test_messages_name_what_is_wrong(registry):
    with pytest.raises(SuiteError, match=r"metric accuracy takes no parameters, seen accuracy\[x=1\]"):
        metric_names(("accuracy[x=1]",), registry)
    with pytest.raises(UnknownName, match=r"in a suite's \[parameters.compass\]; 'any' stands for every dataset"):
        plan(Suite("x", ("synthetic",), ("constant",), parameters={"compass": {"mlp": {"epochs": 3}}}), registry)
    with pytest.raises(SuiteError, match="stratify is 1; it must be true or false"):
        parse_suite('datasets = ["synthetic"]\nmethods = ["constant"]\nstratify = 1', "x.toml", "x")
    most = plan(Suite("x", ("synthetic",), ("constant",), repeats=3), registry)
    assert len(most) == 3 < MOST_CELLS
