"""Named rules: their texts, and what they choose among points whose rates are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.api import Chosen, Judged, Predictions, Rule, Samples, Schema
from fairbench.data.counts import rates_of
from fairbench.errors import NotApplicable, SuiteError


def judged(*groups):
    """Return a point from (selected of y = 0, rows, selected of y = 1, rows) of each group."""
    table = np.array(groups, dtype=float)
    return Judged(rates_of(table[:, [1, 3]], table[:, [0, 2]]))


def selecting(first, second, right=50):
    """Return a point that selects so many of 100 rows in each of two groups, ``right`` of them with y = 1 (of 50)."""
    return judged(*((n - min(n, right), 50, min(n, right), 50) for n in (first, second)))


def chosen(text, **points):
    return Rule.parse(text).choose(points)


@pytest.mark.parametrize(
    "text",
    [
        "max accuracy",
        "max accuracy subject to dp <= 0.05",
        "max accuracy subject to eo <= 0.1 (upper)",
        "max accuracy subject to dp ratio >= 0.8",
        "min dp",
        "min eo",
        "knee dp",
        "knee eo",
    ],
)
def test_a_rule_is_read_and_written_in_one_form(text):
    assert str(Rule.parse(text)) == text
    assert Rule.parse(f"  {text.upper()} ".replace(" ", "  ")) == Rule.parse(text)


def test_knee_alone_is_about_demographic_parity_and_blanks_around_signs_are_free():
    assert str(Rule.parse("knee")) == "knee dp"
    assert str(Rule.parse("max accuracy subject to dp<=.0500(upper)")) == "max accuracy subject to dp <= 0.05 (upper)"


@given(st.floats(0, 1).map(lambda limit: float(f"{limit:.12g}")))
def test_a_limit_is_read_back(limit):
    rule = Rule("max accuracy", "eo", limit)
    assert Rule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a selection rule; rules are written like 'max accuracy'; "),
        ("min", "'min' is not a selection rule"),
        ("min accuracy", "'min accuracy' is not a selection rule"),
        ("max accuracy dp", "'max accuracy dp' is not"),
        ("knee subject to dp <= 0.1", "is not a selection rule"),
        ("min dp subject to dp <= 0.1", "is not a selection rule"),
        ("max accuracy subject to dp < 0.1", "is not a selection rule"),
        ("max accuracy subject to dp >= 0.1", "dp is held to a limit by <=, not by >="),
        ("max accuracy subject to dp ratio <= 0.8", "dp ratio is held to a limit by >=, not by <="),
        ("max accuracy subject to dp ratio >= 0.8 (upper)", r"\(upper\) is about the interval of a difference"),
        ("max accuracy subject to dp <= 5%", r"the limit is 5%; it must be a fraction, from 0 to 1 \(0.05, not 5%\)"),
        ("max accuracy subject to dp <= 5", "the limit is 5; it must be a fraction"),
        ("max accuracy subject to dp <= -0.1", "the limit is -0.1; it must"),
        ("max accuracy subject to dp <= nan", "the limit is nan; it must"),
    ],
)
def test_another_text_is_refused_with_what_can_be_written(text, message):
    with pytest.raises(SuiteError, match=message):
        Rule.parse(text)


def test_what_a_rule_sees_is_right_on_the_eight_rows(eight_rows, eight_predictions):
    point = Judged.of(eight_rows, eight_predictions)
    assert point.accuracy == 0.625
    assert point.constant_accuracy == 0.625  # 5 of 8 have y = 1
    assert point.gap("dp") == 0.5
    assert point.gap("eo") == pytest.approx(2 / 3)
    assert point.ratio == pytest.approx(1 / 3)


def test_the_upper_end_is_newcombes_folded():
    point = judged((0, 0, 56, 70), (0, 0, 48, 80))  # 56/70 - 48/80 -> (.0524, .3339)
    assert point.upper("dp") == pytest.approx(0.3339, abs=5e-5)
    crossing = judged((0, 0, 33, 46), (0, 0, 84, 104))  # -> (-.2469, .0489), folded [0, .2469]
    assert crossing.upper("dp") == pytest.approx(0.2469, abs=5e-5)


def test_the_upper_end_of_equalized_odds_is_that_of_the_wider_rate():
    tight, loose = (500, 1000), (5, 10)
    point = judged((*tight, *loose), (*tight, *loose))
    alone = judged((0, 0, *loose), (0, 0, *loose))
    assert point.gap("eo") == 0
    assert point.upper("eo") == alone.upper("dp") > judged((0, 0, *tight), (0, 0, *tight)).upper("dp")


def test_max_accuracy_takes_the_most_accurate_and_the_earliest_of_equals():
    assert chosen("max accuracy", a=selecting(50, 30), b=selecting(50, 50), c=selecting(50, 50)) == Chosen("b")


def test_a_condition_holds_the_gap_and_ties_go_to_the_smaller_gap_then_to_the_earlier():
    points = {
        "far": selecting(50, 40),
        "near": selecting(50, 46),
        "nearer": selecting(47, 49),
        "again": selecting(49, 47),
    }
    # accuracies: .95, .98, .98, .98; gaps .10, .04, .02, .02
    rule = "max accuracy subject to dp <= 0.05"
    assert chosen(rule, **points) == Chosen("nearer")
    assert chosen("max accuracy subject to dp <= 0.01", **points) == Chosen("nearer", feasible=False)
    best = {"best": selecting(50, 50, right=50), **points}
    assert chosen(rule, **best) == Chosen("best")


def test_an_infeasible_choice_has_the_smallest_gap_whatever_its_accuracy():
    points = {"accurate": selecting(50, 30), "even": selecting(10, 0)}
    assert chosen("max accuracy subject to dp <= 0.05", **points) == Chosen("even", feasible=False)


def test_a_gap_that_exceeds_the_limit_by_rounding_alone_satisfies_it():
    point = selecting(55, 50)
    assert point.gap("dp") > 0.05  # 0.55 - 0.5 in floating point
    assert chosen("max accuracy subject to dp <= 0.05", a=point).feasible
    assert not chosen("max accuracy subject to dp <= 0.0499", a=point).feasible


def test_the_upper_end_is_stricter_than_the_gap():
    points = {"even": selecting(50, 50)}
    assert chosen("max accuracy subject to dp <= 0.05", **points).feasible
    assert not chosen("max accuracy subject to dp <= 0.05 (upper)", **points).feasible
    assert chosen("max accuracy subject to dp <= 0.14 (upper)", **points).feasible


def test_equalized_odds_and_demographic_parity_choose_differently():
    fair = judged((0, 20, 80, 80), (0, 80, 20, 20))  # perfect, and unequal base rates
    even = judged((10, 20, 40, 80), (40, 80, 10, 20))  # a coin for everybody
    assert chosen("min dp", fair=fair, even=even) == Chosen("even")
    assert chosen("min eo", even=judged((0, 20, 40, 80), (40, 80, 10, 20)), fair=fair) == Chosen("fair")


def test_the_smallest_gap_takes_the_more_accurate_of_equals():
    constant, better = judged((0, 50, 0, 50), (0, 50, 0, 50)), selecting(40, 40)
    assert chosen("min dp", constant=constant, better=better) == Chosen("better")
    assert chosen("min dp", constant=constant, uneven=selecting(50, 49)) == Chosen("constant")  # hence the warning


def test_the_knee_lies_highest_above_the_coin_through_the_most_accurate_point():
    # constant .5; baseline accuracy .90, gap .20: the coin has .70 at gap .10 and .60 at gap .05
    base = judged((10, 50, 50, 50), (0, 50, 40, 50))
    assert (base.accuracy, base.gap("dp")) == (0.9, pytest.approx(0.2))
    on_the_coin = judged((10, 50, 20, 50), (0, 50, 20, 50))
    assert on_the_coin.gap("dp") == pytest.approx(0.1)
    high = judged((10, 50, 45, 50), (5, 50, 40, 50))  # accuracy .85, gap .10: .15 above the coin
    assert chosen("knee", base=base, on_the_coin=on_the_coin, high=high) == Chosen("high")


def test_without_a_point_above_the_coin_the_knee_is_the_most_accurate_point():
    base, constant = judged((10, 50, 50, 50), (0, 50, 40, 50)), judged((0, 50, 0, 50), (0, 50, 0, 50))
    assert chosen("knee", constant=constant, base=base) == Chosen("base")


def test_where_nothing_beats_a_constant_the_knee_is_the_most_accurate_point():
    worse, bad = selecting(0, 10, right=0), selecting(30, 0, right=0)
    assert chosen("knee", bad=bad, worse=worse) == Chosen("worse")


def test_a_ratio_takes_the_most_accurate_feasible_and_the_earliest_of_equals():
    points = {"uneven": selecting(50, 30), "first": selecting(50, 40), "second": selecting(45, 45)}
    assert points["first"].accuracy == points["second"].accuracy
    assert chosen("max accuracy subject to dp ratio >= 0.8", **points) == Chosen("first")
    nobody = selecting(0, 0)
    assert nobody.ratio == 0  # that is no parity
    rule = "max accuracy subject to dp ratio >= 0.8"
    assert chosen(rule, nobody=nobody, uneven=points["uneven"]) == Chosen("uneven", feasible=False)


def test_groups_without_rows_to_count_are_left_out_and_fewer_than_two_are_refused_in_words():
    three = judged((0, 50, 50, 50), (0, 50, 40, 50), (25, 50, 0, 0))
    assert three.gap("eo") == pytest.approx(0.5)  # the third counts where it has rows
    lacking = judged((0, 50, 50, 50), (5, 50, 0, 0))
    assert chosen("min dp", a=lacking) == Chosen("a")
    with pytest.raises(NotApplicable, match="a rule about eo compares groups, and 1 of 2 groups has rows with y = 1"):
        chosen("min eo", a=lacking)
    alone = judged((0, 50, 50, 50), (0, 0, 0, 0))
    assert chosen("max accuracy", a=alone) == Chosen("a")
    with pytest.raises(NotApplicable, match="1 of 2 groups has rows in the part that it looks at; use another rule"):
        chosen("max accuracy subject to dp <= 0.1", a=alone)


def test_randomised_decisions_count_by_their_chance():
    schema = Schema(("x",), ("a", "b"), 1)
    samples = Samples(np.zeros((4, 1), dtype=np.float32), np.array([0, 0, 1, 1]), schema, np.array([0, 1, 0, 1]))
    point = Judged.of(samples, Predictions.from_decision(np.array([0.25, 0.75, 0.5, 0.5]), seed=0))
    assert (point.gap("dp"), point.gap("eo"), point.accuracy) == (0.0, 0.25, 0.625)


def test_where_no_upper_end_is_within_the_limit_the_smallest_upper_end_is_chosen_not_the_smallest_gap():
    """A gap of 0 between ten rows each may be wider, for all that is known, than one of .05 between a hundred."""
    few, many = judged((2, 5, 3, 5), (2, 5, 3, 5)), selecting(50, 45)
    assert few.gap("dp") < many.gap("dp") < many.upper("dp") < few.upper("dp")
    rule = "max accuracy subject to dp <= 0.01 (upper)"
    assert chosen(rule, few=few, many=many) == Chosen("many", feasible=False)


def test_of_equally_accurate_points_the_knee_takes_the_one_with_the_smaller_gap_for_the_baseline():
    """Of a coin through the other one, .577 at a gap of .06, the near point itself would lie highest above it."""
    far = judged((25, 50, 50, 50), (0, 50, 47, 50))
    near = judged((14, 50, 50, 50), (11, 50, 47, 50))
    small = judged((15, 50, 40, 50), (14, 50, 40, 50))
    assert [round(point.accuracy, 3) for point in (near, far, small)] == [0.86, 0.86, 0.755]
    assert [round(point.gap("dp"), 3) for point in (near, far, small)] == [0.06, 0.28, 0.01]
    assert chosen("knee", near=near, far=far, small=small).label == "small"
