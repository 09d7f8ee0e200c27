"""Figures are files that can be read; SHAP values are those of the closed form where there is one."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench.analysis.drawing import STYLES
from fairbench.api import Dataset, Predictions, Samples, Schema
from fairbench.papers import explain, figures, plots
from fairbench.papers.explain import Explanation
from fairbench.papers.plots import Dot, Panel, draw_explanations, draw_trade_off

matplotlib = pytest.importorskip("matplotlib", reason="figures need the extra plots")
needs_shap = pytest.mark.skipif(importlib.util.find_spec("shap") is None, reason="SHAP values need the extra explain")
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # what shap compiles takes longer than all that is computed here
PNG = b"\x89PNG\r\n\x1a\n"


def assert_drawn(stem: Path, words):
    """Check that both files are there, that they are not empty, and that the SVG's groups hold paths."""
    assert stem.with_name(stem.name + ".png").read_bytes().startswith(PNG)
    root = ElementTree.parse(stem.with_name(stem.name + ".svg")).getroot()  # noqa: S314 - our own file
    assert root.tag.endswith("svg")
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 20
    comments = stem.with_name(stem.name + ".svg").read_text()
    for word in words:
        assert f"<!-- {word} -->" in comments, word


def panel(title):
    series = [[Dot(0.05, 0.6, 0.01, 0.02, "0.2"), Dot(0.08, 0.61, 0.01, 0.02, "0.3"), Dot(0.081, 0.611, text="0.4")]]
    curve = [Dot(0.02, 0.55, text="0.1"), Dot(0.2, 0.7, text="0.5"), Dot(0.9, 0.5, text="1.0")]
    return Panel(title, 0.54, Dot(0.2, 0.7), curve, series, [[Dot(0.04, 0.59)]])


def test_a_trade_off_without_published_points_or_curve_does_not_speak_of_them(tmp_path):
    bare = dataclasses.replace(panel("d"), published=[[]], curve=[])
    draw_trade_off([bare], ["ours"], "sweep", "some gap", "What it shows", tmp_path / "f")
    drawn = (tmp_path / "f.svg").read_text()
    assert "<!-- ours (± standard deviation) -->" in drawn
    assert "as published" not in drawn
    assert "sweep" not in drawn


def test_a_series_of_published_points_alone_is_not_named_measured(tmp_path):
    quoted = dataclasses.replace(panel("d"), series=[[]])
    draw_trade_off([quoted], ["theirs"], "sweep", "some gap", "What it shows", tmp_path / "f")
    drawn = (tmp_path / "f.svg").read_text()
    assert "<!-- theirs, as published -->" in drawn
    assert "standard deviation" not in drawn


@pytest.mark.parametrize(
    ("gap", "expected"), [(0.05, "0.600"), (0.1, "0.650"), (0.15, "0.700"), (0.2, "-"), (0.01, "-"), (None, "-")]
)
def test_accuracy_at_a_gap_lies_on_the_line_through_the_points_that_span_it(gap, expected):
    dots = [Dot(0.15, 0.7), Dot(0.05, 0.6)]
    assert figures._accuracy_at(gap, dots) == expected
    assert figures._accuracy_at(gap, []) == "-"


@pytest.mark.parametrize("panels", [1, 3])
def test_a_trade_off_has_a_panel_for_each_dataset_with_axes_and_units(tmp_path, panels):
    datasets = [f"data{number}" for number in range(panels)]
    draw_trade_off([panel(name) for name in datasets], ["ours"], "sweep", "some gap", "What it shows", tmp_path / "f")
    expected = ["some gap (fraction; 0 is parity)", "accuracy (fraction)", "ours, as published", "What it shows"]
    assert_drawn(tmp_path / "f", [*datasets, *expected])
    drawn = (tmp_path / "f.svg").read_text()
    assert "<!-- 0.3, 0.4 -->" in drawn  # points that nearly coincide share a line
    assert "<!-- 1.0 -->" not in drawn.partition("sweep")[0]  # beyond the frame


def test_series_that_nobody_published_are_not_named_so(tmp_path):
    ours = dataclasses.replace(panel("data"), series=panel("data").series * 5, published=[[]] * 5)
    draw_trade_off([ours], [f"ours {number}" for number in range(5)], "sweep", "gap", "title", tmp_path / "f")
    assert "as published" not in (tmp_path / "f.svg").read_text()
    assert len({colour for colour, _ in STYLES}) == len({marker for _, marker in STYLES}) == 5


def test_the_same_numbers_give_the_same_svg(tmp_path):
    for stem in ("a", "b"):
        draw_trade_off([panel("d")], ["ours"], "sweep", "gap", "title", tmp_path / stem)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def explanation(players=4, rows=50):
    draw = np.random.default_rng(0)
    values, levels = draw.normal(size=(rows, players)), draw.random((rows, players))
    levels[:, 0] = np.nan
    names = (*(f"attribute {number}" for number in range(players - 1)), "sensitive")
    categories = np.full((rows, players), "", dtype="<U20")
    categories[:, 0], categories[:, -1] = np.array(["low", "middle", "top"])[np.arange(rows) % 3], "only one"
    values[:, 0] += np.arange(rows) % 3 * 5
    return Explanation(names, values, levels, np.arange(rows) % 2 == 0, categories, 1.0)


