"""Curves and generations from records made by hand: what is drawn, what is said, and which method survives."""

from __future__ import annotations

import dataclasses
import io
import re
import sys

import numpy as np
import pytest
from fairbench_feedback import curves, generations
from fairbench_feedback._histories import strips
from PIL import Image

from fairbench.api import Cell, Choice, NotApplicable, Record, Results, Value

EO, DP = "equalized_odds_difference", "demographic_parity_difference"
DONE = "done"


def record(method="mlp", repeat=0, scenario="seq_class", reparation="none", params=(), steps=None):
    """Return a finished loop; ``steps`` gives for each generation its values by metric, or (group, metric).

    Where the value of ``alike`` is 1, everybody is decided alike.
    """
    values = [
        Value(step, "", *(key if isinstance(key, tuple) else ("", key)), value, "" if value is not None else "why")
        for step, named in enumerate(steps or [{}])
        for key, value in {"accuracy": 0.8, EO: 0.2, DP: 0.3, "training_kl": 0.1, **named}.items()
    ]
    loop = Choice(scenario, {"generations": len(steps or [{}]), "reparation": reparation, **dict(params)})
    cell = Cell(Choice("adult"), Choice(method), "sex", repeat, scenario=loop)
    alike = tuple((step, "") for step, named in enumerate(steps or [{}]) if named.get("alike"))
    return Record(cell, DONE, values=tuple(values), alike=alike)


def results(*records):
    return Results(records, {}, len(records), {})


def falling(first, last, generations=3, **others):
    """Return the steps of a loop whose accuracy falls in a straight line."""
    return [{"accuracy": value, **others} for value in np.linspace(first, last, generations)]


def picture(found):
    return Image.open(io.BytesIO(curves.render(found)))


def test_a_run_without_loops_has_nothing_to_show():
    holdout = Record(Cell(Choice("adult"), Choice("mlp"), "sex", 0), DONE, values=(Value(0, "", "", "accuracy", 1.0),))
    for found in (results(), results(holdout)):
        assert curves.render(found) == b""
        assert generations.render(found) == ""


def test_reparations_stand_beside_none_and_methods_have_a_strip_each():
    loops = [
        record(method, repeat, reparation=reparation, steps=falling(0.9, 0.7))
        for method in ("mlp", "tree")
        for reparation in ("none", "classifier")
        for repeat in range(3)
    ]
    others = [record(method, scenario="seq_gen_nonseq_class") for method in ("mlp", "tree")]
    shown = strips(results(*loops, *others))
    assert [(strip.title, strip.runs, [strip.name(line) for line in strip.lines]) for strip in shown] == [
        ("adult by sex, seq_class, mlp", "3 runs", ["no reparation", "STAR for classifiers"]),
        ("adult by sex, seq_class, tree", "3 runs", ["no reparation", "STAR for classifiers"]),
        ("adult by sex, seq_gen_nonseq_class, no reparation", "1 run", ["mlp", "tree"]),
    ]


def test_only_what_tells_lines_apart_is_in_their_names():
    params = [{"synthetic_share": share, "budget": 0.25} for share in (1.0, 0.5)]
    shares = [record(params=some, repeat=repeat) for some in params for repeat in (0, 1)]
    (strip,) = strips(results(*shares, record(params=params[0], reparation="generator")))
    assert [strip.name(line) for line in strip.lines] == [
        "no reparation",
        "no reparation, synthetic_share=0.5",
        "STAR for generators",
    ]
    assert strip.runs == "1 to 2 runs"


def test_means_and_spreads_are_over_the_repeats_with_a_value():
    loops = [record(repeat=repeat, steps=[{"accuracy": value}]) for repeat, value in enumerate([0.5, 0.7, None])]
    ((line,),) = [strip.lines for strip in strips(results(*loops))]
    assert line.mean("accuracy", 0) == pytest.approx(0.6)
    assert line.spread("accuracy", 0) == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert line.mean("nothing", 0) is None


