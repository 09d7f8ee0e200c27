"""A paper's files: what is read, and what is refused with file, place, value and remedy."""

from __future__ import annotations

import re

import pytest

from fairbench.cells import Choice
from fairbench.errors import FairbenchError, PaperError, UnknownName
from fairbench.papers.columns import Column
from fairbench.papers.grids import plan_reproduction
from fairbench.papers.published import Number, read_published
from fairbench.papers.rerun import read_rerun
from fairbench.plugins.registry import Plugin
from fairbench.testing import Nonconforming, paper_can_be_read


def planned(paper, registry, text="tiny", **options):
    """Plan the paper as the command does."""
    registry._components["papers"]["tiny"] = paper
    registry._origins["papers", "tiny"] = Plugin("test", "test", "")
    try:
        return plan_reproduction(text, registry, **options)
    finally:
        del registry._components["papers"]["tiny"], registry._origins["papers", "tiny"]


def test_numbers_spreads_doubts_and_gaps_are_read(spoiled, registry):
    published = read_published(spoiled(), registry)
    one = published.tables["one"]
    assert published.runs == 2
    assert [column.metric for column in one.columns] == ["accuracy", "demographic_parity_difference"]
    assert one.rows[0].numbers == (Number(0.6), Number(0.2, 0.9))
    assert one.rows[1].numbers == (Number(0.01, 0.02, uncertain=True), Number(reason="not reported"))
    second, loss = published.tables["two"].columns
    assert (second.group, second.kind) == ("unprotected", "metric")
    assert (loss.metric, loss.kind, loss.heading) == ("validation_loss", "diagnostic", "last validation_loss")
    assert published.tables["two"].rows[0].numbers == (Number(0.7), Number(reason="left out"))
    assert [claim.test for claim in published.claims] == ["", "count", ""]
    assert published.claims[0].pairs[0].against == Choice("mlp", {"epochs": 3})


QUOTED = """[quoted.other]
title = "of somebody else"
dataset = "synthetic[rows=300]"
columns = ["who", "accuracy", "dp"]
uncertain = true
rows = [["they", 0.7, 0.05], ["others", [0.6, 0.01], "not reported"]]

[claims.longer]"""


def test_quoted_numbers_are_read_with_their_columns(spoiled, registry):
    (quoted,) = read_published(spoiled("published.toml", "[claims.longer]", QUOTED), registry).quoted.values()
    assert [column.heading for column in quoted.columns[:2]] == ["who", "accuracy"]
    assert quoted.rows[0] == (Number(reason="they"), Number(0.7, uncertain=True), Number(0.05, uncertain=True))
    accuracy, dp = quoted.columns[1:]
    assert quoted.numbers(dp, accuracy)[1] == (Number(reason="not reported"), Number(0.6, 0.01, uncertain=True))
    assert quoted.numbers(Column("equalized_odds_difference"), accuracy) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"they", 0.7, 0.05',
            '"they", 0.7',
            r"quoted.other: rows contains \['they', 0.7\]; give a list with an entry for",
        ),
        ('"they", 0.7', '"they", 70', r"quoted.other: 70 is not a value of accuracy"),
        ("[rows=300]", "[rows=x]", r"quoted.other.*rows"),
        ("uncertain", "doubtful", r"quoted.other: 'doubtful' is not known here"),
    ],
)
def test_a_wrong_quotation_is_refused(spoiled, registry, old, new, message):
    assert old in QUOTED
    with pytest.raises(PaperError, match=message):
        read_published(spoiled("published.toml", "[claims.longer]", QUOTED.replace(old, new, 1)), registry)


