"""The leaderboard of a field, with numbers computed by hand, and the whole of it from the command line."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from fairbench_reports import field, field_csv
from fairbench_reports._field import fields
from fairbench_reports._table import sections
from fairbench_reports.tradeoff import panel_titles
from field_helpers import RULE, SWEEP, deciding, parts, run_of, two_datasets
from stored_runs import drawn_parts, noisy, optimal, people, stored_run, unfair

from fairbench import load
from fairbench.analysis.definitions import viewed
from fairbench.analysis.filtered import filtered
from fairbench.records import Results


@pytest.fixture
def found(tmp_path) -> Results:
    """Return a run of six methods on two datasets."""
    return two_datasets(tmp_path)


def test_the_numbers_of_a_dataset_are_those_computed_by_hand(found):
    (under,) = fields(found)
    assert (under.rule, under.metric) == (RULE, "demographic_parity_difference")
    board = under.boards[0]
    assert (board.title, board.budget, board.baseline.name) == ("german by sex", 4, "mlp")
    rows = {row.label: row for row in board.rows}
    assert list(rows) == ["tree", "threshold", "boosting", "logistic"]  # neither the baseline nor references
    tree, threshold, boosting, logistic = rows.values()
    assert (tree.accuracy.mean, tree.gap.mean) == pytest.approx((0.95, 0.1))
    assert (tree.accuracy.sd, tree.gap.sd) == pytest.approx((0, 0), abs=1e-12)
    assert tree.standing.verdict.above.value == pytest.approx(0.2)
    assert threshold.standing.verdict.above.value == pytest.approx(0.4)
    assert boosting.standing.verdict.above.value == pytest.approx(0)
    assert [row.side for row in rows.values()] == [1, 1, 0, None]
    assert (tree.harmed.group, tree.harmed.change.value) == ("g1", pytest.approx(-0.1))
    assert (boosting.harmed.group, boosting.harmed.change.value) == ("g1", pytest.approx(-0.6))
    assert tree.cost == 1.0
    assert [row.failed for row in rows.values()] == [0, 0, 0, 3]
    assert logistic.standing is None
    assert logistic.spent is None


def test_over_all_datasets_each_counts_once(found):
    (under,) = fields(found)
    assert [each.label for each in under.overall] == ["threshold", "tree", "boosting", "logistic"]
    threshold, *_, logistic = under.overall
    assert [each.on_side(1) for each in under.overall] == [2, 2, 0, 0]
    assert [each.count("loses") for each in under.overall] == [2, 2, 2, 0]
    assert (threshold.points.mean, threshold.points.low) == (pytest.approx(0.4), None)  # two datasets: no interval
    assert (logistic.on_side(None), logistic.points) == (2, None)


def test_the_mean_over_six_datasets_has_students_interval(tmp_path):
    methods = {"mlp": deciding(), "tree": deciding(refused=1)}
    three = stored_run(tmp_path, methods, {"a": parts()}, scenario={"mlp": "holdout", "tree": SWEEP})
    assert fields(three)[0].overall[0].points.mean == pytest.approx(0.2)
    names = [f"d{number}" for number in range(6)]
    tests = {name: [people([0.4, 0.6 if place < 3 else 0.8], [10, 10], seed=s) for s in range(3)]
             for place, name in enumerate(names)}  # fmt: skip
    folder = tmp_path / "six"
    folder.mkdir()
    found = stored_run(folder, methods, tests, scenario={"mlp": "holdout", "tree": SWEEP})
    points = fields(found)[0].overall[0].points
    # of the others: .95 at a gap of .3; the coin rises from .6 to 1 at .4, so that it is .9: .05
    assert points.mean == pytest.approx((0.2 + 0.05) / 2)
    five = [record for record in found.records if record.cell.dataset.name != "d5"]
    assert fields(Results(five, found.run, 30, found.labels, folder))[0].overall[0].points.low is None
    sd = math.sqrt(6 * 0.075**2 / 5)
    assert points.high - points.mean == pytest.approx(2.5705818 * sd / math.sqrt(6))


def test_one_method_that_is_missing_on_a_dataset_does_not_take_the_tests_of_the_others(tmp_path):
    def smaller(repeat, samples):
        return deciding(refused=2)(repeat, samples) if len(samples) > 20 else None

    methods = {"mlp": deciding(), "tree": deciding(refused=1), "threshold": deciding(1, 1), "boosting": smaller}
    large = [people([0.4, 0.6], [20, 20], seed=repeat) for repeat in range(3)]
    datasets = {"d0": parts(), **{f"d{number}": large for number in range(1, 6)}}
    places = {method: "holdout" if method == "mlp" else SWEEP for method in methods}
    (under,) = fields(stored_run(tmp_path, methods, datasets, scenario=places))
    assert under.left_out == ["without a tier, for less than half of the repeats: boosting (d0 by sex)"]
    assert under.rankings[0].across.tested
    assert under.rankings[0].across.methods == ("tree", "threshold")
    assert [board.told_apart for board in under.boards] == [True] * 6
    assert ["boosting" in board.tiers for board in under.boards] == [False] + [True] * 5


def test_a_dataset_that_has_hardly_begun_has_no_tiers_and_takes_none_away(tmp_path):
    methods = {"mlp": deciding(), "tree": deciding(1), "threshold": deciding(1, 1), "boosting": deciding(2)}
    found = run_of(tmp_path, methods, ("german", "ricci"))
    first = {("ricci", "mlp", 0), ("ricci", "tree", 0)}
    places = [(record.cell.dataset.name, record.cell.method.name, record.cell.repeat) for record in found.records]
    begun = [record for record, place in zip(found.records, places) if place[0] == "german" or place in first]
    (under,) = fields(Results(begun, found.run, 24, found.labels, found.path))
    assert under.left_out == ["no tiers, since most methods have not run there yet: ricci by sex"]
    assert [bool(board.tiers) for board in under.boards] == [True, False]


def test_harm_under_a_rule_on_equalized_odds_is_among_the_deserving(tmp_path):
    places = {"mlp": "holdout", "tree": SWEEP.replace("dp", "eo")}
    methods = {"mlp": deciding(), "tree": deciding(refused=1)}
    found = stored_run(tmp_path, methods, {"german": parts()}, scenario=places)
    ((row,),) = [under.boards[0].rows for under in fields(found)]
    assert (row.harmed.group, row.harmed.change.value) == ("g1", pytest.approx(-1 / 6))  # of six
    slower = [
        replace(record, cpu_seconds=3.0) if record.cell.method.name == "tree" else record for record in found.records
    ]
    (line,) = csv.DictReader(io.StringIO(field_csv.render(replace(found, records=slower))))
    assert (line["cpu_seconds"], line["cpu_ratio"]) == ("3.0", "2.0")


def test_the_file_has_each_number_in_its_column(tmp_path):
    methods = {
        "mlp": unfair,
        "attainable": optimal,
        "tree": lambda repeat, samples: noisy(samples, flips=0.15, seed=repeat),
        "boosting": lambda repeat, samples: noisy(samples, flips=0.2, seed=repeat) if repeat else None,
    }
    places = {method: "holdout" if method in ("mlp", "attainable") else SWEEP for method in methods}
    found = stored_run(tmp_path, methods, {"german": drawn_parts()}, scenario=places)
    tree, boosting = csv.DictReader(io.StringIO(field_csv.render(found)))
    for value in ("gap", "above_coin", "above_common", "worst_change"):
        low, middle, high = (float(tree[value + end]) for end in ("_low", "", "_high"))
        assert low < middle < high, value
    assert float(tree["room_low"]) < float(tree["room"])
    assert float(tree["skill"]) == pytest.approx(float(tree["above_coin"]) / float(tree["room"]))
    assert [boosting[name] for name in ("repeats", "cells", "failed", "skipped")] == ["4", "5", "1", "0"]
    assert [tree[name] for name in ("repeats", "cells", "failed", "basis")] == ["5", "5", "0", "repeats"]


def test_methods_with_other_trials_are_compared_apart(tmp_path):
    methods = {"mlp": deciding(), "tree": deciding(refused=1), "threshold": deciding(1, 1)}
    places = {"mlp": "holdout", "tree": SWEEP, "threshold": SWEEP.replace("4", "8")}
    found = fields(stored_run(tmp_path, methods, {"german": parts()}, scenario=places))
    assert [(under.setting.partition("]")[0], len(under.overall)) for under in found] == [
        ("scenario sweep[trials=4", 1),
        ("scenario sweep[trials=8", 1),
    ]


def test_a_parameter_with_semicolons_does_not_spoil_titles(tmp_path):
    places = {"mlp": "holdout", "tree": "sweep[trials=4,costly='aif360_lfr tree: 1; laftr: 0']"}
    methods = {"mlp": deciding(), "tree": deciding(refused=1)}
    shown = sections(stored_run(tmp_path, methods, {"german": parts()}, scenario=places))
    assert panel_titles(shown) == ["german by sex; scenario holdout", "german by sex; scenario sweep"]


def test_a_method_that_lacks_repeats_shows_it(tmp_path):
    found = run_of(tmp_path, {"mlp": deciding(), "tree": deciding(refused=1), "threshold": deciding(1, 1)})
    chosen = [record for record in found.records if record.cell.method.name != "tree" or record.cell.repeat == 2]
    text = field.render(Results(chosen, found.run, len(chosen), found.labels, found.path))
    _, costs, on_one = (line for line in text.splitlines() if line.startswith("| tree |"))
    assert costs.endswith(" | 1/3 | 0 | 0 | 0 |")
    assert on_one.startswith("| tree | 1/3 |")
    assert "without a tier, for less than half of the repeats: tree (german by sex)" in text
    half = [record for record in chosen if record.cell.repeat > 0]
    assert fields(Results(half, found.run, len(half), found.labels, found.path))[0].left_out == []


def test_an_unfinished_run_says_so_first(tmp_path):
    found = run_of(tmp_path, {"mlp": deciding(), "tree": deciding(refused=1)})
    begun = Results(found.records, found.run, 30, found.labels, found.path)
    assert field.render(begun).splitlines()[2] == "This run is not complete: 24 of 30 cells not run yet."
    baseline = [record for record in found.records if record.cell.method.name == "mlp"]
    early = Results(baseline, found.run, 30, found.labels, found.path)
    assert "no scenario of this run names a rule" in field.render(early)
    failed = run_of(tmp_path / "failed", {"mlp": deciding(), "tree": lambda repeat, samples: None})
    assert "no method has a finished repeat under a rule yet" in field.render(failed)


def test_the_tables_show_them(found):
    text = field.render(found)
    lines = [line for line in text.splitlines() if line.startswith("| tree |")]
    over_all = "| tree | 2 | 0 | 0 | 0 | 0 | 0 | +20.0 | 2 |"
    costs = "| tree | 0.000 | 0.000 | 9 | 1.0 | 6 | 0 | 0 | 0 |"
    row = (
        "| tree | 3 | +20.0 \\[+20.0, +20.0\\] | above the coin | 2 | - | 0.950 ± 0.000 | 0.100 ± 0.000 | "
        "-10.0 \\[-10.0, -10.0\\] g1 ▼ | 1.0 | - |"
    )
    assert lines == [over_all, costs, row, row]
    order = [line.split(" ")[1] for line in text.partition("### german by sex")[2].splitlines() if line[:1] == "|"]
    assert order[2:6] == ["threshold", "tree", "boosting", "logistic"]  # by points; in the plan tree comes first
    assert "| logistic | 0 | 0 | 0 | 0 | 2 | 0 | - | 0 |" in text
    assert "| logistic | - | - | 0 | - | 0/6 | 6/6 | 0 | 0 |" in text
    assert "| logistic | 0/3, 3 failed | - | no finished repeat | - |" in text
    assert "2 datasets cannot show a difference at 5%" in text


def test_the_file_holds_them_in_full(found):
    lines = list(csv.DictReader(io.StringIO(field_csv.render(found))))
    assert len(lines) == 8
    tree, *_, logistic = lines[:4]
    assert (tree["dataset"], tree["method"], tree["verdict"], tree["worst_group"]) == (
        *("german", "tree", "above the coin", "g1"),
    )
    assert [float(tree[name]) for name in ("accuracy", "gap", "above_coin", "worst_change", "cpu_ratio")] == (
        pytest.approx([0.95, 0.1, 0.2, -0.1, 1.0])
    )
    assert (logistic["verdict"], logistic["failed"], logistic["accuracy"]) == ("no finished repeat", "3", "")


def test_other_definitions_and_parts_of_a_run_are_explained(found):
    assert "leave out --definitions" in field.render(viewed(found, "aif360"))
    assert "nothing is shown without one of the metrics demographic" in field.render(
        filtered(found, metrics="accuracy")
    )
    part = field.render(filtered(found, methods="tree"))
    assert part.splitlines()[2] == "Only a part of the run is shown, and counted here."
    assert "1 method on 2 datasets" in part


def test_a_run_without_rules_says_so(tmp_path):
    found = stored_run(tmp_path, {"mlp": deciding(), "tree": deciding(1)}, {"german": parts()})
    assert fields(found) == []
    assert "no scenario of this run names a rule" in field.render(found)
    assert len(field_csv.render(found).splitlines()) == 1


SUITE = """
datasets = ["synthetic[rows=300]", "sklearn-diabetes"]
methods = ["logistic", "threshold", "constant", "penalty_dp"]
scenarios = ["sweep[trials=3,also=max accuracy subject to eo <= 0.05,costly='penalty_dp: 1',large=300]"]
reference = true
repeats = 2
"""
MINE = """
from dataclasses import dataclass
import numpy as np
from fairbench.api import Predictions, hookimpl

