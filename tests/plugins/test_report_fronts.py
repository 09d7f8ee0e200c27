"""The report on fronts: heights at fixed gaps, gaps at fixed accuracies, attainment, and areas between given lines."""

from __future__ import annotations

import numpy as np
from fairbench_reports._table import sections
from fairbench_reports.fronts import Lines, References, fronts, render, show
from report_helpers import ACCURACY, DP, done, results

from fairbench.cells import Cell, Choice
from fairbench.records import Record, Value

POINTS = {"t=.3": (0.2, 0.8), "t=.5": (0.1, 0.7), "t=.7": (0.15, 0.6)}


def swept(repeat, points, method="threshold"):
    """Return a method with operating points (gap, accuracy)."""
    values = [
        Value(0, point, "", metric, number)
        for point, (gap, accuracy) in points.items()
        for metric, number in ((DP, gap), (ACCURACY, accuracy))
    ]
    return Record(
        Cell(Choice("adult"), Choice(method), "sex", repeat), "done", values=tuple(values), chosen=next(iter(points))
    )


def run(*points, constant=0.5):
    """Return one repeat for each set of points, with a constant prediction if there is one."""
    plain = [done("constant", repeat, accuracy=constant, selection_rate=0.0) for repeat in range(len(points))]
    return results(*[*(plain if constant else []), *(swept(repeat, here) for repeat, here in enumerate(points))])


def rows(text):
    """Return the lines of a text with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_heights_gaps_and_corners_by_hand():
    """From (0, .5) over (.1, .7) to (.2, .8); accuracies are read .01, .02 and .05 below the best."""
    lines = rows(render(run(POINTS)))
    assert "threshold 3 2 0.540 0.600 0.700 0.190 0.180 0.150" in lines
    place = lines.index("threshold the better constant prediction 0.000 0.500")
    assert lines[place + 1 : place + 3] == ["t=.5 0.100 0.700", "t=.3 0.200 0.800"]
    assert not any("attained in" in line for line in lines)  # one repeat


def test_without_a_constant_nothing_is_reached_below_the_smallest_gap():
    lines = rows(render(run(POINTS, constant=None)))
    assert "threshold 3 2 - - 0.700 0.190 0.180 0.150" in lines
    assert "threshold t=.5 0.100 0.700" in lines


def test_attainment_is_over_repeats_with_fronts_of_their_own():
    worse = {name: (gap, accuracy - 0.1) for name, (gap, accuracy) in POINTS.items()}
    lines = rows(render(run(POINTS, worse, worse)))
    place = lines.index("threshold 1 of 3 repeats 0.540 0.600 0.700")
    assert lines[place + 1] == "2 of 3 repeats 0.520 0.550 0.600"
    assert lines[place + 2] == "3 of 3 repeats 0.520 0.550 0.600"


def test_given_lines_add_the_height_above_the_coin_undivided_first():
    coin, attainable = np.array([(0, 0.5), (0.2, 0.7)]), np.array([(0, 0.5), (0.1, 0.8), (0.2, 0.8)])
    found = run({"one": (0.1, 0.7), "two": (0.2, 0.7)})
    key = found.records[0].cell.key
    lines = rows(show(found, {key: References(0.5, {DP: Lines(coin, attainable, 0.2)})}))
    (place,) = (number for number, line in enumerate(lines) if line.startswith("threshold 5.0 of 12.5 points 2 1 "))
    assert lines[place + 1] == "(40%)"
    text = show(found, {key: References(0.5, {DP: Lines(coin, coin, 0.2)})})
    assert any("no room" in line for line in rows(text))


def test_a_point_that_some_repeat_lacks_is_not_part_of_the_mean_front():
    fewer = {name: POINTS[name] for name in ("t=.3", "t=.5")}
    (front,) = fronts(sections(run(POINTS, fewer))[0], DP, 0.5)
    assert list(front.points) == ["t=.3", "t=.5"]
    assert front.points["t=.5"] == (0.1, 0.7)


def test_one_operating_point_is_no_front():
    found = results(done("mlp", accuracy=0.7, **{DP: 0.1}))
    assert "no method has several operating points" in render(found)
    assert "no method has several operating points" in render(results())


def test_a_sweep_has_fronts_from_the_command_line(fairbench):
    methods = ("--methods", "attainable,logistic,threshold", "--datasets", "synthetic[rows=300]")
    status, _, _ = fairbench("run", *methods, "--repeats", "2", "--workers", "1", "--out", "r", "--offline")
    assert status == 0
    status, out, _ = fairbench("report", "r", "--format", "fronts")
    assert status == 0
    assert "the better constant prediction" in out
    assert "2 of 2 repeats" in out
    assert "above the coin up to" in out
    assert "nan" not in out