@pytest.mark.parametrize(
    ("label", "quotation", "old", "new", "message"),
    [
        ("networks", "other", "", "", ""),
        ("networks", "others", "", "", r"figures.curve: nothing is quoted under 'others' \(known: other\)"),
        (
            "networks",
            "other",
            '"dp"',
            '"eo"',
            r"'other' cannot be drawn without a dataset and the columns accuracy and demog",
        ),
        ("networks", "other", "dataset = ", "# ", r"'other' cannot be drawn without a dataset"),
        (
            "network",
            "other",
            "",
            "",
            r"figures.why: quoted numbers cannot be explained; give the series 'network' methods",
        ),
    ],
)
def test_a_figure_draws_only_what_is_quoted_with_its_columns(spoiled, registry, label, quotation, old, new, message):
    paper = spoiled("published.toml", "[claims.longer]", QUOTED.replace(old, new, 1) if old else QUOTED)
    path = paper.directory / "rerun.toml"
    lines = (
        f'series = [{{ label = "{label}", quoted = "{quotation}" }}]' if f'label = "{label}"' in line else line
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    published = read_published(paper, registry)
    if message:
        with pytest.raises(PaperError, match=message):
            read_rerun(paper, published)
    else:
        assert read_rerun(paper, published).figures["curve"].series[0].quoted == "other"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'method = "threshold"',
            'method = "treshold"',
            r"published.toml: tables.two: rows 1 \(synthetic\[rows=300\] treshold\): no method is named 'treshold'; "
            "did you mean 'threshold'",
        ),
        ('method = "threshold"', 'method = "threshold[speed=1]"', r"rows 1 .* no parameter .*'speed'"),
        (
            'dataset = "german"',
            'dataset = "germany"',
            r"tables.one: rows 3 .* no dataset is named 'germany'; .*'german'",
        ),
        (
            "accuracy = 0.6, ",
            "",
            r"tables.one: rows 1 .*: column 'accuracy' is missing; give a number, \[mean, spread\], or a text",
        ),
        ("accuracy = 0.6,", "accuracy = true,", r"rows 1 .*: accuracy is True; it must be a number"),
        ("accuracy = 0.6,", "accuracy = [0.6, 0.1, 0.1],", r"accuracy is \[0.6, 0.1, 0.1\]; it must be a number"),
        (
            "accuracy = 0.6,",
            "accuracy = 60.0,",
            r"60 is not a value of accuracy, .* 0 to 1; give fractions, not per cent",
        ),
        ("accuracy = 0.6,", "accuracy = [0.6, -1],", r"the spread of accuracy is -1; it must be at least 0"),
        ("accuracy = 0.6,", "acuracy = 0.6,", r"rows 1 .*: 'acuracy' is not known here; did you mean 'accuracy'"),
        ('uncertain = ["accuracy"]', 'uncertain = ["eo"]', r"uncertain names 'eo', which is not among accuracy, dp"),
        (
            'columns = ["second", "loss"]',
            'columns = ["third"]',
            r"no column is named 'third'.* accuracy, dp, loss, made, middle, second",
        ),
        ('beside = ["made"', 'beside = ["maid"', r"tables.two: no column is named 'maid'; did you mean 'made'"),
        (
            '{ diagnostic = "validation_loss" }',
            "{ heading = 'x' }",
            r"columns.loss gives nothing to measure; give one of",
        ),
        (
            'diagnostic = "validation_loss"',
            'diagnostic = "a", cpu_seconds_per = "b"',
            r"columns.loss gives diagnostic and cpu_seconds_per; give one of metric, .*, number_of and mean_of",
        ),
        ('"validation_loss"', '"validation_loss", group = "x"', r"columns.loss: a diagnostic is not measured by group"),
        ('test = "count"', 'test = "cuont"', r"claims.many: no test is named 'cuont'; did you mean 'count'.*: count\)"),
        ('test = "count"', 'test = "count"\nexpected = "lower"', r"claims.many: 'expected' is not known here"),
        ('dp = "demographic_parity_difference"', 'dp = "parity"', r"columns.dp: no metric is named 'parity'"),
        (
            'metric = "accuracy", group',
            'metric = "equalized_odds_ratio", group',
            r"columns.second: .* not measured by group",
        ),
        ("runs = 2", "", r"published.toml: 'runs' is missing; give a whole number"),
        ("runs = 2", "runs = 'two'", r"runs is 'two'; it must be a whole number"),
        ("runs = 2", "runs = 0", r"runs is 0; at least 1 is needed"),
        ("runs = 2", "runs = ", r"published.toml is not valid TOML"),
        ('expected = "higher"', 'expected = "better"', r"claims.longer: expected is 'better'; it must be 'lower'"),
        ('table = "one"', 'table = "three"', r"claims.longer: table is 'three'; it must be one of one, two"),
        (
            'against = "mlp[epochs=3]"',
            'against = "mlp[epochs=3|4|5]"',
            r"compare 1: method stands for 1 rows and against",
        ),
        ('against = "mlp[epochs=3]"', 'against = "mlp[epochs=3"', r"compare 1: against: .* leaves 1 bracket open"),
    ],
)
def test_a_wrong_published_file_is_refused(spoiled, registry, old, new, message):
    with pytest.raises(PaperError, match=message):
        read_published(spoiled("published.toml", old, new), registry)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'scale = "none"',
            'scale = "log"',
            r"rerun.toml: protocols.raw: scale is 'log'; it must be one of standard, none",
        ),
        ("times = 2", "times = 0", r"tables.one: times is 0; at least 1"),
        ("[tables.one]", "[tables.three]", r"tables.three: no published table is named 'three'"),
        (
            'kind = "trade-off"',
            'kind = "pie"',
            r"figures.curve: kind is 'pie'; it must be 'trade-off' or 'explanation'",
        ),
        ("[figures.why]", "[figures.one]", r"'one' names both a table and a figure"),
        ('texts = ["short", "long"]', 'texts = ["short"]', r"series 1: texts has 1 entries for 2 methods"),
        ("{ batch_size = 0 }", "3", r"parameters must be tables"),
        ('"none"', '"none"\nscenarios.three = "tuned"', r"raw: scenarios: no published table is named 'three'"),
        ('"none"', '"none"\nscenarios.two = 3', r"raw: scenarios: two is 3; it must be a list"),
    ],
)
def test_a_wrong_rerun_file_is_refused(spoiled, registry, old, new, message):
    paper = spoiled("rerun.toml", old, new)
    with pytest.raises(PaperError, match=message):
        read_rerun(paper, read_published(paper, registry))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "one.toml",
            "epochs=3|4",
            "epochs=3",
            r"tables.one: rows 2 .*: nothing is planned for it under protocol 'raw'; add it to .* one.toml",
        ),
        ("two.toml", '"constant", ', "", r"two.toml: no row for constant on synthetic\[rows=300\]; add it"),
        ("two.toml", '"mlp[epochs=3]", ', "", r"two.toml: no row for mlp\[epochs=3\] on synthetic"),
        ("two.toml", '"threshold"', '"treshold"', r"paper tiny, two.toml: no method is named 'treshold'"),
        ("two.toml", "methods", "sensitive_as_feature = [true, false]\nmethods", r"planned in several variants"),
        (
            "published.toml",
            'method = "mlp[epochs=4]", label = "long", accuracy = 0.7',
            'method = "mlp[epochs=3]", label = "long", accuracy = 0.7',
            r"rows 4 .*: the same row as .* rows 3",
        ),
        (
            "published.toml",
            'method = "mlp[epochs=4]", against',
            'method = "mlp[epochs=9]", against',
            r"no row of one is mlp",
        ),
        (
            "rerun.toml",
            'methods = "mlp[epochs=3|4]"',
            'methods = "mlp[epochs=3|9]"',
            r"figures.curve: no row of one, two",
        ),
        ("rerun.toml", 'curve = "threshold"', 'curve = "treshold"', r"figures.curve: no method is named 'treshold'"),
        ("rerun.toml", 'gap = "demo', 'gap = "domo', r"figures.curve: no metric is named 'domo"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_runs(spoiled, registry, file, old, new, message):
    with pytest.raises(PaperError, match=message):
        planned(spoiled(file, old, new), registry)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("tiny:three", {}, r"no table or figure of paper tiny is named 'three'.*it has one, two, curve, why"),
        ("tiny", {"datasets": "adult"}, r"no dataset of this reproduction is named 'adult'.*german"),
        ("teeny", {}, r"no paper is named 'teeny'; did you mean 'tiny'"),
    ],
)
def test_unknown_names_on_the_command_line_are_refused(spoiled, registry, text, options, message):
    with pytest.raises(UnknownName, match=message):
        planned(spoiled(), registry, text, **options)


