"""Suites: read, checked and planned before anything runs."""

from __future__ import annotations

import pytest

from fairbench.cells import Cell, Choice
from fairbench.errors import SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.running.suite import Suite, parse_suite, plan, plan_digest, read_suite, tune

MINIMAL = 'datasets = ["synthetic"]\nmethods = ["constant"]\n'


@pytest.fixture(scope="module")
def registry():
    return load_plugins()[0]


def parse(text):
    return parse_suite(text, "x.toml", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets = [", r"suite x.toml is not valid TOML: Invalid value"),
        ('datasets = ["synthetic"]', "suite x.toml has no 'methods'"),
        (MINIMAL + "repeat = 3", "'repeat' is not a key; did you mean 'repeats'"),
        (MINIMAL + 'repeats = "five"', "repeats is 'five'; it must be a whole number"),
        (MINIMAL + "repeats = true", "repeats is True; it must be a whole number"),
        (MINIMAL + "repeats = 0", "repeats is 0; at least 1 is needed"),
        (MINIMAL + "scale = [1]", "scale is 1; it must be a text"),
        (MINIMAL + 'extends = "mine"', "extends is 'mine'; only 'default' can be extended"),
        (MINIMAL + "[parameters]\nmlp = 3", r"parameters must be tables such as \[parameters.compas.faalgrad\]"),
        ('datasets = []\nmethods = ["constant"]', "datasets is empty"),
    ],
)
def test_malformed_suite_is_refused_with_what_was_seen(text, message):
    with pytest.raises(SuiteError, match=message):
        parse(text)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SuiteError, match="cannot be read"):
        read_suite(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("mpl",)}, "no method is named 'mpl'; did you mean 'mlp'"),
        ({"datasets": ("synthetics",)}, "no dataset is named 'synthetics'; did you mean 'synthetic'"),
        ({"metrics": ("accurracy",)}, "no metric is named 'accurracy'; did you mean 'accuracy'"),
        ({"scenarios": ("hold_out",)}, "no scenario is named 'hold_out'; did you mean 'holdout'"),
        ({"methods": ("mlp[lrr=1]",)}, "no parameter of method mlp is named 'lrr'; did you mean 'lr'"),
        ({"methods": ("mlp[lr=fast]",)}, "method mlp: lr is 'fast'; it must be a number"),
        ({"methods": ("mlp[epochs=0]",)}, "method mlp: epochs is 0; it must be at least 1"),
        ({"methods": ("faalgrad[split=config3]",)}, "split is config3; it must be one of config1, config2"),
        ({"datasets": ("synthetic[rows=-4]",)}, "dataset synthetic: rows is -4; it must be at least"),
        ({"parameters": {"any": {"mlpp": {}}}}, "no method is named 'mlpp'"),
        ({"scale": ("robust",)}, "scale is 'robust'"),
    ],
)
def test_unknown_names_and_values_are_refused_before_anything_runs(registry, changes, message):
    suite = Suite(**{"name": "x", "datasets": ("synthetic",), "methods": ("constant",), **changes})
    with pytest.raises((UnknownName, SuiteError), match=message):
        plan(suite, registry)


def test_grid_is_the_product_of_its_parts(registry):
    text = (
        'datasets = ["synthetic", "sklearn-diabetes"]\nmethods = ["constant", "faalgrad[split=config1|config2]"]\n'
        'repeats = 3\nscale = ["none", "standard"]'
    )
    cells = plan(parse(text), registry)
    assert len(cells) == 2 * 3 * 3 * 2
    assert len({cell.key for cell in cells}) == len(cells)
    assert len({cell.split_key for cell in cells}) == 2 * 3 * 2


