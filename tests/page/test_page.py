"""The page of a run, read by an independent parser: what it says, and that it loads nothing and escapes everything."""

from __future__ import annotations

import base64
import hashlib
import re
from types import SimpleNamespace

import pytest
from fairbench_reports import html, terminal
from fairbench_reports._page import curves, ranking
from fairbench_reports._page.axes import Axis, Frame
from fairbench_reports._page.labels import LETTER, SIZE, Named, placed
from fairbench_reports._page.summary import weak
from fairbench_reports._table import sections
from fairbench_reports._verdicts import POINTS, verdict_tables
from page_helpers import CHINESE, METHODS, SCRIPT, Page, hostile_run, small_run

from fairbench.api.analysis import FAIR, NOT_FAIR
from fairbench.cells import Cell, Choice
from fairbench.records import DONE, SKIPPED, Record, Results, Value

LABELS = {"accuracy": ("accuracy", "higher"), "demographic_parity_difference": ("DP diff.", "lower")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def text(run):
    return html.render(run)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def cards(page):
    """Return by question what the first screen answers."""
    titles = [told for _, told in page.all("h2")]
    return dict(zip(titles, (told for _, told in page.all("div", class_="card"))))


def marks(page):
    """Return by method what is said of its points, line by line joined, and their classes."""
    return [(found["data-method"], text, found["class"]) for found, text in page.all("g", class_="mark")]


def bare(results=(), planned=0, **run):
    return Results(list(results), run, planned, LABELS)


def test_every_element_is_closed_and_every_link_leads_somewhere(page):
    assert page.still_open == []
    ids = [found["id"] for _, found, _ in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for found, _ in [*page.all("a"), *page.all("use")]:
        assert found["href"].startswith("#")
        assert found["href"][1:] in ids


def test_nothing_is_loaded_and_only_its_own_style_and_script_are_allowed(text, page):
    for _, found, _ in page.elements:
        assert not {"src", "srcset", "style", "action", "formaction"} & set(found)
        assert not [name for name in found if name.startswith("on")]
    assert not page.all("link")
    assert not re.search(r"https?://|url\(|@import|import\(|fetch\(|XMLHttp|eval\(", text)
    policy = next(found["content"] for found, _ in page.all("meta") if "http-equiv" in found)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_it_is_ascii_so_that_no_encoding_can_spoil_it(text):
    assert text.isascii()
    assert "\u2021" in Page(text).all("main")[0][1]


def test_the_first_screen_says_what_ran_and_what_beat_the_coin(page):
    told = cards(page)
    assert "25 of 30 cells" in told["What ran"]
    assert "6 methods on 1 dataset, 5 repeats each" in told["What ran"]
    assert "Collapsed to the same decision for everybody: ffml" in told["What ran"]
    assert "1 of 4 methods" in told["What beat the coin"]
    assert "fair_maml (2 of 2)" in told["What beat the coin"]
    assert "5 failed" in told["What could not run"]
    assert "ValueError: it broke" in told["What could not run"]


def test_what_is_significant_counts_the_verdicts_of_the_tables(run, page):
    tables = verdict_tables(run, sections(run))[0]
    words = [row[-1] for table in tables for row in table.rows]
    above, below = (sum(word.startswith(side) for word in words) for side in ("above the coin", "below the coin"))
    assert above == 2
    assert below >= 1
    assert f"{above + below} of {len(words)} verdicts" in cards(page)["What is significant"]


def test_verdicts_are_those_of_the_terminal_to_the_letter(run, page):
    tables = verdict_tables(run, sections(run))[0]
    rows = [text for found, text in page.all("tr") if "data-side" in found]
    expected = [row for table in tables for row in table.rows]
    assert len(rows) == len(expected)
    for row, shown in zip(expected, rows):
        alike = " \u2021" if row[0] == "ffml" else ""
        assert shown == " ".join([row[0] + alike, *row[1:]])
    printed = " ".join(terminal.render(run).split())
    assert all(row[place] in printed for row in expected for place in (1, POINTS))


def test_a_collapsed_method_is_shown_as_such_everywhere(page):
    assert any(method == "ffml" for method, _, _ in marks(page))
    for method, said, classes in marks(page):
        assert ("hollow" in classes) == (method == "ffml")
        assert ("makes the same decision for everybody" in said) == (method == "ffml")
    heads = [told for _, told in page.all("th") if told.startswith("ffml")]
    assert sum(told.endswith("\u2021") for told in heads) >= 3  # values, verdicts, groups


def test_gaps_below_the_noise_floor_are_grey_and_others_are_not(run, page):
    tables = verdict_tables(run, sections(run))[0]
    told = [(row[1], each) for table in tables for row, each in zip(table.rows, table.standings)]
    small = [gap for gap, each in told if each.faint or each.floor.reading == FAIR]
    grey = [text for _, text in page.all("td", class_="weak")]
    assert sorted(text for text in grey if text[0].isdigit()) == sorted(small)
    glance = [text for text in grey if not text[0].isdigit()]
    assert len(glance) == len(small)
    assert all(text.endswith("; the gap is not told apart from noise") for text in glance)
    assert 0 < len(small) < len(told)


def test_points_have_their_intervals_their_parameters_and_the_lines_of_the_section(page):
    (first, *_) = page.all("g", class_="mark")
    assert first[0]["tabindex"] == "0"
    labels = {method: said for method, said, _ in marks(page)}
    assert re.search(r"accuracy 0\.\d+ \(95% 0\.\d+ to 0\.\d+\) (DP|EO) diff\.", labels["fair_maml"])
    assert "parameters: epochs=3" in labels["ffml"]
    assert "the baseline, with which others are compared" in labels["mlp"]
    plots = page.all("svg", class_="plot", role="group")
    assert len(plots) == 2
    for line in ("coin", "common"):
        drawn = [found["points"] for found, _ in page.all("polyline", class_=line)]
        assert len(drawn) == 2
        assert all(len(points.split()) >= 2 for points in drawn)
    assert not page.all("polyline", class_="attained")  # the run has no method 'attainable'


def test_coverage_points_from_each_cell_to_its_reason(page):
    rows = {re.match(r"\S+", text)[0]: text for _, text in page.all("tr") if " done" in text or " failed" in text}
    assert rows["mlp"] == "mlp 5 done"
    assert rows["cnn"] == "cnn 5 failed [1]"
    (why,) = [told for found, told in page.all("li") if found.get("id") == "why-1"]
    assert why == "5 cells failed: ValueError: it broke"


def test_names_stay_text_whatever_they_are(tmp_path):
    text = html.render(hostile_run(tmp_path))
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "<script>alert" not in text
    heads = {told for _, told in page.all("th")}
    assert {SCRIPT, CHINESE} <= {head.split(" ")[0] for head in heads}
    assert f"{CHINESE} by {SCRIPT}" in {told for _, told in page.all("h2")}
    assert {SCRIPT, CHINESE} <= {said.split()[0] for _, said, _ in marks(page)}
    assert [told for _, told in page.all("h1")] == [SCRIPT]


def test_a_run_with_nothing_done_says_so():
    page = Page(html.render(bare(planned=4)))
    assert "0 of 4 cells" in cards(page)["What ran"]
    assert "4 not run yet" in cards(page)["What could not run"]
    assert "No method is compared" in cards(page)["What beat the coin"]
    assert not page.all("svg", class_="plot")
    assert page.still_open == []


def test_a_run_of_which_every_cell_was_skipped_says_why():
    cell = Cell(Choice("german"), Choice("cnn"), "sex", 0)
    page = Page(html.render(bare([Record(cell, SKIPPED, "works on images")], 1)))
    assert "1 skipped" in cards(page)["What could not run"]
    assert "cnn 1 skipped [1]" in [text for _, text in page.all("tr")]


def test_each_cell_points_to_its_own_reason():
    cells = [Cell(Choice("german"), Choice(name), "sex", 0) for name in ("cnn", "tree")]
    records = [Record(cell, SKIPPED, f"no {cell.method.name} here") for cell in cells]
    page = Page(html.render(bare(records, 2)))
    rows = [text for _, text in page.all("tr")]
    assert {"cnn 1 skipped [1]", "tree 1 skipped [2]"} <= set(rows)
    assert {found["id"]: text for found, text in page.all("li") if "id" in found} == {
        "why-1": "1 cell skipped: no cnn here",
        "why-2": "1 cell skipped: no tree here",
    }


@pytest.mark.parametrize(
    ("faint", "reading", "grey"), [(True, "", True), (False, FAIR, True), (False, NOT_FAIR, False)]
)
def test_a_gap_is_weak_if_it_cannot_be_shown_or_is_not_told_apart_from_fair(faint, reading, grey):
    assert weak(SimpleNamespace(faint=faint, floor=SimpleNamespace(reading=reading))) is grey


@pytest.mark.documents
def test_the_first_screen_says_what_too_few_datasets_cannot_show(tmp_path):
    page = Page(html.render(small_run(tmp_path, repeats=2, datasets=["d0", "d1"])))
    assert "Tests over datasets: 2 datasets cannot show a difference at 5%." in cards(page)["What is significant"]


@pytest.mark.documents
def test_six_datasets_give_a_diagram_of_ranks_and_too_many_methods_none(tmp_path, monkeypatch):
    methods = {name: METHODS[name] for name in ("mlp", "fair_maml", "tree", "boosting")}
    found = small_run(tmp_path, repeats=2, methods=methods, datasets=[f"d{place}" for place in range(6)])
    page = Page(html.render(found))
    said = [found["aria-label"] for found, _ in page.all("svg", class_="diagram")]
    assert any(re.match(r"Mean ranks, the best first: fair_maml 1\.00; .*tree", text) for text in said)
    assert "critical difference" in page.all("svg", class_="diagram")[0][1]
    monkeypatch.setattr(ranking, "MOST", 3)
    page = Page(html.render(found))
    assert not page.all("svg", class_="diagram")
    assert "4 methods are too many to be compared in pairs here" in page.all("main")[0][1]


def test_one_cell_has_a_point_without_intervals_and_no_nan():
    cell = Cell(Choice("german"), Choice("mlp"), "sex", 0)
    values = tuple(Value(0, "", "", metric, value) for metric, value in zip(LABELS, (0.8, 0.1)))
    text = html.render(bare([Record(cell, DONE, values=values)], 1))
    page = Page(text)
    ((_, said, _),) = marks(page)
    assert "accuracy 0.800 DP diff. 0.100" in said
    assert not re.search(
        r"\b(nan|inf)\b", re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL), re.IGNORECASE
    )


def test_one_repeat_has_intervals_over_the_rows_of_its_test_part(tmp_path):
    found = small_run(tmp_path, repeats=1)
    page = Page(html.render(found))
    assert "1 repeat each" in cards(page)["What ran"]
    assert "a single repeat has no spread: intervals are over the rows of its test part" in page.all("main")[0][1]


def test_a_value_that_is_undefined_is_a_dash_with_its_mark_and_its_reason():
    cells = [Cell(Choice("german"), Choice(name), "sex", 0) for name in ("a", "b")]
    records = [
        Record(cells[0], DONE, values=(Value(0, "", "", "accuracy", None, "no rows"),)),
        Record(cells[1], DONE, values=(Value(0, "", "", "accuracy", 0.5),)),
    ]
    page = Page(html.render(bare(records, 2)))
    rows = [text for _, text in page.all("tr")]
    assert "a 1 -\u2020" in rows
    assert "b 1 0.500" in rows
    assert "\u2020 accuracy undefined in 1 of 1 repeats (a): no rows" in {told for _, told in page.all("li")}


def loop(name, repeat, accuracies, alike=()):
    scenario = Choice("loop", {"generations": len(accuracies) - 1})
    values = tuple(Value(step, "", "", "accuracy", value) for step, value in enumerate(accuracies))
    cell = Cell(Choice("german"), Choice(name), "sex", repeat, scenario=scenario)
    return Record(cell, DONE, values=values, alike=tuple((step, "") for step in alike))


def test_curves_over_generations_mark_the_steps_at_which_everybody_gets_the_same_decision():
    records = [loop("mlp", 0, [0.9, 0.8, 0.7]), loop("mlp", 1, [0.8, 0.8, 0.5])]
    records.append(loop("tree", 0, [0.9, 0.6, 0.5], alike=[2]))
    page = Page(html.render(bare(records, 3)))
    (panel,) = page.all("svg", class_="small")
    assert "mlp from 0.850 to 0.600" in panel[0]["aria-label"]
    assert "tree from 0.900 to 0.500" in panel[0]["aria-label"]
    lines = page.all("polyline", class_="curve")
    assert [len(found["points"].split()) for found, _ in lines] == [3, 3]
    assert len(page.all("use", class_="cross")) == 1
    assert len(page.all("polygon", class_="band")) == 1  # one method has a single repeat


def test_streams_are_drawn_after_each_batch():
    cell = Cell(Choice("german"), Choice("mlp"), "sex", 0, scenario=Choice("stream", {"batch_size": 8}))
    values = (Value(0, "", "", "accuracy", 0.8),)
    record = Record(cell, DONE, values=values, diagnostics={"pooled_gap": tuple(i / 1000 for i in range(1000, 0, -1))})
    page = Page(html.render(bare([record], 1)))
    (panel,) = page.all("svg", class_="small")
    assert panel[0]["aria-label"].startswith("gap of all outputs so far by batch")
    (line,) = page.all("polyline", class_="curve")
    places = line[0]["points"].split()
    assert 100 <= len(places) <= 200  # of a thousand
    assert places[0].startswith("0,")
    assert places[-1].startswith("100,")


def test_the_command_can_be_copied_as_it_was_typed():
    sessions = [{"command": ["run", "--methods", "mlp[hidden=(8,8)],tree", "--out", "a b"], "python": "3.13.0"}]
    run = {"sessions": sessions, "datasets": {"german": "5dc6"}, "plan": "d7d7", "seeds": "sha256 of (purpose)"}
    page = Page(html.render(bare([], 0, **run)))
    ((_, command),) = page.all("pre")
    assert command == "fairbench run --methods 'mlp[hidden=(8,8)],tree' --out 'a b'"
    facts = [told for _, told in page.all("dd")]
    assert {"d7d7", "sha256 of (purpose)", "3.13.0"} <= set(facts)
    assert "german 5dc6" in " ".join(told for _, told in page.all("tr"))


@pytest.mark.documents
def test_the_page_of_a_real_run_has_its_lines_and_its_command(fairbench, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE", raising=False)
    what = ("--datasets", "synthetic[rows=600]", "--methods", "logistic,tree", "--repeats", "2")
    status, _, err = fairbench("run", *what, "--workers", "1", "--out", "out")
    assert status == 0, err
    status, text, err = fairbench("report", "out", "--format", "html")
    assert status == 0, err
    page = Page(text)
    assert "nothing" in cards(page)["What could not run"]
    assert {"coin", "attained"} <= {name for found, _ in page.all("polyline") for name in found["class"].split()}
    assert {method for method, _, _ in marks(page)} >= {"logistic", "tree"}
    ((_, typed),) = page.all("pre")
    assert typed.startswith("fairbench run --datasets 'synthetic[rows=600]' --methods logistic,tree --repeats 2")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1, 10, (2, 4, 6, 8, 10)),
        (0, 2, (0, 1, 2)),
        (3, 3, (3,)),
        (0, 160, (0, 50, 100, 150)),
        (1, 6, (1, 2, 3, 4, 5, 6)),
    ],
)
def test_ticks_of_steps_are_whole_and_equally_far_apart(low, high, ticks):
    assert curves.whole(low, high) == ticks


