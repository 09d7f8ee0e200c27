"""What ``fairbench.load`` shows of a run: verdicts as a frame, the picture, HTML, and progress in a notebook."""

from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from stored_runs import DP, noisy, people, stored_run

from fairbench.analysis.framed import VERDICT, WHO, verdict_frame
from fairbench.analysis.standings import JUDGED, section_standings
from fairbench.api import Predictions
from fairbench.cells import Cell, Choice, Preparation
from fairbench.cli import notebook
from fairbench.errors import FairbenchError, NotApplicable, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.python import Run
from fairbench.records import Record
from fairbench.running.finished import Finished

EVIL = "<script>alert(1)</script>"


def unfair(repeat, samples):
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0, 0.3])


def half(repeat, samples):
    return Predictions.from_decision(0.5 * unfair(repeat, samples).decision, seed=repeat)


def optimal(repeat, samples):
    return {
        "dp<=0.2": Predictions(samples.y),
        "eo<=0.1": half(repeat, samples),
        "unconstrained": unfair(repeat, samples),
    }


METHODS = {"mlp": unfair, "attainable": optimal, "half": half, EVIL: half}
STEERING = "a\x1b[31mred"


def opened(results):
    return Run(Finished(results, results.path), load_plugins()[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tests = {name: [people((0.4, 0.4), (200, 200), seed=repeat) for repeat in range(3)] for name in ("adult", "compas")}
    return opened(stored_run(tmp_path_factory.mktemp("run"), METHODS, tests))


def test_verdicts_are_those_of_the_standings(run):
    frame = run.verdicts()
    assert tuple(frame.columns) == VERDICT
    assert set(frame["dataset"]) == {"adult", "compas"}
    assert set(frame["method"]) == {"half", EVIL}
    _, told = section_standings(run.results)[0].methods[0]
    row = frame[(frame["dataset"] == "adult") & (frame["method"] == "half") & (frame["metric"] == DP)].iloc[0]
    verdict = told[DP].verdict
    assert row["value"] == told[DP].gap.mean
    assert [row["points"], row["points_low"], row["points_high"]] == [
        100 * value for value in (verdict.above.value, verdict.above.low, verdict.above.high)
    ]
    assert (row["verdict"], row["reason"]) == (verdict.reading, "; ".join(verdict.notes))


def test_a_run_with_nothing_to_compare_has_no_verdicts_and_still_html(tmp_path):
    alone = opened(stored_run(tmp_path, {"mlp": unfair}, {"adult": [people((0.4, 0.4), (50, 50), seed=1)]}))
    assert len(alone.verdicts()) == 0
    assert tuple(alone.verdicts().columns) == VERDICT
    assert "points:" not in alone._repr_html_()


def test_a_run_with_nothing_done_has_nothing_to_draw(tmp_path):
    pytest.importorskip("matplotlib")
    failed = stored_run(
        tmp_path, {"mlp": lambda repeat, samples: None}, {"adult": [people((0.4, 0.4), (5, 5), seed=1)]}
    )
    with pytest.raises(NotApplicable, match="nothing to draw"):
        opened(failed).plot()
    assert "0 done" in opened(failed)._repr_html_()


class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_html_has_the_verdicts_and_is_escaped(run):
    page = Texts()
    page.feed(run._repr_html_())
    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 4
    for verdict in set(verdict_frame(run.results)["verdict"]):
        assert verdict in page.text


def test_verdicts_tell_variants_and_settings_apart(tmp_path, monkeypatch):
    methods = {"mlp": unfair, "half[share=1,depth=3]": half, "half[share=2,depth=3]": half}
    found = stored_run(tmp_path, methods, {"adult": [people((0.4, 0.4), (50, 50), seed=at) for at in range(2)]})
    standings = section_standings(found)
    unscaled = [
        ([replace(r, cell=replace(r.cell, preparation=Preparation(scale="none"))) for r in done], told)
        for done, told in standings[0].methods
    ]
    both = [*standings, SimpleNamespace(methods=unscaled)]
    monkeypatch.setattr("fairbench.analysis.framed.section_standings", lambda results: both)
    frame = opened(found).verdicts()
    assert len(frame) == 8
    assert not frame[[*WHO, "metric"]].duplicated().any()
    assert set(WHO) < set(opened(found).means.columns), "the other frames call them the same"
    page = Texts()
    page.feed(opened(found)._repr_html_().split("</table>")[1])
    shown = " ".join(" ".join(page.text).split())
    for scale in ("standard", "none"):
        for share in (1, 2):
            assert f"adult sex {scale} half[share={share}] {DP}" in shown


def test_tables_and_comparisons_have_short_scenarios_and_frames_all_of_them(tmp_path):
    long = f"sweep[costly='{'adversarial_debiasing fairgrad: 1; ' * 5}lfr: 0',trials=4]"
    methods = {"mlp": unfair, "half": half}
    adult = {"adult": [people((0.4, 0.4), (50, 50), seed=at) for at in range(2)]}
    both = opened(stored_run(tmp_path, methods, adult, scenario={"mlp": "holdout", "half": long}))
    assert list(both.table().index.get_level_values("scenario")) == ["holdout", "sweep"]
    for frame in (both.means, both.values):
        assert any("lfr: 0" in text for text in frame["scenario"])
    assert "adult by sex, sweep: half" in str(both.compare(both))
    assert "lfr: 0" not in str(both.compare(both)) + both._repr_html_()


def test_names_that_steer_a_terminal_do_not(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair}, {"adult": [people((0.4, 0.4), (50, 50), seed=at) for at in range(2)]})
    found = replace(
        found, records=[replace(r, cell=replace(r.cell, method=Choice(STEERING))) for r in found.records], path=None
    )
    theirs = Run(Finished(found, tmp_path), load_plugins()[0])
    shown = str(theirs.compare(theirs))
    assert "a\\x1b[31mred" in shown
    assert "\x1b" not in shown + theirs._repr_html_() + str(theirs)


def test_the_picture_is_that_of_the_report_and_of_another_gap(run):
    pytest.importorskip("matplotlib")
    figure = run.plot()
    assert figure._repr_png_() == load_plugins()[0].report("tradeoff").render(run.results)
    assert len(figure.axes) == 2
    other = run.plot("compas", "EO")
    (axes,) = other.axes
    assert axes.get_xlabel() == f"{JUDGED['equalized_odds_difference']} (fraction; 0 is parity)"
    assert axes.get_title(loc="left") == "compas by sex"
    labels = {text.get_text() for text in other.legends[0].get_texts()}
    assert {"coin of mlp and a constant", "attainable with the group known"} <= labels


@pytest.mark.parametrize(("given", "words"), [({"dataset": "german"}, "german"), ({"metric": "accuracy"}, "there are")])
def test_what_cannot_be_drawn_is_refused_in_words(run, given, words):
    with pytest.raises(UnknownName, match=words):
        run.plot(**given)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda run: run.plot(3), "dataset is 3, of type int; it must be a text"),
        (lambda run: run.plot(["adult", 3]), "dataset is 3, of type int; it must be a text"),
        (lambda run: run.plot(metric=["dp"]), "metric is ['dp'], of type list; it must be a text"),
        (lambda run: run.table(["accuracy"]), "a metric is ['accuracy'], of type list; it must be a text"),
        (lambda run: run.by_rule(None), "rule is None, of type NoneType; it must be a text"),
        (lambda run: run.compare("runs/x"), "other is 'runs/x', of type str; it must be a Run, such as fairbench.load"),
        (lambda run: run.compare(run, methods=3), "methods is 3, of type int; it must be a text"),
        (lambda run: run.compare(run.values), "other is scenario dataset sensitive"),
    ],
)
def test_an_argument_of_another_type_is_refused_in_a_line_with_its_value(run, call, words):
    with pytest.raises(FairbenchError) as refused:
        call(run)
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_several_datasets_are_drawn_as_on_the_command_line(run):
    pytest.importorskip("matplotlib")
    assert len(run.plot(["adult", "compas"]).axes) == len(run.plot("adult,compas").axes) == 2


def test_without_the_extra_the_error_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NotApplicable, match=r"fairbench-harness\[plots\]"):
        run.plot()


def records(statuses):
    return [
        Record(Cell(Choice("adult"), Choice("mlp"), "sex", repeat), status) for repeat, status in enumerate(statuses)
    ]


def test_a_notebook_has_one_line_that_is_rewritten(monkeypatch):
    lines = []
    monkeypatch.setattr(notebook, "OFTEN", 0)
    observer = notebook.Notebook(lambda text: lines.append(text) or lines.append)
    with observer.cells(4, 1) as advance:
        for record in records(["done", "failed"]):
            advance(record)
    assert lines == [
        "1 of 4 cells; starting",
        "2 of 4 cells; last: adult, mlp",
        "3 of 4 cells, 1 failed; last: adult, mlp",
        "3 of 4 cells, 1 failed; stopped",
    ]


def test_without_a_notebook_there_is_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert notebook.notebook() is None


def test_values_of_the_frame_are_numbers_even_if_all_are_missing(run):
    assert all(run.verdicts()[name].dtype == np.float64 for name in ("value", "points", "points_low", "points_high"))
