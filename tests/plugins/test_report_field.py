"""The leaderboard of a field, with numbers computed by hand, and the whole of it from the command line."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from fairbench_reports import field, field_csv
from fairbench_reports._field import fields
from fairbench_reports._findings import findings
from stored_runs import people, stored_run

from fairbench import load
from fairbench.api import Predictions
from fairbench.records import Results

RULE = "max accuracy subject to dp <= 0.05"
SWEEP = f"sweep[trials=4,rule={RULE}]"


def parts():
    """Return three test parts: ten rows in each of two groups, four and six of them with y = 1; a constant has .5."""
    return [people([0.4, 0.6], [10, 10], seed=repeat) for repeat in range(3)]


def deciding(refused: int = 0, given: int = 0):
    """Return decisions that are right but for some of y = 1 in the second group, and of y = 0 in the first."""

    def decide(repeat, samples):
        made = samples.y.copy()
        made[np.flatnonzero((samples.group == 1) & (samples.y == 1))[:refused]] = 0
        made[np.flatnonzero((samples.group == 0) & (samples.y == 0))[:given]] = 1
        return Predictions(made)

    return decide


METHODS = {
    "mlp": deciding(),  # accuracy 1 at a gap of .2: the coin rises from .5 by 2.5 for each unit of the gap
    "tree": deciding(refused=1),  # .95 at .1, where the coin is .75
    "threshold": deciding(refused=1, given=1),  # .9 at 0, where the coin is .5
    "boosting": lambda repeat, samples: Predictions(np.zeros_like(samples.y)),  # .5 at 0
    "logistic": lambda repeat, samples: None,  # fails
    "constant": lambda repeat, samples: Predictions(np.ones_like(samples.y)),
}
HERE = {method: "holdout" if method == "mlp" else SWEEP for method in METHODS}


@pytest.fixture
def found(tmp_path) -> Results:
    """Return a run of these methods on two datasets."""
    tests = {"german": parts(), "ricci": parts()}
    return stored_run(tmp_path, METHODS, tests, scenario=HERE, references=("constant",))


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
    sd = math.sqrt(6 * 0.075**2 / 5)
    assert points.high - points.mean == pytest.approx(2.5705818 * sd / math.sqrt(6))


def test_the_findings_are_those_of_the_numbers(found):
    methods, datasets = findings(fields(found)[0])
    assert methods.startswith("4 methods on 2 datasets, chosen on validation by 'max accuracy subject to dp <= 0.05'")
    assert "2 of 4 are above the coin on some dataset: 2 on 2 datasets." in methods
    assert "None is above the stricter common threshold." in methods  # the baseline has no scores
    assert "2 of 4 are above the coin on none: boosting, logistic." in methods
    assert "Of the 6 comparisons, 4 are above the coin; if no method were better than it, up to about 0" in methods
    assert datasets.startswith("Post-processing is enough on german by sex, ricci by sex:")
    assert "How much room there is cannot be said on german by sex, ricci by sex, without an attainable" in datasets


def test_datasets_without_room_are_named(tmp_path):
    """At a gap of .1 the attainable line is at .95, or on the coin at .75."""

    def reaching(refused):
        return lambda repeat, samples: {
            "dp<=0.1": deciding(refused=refused)(repeat, samples),
            "unconstrained": deciding()(repeat, samples),
        }

    def half(repeat, samples):
        return Predictions.from_decision(samples.y / 2, seed=repeat)  # the coin itself

    for refused, said in ((6, "There is no room to show anything on german by sex"), (1, "On every dataset the")):
        methods = {"mlp": deciding(), "attainable": reaching(refused), "tree": half}
        places = {"mlp": "holdout", "attainable": "holdout", "tree": SWEEP}
        folder = tmp_path / str(refused)
        folder.mkdir()
        found = stored_run(folder, methods, {"german": parts()}, scenario=places)
        assert said in findings(fields(found)[0])[1]


def test_another_baseline_than_the_usual_one_is_explained(tmp_path):
    methods = {"mlp": lambda repeat, samples: None, "tree": deciding(), "boosting": METHODS["boosting"]}
    found = stored_run(tmp_path, methods, {"german": parts()}, scenario=HERE)
    assert "Baseline tree: none is named, and mlp did not run; the most accurate method (in sweep" in field.render(
        found
    )


def test_where_nothing_is_above_the_coin_it_is_said(tmp_path):
    methods = {"mlp": deciding(), "boosting": METHODS["boosting"]}
    found = stored_run(tmp_path, methods, {"german": parts()}, scenario={"mlp": "holdout", "boosting": SWEEP})
    told, datasets = findings(fields(found)[0])
    assert "none is above the coin on any dataset." in told
    assert "No method is above the coin on german by sex." in datasets


def test_the_tables_show_them(found):
    text = field.render(found)
    lines = [line for line in text.splitlines() if line.startswith("| tree |")]
    over_all = "| tree | 2 | 0 | 0 | 0 | 0 | 0 | +20.0 | 2 | 0.000 | 0.000 | 9 | 1.0 | 0 | 0 | 0 |"
    row = (
        "| tree | 2 | 0.950 ± 0.000 | 0.100 ± 0.000 | +20.0 \\[+20.0, +20.0\\] | - | above the coin | "
        "-10.0 \\[-10.0, -10.0\\] g1 ▼ | 1.50 | 1.0 | - | 0 |"
    )
    assert lines == [over_all, row, row]
    order = [line.split(" ")[1] for line in text.partition("### german by sex")[2].splitlines() if line[:1] == "|"]
    assert order[2:6] == ["threshold", "tree", "boosting", "logistic"]  # by points; in the plan tree comes first
    assert "| logistic | 0 | 0 | 0 | 0 | 2 | 0 | - | 0 | - | - | - | - | 6/6 | 0 | 0 |" in text
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
    assert [" 1 ! |" in line for line in penalty] == [False, False, True] * 2  # 210 and 309 training rows
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