def test_each_cell_is_planned_once_however_many_tables_ask(spoiled, registry):
    whole = planned(spoiled(), registry)
    by_table = {(grid.table.name, grid.protocol.name): sum(map(len, grid.cells.values())) for grid in whole.grids}
    # one: 2 datasets x 3 rows x 4 repeats; two: 3 rows x 2 repeats, of which constant and mlp are those of table one
    assert by_table == {("one", "raw"): 24, ("one", "scaled"): 24, ("two", "raw"): 6, ("two", "scaled"): 6}
    explained = 2 * 2
    assert len(whole.cells) == 2 * (24 + 2) + explained
    assert {cell.preparation.scale for cell in whole.cells} == {"none", "standard"}


def test_parts_times_and_datasets_choose(spoiled, registry):
    paper = spoiled()
    assert {grid.table.name for grid in planned(paper, registry, "tiny:two").grids} == {"two"}
    assert {grid.table.name for grid in planned(paper, registry, "tiny:curve").grids} == {"one", "two"}
    assert not planned(paper, registry, "tiny:why").grids
    assert len(planned(paper, registry, "tiny:one", times=1, datasets="german").cells) == 2 * 3 * 2


def test_a_protocol_changes_the_scenario_of_the_table_it_names(spoiled, registry):
    paper = spoiled("rerun.toml", 'scale = "standard"', 'scale = "standard"\nscenarios.two = "tuned[budget=3]"')
    found = {
        (grid.table.name, grid.protocol.name): {str(cell.scenario) for row in grid.cells.values() for cell in row}
        for grid in planned(paper, registry).grids
    }
    assert found.pop(("two", "scaled")) == {
        "tuned[budget=3,least_ratio=None,points=chosen,rule=max accuracy subject to dp ratio >= 0.8]"
    }
    assert set(found) == {("one", "raw"), ("one", "scaled"), ("two", "raw")}
    assert all(scenarios == {"holdout"} for scenarios in found.values())


