"""The picture of accuracy against the demographic parity difference: what is drawn, and texts that do not overlap."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from report_helpers import ACCURACY, DP, done, results

from fairbench.api import NotApplicable
from fairbench.cells import Cell, Choice
from fairbench.records import Record, Value

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra plots")

from fairbench_reports.tradeoff import fairbench_reports, panels, render  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from PIL import Image  # noqa: E402

from fairbench.analysis.labels import Box, Label, write_labels  # noqa: E402


def run(*methods):
    """Return three repeats of a constant and of some methods, each with its accuracy and gap in the first repeat."""
    records = []
    for repeat, ones in enumerate((0.4, 0.3, 0.35)):
        records.append(done("constant", repeat, accuracy=1 - ones, selection_rate=0.0, **{DP: 0.0}))
        for method, accuracy, gap in methods:
            records.append(done(method, repeat, accuracy=accuracy + repeat / 100, **{DP: gap}))
    return results(*records)


def swept(repeat, points):
    """Return a method with operating points, of which the second is the chosen one."""
    values = [
        Value(0, point, "", metric, number)
        for point, (gap, accuracy) in points.items()
        for metric, number in ((DP, gap), (ACCURACY, accuracy))
    ]
    cell = Cell(Choice("adult"), Choice("threshold"), "sex", repeat)
    return Record(cell, "done", values=tuple(values), chosen=list(points)[1])


def test_every_method_has_a_dot_and_the_constant_is_the_end_of_the_coin():
    (panel,) = panels(run(("mlp", 0.8, 0.3), ("mba_dp", 0.7, 0.1)))
    assert panel.title == "adult by sex"
    assert [dot.method for dot in panel.dots] == ["mlp", "mba_dp"]
    assert panel.dots[1].place == pytest.approx((0.1, 0.71))
    assert panel.dots[1].accuracy.sd == pytest.approx(0.01)
    assert panel.constant == pytest.approx(0.65)
    assert panel.baseline is panel.dots[0]


def test_without_a_constant_or_a_baseline_there_is_no_coin():
    (panel,) = panels(results(done("mba_dp", accuracy=0.7, **{DP: 0.1})))
    assert panel.constant is None
    assert render(results(done("mba_dp", accuracy=0.7, **{DP: 0.1}))).startswith(b"\x89PNG")


def test_the_coin_starts_from_the_baseline_of_every_other_report():
    """The suite's, else mlp, else the most accurate method, even if a logistic regression took part."""
    found = run(("logistic", 0.7, 0.2), ("mba_dp", 0.8, 0.1))
    assert panels(found)[0].baseline.method == "mba_dp"
    named = replace(found, run={**found.run, "suite": {"baseline": "logistic"}})
    assert panels(named)[0].baseline.method == "logistic"


def test_variants_are_told_apart_by_the_parameters_in_which_they_differ():
    variants = [Choice("fairbinn", {"eta": (eta,), "epochs": 4}) for eta in (1.0, 5.0)]
    found = results(*(done(choice, accuracy=0.7, **{DP: 0.1}) for choice in (*variants, Choice("mlp"))))
    (panel,) = panels(found)
    assert [(dot.label, dot.text) for dot in panel.dots] == [
        ("fairbinn (eta)", "1.0"),
        ("fairbinn (eta)", "5.0"),
        ("mlp", ""),
    ]
    choices = [Choice("tree"), *(Choice("mlp", {"epochs": epochs}) for epochs in (9, 3))]
    (plain,) = panels(results(*(done(choice, accuracy=0.7, **{DP: 0.1}) for choice in choices)))
    assert (plain.baseline.method, plain.baseline.text) == ("mlp", "9")  # the first in the order of the plan


def test_a_dot_is_over_the_repeats_in_which_both_quantities_are_whole():
    lacking = "group 'c' has no row in the test part"
    found = results(
        done("mlp", 0, accuracy=0.8, **{DP: 0.3}),
        done("mlp", 1, accuracy=0.2, **{DP: "undefined"}),
        done("mlp", 2, accuracy=0.1, lacking=lacking, **{DP: 0.9}),
        done("mlp", 3, accuracy="undefined", **{DP: 0.9}),
        done("tree", 0, accuracy=0.8),
    )
    (panel,) = panels(found)
    assert [(dot.method, dot.place, dot.gap.n) for dot in panel.dots] == [("mlp", (0.3, 0.8), 1)]