def test_values_over_fewer_groups_are_left_out():
    whole, partial = (record(repeat=repeat, steps=[{DP: 0.2 + 0.6 * repeat}]) for repeat in (0, 1))
    lacking = tuple(v._replace(reason="group 'c' has no row") if v.metric == DP else v for v in partial.values)
    ((line,),) = [strip.lines for strip in strips(results(whole, dataclasses.replace(partial, values=lacking)))]
    assert line.values(DP, 0) == [0.2]
    assert line.values("accuracy", 0) == [0.8, 0.8]


def end(first, second):
    """Return a last generation with these true and false positive rates of two groups."""
    rates = {"a": first, "b": second}
    return {(group, f"{side}_positive_rate"): rate for group, rate in rates.items() for side in ("true", "false")}


def test_end_states_say_which_groups_are_decided_as_one():
    ends = [end(0.96, 0.02), end(1, 1), end(0, 0.05), end(0.5, 0), end(0.95, 0.02), end(0.94, 0)]
    loops = [record(repeat=repeat, steps=[{}, last]) for repeat, last in enumerate(ends)]
    ((line,),) = [strip.lines for strip in strips(results(*loops))]
    assert line.end_states() == {"(1,0)": 2, "(1,1)": 1, "(0,0)": 1, "between": 2}
    assert "2 x (1,0), 1 x (1,1), 1 x (0,0), 2 x between |" in generations.render(results(*loops))
    assert "end states (a, b)" in generations.render(results(*loops))


def test_the_table_has_the_first_and_the_last_generation():
    text = generations.render(results(*(record(repeat=r, steps=falling(0.9, 0.6 + r / 10)) for r in range(3))))
    assert "| no reparation | 0 → 2 | 0.900 → 0.700 ± 0.100 | - → - | 0.200 → 0.200 ± 0.000 |" in text


def test_what_died_out_is_explained_with_the_rule():
    share = "training_share[y=1,female]"
    gone = [{share: 0.2}, {share: 0.0}, {share: 0.0, "degenerate": 1.0}]
    kept = [{share: 0.2}, {share: 0.1}, {share: 0.1, "refused": 1.0}]
    text = generations.render(results(record(steps=gone), record(repeat=1, steps=kept)))
    assert "no training row is left of y=1,female from generation 1 on (1 of 2 runs): other strata take its" in text
    assert "the training rows have a single label, so the classifier is that constant (from generation 2 on" in text
    assert "the method refuses its training rows, so the previous classifier stays in use (from generation 2" in text
    text = generations.render(results(record(reparation="classifier", steps=gone)))
    assert "STAR's refill takes its place, and the loop goes on" in text


def test_one_generation_says_that_there_is_no_loop():
    found = results(record())
    assert "one generation: there is no loop to see" in generations.render(found)
    assert picture(found).format == "PNG"


def gap(start, stop, accuracy=(0.8, 0.78), **last):
    middle = [(start + stop) / 2, sum(accuracy) / 2]
    pairs = [(start, accuracy[0]), tuple(middle), (stop, accuracy[1])]
    steps = [{DP: value, EO: 0.3, "accuracy": right} for value, right in pairs]
    steps[-1].update(last)
    return steps


@pytest.mark.parametrize(
    ("steps", "verdict", "survives"),
    [
        (gap(0.05, 0.10), "threshold keeps its lead (demographic parity difference 0.050 against 0.200", True),
        (gap(0.05, 0.19), "threshold loses its lead (", False),
        (gap(0.19, 0.19), "threshold has no lead to begin with (", False),
        (gap(0.19, 0.01), "threshold has no lead to begin with, but has one in the end (", False),
        (gap(0.05, 0.05, accuracy=(0.8, 0.6)), "threshold loses its accuracy (", False),
        (gap(0.05, 0.0, alike=1.0), "threshold collapses (", False),
        (
            gap(0.05, 0.3, (0.8, 0.5), group_only_classifier=1.0),
            "loses its lead and loses its accuracy and c",
            False,
        ),
    ],
)
def test_the_paragraph_on_survival_follows_from_the_numbers(steps, verdict, survives):
    text = generations.render(results(record("mlp", steps=gap(0.2, 0.2)), record("threshold", steps=steps)))
    story = text[text.index("## Which fair method survives") :].replace("\\_", "_")
    assert "On adult by sex, seq_class (no reparation), the plain mlp goes from generation 0 to 2 with" in story
    assert verdict in story
    assert f"Surviving: {'threshold' if survives else 'none'} of threshold." in story
    assert "at most 0.05." in story  # the criterion is said