def test_all_means_every_registered_dataset_but_those_that_want_to_be_named(registry):
    cells = plan(parse('datasets = ["all"]\nmethods = ["constant"]\nrepeats = 1'), registry)
    named = [cell.dataset.name for cell in cells]
    left_out = set(registry.names("datasets")) - set(named)
    assert named == [name for name in registry.names("datasets") if name not in left_out]
    assert left_out == {"acs", "celeba", "colored_mnist", "colored_svhn", "fairface", "health"}
    assert len(registry.names("datasets")) >= 20


def test_spelling_a_default_out_is_the_same_cell(registry):
    short = plan(parse(MINIMAL.replace("constant", "mlp")), registry)
    spelled = plan(
        parse(MINIMAL.replace("constant", "mlp[activation=relu]").replace("synthetic", "synthetic[setting=equal]")),
        registry,
    )
    assert plan_digest(short) == plan_digest(spelled)


def test_special_parameters_win_over_general_ones_and_the_choice_over_both(registry):
    tables = {"any": {"mlp": {"lr": 0.1, "epochs": 7}}, "synthetic": {"mlp": {"lr": 0.2}}}
    suite = Suite("x", ("synthetic", "sklearn-diabetes"), ("mlp", "mlp[lr=0.3]"), repeats=1, parameters=tables)
    seen = [
        (cell.dataset.name, cell.method.params["lr"], cell.method.params["epochs"]) for cell in plan(suite, registry)
    ]
    assert seen == [
        ("synthetic", 0.2, 7),
        ("synthetic", 0.3, 7),
        ("sklearn-diabetes", 0.1, 7),
        ("sklearn-diabetes", 0.3, 7),
    ]


def test_default_suite_holds_the_papers_rates(registry):
    suite = parse('extends = "default"\ndatasets = ["compas"]\nmethods = ["faalgrad"]')
    tuned = {
        name: tune(suite.parameters, name, plan(suite, registry)[0].method.__class__("faalgrad")).params
        for name in ("compas", "adult", "communities", "german")
    }
    rates = {
        name: (params["inner_lr"], params["outer_lr"], params["activation"], len(params["hidden"]))
        for name, params in tuned.items()
    }
    assert rates == {
        "compas": (0.01, 0.01, "relu", 1),
        "adult": (0.001, 0.001, "relu", 2),
        "communities": (0.005, 0.001, "tanh", 1),
        "german": (0.005, 0.1, "relu", 1),
    }


def test_a_cell_survives_json(registry):
    for cell in plan(parse(MINIMAL), registry):
        again = Cell.from_json(cell.to_json())
        assert again.key == cell.key
        assert again == cell


def test_seeds_do_not_depend_on_the_method(registry):
    constant, mlp = plan(Suite("x", ("synthetic",), ("constant", "mlp"), repeats=1), registry)
    assert constant.seed("split") == mlp.seed("split")
    assert constant.seed("split") != constant.seed("fit")


def grouped(registry, *groups, datasets=("adult", "compas")):
    """Return the groups of the cells that a suite plans, by dataset."""
    suite = Suite("x", datasets, ("constant",), group=groups, repeats=1)
    return [(cell.dataset.name, cell.group) for cell in plan(suite, registry)]


def test_an_attribute_that_one_of_the_datasets_has_is_planned_for_all(registry):
    assert registry.dataset(Choice("german")).sensitive_features == ("sex", "age")
    assert grouped(registry, "race", datasets=("adult", "german")) == [("adult", "race"), ("german", "race")]


@pytest.mark.parametrize("group", ["sexe", "race,sexe"])
def test_an_attribute_that_no_chosen_dataset_has_is_refused_before_anything_runs(registry, group):
    with pytest.raises(
        UnknownName, match=r"no sensitive attribute .* is named 'sexe'; did you mean 'sex'\? \(there are"
    ):
        grouped(registry, "", group)


def test_an_attribute_that_is_named_twice_is_refused(registry):
    with pytest.raises(SuiteError, match="group 'sex, sex' names 'sex' twice; name each attribute"):
        grouped(registry, "sex, sex")
