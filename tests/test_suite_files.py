"""Suite files as strangers write them: read, or refused in words before anything runs."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairbench.errors import FairbenchError, SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Plugin, Registry
from fairbench.running.suite import Suite, left_out, parse_suite, plan, read_suite

MINIMAL = 'datasets = ["synthetic"]\nmethods = ["constant"]\n'


@pytest.fixture(scope="module")
def registry():
    return load_plugins()[0]


def parse(text):
    return parse_suite(text, "x.toml", "x")


def test_a_byte_order_mark_is_no_part_of_a_suite(tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert read_suite(tmp_path / "s.toml").methods == ("constant",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MINIMAL.encode("utf-16"), "s.toml is not UTF-8 text .*; save it as UTF-8"),
        (MINIMAL.encode("utf-16-be"), "s.toml is not valid TOML"),
        (b"# \xe9", "is not UTF-8 text"),
        (b"#" * 1_000_001, "has 1000001 bytes; at most 1000000 are read"),
    ],
)
def test_a_file_of_another_code_or_of_any_size_is_refused(tmp_path, content, message):
    (tmp_path / "s.toml").write_bytes(content)
    with pytest.raises(SuiteError, match=message):
        read_suite(tmp_path / "s.toml")


def test_what_is_no_file_is_refused_and_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(SuiteError, match="is not a file that can be read"):
            read_suite(Path(path))
    with pytest.raises(SuiteError, match="cannot be read"):
        read_suite(tmp_path / "a\0b.toml")


@pytest.mark.parametrize(
    "key", ["datasets", "methods", "scenarios", "metrics", "group", "scale", "sensitive_as_feature"]
)
def test_an_empty_list_is_refused_by_name(key):
    kept = "".join(f"{line}\n" for line in MINIMAL.splitlines() if not line.startswith(key))
    with pytest.raises(SuiteError, match=f"suite x: {key} is empty; name at least one"):
        parse(f"{key} = []\n{kept}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "x = " + "[" * 5000 + "]" * 5000, "is not valid TOML: "),
        (MINIMAL + "name = " + "[" * 50 + "]" * 50, "suite x.toml: name is nested more than 10 deep"),
        (
            MINIMAL + "parameters." + ".".join("a" * 3000) + " = 1",
            "nested more than 10 deep|more than the allowed 1000 parts",
        ),
        (MINIMAL + "repeats = 0x" + "f" * 5000, "suite x.toml: repeats is a whole number of 20000 bits; at most 64"),
        (MINIMAL + "repeats = 1" + "0" * 30, "suite x.toml: repeats is a whole number of 100 bits"),
        (MINIMAL + "repeats = 1" + "0" * 5000, "suite x.toml"),
        (MINIMAL + "repeats = 1.0", "repeats is 1.0; it must be a whole number"),
        (MINIMAL + "name = 2024-01-01", "name is the date or time 2024-01-01; write it in quotes"),
        (MINIMAL + "[parameters.any.mlp]\nlr = [1, nan]", "parameters.any.mlp.lr is nan; it must be a finite number"),
        (MINIMAL + "[parameters.any.mlp]\nlr = 10:00:00", "parameters.any.mlp.lr is the date or time 10:00:00"),
        (MINIMAL + 'group = " "', "group ' ' has an empty name; leave it out for each dataset's own"),
    ],
    ids=range(11),
)
def test_what_toml_can_say_but_no_run_can_be_is_refused_in_words(text, message):
    with pytest.raises(SuiteError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[parameters.compass.mlp]\nepochs = 3", r"no dataset is named 'compass'; did you mean 'compas'\?"),
        ("[parameters.ANY.mlp]\nepochs = 3", r"did you mean 'any'\?"),
        ("[parameters.'synthetic[rows=9]'.mlp]\nepochs = 3", r"did you mean 'synthetic'\?"),
        ("[parameters.adult.mlpp]\nepochs = 3", r"no method is named 'mlpp'; did you mean 'mlp'\?"),
        ("[parameters.adult.mlp]\nepoch = 3", r"method mlp is named 'epoch'; did you mean 'epochs'\?"),
        ("[parameters.adult.mlp]\nepochs = 0", r"\[parameters.adult\] method mlp: epochs is 0; it must be at least 1"),
    ],
)
def test_misspelt_parameters_are_refused_also_for_datasets_that_are_not_run(registry, table, message):
    with pytest.raises((SuiteError, UnknownName), match=message):
        plan(parse(MINIMAL + table), registry)


def test_where_plugins_are_left_out_their_names_are_passed_over_but_not_wrong_values_of_those_there():
    few = load_plugins(only=["fairbench_baselines", "fairbench_datasets", "fairbench_metrics", "fairbench_scenarios"])[
        0
    ]
    foreign = "[parameters.adult.faalgrad]\ninner_lr = 0.1\n[parameters.acme.mlp]\nepochs = 3\n"
    assert plan(parse(MINIMAL + foreign), few)
    with pytest.raises(UnknownName, match="did you mean 'epochs'"):
        plan(parse(MINIMAL + "[parameters.acme.mlp]\nepoch = 3\n"), few)


def test_blanks_around_attributes_go_and_repeated_names_make_no_second_cell(registry):
    text = 'datasets = ["compas", "compas"]\nmethods = ["constant", "constant"]\nrepeats = 1\n'
    cells = plan(parse(text + 'group = [" race , sex", "race,sex"]'), registry)
    assert [cell.group for cell in cells] == ["race,sex"]
    with pytest.raises(SuiteError, match="group 'race,' has an empty name"):
        plan(Suite("x", ("compas",), ("constant",), group=("race,",)), registry)


def test_a_grid_that_no_machine_can_plan_is_refused_with_its_size(registry):
    with pytest.raises(SuiteError, match="suite x has 1000000000 cells; at most 1000000 are planned"):
        plan(parse(MINIMAL + "repeats = 1_000_000_000"), registry)


def test_all_takes_no_parameters(registry):
    with pytest.raises(SuiteError, match=r"all\[epochs=3\] gives parameters to all methods; name those that take them"):
        plan(Suite("x", ("synthetic",), ("all[epochs=3]",)), registry)


@dataclass(frozen=True)
class Needs:
    name = "needs"
    alpha: float


def test_all_leaves_out_what_cannot_be_built_and_says_so(registry):
    own = Registry()
    own.add(Plugin("acme", "acme", "1"), {"methods": [Needs, registry.get("methods", "constant")]})
    for kind, name in (("datasets", "synthetic"), ("scenarios", "holdout"), ("metrics", "accuracy")):
        own.add(Plugin(kind, "acme", "1"), {kind: [registry.get(kind, name)]})
    suite = Suite("x", ("synthetic",), ("all",), repeats=1)
    assert [cell.method.name for cell in plan(suite, own)] == ["constant"]
    reason = "method needs needs alpha, which has no default; write needs[alpha=...]"
    assert left_out(suite, own) == [f"method needs is left out of 'all': {reason}"]
    named = Suite("x", ("synthetic",), ("all,needs[alpha=1]",), repeats=1)
    assert [cell.method.name for cell in plan(named, own)] == ["constant", "needs"]
    assert left_out(named, own) == []
    with pytest.raises(SuiteError, match="needs alpha, which has no default"):
        plan(Suite("x", ("synthetic",), ("needs",)), own)


@pytest.mark.parametrize("attributes", [(), "sex", ("",), (1,), None])
def test_a_dataset_that_names_no_sensitive_column_is_refused_by_itself(registry, attributes):
    good = registry.get("datasets", "synthetic")
    bad = type("Bad", (good,), {"name": "bad", "sensitive_features": attributes})
    own = Registry()
    own.add(Plugin("acme", "acme", "1"), {"datasets": [bad, good]})
    assert own.names("datasets") == ["synthetic"]
    assert "it must name at least one column" in own.problems[0].problem


BASE = MINIMAL + 'group = ["group"]\nscale = "none"\nrepeats = 2\n[parameters.any.mlp]\nlr = 0.1\nhidden = [8, 8]\n'
WORDS = "[ ] \" ' = , . { } | ( nan inf true all 2024-01-01 parameters synthetic constant mlp[lr=1|2] any # -1 1e999 \\"
pieces = st.sampled_from([*WORDS.split(), " ", "\n", "\0", "\x1b", "é", '"""', "9" * 30])
edits = st.lists(st.tuples(st.integers(0, len(BASE)), st.integers(0, 6), pieces), min_size=1, max_size=6)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(edits)
def test_a_mutated_suite_is_planned_or_refused(registry, changes):
    text = BASE
    for place, length, piece in changes:
        text = text[:place] + piece + text[place + length :]
    with contextlib.suppress(FairbenchError):
        plan(parse(text), registry)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["all", "mlp"])
)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(["lr", "hidden", "epochs", "x"]), st.one_of(leaves, st.lists(leaves, max_size=3)))
)
def test_any_values_of_parameters_are_planned_or_refused(registry, params):
    with contextlib.suppress(FairbenchError):
        (cell,) = plan(Suite("x", ("synthetic",), ("mlp",), repeats=1, parameters={"any": {"mlp": params}}), registry)
        assert cell.key
