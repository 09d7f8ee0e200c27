"""The report on selections: a table of choices beside the oracle's, the ledger, and the words around them."""

from __future__ import annotations

import pytest
from fairbench_reports.selection import render

from fairbench.api import Results
from fairbench.cells import Cell, Choice
from fairbench.records import DONE, Record, Value

METHODS = "threshold[epochs=3],constant"
RUN = ["run", "--datasets", "synthetic[rows=400]", "--repeats", "2", "--out", "r", "--metrics", "accuracy"]


def flat(text):
    return " ".join(text.split())


@pytest.fixture
def shown(fairbench):
    """Return a function that runs a scenario and returns the report."""

    def run(scenario, methods=METHODS):
        code, _, err = fairbench(*RUN, "--methods", methods, "--scenarios", scenario)
        assert code == 0, err
        code, out, err = fairbench("report", "r", "--format", "selection")
        assert code == 0, err
        return out

    return run


def test_every_method_with_points_is_chosen_from_by_the_rule(shown):
    out = shown("selected[rule=max accuracy subject to dp <= 0.3]")
    assert "chosen on validation by the rule: max accuracy subject to dp <= 0.3" in out
    lines = [line.split() for line in out.splitlines()]
    (threshold,) = (line for line in lines if line[:2] == ["threshold", "10"])  # ten thresholds
    assert len(threshold) == 3 + 4 * 3  # four quantities with their spreads
    (constant,) = (line for line in lines if line[:2] == ["constant", "1"])
    assert constant[6:9] == ["0.000", "±", "0.000"]  # one point leaves nothing to gain
    assert "An oracle's edge grows with K by noise alone" in flat(out)


def test_a_rule_that_no_point_satisfies_is_told_with_the_methods(shown):
    out = shown("selected[rule=max accuracy subject to eo <= 0 (upper)]")
    assert "EO diff." in out
    assert "(threshold in 2 of 2 repeats, constant in 2 of 2 repeats)" in flat(out)


def test_a_constant_that_wins_the_smallest_gap_is_warned_of(shown):
    out = shown("tuned[rule=min dp,budget=1]")
    said = "the smallest gap is that of a constant: the chosen point decides alike for everybody (constant in 2 of 2"
    assert said in flat(out)
    assert "unequal" not in out.split("K: operating points")[0]  # one trial of one


def test_without_a_rule_there_is_the_ledger_alone(shown):
    out = shown("holdout")
    assert "no rule is named by this scenario: each method chose among its own points" in flat(out)
    assert "oracle" not in out.split("K: operating points")[0]
    assert "reference" in out


def test_a_wrong_rule_is_refused_before_anything_runs(fairbench):
    code, _, err = fairbench(*RUN, "--methods", METHODS, "--scenarios", "tuned[rule=most accurate]")
    assert code == 2
    assert "'most accurate' is not a selection rule; rules are written like 'max accuracy'; " in flat(err)


def test_a_run_whose_predictions_are_not_there_says_so():
    cell = Cell(Choice("d"), Choice("m\x1b[1m"), "sex", 0, scenario=Choice("selected", {"rule": "knee"}))
    record = Record(cell, DONE, values=(Value(0, "", "", "accuracy", 0.5),))
    out = flat(render(Results([record], {}, 1, {"accuracy": ("accuracy", "higher")})))
    assert "not compared, for lack of stored predictions or of groups: m [1m" in out
    assert "\x1b" not in out


def test_nothing_to_show_is_said():
    assert render(Results([], {}, 0, {})) == "there are no results yet"