def test_operating_points_make_a_curve_of_those_that_all_repeats_have():
    first = {"t=1": (0.1, 0.5), "t=2": (0.2, 0.6), "t=3": (0.3, 0.7)}
    second = {"t=1": (0.3, 0.7), "t=2": (0.4, 0.8)}
    (panel,) = panels(results(swept(0, first), swept(1, second)))
    assert panel.dots[0].place == pytest.approx((0.3, 0.7))
    assert np.array(panel.dots[0].curve) == pytest.approx(np.array([(0.2, 0.6), (0.3, 0.7)]))
    (plain,) = panels(run(("mlp", 0.8, 0.3)))
    assert plain.dots[0].curve == []


def test_what_decides_alike_in_most_repeats_is_trivial():
    def trivial(*alike):
        records = (done("mlp", repeat, alike=one, accuracy=0.8, **{DP: 0.3}) for repeat, one in enumerate(alike))
        return panels(results(*records))[0].dots[0].trivial

    assert trivial(True, True, False)
    assert not trivial(True, False)


def test_a_run_without_both_quantities_has_nothing_to_draw():
    for found in (results(), results(done("mlp", accuracy=0.8)), results(done("constant", accuracy=0.8, **{DP: 0.0}))):
        assert render(found) == b""


def test_the_same_results_give_the_same_picture_of_a_size_that_can_be_read():
    methods = [(f"m{number}", 0.6 + number / 100, number / 40) for number in range(14)]
    made = render(run(("mlp", 0.8, 0.3), *methods, ("a$b_c^$", 0.7, 0.2)))
    assert made == render(run(("mlp", 0.8, 0.3), *methods, ("a$b_c^$", 0.7, 0.2)))
    with Image.open(io.BytesIO(made)) as picture:
        assert (picture.format, picture.width > 900, picture.height > 600) == ("PNG", True, True)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NotApplicable, match=r"need the package 'matplotlib'.*fairbench-harness\[plots\]"):
        render(run(("mlp", 0.8, 0.3)))


def test_a_run_is_not_slowed_down_by_a_picture_that_nobody_asked_for():
    (report,) = fairbench_reports()
    assert (report.name, report.suffix) == ("tradeoff", "")  # without a suffix it is written by no run


def drawn(labels, width=4.0, height=3.0):
    """Return the boxes of the texts on a canvas, those of the dots, the frame, and how many texts found no room."""
    figure = Figure(figsize=(width, height), dpi=100)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    left_out = write_labels(axes, labels, renderer)
    for text in axes.texts:
        text.update_positions(renderer)  # as drawing does; the extent of the text alone follows, without its line
    extents = (matplotlib.text.Text.get_window_extent(text, renderer).extents for text in axes.texts)
    texts = [Box(*extent) for extent in extents]
    spots = axes.transData.transform([(label.x, label.y) for label in labels])
    return texts, [Box.around(*spot, 8, 8) for spot in spots], Box(*axes.bbox.extents), left_out


PLACES = some.floats(0, 1)
TEXTS = some.sampled_from(["", "0.05", "config2", "a longer text, 3"])
LABELS = some.builds(Label, PLACES, PLACES, TEXTS, some.just("#000000"), across=PLACES, up=PLACES)


@settings(max_examples=20)
@given(some.lists(LABELS, min_size=1, max_size=12))
def test_no_text_is_on_another_on_a_dot_or_outside_the_frame(labels):
    texts, dots, frame, left_out = drawn(labels)
    assert len(texts) + left_out == sum(bool(label.text) for label in labels)
    for place, text in enumerate(texts):
        assert frame.holds(text)
        assert not any(text.touches(other) for other in texts[:place])
        assert not any(text.touches(dot) for dot in dots)


def test_texts_find_room_around_dots_that_coincide():
    texts, _, _, left_out = drawn([Label(0.5, 0.5, f"0.{number}", "#000000") for number in range(20)])
    assert (len(texts), left_out) == (20, 0)


def test_a_text_that_has_no_room_is_counted():
    texts, _, _, left_out = drawn([Label(0.5, 0.5, "far wider than the frame" * 9, "#000000")])
    assert (texts, left_out) == ([], 1)


def test_boxes_touch_where_they_share_a_point():
    box = Box(0, 0, 2, 2)
    for other, touching in [
        (Box(2, 2, 3, 3), True),
        (Box(2.1, 0, 3, 3), False),
        (Box(0, 2.1, 3, 3), False),
        (Box(-2, -2, -0.1, 3), False),
        (Box(-1, -2, 3, -0.1), False),
        (Box(0.5, 0.5, 1, 1), True),
    ]:
        assert box.touches(other) is other.touches(box) is touching
    assert box.holds(Box(0, 0, 2, 2))
    for outside in [Box(-0.1, 0, 2, 2), Box(0, -0.1, 2, 2), Box(0, 0, 2.1, 2), Box(0, 0, 2, 2.1)]:
        assert not box.holds(outside)
