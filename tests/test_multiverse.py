"""In which share of universes a verdict stands."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fairbench.analysis.counts import StoredRows
from fairbench.analysis.multiverse import multiverses
from fairbench.cells import Cell, Choice, Preparation
from fairbench.records import DONE, FAILED, Parts, Record, Results, Value

ACCURACY, DP = "accuracy", "demographic_parity_difference"
UP, DOWN, LEVEL = (0.10, 0.11, 0.12), (-0.10, -0.11, -0.12), (-0.10, 0.0, 0.11)
BASE = {"accuracy": 0.7, "dp": 0.3}


def records(method, accuracy=LEVEL, dp=LEVEL, cell=None, overlap="pool", alike=False):
    """Return three repeats whose accuracy and gap differ from the baseline's by these numbers."""
    cell = cell or Cell(Choice("adult"), Choice("mlp"), "sex", 0)
    found = []
    for repeat, (more, wider) in enumerate(zip(accuracy, dp)):
        values = (
            Value(0, "", "", ACCURACY, BASE["accuracy"] + more),
            Value(0, "", "", DP, BASE["dp"] + wider),
        )
        here = replace(cell, method=Choice(method), repeat=repeat)
        known = ((0, ""),) if alike else ()
        found.append(Record(here, DONE, values=values, parts=Parts(70, 15, 15, overlap), alike=known))
    return found


def universe(accuracy=LEVEL, dp=LEVEL, **fields):
    cell = Cell(
        Choice("adult", fields.pop("params", {})), Choice("mlp"), fields.pop("group", "sex"), 0, Preparation(**fields)
    )
    return [*records("mlp", (0, 0, 0), (0, 0, 0), cell), *records("ours", accuracy, dp, cell)]


def found(*universes, run=None):
    every = [record for one in universes for record in one]
    return multiverses(Results(every, run or {}, len(every), {}), StoredRows(None))


def answer(multiverse, question):
    (compared,) = [one for one in multiverse.compared if one.question == question]
    return compared


def test_shares_are_over_universes_and_contrary_verdicts_are_told():
    (one,) = found(
        universe(UP, DOWN),
        universe(UP, LEVEL, scale="none"),
        universe(LEVEL, UP, stratify=True),
        universe(DOWN, LEVEL, scale="none", stratify=True),
    )
    assert (one.dataset, one.group, one.scenario, one.universes) == ("adult", "sex", "holdout", 4)
    assert one.axes == {
        "scale": ("standard", "none", "standard", "none"),
        "stratify": ("false", "false", "true", "true"),
    }
    accuracy, gap = answer(one, ACCURACY), answer(one, DP)
    assert accuracy.shares == [("better", 2), ("not told apart", 1), ("worse", 1)]
    assert [finding.side for finding in accuracy.findings] == ["+", "+", "=", "-"]
    assert accuracy.findings[0].difference == pytest.approx(0.11)
    assert accuracy.contradictory
    assert gap.shares == [("not told apart", 2), ("smaller", 1), ("larger", 1)]
    assert [finding.words for finding in answer(one, f"dominance, {DP}").findings] == [
        "dominates",
        "dominates",
        "is dominated",
        "is dominated",
    ]


def test_more_accuracy_with_a_wider_gap_is_a_trade_off():
    (one,) = found(universe(UP, UP))
    assert answer(one, f"dominance, {DP}").findings[0].words == "a trade-off"
    assert not answer(one, f"dominance, {DP}").contradictory


def test_parameters_of_the_dataset_are_axes_and_another_attribute_is_another_multiverse():
    two, other = found(universe(), universe(params={"missing": "drop"}), universe(group="race"))
    assert two.axes == {"adult missing": ("default", "drop")}
    assert (two.universes, other.universes, other.group, other.axes) == (2, 1, "race", {})


def test_what_every_universe_assumes_is_told():
    known, blind = "group known for 10% of training and validation rows", "group withheld at prediction"
    partly = {"group_known": 0.1, "group_at_prediction": False}
    for universes, assumption, axes in (
        ([{}], "", set()),
        ([partly], f"{known}; {blind}", set()),
        ([partly, {**partly, "scale": "none"}], f"{known}; {blind}", {"scale"}),
        ([partly, {"group_at_prediction": False}], blind, {"group_known"}),
        ([partly, {}], "", {"group_known", "group_at_prediction"}),
    ):
        (one,) = found(*(universe(**fields) for fields in universes))
        assert (one.assumption, set(one.axes)) == (assumption, axes)


def test_the_interval_is_the_corrected_one():
    # mean .11, sd .01: naive t 19.05, corrected 15.0 at 15 test and 70 training rows; 4.30 is the 97.5% quantile
    (one,) = found(universe((0.10, 0.11, 0.12)))
    assert answer(one, ACCURACY).findings[0].words == "better"
    # mean .02, sd .0066: t would be 5.2 uncorrected, and is 4.1 corrected
    (one,) = found(universe((0.0134, 0.02, 0.0266)))
    assert answer(one, ACCURACY).findings[0].words == "not told apart"


