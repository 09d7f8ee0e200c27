"""Which methods are added to a suite for its reference lines, where they run, and who decides about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairbench.cells import Choice
from fairbench.errors import SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.records import Results
from fairbench.running.references import added_methods, reference_scenario, stands_for
from fairbench.running.session import chosen_suite, suite_of
from fairbench.running.suite import Suite, plan


@pytest.fixture(scope="module")
def registry():
    found, _ = load_plugins()
    return found


def suite(*methods, **fields):
    return Suite("s", ("synthetic[rows=300]",), methods, **{"repeats": 2, "metrics": ("accuracy",), **fields})


def planned(registry, *methods, **fields):
    """Return the scenario, the method and the repeat of each cell."""
    cells = plan(suite(*methods, **{"reference": True, **fields}), registry)
    return [(cell.scenario.name, cell.method.name, cell.repeat) for cell in cells]


def test_the_usual_baseline_and_the_attainable_line_are_added_in_every_repeat(registry):
    own = [("holdout", "logistic", 0), ("holdout", "logistic", 1)]
    added = [("holdout", name, repeat) for repeat in (0, 1) for name in ("mlp", "attainable")]
    assert planned(registry, "logistic") == [*own, *added]


@pytest.mark.parametrize(
    ("baseline", "methods", "added"),
    [
        ("", ["logistic"], ["mlp", "attainable"]),
        ("", ["mlp[epochs=3]"], ["attainable"]),
        ("", ["mlp", "attainable"], []),
        ("logistic", ["logistic"], ["attainable"]),
        ("logistic", ["mlp"], ["logistic", "attainable"]),
        ("mlp", ["mlp[epochs=3]"], ["attainable"]),
        ("mlp[epochs=3]", ["mlp[epochs=3,batch_size=8]"], ["attainable"]),
        ("mlp[epochs=4]", ["mlp[epochs=3]"], ["mlp[epochs=4]", "attainable"]),
    ],
)
def test_what_a_suite_has_is_not_added_again(registry, baseline, methods, added):
    asked = [choice for text in methods for choice in chosen(text)]
    assert [str(choice) for choice in added_methods(baseline, asked, registry)] == added


def chosen(text):
    from fairbench.choices import parse_choices

    return parse_choices(text)


def test_a_choice_stands_for_methods_with_more_parameters_but_no_others():
    method = Choice("mlp", {"epochs": 3, "lr": 0.1})
    assert stands_for(Choice("mlp"), method)
    assert stands_for(Choice("mlp", {"epochs": 3}), method)
    assert not stands_for(Choice("mlp", {"epochs": 4}), method)
    assert not stands_for(Choice("mlp", {"width": None}), method)
    assert not stands_for(Choice("logistic"), method)


def test_a_method_that_no_plugin_has_is_left_out():
    class Empty:
        def names(self, kind):
            return ["logistic"]

    assert added_methods("", [Choice("logistic")], Empty()) == []


@pytest.mark.parametrize("reference", [True, False, None])
def test_a_baseline_that_does_not_exist_is_refused_whether_it_is_needed_or_not(registry, reference):
    with pytest.raises(UnknownName, match="no method is named 'logistc'; did you mean 'logistic'"):
        plan(suite("constant", baseline="logistc", reference=reference), registry)
    with pytest.raises(SuiteError, match="baseline 'mlp,logistic' names 2 methods; name one"):
        plan(suite("constant", baseline="mlp,logistic", reference=reference), registry)


def test_a_parameter_that_the_baseline_lacks_is_refused(registry):
    with pytest.raises(UnknownName, match="no parameter of method mlp is named 'epoch'"):
        plan(suite("constant", baseline="mlp[epoch=3]", reference=True), registry)


def test_added_methods_have_the_suites_parameters(registry):
    parameters = {"any": {"mlp": {"epochs": 7}}}
    cells = plan(suite("constant", reference=True, parameters=parameters), registry)
    assert {cell.method.params["epochs"] for cell in cells if cell.method.name == "mlp"} == {7}


def test_a_suite_that_tunes_has_its_references_in_holdout(registry):
    found = planned(registry, "logistic", scenarios=("tuned",), repeats=1)
    assert found == [("tuned", "logistic", 0), ("holdout", "mlp", 0), ("holdout", "attainable", 0)]


def test_the_suites_own_holdout_is_taken_once(registry):
    found = planned(registry, "logistic", scenarios=("tuned", "holdout"), repeats=1)
    assert found == [
        ("tuned", "logistic", 0),
        ("holdout", "logistic", 0),
        ("holdout", "mlp", 0),
        ("holdout", "attainable", 0),
    ]
    assert reference_scenario([Choice("tuned"), Choice("holdout", {"x": 1})], registry) == Choice("holdout", {"x": 1})


def test_scenarios_that_compare_no_single_fits_have_no_references(registry):
    other = next(
        name
        for name in registry.names("scenarios")
        if name not in ("holdout", "tuned") and not registry.lacks("scenarios", name)
    )
    assert {name for _, name, _ in planned(registry, "logistic", scenarios=(other,))} == {"logistic"}


@pytest.mark.parametrize("reference", [False, None])
def test_nothing_is_added_unless_it_is_asked_for(registry, reference):
    assert {name for _, name, _ in planned(registry, "logistic", reference=reference)} == {"logistic"}


# ------------------------------------------------------------------- who decides


GIVEN = {"methods": ("logistic",), "datasets": ("synthetic",)}


@pytest.mark.parametrize(
    ("variable", "given", "expected"),
    [
        (None, {}, True),
        ("", {}, True),
        (" ", {}, True),
        ("1", {}, False),
        ("1", {"reference": True}, True),
        (None, {"reference": False}, False),
    ],
)
def test_a_run_adds_them_unless_it_or_the_environment_says_no(monkeypatch, variable, given, expected):
    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE", raising=False)
    if variable is not None:
        monkeypatch.setenv("FAIRBENCH_NO_REFERENCE", variable)
    assert chosen_suite(None, {**GIVEN, **given}).reference is expected


def test_a_suite_file_decides_for_itself(monkeypatch, tmp_path):
    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE", raising=False)
    path = tmp_path / "own.toml"
    path.write_text("methods = ['logistic']\ndatasets = ['synthetic']\nbaseline = 'logistic'\nreference = false\n")
    assert (chosen_suite(path, {}).reference, chosen_suite(path, {}).baseline) == (False, "logistic")
    assert chosen_suite(path, {"reference": True, "baseline": "mlp"}) == replace(
        chosen_suite(path, {}), reference=True, baseline="mlp"
    )


def test_the_suite_of_a_run_is_the_one_that_it_kept():
    own = suite("logistic", baseline="logistic", reference=False)
    kept = {name: list(value) if isinstance(value, tuple) else value for name, value in own.to_dict().items()}
    assert suite_of(Results([], {"suite": kept}, 0, {})) == own
    older = {name: value for name, value in kept.items() if name not in ("baseline", "reference")}
    assert suite_of(Results([], {"suite": older}, 0, {})) == replace(own, baseline="", reference=None)


@pytest.mark.parametrize("kept", [{}, {"paper": "faalgrad"}, {"methods": ["a"], "datasets": ["b"], "paper": "x"}])
def test_a_run_of_another_command_cannot_be_extended(kept):
    with pytest.raises(SuiteError, match="only a run of 'fairbench run' can be extended"):
        suite_of(Results([], {"suite": kept}, 0, {}))


def test_a_damaged_suite_is_told_by_its_field():
    kept = {"name": "s", "methods": ["a"], "datasets": ["b"], "repeats": "five"}
    with pytest.raises(SuiteError, match="repeats is 'five'; it must be a whole number"):
        suite_of(Results([], {"suite": kept}, 0, {}))
