"""Runs that assume that the group is known for a share of the rows only, or not at prediction."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from fairbench_scenarios._rules import judge
from hypothesis import given, settings
from hypothesis import strategies as st

import fairbench as package
from fairbench.api import UNKNOWN_GROUP, Fitted, NotApplicable, Predictions, Rule, Samples, known_rows
from fairbench.cells import Cell, Choice, Preparation
from fairbench.data.examples import example_split
from fairbench.data.withheld import partly_known
from fairbench.errors import SuiteError
from fairbench.plugins.group_use import withholding
from fairbench.plugins.loading import load_plugins
from fairbench.running.rundir import load_results
from fairbench.running.suite import Suite, parse_suite, plan
from fairbench.testing import Nonconforming
from fairbench.testing.group_use import method_takes_rows_of_unknown_group

SPLIT = example_split()
BLIND, PARTLY = Preparation(group_at_prediction=False), Preparation(group_known=0.25)
shares = st.floats(0, 1)


def known(samples):
    return samples.group != UNKNOWN_GROUP


# ------------------------------------------------------------------ the draw


@given(st.tuples(shares, shares), st.integers(0, 2**32))
@settings(max_examples=50)
def test_rows_that_are_known_at_a_share_are_known_at_a_larger_one(pair, seed):
    fewer, more = (partly_known(SPLIT, share, seed) for share in sorted(pair))
    for name in ("train", "validation"):
        small, large, whole = getattr(fewer, name), getattr(more, name), getattr(SPLIT, name)
        assert not (known(small) & ~known(large)).any()
        for part, share in ((small, min(pair)), (large, max(pair))):
            assert known(part).sum() == round(share * len(whole))
            assert (part.group == whole.group)[known(part)].all()
            assert part.X is whole.X
            assert part.y is whole.y
    assert fewer.test is SPLIT.test


def test_the_draw_is_random_and_depends_on_the_seed():
    one, other = (known(partly_known(SPLIT, 0.5, seed).train) for seed in (1, 2))
    assert (one != other).any()
    assert 20 < one[:84].sum() < 64  # a half of the first half, but for the draw


# ------------------------------------------------------------------ the keys


def test_keys_are_those_of_runs_that_knew_no_assumption():
    """The hashes were printed by a version that had no such fields."""
    cell = Cell(
        *(Choice("german"), Choice("mlp", {"epochs": 3}), "sex", 2, Preparation("none", True, True), Choice("tuned")),
        *(("accuracy",), 1, 1),
    )
    assert (cell.key, cell.split_key) == ("ca7982728415d4fe05f539e9c9d5fb24", "cb962d4d3416bd1e0e8e0906a7964ccf")
    assert "group_" not in cell.to_json()


@pytest.mark.parametrize("preparation", [BLIND, PARTLY, Preparation(group_known=0)])
def test_an_assumption_changes_the_key_and_not_the_split(preparation):
    usual, other = (Cell(Choice("a"), Choice("b"), "c", 0, prepared) for prepared in (Preparation(), preparation))
    assert usual.key != other.key
    assert usual.split_key == other.split_key
    assert Cell.from_json(other.to_json()) == other
    assert preparation.assumption


def test_the_draw_is_shared_by_methods_and_fits():
    cells = [Cell(Choice("a"), Choice(name), "c", 0, PARTLY, fit=fit) for name in "mn" for fit in (0, 1)]
    assert len({cell.seed("known groups") for cell in cells}) == 1
    assert Cell(Choice("a"), Choice("m"), "c", 0, PARTLY, tuning=1).seed("known groups") != cells[0].seed(
        "known groups"
    )


# ---------------------------------------------------------- what methods get


def method(uses: Optional[tuple[str, ...]], takes: bool = False, look: bool = False):
    @dataclass(frozen=True)
    class Given:
        """Keeps what it is given."""

        name = "given"
        uses_group = uses
        takes_unknown_group = takes

        def fit(self, train, validation, *, seed):
            def predict(inputs):
                return Predictions((inputs.group == 0).astype(int) if look else np.ones(len(inputs), int))

            predict.given = (train, validation)
            return predict

    return Given()


def fitted(method, preparation):
    split = partly_known(SPLIT, preparation.group_known, 3)
    return Fitted.of(withholding(method, preparation).fit(split.train, split.validation, seed=1)).points[""]


@pytest.mark.parametrize("uses", [None, ("training",), ("training", "prediction")])
def test_a_method_that_uses_the_group_learns_from_known_rows(uses):
    point = fitted(method(uses), PARTLY)
    for part, whole in zip(point.given, (SPLIT.train, SPLIT.validation)):
        assert len(part) == round(0.25 * len(whole))
        assert known(part).all()


@pytest.mark.parametrize("uses", [(), ("prediction",)])
def test_a_method_that_learns_without_the_group_learns_from_all_rows(uses):
    assert len(fitted(method(uses), PARTLY).given[0]) == len(SPLIT.train)


def test_a_method_can_take_rows_of_unknown_group():
    train, _ = fitted(method(("training",), takes=True), PARTLY).given
    assert len(train) == len(SPLIT.train)
    assert known(train).sum() == 42
    assert not train.protected[~known(train)].any()
    assert len(known_rows(train)) == 42


def test_a_method_that_predicts_by_group_does_not_apply_where_it_is_withheld():
    with pytest.raises(NotApplicable, match="uses the group to predict, and the group is withheld"):
        fitted(method(("training", "prediction")), BLIND)
    undeclared = fitted(method(None, look=True), BLIND)
    with pytest.raises(NotApplicable, match="method given asked for the group to predict, and the group is withheld"):
        undeclared(SPLIT.test.inputs)
    assert fitted(method(None), BLIND)(SPLIT.test.inputs).y_pred.all()
    assert fitted(method(("training",)), BLIND)(SPLIT.test.inputs).y_pred.all()


def test_too_few_known_rows_are_a_reason():
    for uses, why in ((("training",), "uses the group at training"), (None, "does not declare its use of the group")):
        with pytest.raises(NotApplicable, match=rf"{why}, and the 0 rows of the training part .* \(of 168\)"):
            fitted(method(uses), Preparation(group_known=0))
    assert len(fitted(method(()), Preparation(group_known=0)).given[0]) == len(SPLIT.train)


def test_a_rule_judges_by_the_rows_whose_group_is_known():
    """Selecting everybody is right on all of these, and wrong on the hidden rows, which the other point knows."""
    part = SPLIT.validation
    hidden = (part.group == 0) & (part.y == 0)
    y = (~hidden).astype(int)
    X = np.where(np.arange(len(part)) == np.flatnonzero(y)[0], 0, y)[:, None]  # wrong on one row
    schema = replace(part.schema, feature_names=("x",))
    seen = Samples(X.astype(np.float32), np.where(hidden, UNKNOWN_GROUP, part.group), schema, y)
    points = {
        "x": lambda inputs: Predictions(inputs.X[:, 0].astype(int)),
        "all": lambda inputs: Predictions(np.ones(len(inputs), int)),
    }
    assert hidden.sum() > 1
    rule = Rule.parse("max accuracy")
    assert rule.choose(judge(seen, points)).label == "all"
    everything = replace(seen, group=part.group)
    assert rule.choose(judge(everything, points)).label == "x"


def test_a_method_that_cannot_do_what_it_says_with_unknown_groups_is_found():
    class Counts(type(method(("training",), takes=True))):
        def fit(self, train, validation, *, seed):
            np.bincount(train.group)

    with pytest.raises(ValueError, match="negative"):
        method_takes_rows_of_unknown_group(Counts)

    class Refuses(Counts):
        def fit(self, train, validation, *, seed):
            raise NotApplicable("")

    with pytest.raises(Nonconforming, match="without a reason"):
        method_takes_rows_of_unknown_group(Refuses)


# ------------------------------------------------------------------- suites


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("group_known = 1.5", "group_known is 1.5; it must be a share of the rows, from 0 to 1"),
        ("group_known = [0.5, -1]", "group_known is -1; it must be a share"),
        ("group_known = 'all'", "group_known is 'all'; it must be a number"),
        ("group_known = true", "group_known is True; it must be a number"),
        ("group_known = []", "group_known is empty"),
        ("group_at_prediction = 0", "group_at_prediction is 0; it must be true or false"),
    ],
)
def test_a_wrong_assumption_is_refused(text, says):
    with pytest.raises(SuiteError, match=says.replace("[", r"\[")):
        plan(parse_suite(f"datasets = ['synthetic']\nmethods = ['mlp']\n{text}", "s", "s"), load_plugins()[0])


def test_lists_make_an_axis():
    suite = parse_suite(
        "datasets = ['synthetic']\nmethods = ['mlp']\nrepeats = 1\ngroup_known = [1, 0.5]\n"
        "group_at_prediction = [true, false]",
        *("s", "s"),
    )
    cells = plan(suite, load_plugins()[0])
    assert [cell.preparation.assumption for cell in cells] == [
        "",
        "group withheld at prediction",
        "group known for 50% of training and validation rows",
        "group known for 50% of training and validation rows; group withheld at prediction",
    ]
    assert cells[0].key == plan(Suite("s", ("synthetic",), ("mlp",), repeats=1), load_plugins()[0])[0].key


# ---------------------------------------------------------------- end to end

METHODS = "logistic,aif360_reweighing,attainable[rounds=5]"
GERMAN = ("--methods", METHODS, "--datasets", "german", "--repeats", "1", "--baseline", "logistic", "--workers", "2")
SHARES = ("--group-known", "1", "--group-known", "0.2")
ASSUMED = (*SHARES, "--no-group-at-prediction")


@pytest.mark.long
@pytest.mark.skipif("FAIRBENCH_DATA" not in os.environ, reason="FAIRBENCH_DATA names no folder of real raw files")
def test_the_axis_end_to_end(fairbench):
    assert fairbench("run", *GERMAN, "--out", "out")[0] == 0
    before = {record.cell.key: record for record in load_results(Path("out")).records}
    assert {record.status for record in before.values()} == {"done"}
    status, out, _ = fairbench("run", *GERMAN, *SHARES, "--out", "out")
    assert status == 0
    grown = {record.cell.key: record for record in load_results(Path("out")).records}
    assert len(grown) == 6
    assert all(grown[key] == record for key, record in before.items())  # finished cells stay
    status, shown, err = fairbench("run", *GERMAN, *ASSUMED, "--out", "blind")
    assert status == 0
    assert "6 cells: 4 done, 2 skipped, 0 failed" in err
    blind = load_results(Path("blind")).records
    found = {(record.cell.method.name, record.cell.preparation.group_known): record for record in blind}
    for share in (0.2, 1.0):
        assert found["attainable", share].reason == (
            "method attainable uses the group to predict, and the group is withheld then (group_at_prediction = false)"
        )

    usual = {record.cell.method.name: record for record in before.values()}
    assert found["logistic", 0.2].values == found["logistic", 1.0].values == usual["logistic"].values
    assert found["aif360_reweighing", 1.0].values == usual["aif360_reweighing"].values
    assert found["aif360_reweighing", 0.2].values != usual["aif360_reweighing"].values

    told = "group known for 20% of training and validation rows; group withheld at prediction"
    for suffix in ("md", "tex"):
        assert told in " ".join((Path("blind") / f"report.{suffix}").read_text("utf-8").replace("\\%", "%").split())
    assert told in " ".join(shown.split())
    reports = (fairbench("report", "blind", "--format", form)[1] for form in ("lines", "multiverse"))
    lines, universes = (" ".join(text.split()) for text in reports)
    assert told in lines
    assert "no attainable line: method attainable uses the group to predict" in lines
    assert "'fairbench lines RUN' runs it" not in lines
    assert "scenario holdout; group withheld at prediction; 2 universes" in universes
    assert told not in " ".join(out.split())
    assert "group known for 20%" in " ".join(out.split())
    header, *lines = (Path("blind") / "report.csv").read_text("utf-8").splitlines()
    place = header.split(",").index("group_known")
    assert {tuple(line.split(",")[place : place + 2]) for line in lines} == {("1.0", "false"), ("0.2", "false")}


@pytest.mark.long
def test_who_cannot_work_with_an_assumption_is_skipped_with_a_reason(fairbench):
    suite = (
        "datasets = ['synthetic']\nmethods = ['constant']\nrepeats = 1\ngroup_known = [1.0, 0.5]\n"
        "group_at_prediction = [true, false]\nsensitive_as_feature = [false, true]\n"
        "scenarios = ['stream[correction=dual]', 'seq_class']\n"
    )
    Path("s.toml").write_text(suite, encoding="utf-8")
    assert fairbench("run", "s.toml", "--workers", "1", "--out", "out")[0] == 0
    for record in load_results(Path("out")).records:
        prepared, scenario = record.cell.preparation, record.cell.scenario.name
        reason = ""
        if prepared.assumption and prepared.sensitive_as_feature:
            reason = "then the group cannot be one of the features; hide it"
        elif prepared.group_known < 1 and scenario == "seq_class":
            reason = "scenario seq_class does not say that it can work with rows whose group is not known"
        elif not prepared.group_at_prediction and scenario == "stream":
            reason = "scenario stream uses the group itself, and the group is withheld"
        elif scenario == "seq_class":
            continue
        assert record.status == ("skipped" if reason else "done"), record.reason
        assert reason in record.reason


def test_a_run_in_python_takes_shares(tmp_path):
    run = package.run(
        methods="logistic",
        datasets="synthetic",
        repeats=1,
        group_known=np.array([1, 0.5]),
        group_at_prediction=False,
        out=tmp_path / "out",
        workers=1,
        quiet=True,
    )
    assert sorted(record.cell.preparation.group_known for record in run.results.records) == [0.5, 1.0]
    assert set(run.values.group_known) == {0.5, 1.0}
    assert not run.values.group_at_prediction.any()
    assert "group withheld at prediction" in str(run)
    with pytest.raises(SuiteError, match="group_known is empty"):
        package.run(methods="logistic", datasets="synthetic", group_known=[])
    with pytest.raises(SuiteError, match="group_known is 'half'; it must be a number"):
        package.run(methods="logistic", datasets="synthetic", group_known="half")


def test_a_dry_run_names_the_assumption(fairbench):
    _, out, _ = fairbench("run", "--methods", "mlp", "--datasets", "synthetic", "--repeats", "1", *ASSUMED, "--dry-run")
    assert "scale=standard  group withheld at prediction  repeat 0  mlp" in out
    status, _, err = fairbench("run", "--methods", "mlp", "--datasets", "synthetic", "--group-known", "2")
    assert status == 2
    assert "2.0 is not in the range 0<=x<=1" in err
