"""Reports of some methods, datasets and metrics: the verdicts stay those of the whole run."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from stored_runs import DP, noisy, people, stored_run

from fairbench.analysis.filtered import filtered, unfiltered
from fairbench.analysis.standings import section_standings
from fairbench.api import Predictions
from fairbench.choices import metric_called
from fairbench.errors import SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins

EO = "equalized_odds_difference"
DOCUMENT = Path(__file__).parents[1] / "docs" / "json.md"


def unfair(repeat, samples):
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0, 0.3])


def half(repeat, samples):
    return Predictions.from_decision(0.5 * unfair(repeat, samples).decision, seed=repeat)


def optimal(repeat, samples):
    return {"dp<=0.2": Predictions(samples.y), "unconstrained": unfair(repeat, samples)}


METHODS = {"mlp": unfair, "attainable": optimal, "half[a=1]": half, "half[a=2]": half, "long_name_of_a_method": half}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    tests = {
        dataset: [people((0.4, 0.4), (200, 200), seed=repeat) for repeat in range(3)] for dataset in ("adult", "compas")
    }
    return stored_run(tmp_path_factory.mktemp("run"), METHODS, tests)


def render(name, results):
    return load_plugins()[0].report(name).render(results)


def summary(results):
    lines = csv.DictReader(io.StringIO(render("csv", results)))
    keys = ("dataset", "method", "parameters", "metric")
    return {tuple(line[key] for key in keys): line for line in lines}


def test_what_is_shown_has_the_numbers_and_verdicts_of_the_whole_run(whole):
    every = summary(whole)
    some = summary(filtered(whole, methods="half[a=2]", datasets="compas", metrics="dp"))
    assert list(some) == [("compas", "half", "a=2", DP)]
    (key,) = some
    assert every[key]["verdict"]
    assert {**some[key], "best": every[key]["best"]} == every[key]  # the best of a column is the best of what is shown


def test_a_method_without_parameters_means_all_its_variants(whole):
    some = filtered(whole, methods="half,mlp")
    assert {str(record.cell.method) for record in some.records} == {"half[a=1]", "half[a=2]", "mlp"}
    assert {record.cell.dataset.name for record in some.records} == {"adult", "compas"}
    assert some.unfinished == whole.unfinished


@pytest.mark.parametrize("given", [{}, {"methods": "all"}, {"metrics": "all", "datasets": "all"}])
def test_nothing_or_all_leaves_the_results_as_they_are(whole, given):
    assert filtered(whole, **given) is whole


def test_lines_are_drawn_through_what_is_left_out(whole):
    some = filtered(whole, methods="half[a=1]", metrics="eo")
    before, after = section_standings(whole)[0], section_standings(some)[0]
    assert after.lines.baseline.label == before.lines.baseline.label == "mlp"
    ((done, told),) = after.methods
    assert set(told) == {EO}
    (same,) = (here for records, here in before.methods if records[0].cell.key == done[0].cell.key)
    assert told[EO] is same[EO]
    assert len(unfiltered(some.records[:1], some)) == len(METHODS) * 3
    assert unfiltered(whole.records[:1], whole) == whole.records[:1]


@pytest.mark.parametrize("report", ["lines", "tradeoff", "harm", "fronts", "ranks", "multiverse"])
def test_every_report_has_its_lines_of_the_whole_run(whole, report):
    if report == "tradeoff":
        pytest.importorskip("matplotlib")
    some = render(report, filtered(whole, methods="half[a=1],long_name_of_a_method"))
    assert some
    if isinstance(some, str):
        assert "no baseline" not in some
        assert "half[a=2]" not in some


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"methods": "hlaf"}, UnknownName, "no method is named 'hlaf'; did you mean 'half'?"),
        ({"methods": "half[a=3]"}, SuiteError, "there are half[a=1], half[a=2]"),
        ({"datasets": "german"}, UnknownName, "there are adult, compas"),
        ({"metrics": "roc"}, UnknownName, "there are accuracy"),
        ({"metrics": "accuracy[a=1]"}, SuiteError, "takes no parameters"),
        ({"methods": "half["}, SuiteError, "leaves 1 bracket open"),
    ],
)
def test_what_the_run_does_not_have_is_refused_with_what_there_is(whole, given, error, words):
    with pytest.raises(error, match=re.escape(words)):
        filtered(whole, **given)


def test_a_method_that_ran_on_no_such_dataset_is_refused(whole):
    records = [r for r in whole.records if r.cell.method.name == "mlp" or r.cell.dataset.name == "adult"]
    with pytest.raises(SuiteError, match="has no cell of half on compas"):
        filtered(replace(whole, records=records), methods="half", datasets="compas")


def test_notes_on_datasets_that_are_left_out_go(whole):
    run = {
        **whole.run,
        "notes": {"adult": ["an old census"], "compas": ["an arrest"]},
        "unavailable": {"celeba[x=1]": "no file"},
    }
    text = render("markdown", filtered(replace(whole, run=run), datasets="compas"))
    assert "an arrest" in text
    assert "census" not in text
    assert "celeba" not in text


def test_dp_and_eo_name_metrics_unless_a_metric_has_that_name(fairbench):
    assert metric_called("DP", ()) == metric_called("dp", ()) == DP
    assert metric_called("dp", {"dp"}) == "dp"
    registry = load_plugins()[0]
    assert registry.metric("EO").name == EO
    assert registry.origin("metrics", "eo").name.endswith("equalized_odds")
    status, shown, _ = fairbench("show", "metric", "dp")
    assert status == 0
    assert "demographic_parity_difference (metric" in shown
    assert "alias: dp" in shown
    status, shown, _ = fairbench(
        "run", "--methods", "constant", "--datasets", "synthetic", "--metrics", "dp,EO", "--dry-run", "--json"
    )
    assert json.loads(shown.splitlines()[0])["metrics"] == [DP, EO]


def test_the_command_shows_some_and_writes_no_files(fairbench, tmp_path):
    run = ("run", "--methods", "constant,coin", "--datasets", "synthetic[rows=300]", "--repeats", "2", "--out", "r")
    assert fairbench(*run, "--workers", "1")[0] == 0
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()}
    status, shown, said = fairbench("report", "r", "--metrics", "accuracy,dp", "--methods", "coin")
    assert (status, said) == (0, "")
    assert "coin ‡" in shown
    assert "constant" not in shown.split("mean ±")[0]
    assert "EO diff." not in shown
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()} == written
    status, shown, said = fairbench("report", "r", "--methods", "nosuch", "--format", "csv")
    assert (status, shown) == (2, "")
    assert "no method is named 'nosuch' in r; there are coin, constant" in said


# ------------------------------------------------------------------------ widths


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_the_first_table_of_verdicts_has_the_verdict_and_no_line_is_too_long(whole, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = render("terminal", filtered(whole, datasets="adult"))
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text
    for table in text.split("accuracy above the coin of mlp")[1:]:
        first = table[: table.index("───")]
        assert "verdict" in first
        assert ("points above" in first) == (columns >= 80)
    for line in summary(filtered(whole, datasets="adult", metrics="dp")).values():
        if line["verdict"]:
            points = [round(100 * float(line[f"above_coin{end}"]), 1) + 0.0 for end in ("", "_low", "_high")]
            ends = [f"{point:+.1f}" for point in points]
            assert "{} [{}, {}]".format(*ends) in text  # on one line, whatever the width


@pytest.mark.parametrize("command", [("list", "methods"), ("show", "method", "faalgrad"), ("plugins",)])
def test_lists_keep_to_the_width_and_cut_no_word(fairbench, monkeypatch, command):
    shown = {}
    for columns in (70, 300):
        monkeypatch.setenv("COLUMNS", str(columns))
        status, shown[columns], _ = fairbench(*command)
        assert status == 0
    narrow = shown[70].splitlines()
    assert [line for line in narrow if len(line) > 70 and len(line.split()) > 2 and not line.startswith("    ")] == []
    assert set(shown[300].split()) - {"name", "what", "plugin", "group", "distribution", "version", "brings"} <= set(
        shown[70].split()
    )


# ------------------------------------------------------------------------ json


def loaded(results):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(render("json", results), parse_constant=refuse)


def test_json_has_every_number_of_the_csv_report(whole):
    found = {}
    for section in loaded(whole)["sections"]:
        for method in section["methods"]:
            for entry in method["metrics"]:
                key = (section["dataset"], method["method"], method["parameters"], entry["metric"])
                found[key] = {**section, **method, **entry}
    expected = summary(whole)
    assert list(found) == list(expected)
    for key, line in expected.items():
        told = {name: "" if found[key].get(name) is None else found[key].get(name) for name in line}
        assert {
            name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in told.items()
        } == line


def test_json_has_lines_coverage_and_provenance(whole):
    shown = loaded(whole)
    (here, _) = section_standings(whole)
    lines = shown["sections"][0]["lines"][DP]
    repeats = here.lines.shared(DP)
    assert lines["coin"] == [list(vertex.mean) for vertex in here.lines.coin(DP, repeats).vertices]
    assert lines["attainable"] == [list(vertex.mean) for vertex in here.lines.reached(DP, repeats).vertices]
    assert shown["sections"][0]["baseline"]["label"] == "mlp"
    assert shown["coverage"]["statuses"] == {"done": len(whole.records)}
    assert {cell["cell"] for cell in shown["coverage"]["cells"]} == {record.cell.key for record in whole.records}
    assert shown["provenance"]["suite"] == whole.run["suite"]
    assert loaded(filtered(whole, methods="half"))["filtered"] is True


def test_json_of_nothing_and_of_numbers_that_are_none(whole):
    assert loaded(replace(whole, records=()))["sections"] == []
    run = {**whole.run, "odd": [float("nan"), {"inf": float("inf")}]}
    assert loaded(replace(whole, run=run))["provenance"]["odd"] == [None, {"inf": None}]


def names_in(value, found):
    """Collect the names of the document, but not those that are data: of groups, metrics, statuses, provenance."""
    for name, member in value.items():
        found.add(name)
        if name in ("provenance", "test_rows", "statuses"):
            continue
        members = member if isinstance(member, list) else [member]
        if name in ("groups", "lines"):
            members = [one for of in member.values() for one in (of if isinstance(of, list) else [of])]
        for one in members:
            if isinstance(one, dict):
                names_in(one, found)
    return found


def test_the_document_describes_every_name_and_no_other(whole):
    text = DOCUMENT.read_text(encoding="utf-8")
    written = names_in(loaded(whole), set())
    documented = {
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split(" | ")[0] if "cells" not in line[:9] else line)
    }
    documented |= set(re.findall(r"`(\w+)`", text[text.index("An entry has") : text.index("Where the metric is")]))
    documented |= {"label", "why", "coin", "common_threshold", "attainable"}
    assert written - documented == set()
    assert documented - written == {"selected"} - written
