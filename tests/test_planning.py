"""Which value wins where a suite leaves something to the defaults."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fairbench.cells import Choice, Preparation
from fairbench.errors import SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Plugin, Registry
from fairbench.running import suite as module
from fairbench.running.attributes import check_group_names
from fairbench.running.hyperparameters import default_parameters, merge_parameters
from fairbench.running.suite import (
    LARGEST_FILE,
    MOST_CELLS,
    Suite,
    left_out,
    metric_names,
    parse_suite,
    plan,
    plan_digest,
    read_suite,
    tune,
)

MINIMAL = 'datasets = ["synthetic"]\nmethods = ["constant"]\n'

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
        stratify=(True,),
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


# ------------------------------------------------------------------- the edges of what is taken


def test_a_file_of_the_largest_size_is_read_and_gives_the_suite_its_name(tmp_path):
    path = tmp_path / "small.grid.toml"
    path.write_text(MINIMAL + "#" * (LARGEST_FILE - len(MINIMAL)))
    assert read_suite(path).name == "small.grid"
    assert parse_suite(MINIMAL + 'name = "mine"', "x.toml", "x").name == "mine"
    path.write_bytes(b"#\xff")
    with pytest.raises(SuiteError) as raised:
        read_suite(path)
    assert str(raised.value) == f"suite {path} is not UTF-8 text (invalid start byte at byte 1); save it as UTF-8"


@pytest.mark.parametrize(
    "nested",
    [
        lambda levels: f"name = {'[' * levels}{']' * levels}",
        lambda levels: f"parameters.{'.'.join('a' * (levels - 1))} = 1",
        lambda levels: f"parameters.a.b.c = {'[' * (levels - 3)}{']' * (levels - 3)}",
    ],
)
def test_ten_levels_are_taken_and_eleven_are_not(nested):
    module.check_plain(module.tomllib.loads(nested(10)), "here")
    with pytest.raises(SuiteError, match="is nested more than 10 deep"):
        parse_suite(MINIMAL + nested(11), "x.toml", "x")


def test_a_place_too_long_to_show_is_cut():
    with pytest.raises(SuiteError) as raised:
        parse_suite(f"{MINIMAL}{'n' * 300} = {'[' * 11}{']' * 11}", "x.toml", "x")
    assert str(raised.value) == f"{f'suite x.toml: {chr(110) * 300}'[:200]} is nested more than 10 deep"


def test_whole_numbers_of_64_bits_are_taken():
    assert parse_suite(f"{MINIMAL}repeats = {2**64 - 1}", "x.toml", "x").repeats == 2**64 - 1
    with pytest.raises(SuiteError, match="repeats is a whole number of 65 bits; at most 64 can be kept"):
        parse_suite(f"{MINIMAL}repeats = {2**64}", "x.toml", "x")


def test_as_many_cells_are_planned_as_are_allowed(registry, monkeypatch):
    monkeypatch.setattr(module, "MOST_CELLS", 6)
    fields = {"datasets": ("synthetic",), "methods": ("constant", "mlp"), "scale": ("none", "standard")}
    assert MOST_CELLS == 10**6
    with pytest.raises(SuiteError, match="suite x has 8 cells; at most 6 are planned, so ask for fewer repeats"):
        plan(Suite("x", **fields, repeats=2), registry)
    monkeypatch.setattr(module, "MOST_CELLS", 8)
    assert len(plan(Suite("x", **fields, repeats=2), registry)) == 8


def test_cells_of_one_split_stand_side_by_side(registry):
    suite = Suite(
        "x",
        ("synthetic", "sklearn-diabetes"),
        ("constant", "mlp"),
        ("holdout", "tuned"),
        ("accuracy",),
        repeats=2,
        scale=("none", "standard"),
    )
    told = [
        (cell.dataset.name, cell.preparation.scale, cell.scenario.name, cell.repeat, cell.method.name)
        for cell in plan(suite, registry)
    ]
    assert told == [
        (dataset, scale, scenario, repeat, method)
        for dataset in suite.datasets
        for scale in suite.scale
        for scenario in suite.scenarios
        for repeat in range(2)
        for method in suite.methods
    ]


# ------------------------------------------------------------------- whole messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "repeat = 3",
            "suite x.toml: 'repeat' is not a key; did you mean 'repeats'? (keys: name, repeats, tunings, fits, "
            "baseline, reference, datasets, methods, scenarios, metrics, group, scale, sensitive_as_feature, "
            "stratify, group_known, group_at_prediction, parameters, extends, data)",
        ),
        (
            "parameters = 3",
            "suite x.toml: parameters must be tables such as [parameters.compas.faalgrad], or [parameters.any.mlp]",
        ),
        ("group = 3", "suite x.toml: group is 3; it must be a text"),
        ("stratify = 'yes'", "suite x.toml: stratify is 'yes'; it must be true or false"),
        ("extends = 'other'", "suite x.toml: extends is 'other'; only 'default' can be extended"),
        ("group = 'a,'", "suite x.toml: group 'a,' has an empty name; leave it out for each dataset's own"),
    ],
)
def test_a_suite_is_refused_in_a_whole_sentence(text, message):
    with pytest.raises(SuiteError) as raised:
        parse_suite(MINIMAL + text, "x.toml", "x")
    assert str(raised.value) == message


@pytest.mark.parametrize("needed", ["datasets", "methods"])
def test_what_a_suite_needs_is_said_with_an_example(needed):
    kept = "".join(f"{line}\n" for line in MINIMAL.splitlines() if not line.startswith(needed))
    with pytest.raises(SuiteError) as raised:
        parse_suite(kept, "x.toml", "x")
    assert str(raised.value) == f"suite x.toml has no '{needed}'; add e.g. {needed} = ['all']"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"repeats": "5"}, "suite x: repeats is '5'; it must be a whole number"),
        ({"repeats": True}, "suite x: repeats is True; it must be a whole number"),
        ({"repeats": -1}, "suite x: repeats is -1; at least 1 is needed"),
        ({"group": ("sex", 3)}, "suite x: group is 3; it must be a text"),
        ({"sensitive_as_feature": (0,)}, "suite x: sensitive_as_feature is 0; it must be true or false"),
        ({"scenarios": ()}, "suite x: scenarios is empty; name at least one, or leave it out for the default"),
        ({"methods": ()}, "suite x: methods is empty; name at least one, or 'all'"),
    ],
)
def test_a_suite_made_in_python_is_checked_too(fields, message):
    with pytest.raises(SuiteError) as raised:
        Suite(**{"name": "x", "datasets": ("synthetic",), "methods": ("constant",), **fields})
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("group", "hint"), [("income", r"\(there is group\)$"), ("group,income", r"\(there is group\)$")]
)
def test_an_unknown_attribute_is_told_with_those_there_are(registry, group, hint):
    with pytest.raises(UnknownName, match=hint):
        plan(Suite("x", ("synthetic",), ("constant",), group=(group,)), registry)
    with pytest.raises(UnknownName, match=r"\(there are age, sex\)$"):
        plan(Suite("x", ("german",), ("constant",), group=("income",)), registry)


def test_groups_are_checked_wherever_they_come_from(registry):
    check_group_names(["sex", "race, sex"])
    with pytest.raises(SuiteError) as raised:
        check_group_names(["sex", "sex,"])
    assert str(raised.value) == "group 'sex,' has an empty name; leave it out for each dataset's own"
    for group, words in (
        ("a,,b", "'a,,b' has an empty name; write e.g. 'race,sex' for combinations"),
        ("a,a", "twice"),
    ):
        with pytest.raises(SuiteError, match=words):
            plan(Suite("x", ("synthetic",), ("constant",), group=(group,)), registry)


# ------------------------------------------------------------------- what a suite leaves open


def test_a_suite_as_plain_data_is_the_suite_again():
    suite = parse_suite(EXTENDED, "x.toml", "x")
    assert Suite(**suite.to_dict()) == suite
    assert suite.to_dict()["parameters"]["compas"]["faalgrad"]["inner_lr"] == 0.25
    assert (suite.scenarios, suite.metrics, suite.group, suite.scale) == (("holdout",), ("all",), ("",), ("standard",))


def test_a_choice_is_tuned_where_it_says_nothing_itself():
    tables = {"any": {"mlp": {"a": 1, "b": 1, "c": 1}}, "adult": {"mlp": {"b": 2, "c": 2}}}
    assert tune(tables, "adult", Choice("mlp", {"c": 3})) == Choice("mlp", {"a": 1, "b": 2, "c": 3})
    assert tune(tables, "compas", Choice("mlp")).params == {"a": 1, "b": 1, "c": 1}
    assert tune(tables, "adult", Choice("tree")) == Choice("tree", {})


def test_metrics_are_named_once_in_the_order_asked_for(registry):
    assert metric_names(("roc_auc,accuracy", "roc_auc"), registry) == ("roc_auc", "accuracy")
    assert set(metric_names(("all",), registry)) == set(registry.names("metrics"))


@dataclass(frozen=True)
class Needs:
    """A component that cannot be built without a parameter."""

    name = "needs"
    alpha: float


def test_all_kinds_are_looked_through_for_what_all_leaves_out(registry):
    own = Registry()
    own.add(Plugin("acme", "acme", "1"), {"methods": [Needs], "scenarios": [Needs]})
    suite = Suite("x", ("synthetic",), ("all",), ("all",))
    assert [sentence.split(":")[0] for sentence in left_out(suite, own)] == [
        "method needs is left out of 'all'",
        "scenario needs is left out of 'all'",
    ]
    assert left_out(Suite("x", ("synthetic",), ("mlp",)), own) == []
