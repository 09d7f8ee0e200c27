"""What the leaderboard of a field says in words: no more than its numbers, and where they are missing, that."""

from __future__ import annotations

import csv
import io

import pytest
from fairbench_reports import field, field_csv
from fairbench_reports._field import fields
from fairbench_reports._findings import findings
from field_helpers import HERE, METHODS, SWEEP, deciding, parts, run_of, told, two_datasets
from stored_runs import people, stored_run

from fairbench.api import Predictions
from fairbench.records import Results


@pytest.fixture
def found(tmp_path) -> Results:
    """Return a run of six methods on two datasets."""
    return two_datasets(tmp_path)


def test_the_findings_are_those_of_the_numbers(found):
    said = told(found)
    assert said.startswith("4 methods on 2 datasets, chosen on validation by 'max accuracy subject to dp <= 0.05'")
    assert "Of the 3 methods with a verdict, 2 are above the coin on some dataset: 2 on 2 datasets." in said
    assert "Whether any is above the stricter common threshold cannot be said" in said  # the baseline has no scores
    assert "1 is above the coin on none: boosting." in said
    assert "Without a verdict on any dataset: logistic." in said
    assert "Plain models, without any fairness method, above the coin: tree on 2 of 2, boosting on 0 of 2 data" in said
    assert "4 of 6 comparisons are above the coin; if no method were better than it, up to about 0.15 would" in said
    both = "(threshold +40.0, tree +20.0)"
    assert f"Post-processing is enough on german by sex {both}, ricci by sex {both}: a method of that kind" in said
    assert "How much room there is cannot be said on german by sex, ricci by sex, without an attainable" in said


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
        assert said in told(found)


def scored(repeat, samples):
    """Return right decisions with scores, so that one threshold for all is as right."""
    return Predictions.from_score(0.2 + 0.6 * samples.y)


def test_whether_any_is_above_a_common_threshold_is_said_only_where_it_is_known(tmp_path):
    methods = {"mlp": scored, "tree": deciding(refused=1)}
    said = told(run_of(tmp_path / "three", methods))
    assert "1 is above the stricter common threshold too on some dataset (tree), in 1 comparison." in said
    methods["tree"] = deciding(refused=4)  # at the coin
    assert "stricter" not in told(run_of(tmp_path / "none", methods))


def test_post_processing_is_judged_only_where_a_test_can_do_it(tmp_path):
    methods = {"mlp": deciding(), "threshold": deciding(refused=1, given=1), "tree": deciding(refused=1)}

    def said(name, without=(), **more):
        kept = {method: decide for method, decide in methods.items() if method not in without}
        return told(run_of(tmp_path / name, {**kept, **more}))

    place = "on german by sex (threshold"
    assert f"Post-processing is enough {place} +40.0, tree +20.0): a method" in said("enough")
    behind = said("behind", threshold=deciding(refused=1), tree=deciding(refused=1, given=1))
    assert f"Post-processing is not enough {place} +20.0, tree +40.0): a method of that kind is above" in behind
    below = said("below", threshold=METHODS["boosting"])
    assert f"Post-processing is not enough {place} +0.0, tree +20.0): others are above the coin there, and no" in below
    absent = said("absent", without=["threshold"])
    assert "Post-processing is not judged on german by sex (tree +20.0): others are above the coin" in absent
    assert "no method of that kind has a verdict" in absent


def test_a_single_repeat_is_not_said_to_show_that_post_processing_is_enough(tmp_path):
    def parts_of(repeats):
        return [people([0.4, 0.6], [100, 100], seed=repeat) for repeat in range(repeats)]

    methods = {"mlp": deciding(), "threshold": deciding(refused=10), "tree": deciding(refused=9)}
    found = stored_run(tmp_path, methods, {"german": parts_of(1)}, scenario={**HERE, "mlp": "holdout"})
    (under,) = fields(found)
    assert [row.side for row in under.boards[0].rows] == [1, 1]
    assert "Post-processing is not judged on german by sex" in told(found)
    assert "but no test is possible of whether others are better" in told(found)
    assert "a single repeat has no spread: intervals are over the rows of its test part" in field.render(found)
    assert {line["basis"] for line in csv.DictReader(io.StringIO(field_csv.render(found)))} == {"rows"}


def test_more_accuracy_at_a_wider_gap_is_called_that(tmp_path):
    methods = {"mlp": deciding(refused=2), "tree": deciding()}  # .9 at a gap of 0, and 1 at .2
    found = run_of(tmp_path, methods)
    (under,) = fields(found)
    assert (under.overall[0].on_side(1), under.overall[0].count("wider")) == (1, 1)
    assert "In 1 of these 1 comparison the gap is wider than the baseline's" in told(found)
    assert "above the coin; wider gap |" in field.render(found)
    (line,) = csv.DictReader(io.StringIO(field_csv.render(found)))
    assert "wider gap than the baseline" in line["notes"]


def test_the_worst_of_half_of_the_datasets_is_not_most_of_them(tmp_path):
    """20 rows in one dataset, 40 in the other."""
    tests = {"german": parts(), "ricci": [people([0.4, 0.6], [20, 20], seed=repeat) for repeat in range(3)]}

    def wrong(least):
        def decide(repeat, samples):
            return Predictions(1 - samples.y) if len(samples) >= least else deciding(1)(repeat, samples)

        return {"mlp": deciding(), "tree": decide}

    places, below = {"mlp": "holdout", "tree": SWEEP}, "Below the coin on more than half of the datasets with a verdict"
    assert below not in told(stored_run(tmp_path, wrong(40), tests, scenario=places))
    (tmp_path / "both").mkdir()
    assert f"{below}: tree." in told(stored_run(tmp_path / "both", wrong(20), tests, scenario=places))


def test_another_baseline_than_the_usual_one_is_explained(tmp_path):
    methods = {"mlp": lambda repeat, samples: None, "tree": deciding(), "boosting": METHODS["boosting"]}
    found = stored_run(tmp_path, methods, {"german": parts()}, scenario=HERE)
    said = "tree: none is named, and mlp did not run; the most accurate method"
    assert f"On german by sex the coin is that of {said}." in told(found)
    text = field.render(found)
    assert "Baseline tree (in sweep, 3 repeats" in text
    assert f"- compared with {said}" in text


def test_where_nothing_is_above_the_coin_it_is_said(tmp_path):
    methods = {"mlp": deciding(), "boosting": METHODS["boosting"]}
    found = stored_run(tmp_path, methods, {"german": parts()}, scenario={"mlp": "holdout", "boosting": SWEEP})
    assert "None is above the coin on any dataset." in told(found)
    assert "No method is above the coin on german by sex." in told(found)


def test_a_run_of_one_method_alone_says_that_it_is_its_own_baseline(tmp_path):
    """As a stranger's is before it is merged."""
    found = run_of(tmp_path, {"tree": deciding(refused=1)})
    (said,) = findings(fields(found)[0])
    assert said.startswith("There is no method to be compared, only the baseline: tree (none is named, and mlp did not")
    assert said in field.render(found)