@dataclass(frozen=True)
class Mine:
    '''Select whoever has a large first feature.'''
    name = "mine"
    cut: float = 0.0
    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions.from_score(np.where(inputs.X[:, 0] > self.cut, 0.9, 0.1))

@hookimpl
def fairbench_methods():
    return [Mine]
"""


@pytest.mark.long
def test_a_field_from_its_suite_to_a_stranger_s_row(fairbench, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE", raising=False)
    Path("field.toml").write_text(SUITE)
    Path("mine.py").write_text(MINE)
    status, out, err = fairbench("run", "field.toml", "--workers", "1", "--out", "field")
    assert status == 0, err
    assert "sweep" in out
    text = fairbench("report", "field", "--format", "field")[1]
    assert text.count("\n## max accuracy subject to") == 2
    penalty = [line for line in text.splitlines() if line.startswith("| penalty\\_dp |")]
    assert [" 1 ! |" in line for line in penalty] == [False, False, False, True] * 2  # 210 and 309 training rows
    lines = list(csv.DictReader(io.StringIO(fairbench("report", "field", "--format", "field-csv")[1])))
    assert {(line["rule"], line["method"]) for line in lines} == {
        (rule, method)
        for rule in (RULE, RULE.replace("dp", "eo"))
        for method in ("logistic", "threshold", "penalty_dp")
    }
    means = load("field").by_rule(RULE.replace("dp", "eo")).means
    means = means[(means.metric == "equalized_odds_difference") & means.scenario.str.startswith("sweep")]
    stored = {(line["dataset"], line["method"]): float(line["gap"]) for line in lines if "eo <=" in line["rule"]}
    known = dict(zip(zip(means.dataset, means.method), means["mean"]))
    assert stored == {place: mean for place, mean in known.items() if place[1] != "constant"}
    alone = SUITE.replace("also=", "rule=")
    Path("alone.toml").write_text(alone)
    assert fairbench("run", "alone.toml", "--workers", "1", "--out", "alone")[0] == 0
    single = csv.DictReader(io.StringIO(fairbench("report", "alone", "--format", "field-csv")[1]))
    numbers = ("rule", "dataset", "method", "accuracy", "gap", "above_coin_low", "skill", "worst_group", "worst_change")
    shared = [[line[name] for name in numbers] for line in lines if "eo <=" in line["rule"]]
    assert [[line[name] for name in numbers] for line in single] == shared  # as a run with that rule has them
    chosen = fairbench("report", "field", "--format", "field", "--rule", "min dp")[1]
    assert [line for line in chosen.splitlines() if line.startswith("## ")] == ["## min dp", "## Notes"]
    assert "<html" in fairbench("report", "field", "--format", "html")[1]

    grid = ("field.toml", "--methods", "mine", "--plugin", "mine.py", "--no-reference", "--workers", "1")
    assert fairbench("run", *grid, "--out", "mine")[0] == 0
    assert fairbench("verify", "mine", "--cells", "2", "--plugin", "mine.py", "--workers", "1")[0] == 0
    status, _, err = fairbench("merge", "field", "mine", "--out", "both")
    assert status == 0, err
    merged = list(csv.DictReader(io.StringIO(fairbench("report", "both", "--format", "field-csv")[1])))
    own = [line for line in merged if line["method"] == "mine"]
    assert len(own) == 4
    assert all(line["verdict"] != "" and line["baseline"] == "mlp" for line in own)
    unequal = {name for name in lines[0] if name != "unequal"}
    before = [{name: line[name] for name in unequal} for line in lines]
    assert before == [{name: line[name] for name in unequal} for line in merged if line["method"] != "mine"]