def test_an_axis_holds_its_values_with_round_ticks():
    axis = Axis.around([0.43, 0.69])
    assert axis.low < 0.43 < 0.69 < axis.high
    assert axis.ticks == (0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
    assert [axis.label(tick) for tick in axis.ticks][:2] == ["0.45", "0.50"]
    assert Axis.around([0.5]).low < 0.5 < Axis.around([0.5]).high
    assert Axis.around([0.0, 0.1], least=0.0).low == 0.0
    assert Axis.around([]).ticks[0] == 0.0


def test_a_place_is_in_per_cent_from_the_upper_left():
    frame = Frame(Axis(0, 2, ()), Axis(0, 1, ()))
    assert frame.place(0, 1) == (0, 0)
    assert frame.place(2, 0) == (100, 100)
    assert frame.line([(1, 0.5), (2, 1)]) == "50,50 100,0"


def test_names_beside_marks_neither_overlap_nor_leave_the_plot():
    named = [Named(f"method_{place}", (place * 3.3, (place * 37) % 100), 1) for place in range(30)]
    found = placed(named, [(0.0, 50.0)])
    boxes = []
    for mark, text in zip(named, found):
        if text:
            x, y = mark.place[0] * SIZE[0] / 100, mark.place[1] * SIZE[1] / 100 + text.down
            width = LETTER * len(mark.name)
            left = x + 9 if text.right else x - 9 - width
            assert left >= 0
            assert left + width <= SIZE[0]
            boxes.append((left, y - 7.5, left + width, y + 7.5))
    assert len(boxes) >= 10
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert one[0] > other[2] or other[0] > one[2] or one[1] > other[3] or other[1] > one[3]


def test_what_is_above_the_coin_is_named_before_others():
    named = [Named("open_method", (50, 50), 4), Named("above_method", (50.5, 50), 0)]
    _, second = placed(named, [], (200.0, 100.0))
    assert second is not None