def test_a_beeswarm_names_its_attributes_and_its_unit(tmp_path):
    draw_explanations([("plain", explanation()), ("fair", explanation())], "Why", tmp_path / "f")
    assert_drawn(tmp_path / "f", ["attribute 0", "sensitive", "SHAP value (change in the score, a fraction)", "fair"])
    drawn = (tmp_path / "f.svg").read_text()
    assert "<!-- low -->" in drawn
    assert "<!-- top -->" in drawn
    assert "<!-- middle -->" not in drawn
    assert "<!-- only one -->" not in drawn


def test_no_name_of_a_category_leaves_the_axes(monkeypatch, tmp_path):
    """However long it is."""
    drawn = []
    monkeypatch.setattr(plots, "_save", lambda figure, stem: drawn.append(figure))
    long = explanation()
    long.categories[long.categories == "low"] = "x" * 20
    draw_explanations([("plain", long), ("fair", explanation())], "Why", tmp_path / "f")
    (figure,) = drawn
    figure.canvas.draw()
    named = [(axes, text) for axes in figure.axes for text in axes.texts]
    assert len(named) == 4
    for axes, text in named:
        frame, box = axes.get_window_extent(), text.get_window_extent()
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1, text.get_text()


def test_importance_rank_and_direction_are_those_of_the_values():
    values = np.array([[0.3, -0.1], [-0.5, 0.1], [0.1, 0.3]])
    categories = np.array([["x", "m"], ["y", "m"], ["z", "f"]])
    found = Explanation(("a", "sensitive"), values, values, np.array([True, False, True]), categories, 0.0)
    assert found.importance == pytest.approx([0.3, 0.5 / 3])
    assert found.rank == 2
    assert found.direction == pytest.approx(0.1 - 0.1)
    assert found.extremes(0) == ("y", "x")
    assert found.extremes(1) == ("m", "f")


def made_up(rows=40):
    """Return a table with a number, a category of three, and the group; and its encoded rows."""
    draw = np.random.default_rng(1)
    colour = draw.choice(["blue", "green", "red"], rows)
    group = draw.integers(0, 2, rows)
    table = pd.DataFrame({"size": draw.random(rows), "colour": colour})
    y = np.arange(rows) % 2
    features = pd.DataFrame({"sex": np.where(group == 1, "female", "male")})
    dataset = Dataset("made-up", table, y, features, {"sex": "female"})
    onehot = (colour[:, None] == np.array(["blue", "green", "red"])).astype(np.float32)
    X = np.column_stack([table["size"], onehot, group]).astype(np.float32)
    names = ("size", "colour_blue", "colour_green", "colour_red", "group_female")
    return dataset, Samples(X, group, Schema(names, ("male", "female"), 1), y)


def test_encoded_columns_are_gathered_by_attribute_the_sensitive_one_last():
    dataset, samples = made_up()
    blocks = explain._blocks(dataset, samples, "sex")
    assert {name: block.tolist() for name, block in blocks.items()} == {"size": [0], "colour": [1, 2, 3], "sex": [4]}
    assert list(blocks)[-1] == "sex"
    first = explain._categories(samples, blocks)[0].tolist()
    assert first == ["", dataset.X["colour"][0], samples.group_names[samples.group[0]]]


def test_levels_are_ranks_and_categories_of_more_than_two_have_none():
    assert explain._levels(np.array([[3.0], [1.0], [9.0], [1.0]])) == pytest.approx([0.5, 0, 1, 0])
    assert explain._levels(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx([1, 0])
    assert np.isnan(explain._levels(np.eye(3))).all()
    assert explain._levels(np.ones((3, 1))) == pytest.approx([0, 0, 0])


@needs_shap
def test_shap_values_of_a_sum_are_each_attributes_own_part():
    """For a score that adds up, an attribute's SHAP value is its part minus the background's mean part."""
    dataset, samples = made_up()
    weights = np.array([0.3, 0.0, 0.1, 0.25, 0.2])
    people, others = samples.select(np.arange(15)), samples.select(np.arange(15, 40))
    blocks = list(explain._blocks(dataset, samples, "sex").values())

    def score(inputs):
        return Predictions.from_score(inputs.X.astype(float) @ weights)

    made = explain._Score(score, people, others, blocks)
    state = np.random.get_state()[1].copy()
    found = explain._shap_values(explain.require_shap(), made, 15, 25, seed=3)
    assert (np.random.get_state()[1] == state).all()
    for player, block in enumerate(blocks):
        part = people.X[:, block] @ weights[block] - (others.X[:, block] @ weights[block]).mean()
        assert found[:, player] == pytest.approx(part, abs=1e-6)  # float32 features


@needs_shap
def test_explanations_are_kept_and_stand_in_the_document(fairbench, tmp_path, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    plugin = str(Path(__file__).parent / "tiny_paper.py")
    arguments = ("reproduce", "tiny:why", "--plugin", plugin, "--workers", "1", "--out", "r")
    status, _, _ = fairbench(*arguments)
    assert status == 0
    text = (tmp_path / "r" / "reproduction.md").read_text()
    assert "| model | rank of group among 8 | mean \\|SHAP\\| | share | protected minus others |" in text
    assert_drawn(tmp_path / "r" / "figures" / "why-raw", ["group"])
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r" / "explanations").iterdir()}
    cells = json.loads((tmp_path / "r" / "run.json").read_text())["cells"]
    assert sorted(kept) == sorted(f"{key}.npz" for key in cells)
    assert len(kept) == 2 * 2
    assert fairbench(*arguments)[0] == 0
    assert kept == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r" / "explanations").iterdir()}
    assert (tmp_path / "r" / "reproduction.md").read_text().partition("## How")[0] == text.partition("## How")[0]