def test_without_a_plain_or_a_fair_method_there_is_no_verdict():
    for methods in (("mlp", "tree"), ("threshold",)):
        assert "survives" not in generations.render(results(*(record(method) for method in methods)))


def ink(image, colour):
    """Return how many pixels have a colour, given as #rrggbb."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(np.asarray(image.convert("RGB")).astype(int) - wanted).max(axis=2) < 12).sum())


def test_the_picture_draws_each_line_in_its_colour():
    steps = falling(0.9, 0.7)
    pair = [record(reparation=what, repeat=r, steps=steps) for what in ("none", "classifier") for r in (0, 1)]
    both = picture(results(*pair))
    alone = picture(results(*pair[:2]))
    red, green = (curves.STYLES[name][0] for name in ("none", "classifier"))
    assert ink(both, red) > 200
    assert ink(both, green) > 200
    assert ink(alone, green) == 0
    taller = picture(results(*pair, record("tree", reparation="classifier"), record("tree")))
    assert taller.size[0] == both.size[0]
    assert taller.size[1] > 1.7 * both.size[1]  # a strip for each method


def test_single_runs_are_drawn_where_they_end_differently():
    collapsed = [record(repeat=r, steps=[*falling(0.9, 0.7), {"alike": float(r)}]) for r in (0, 1)]
    alike = [record(repeat=r, steps=[*falling(0.9, 0.7), {"alike": 0.0}]) for r in (0, 1)]
    assert curves._foot(strips(results(*collapsed))).endswith("thin: single runs, where they end differently")
    assert "x: some run has collapsed" in curves._foot(strips(results(*collapsed)))
    assert "collapsed" not in curves._foot(strips(results(*alike)))
    assert curves.render(results(*collapsed)) != curves.render(results(*alike))


def test_the_same_records_give_the_same_bytes():
    found = results(record(steps=falling(0.9, 0.7)))
    for form in ("png", "svg"):
        assert curves.render(found, form) == curves.render(found, form)


def test_a_picture_of_many_rows_has_a_palette_which_keeps_it_small():
    loops = [
        record(f"m{row}", repeat, steps=falling(0.9, 0.7 + 0.05 * repeat)) for row in range(6) for repeat in (0, 1)
    ]
    made, unpacked = curves.render(results(*loops)), io.BytesIO()
    image = Image.open(io.BytesIO(made))
    image.convert("RGB").save(unpacked, "PNG", optimize=True)
    assert image.mode == "P"
    assert len(made) < 0.6 * len(unpacked.getvalue())


def test_an_undefined_generation_leaves_a_gap_and_no_error():
    steps = [{"accuracy": 0.8, EO: None}, {"accuracy": None}, {EO: None, DP: None}]
    assert picture(results(record(steps=steps))).format == "PNG"


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotApplicable, match=r"figures need the package 'matplotlib': .*'fairbench-harness\[plots\]'"):
        curves.render(results(record()))
    assert curves.render(results()) == b""  # a run without loops does not miss it


def test_the_picture_is_drawn_as_vectors_too():
    found = results(record(steps=falling(0.9, 0.7)))
    png, vectors = picture(found), curves.render(found, "svg").decode()
    points = [float(re.search(rf'<svg [^>]*{side}="([0-9.]+)pt"', vectors)[1]) for side in ("width", "height")]
    assert points == pytest.approx([72 / curves.DPI * side for side in png.size], abs=1)  # PNGs have whole pixels
    assert curves.render(results(), "svg") == b""