def test_an_unknown_scenario_of_a_protocol_is_refused(spoiled, registry):
    paper = spoiled("rerun.toml", 'scale = "standard"', 'scale = "standard"\nscenarios.two = "tund"')
    with pytest.raises(PaperError, match=r"two.toml: .*'tund'.*did you mean 'tuned'"):
        planned(paper, registry)


def test_a_method_that_may_be_missing_is_left_out_with_the_reason(spoiled, registry):
    whole = planned(spoiled(), registry)
    assert len(whole.left_out) == 1
    assert whole.left_out[0].startswith("tomorrows_method is left out of two: no method of this name is installed")
    assert all("tomorrows_method" not in label for grid in whole.grids for label in grid.labels.values())


def test_a_directory_without_rerun_file_runs_its_suites_as_they_are(spoiled, registry):
    paper = spoiled("published.toml", 'table = "two"', 'table = "two"')
    (paper.directory / "rerun.toml").unlink()
    suite = (paper.directory / "one.toml").read_text().replace('"constant",', '"constant", "mlp",')
    (paper.directory / "one.toml").write_text(suite)
    whole = planned(paper, registry, "tiny:one")
    assert [grid.protocol.name for grid in whole.grids] == ["suite"]
    assert len(whole.cells) == 2 * 4 * 2


def test_the_check_of_papers_reads_the_directory(spoiled):
    paper = spoiled()
    paper_can_be_read(paper)
    (paper.directory / "one.toml").unlink()
    with pytest.raises(Nonconforming, match=r"one\.toml cannot be read"):
        paper_can_be_read(paper)


def test_the_published_tables_of_faalgrad_are_complete(registry):
    published = read_published(registry.paper("faalgrad"), registry)
    rows = {name: len(table.rows) for name, table in published.tables.items()}
    assert rows == {"table1": 32, "table2": 28, "table3": 9, "table4": 4, "table5": 9}
    doubts = [(row.where, n) for t in published.tables.values() for row in t.rows for n in row.numbers if n.uncertain]
    assert len(doubts) == 9
    spreads = [number.spread for row in published.tables["table1"].rows for number in row.numbers]
    assert max(spread for spread in spreads if spread) == 0.12  # fractions all of them, accuracy too
    faalgrad = next(row for row in published.tables["table1"].rows if row.method.params.get("inner_steps") == 10)
    assert [number.mean for number in faalgrad.numbers] == [0.6021, 0.06, 0.07]


def test_faalgrad_shares_cells_between_tables(registry):
    whole = plan_reproduction("faalgrad", registry)
    asked = sum(len(row) for grid in whole.grids for row in grid.cells.values())
    assert len(whole.cells) < asked
    keys = {
        cell.key for grid in whole.grids if grid.table.name == "table3" for row in grid.cells.values() for cell in row
    }
    assert keys <= {
        cell.key
        for grid in whole.grids
        if grid.table.name in ("table1", "table2")
        for row in grid.cells.values()
        for cell in row
    }
    first = [grid for grid in whole.grids if grid.table.name == "table1"]
    assert {len(row) for grid in first for row in grid.cells.values()} == {50}
    quick = plan_reproduction("faalgrad:table1", registry, times=1)
    assert {cell.key for cell in quick.cells} <= {cell.key for cell in whole.cells}


def test_messages_never_show_the_directory(spoiled, registry):
    """The paper's name and the file are enough, and a path of somebody's machine does not belong into a document."""
    paper = spoiled("published.toml", "runs = 2", "runs = 0")
    with pytest.raises(FairbenchError) as caught:
        read_published(paper, registry)
    assert not re.search(re.escape(str(paper.directory)), str(caught.value))