def test_every_missing_verdict_has_its_reason():
    cell = Cell(Choice("adult"), Choice("mlp"), "sex", 0)
    base = records("mlp", (0, 0, 0), (0, 0, 0), cell)
    single = found([*base[:1], *records("ours", UP[:1], UP[:1], cell)])[0]
    assert answer(single, ACCURACY).shares == [("no spread: one repeat", 1)]
    assert answer(single, f"dominance, {DP}").shares == [("no spread: one repeat", 1)]

    other = [replace(record, cell=replace(record.cell, repeat=record.cell.repeat + 5)) for record in records("ours")]
    apart = found([*base, *other])[0]
    assert answer(apart, ACCURACY).shares == [("no common repeat", 1)]

    unmeasured = found([replace(record, values=record.values[:1]) for record in [*base, *records("ours")]])[0]
    assert sorted(answer(unmeasured, ACCURACY).shares + answer(unmeasured, DP).shares)[0] == ("neither has a value", 1)

    unknown = found([*base, *records("ours", UP, UP, cell, overlap="unknown")])[0]
    assert answer(unknown, ACCURACY).shares == [
        ("no valid interval: the splits of the repeats overlap in a way that no correction covers", 1)
    ]

    alike = found([*base, *records("ours", UP, DOWN, cell, alike=True)])[0]
    assert answer(alike, ACCURACY).shares == [("better", 1)]
    assert answer(alike, DP).shares == [("decides alike for everybody", 1)]
    assert answer(alike, f"dominance, {DP}").shares == [("decides alike for everybody", 1)]
    assert answer(alike, f"coin, {DP}").shares == [("decides alike for everybody", 1)]


def test_a_universe_in_which_the_method_failed_counts_as_one_without_a_verdict():
    whole, broken = universe(UP), universe(UP, scale="none")
    failed = [
        replace(record, status=FAILED, values=()) if record.cell.method.name == "ours" else record for record in broken
    ]
    (one,) = found(whole, failed)
    assert answer(one, ACCURACY).shares == [("better", 1), ("no common repeat", 1)]


def test_reference_methods_and_the_baseline_are_not_compared():
    run = {"reference_methods": ["constant"]}
    (one,) = found([*universe(), *records("constant")], run=run)
    assert {compared.method.name for compared in one.compared} == {"ours"}
    assert one.baseline.name == "mlp"
    (one,) = found(records("constant"), run=run)
    assert (one.compared, one.baseline.name) == ((), "")


SUITE = """
datasets = ["synthetic[rows=300,setting=equal|biased]"]
methods = ["logistic", "always_0", "threshold"]
metrics = ["accuracy", "demographic_parity_difference", "equalized_odds_difference"]
baseline = "logistic"
reference = false
repeats = 2
scale = ["standard", "none"]
stratify = [false, true]
"""


def test_the_report_counts_universes_of_a_suite_with_alternatives(fairbench, tmp_path):
    (tmp_path / "s.toml").write_text(SUITE)
    assert fairbench("run", "s.toml", "--workers", "1", "--out", "r")[0] == 0
    status, out, _ = fairbench("report", "r", "--format", "multiverse")
    assert status == 0
    words = " ".join(out.split())
    assert "synthetic by group scenario holdout; 8 universes; against logistic (named by the suite)" in words
    assert " of 8" in out
    assert "always_0" not in out, "a reference method is not judged"
    heading = next(line for line in out.splitlines() if line.startswith("universe  "))
    assert heading.split() == ["universe", "scale", "stratify", "synthetic", "setting"]
    rows = [line.split() for line in out.splitlines() if line.split()[:1] in [[str(n)] for n in range(1, 9)]]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 9)]
    assert len({tuple(row[1:]) for row in rows}) == 8
    assert not re.search(r"\bnan\b", out.lower())


def test_one_universe_and_nothing_to_compare_are_told_in_words(fairbench):
    command = ["run", "--datasets", "synthetic[rows=300]", "--workers", "1", "--no-reference", "--repeats", "1"]
    assert fairbench(*command, "--methods", "logistic", "--out", "r")[0] == 0
    out = " ".join(fairbench("report", "r", "--format", "multiverse")[1].split())
    assert "there is only one universe; give a suite alternatives" in out
    assert "there is no other method whose verdicts could be counted" in out
    assert fairbench(*command, "--methods", "always_0", "--out", "c")[0] == 0
    out = " ".join(fairbench("report", "c", "--format", "multiverse")[1].split())
    assert "nothing to compare with: no method but reference methods has a finished repeat with an accuracy" in out
