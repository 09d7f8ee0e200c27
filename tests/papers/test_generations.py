"""Papers whose numbers go by generation, or are not printed in them: steps, scenarios, recomputed numbers, no coin."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fairbench.errors import PaperError
from fairbench.papers.claims import HELD
from fairbench.papers.columns import Column
from fairbench.papers.document import render
from fairbench.papers.drawn import Drawn
from fairbench.papers.grids import plan_reproduction
from fairbench.papers.measured import HIGHER, LOWER, WITHIN
from fairbench.papers.published import read_published
from fairbench.papers.reproduced import Reproduced
from fairbench.plugins.components import Paper
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, Parts, Record, Results, Value
from fairbench.running.suite import plan, read_suite

PUBLISHED = """
runs = 2
recomputed = "they are means over files."

[columns]
accuracy = "accuracy"
loss = { value = "generator_loss", heading = "loss" }

[tables.loop]
title = "A loop"
columns = ["accuracy", "loss"]
steps = [0, 1]

[[tables.loop.rows]]
dataset = "synthetic[rows=300]"
method = "logistic"
scenario = "seq_class[reparation=none]"
label = "plain"
accuracy = [0.8, [0.5, 0.1]]
loss = [-7.5, "not kept"]

[[tables.loop.rows]]
dataset = "synthetic[rows=300]"
method = "logistic"
scenario = "seq_class[reparation=classifier]"
label = "STAR"
accuracy = [0.8, 0.7]
loss = [-7.5, "not kept"]

[claims.keeps]
text = "STAR keeps accuracy."
table = "loop"
metrics = ["accuracy"]
step = 1
expected = "higher"

[[claims.keeps.compare]]
method = "logistic"
against = "logistic"
scenario = "seq_class[reparation=classifier]"
against_scenario = "seq_class[reparation=none]"
"""
SUITE = """
datasets = ["synthetic[rows=300]"]
methods = ["logistic"]
scenarios = ["seq_class[generations=3,reparation=none|classifier,annotator=logistic,population=50]"]
"""
DIRECTORY = {"published.toml": PUBLISHED, "rerun.toml": "coin = false\n", "loop.toml": SUITE}


@pytest.fixture(scope="module")
def registry():
    return load_plugins()[0]


@pytest.fixture
def planned(tmp_path, registry, monkeypatch):
    """Return a function that plans the paper, one of its texts changed."""

    def plan(file="published.toml", old="", new=""):
        for name, text in DIRECTORY.items():
            assert name != file or old in text
            (tmp_path / name).write_text(text.replace(old, new) if name == file and old else text)
        paper = Paper("loops", "Loops", "Nobody (2024)", tmp_path)
        monkeypatch.setattr(type(registry), "paper", lambda self, name: paper)
        return plan_reproduction("loops", registry)

    return plan


def loop(cell, start, fall):
    """Return a finished cell of three generations whose accuracy falls."""
    values = [Value(step, "", "", "accuracy", start - fall * step) for step in range(3)]
    values += [Value(0, "", "", "generator_loss", -7.0), Value(2, "", "", "selection_rate", 0.5)]
    return Record(cell, DONE, values=tuple(values), parts=Parts(70, 15, 15))


@pytest.fixture
def outcome(planned):
    """Two repeats without reparation, which fall by a tenth each generation, and two with, which hardly fall."""
    reproduction = planned()
    records = []
    for cell in reproduction.cells:
        plain = cell.scenario.params["reparation"] == "none"
        records.append(loop(cell, 0.8 + 0.02 * cell.repeat, 0.1 if plain else 0.01 + 0.001 * cell.repeat))
    return Reproduced.of(reproduction, Results(records, {}, len(records), {}))


def test_each_row_is_compared_at_each_of_its_steps(outcome):
    plain, star = outcome.tables[0].rows["synthetic[rows=300]"]["suite"]
    assert (plain.label, star.label, plain.coins) == ("plain", "STAR", ())
    headings = [comparison.column.heading for comparison in plain.comparisons]
    assert headings == ["accuracy, step 0", "accuracy, step 1", "loss, step 0", "loss, step 1"]
    assert [comparison.all.mean for comparison in plain.comparisons] == pytest.approx([0.81, 0.71, -7.0, None])
    # spreads: none is known and the measured one is .014; .1; and for the loss the measured one, 0
    assert [comparison.verdict for comparison in plain.comparisons] == [WITHIN, HIGHER, HIGHER, ""]
    assert [comparison.verdict for comparison in star.comparisons][:2] == [WITHIN, HIGHER]
    assert LOWER not in {comparison.verdict for comparison in star.comparisons}


def test_a_claim_compares_two_scenarios_at_a_step(outcome):
    (judgement,) = outcome.judgements
    (contrast,) = judgement.contrasts
    assert judgement.outcome == HELD
    assert contrast.published == pytest.approx(0.2)
    assert contrast.measured.mean == pytest.approx(0.0895)
    assert contrast.labels == ("logistic, seq_class[reparation=classifier]", "logistic, seq_class[reparation=none]")


def test_recomputed_numbers_are_never_called_published(outcome):
    text = render(outcome, Drawn((), (), 0.0), "fairbench reproduce loops", "figures")
    assert "**The numbers called recomputed here are not printed in the paper:** they are means over files." in text
    assert "*Recomputed* numbers are mean ± spread over 2 runs" in text
    assert "| row | metric | recomputed | suite: measured |" in text
    assert "published" not in text.lower()
    assert "coin" not in text
    assert {line["origin"] for line in outcome.lines()} == {"recomputed"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "accuracy = [0.8, 0.7]",
            "accuracy = 0.8",
            r"\(.*reparation=classifier\]\): accuracy is 0.8; give a list with",
        ),
        ("accuracy = [0.8, 0.7]", "accuracy = [0.8]", r"an entry for each of the steps \[0, 1\]"),
        ("steps = [0, 1]", "steps = [0, -1]", "tables.loop: steps contains -1; steps are whole numbers"),
        ('[reparation=classifier]"\nlabel', '"\nlabel', "2 rows are planned for it; give its scenario the parameters"),
        ('[reparation=classifier]"\nlabel', '[luck=1]"\nlabel', "no parameter of scenario seq_class is named 'luck'"),
        ('[reparation=classifier]"\nlabel', '[reparation=none,batch=3]"\nlabel', "nothing is planned for it"),
        ('[reparation=classifier]"\nagainst', '"\nagainst', "no row of loop is logistic under seq_class, or several"),
    ],
)
def test_steps_and_scenarios_that_do_not_fit_are_refused(planned, old, new, message):
    with pytest.raises(PaperError, match=message):
        planned(old=old, new=new)


def test_a_trade_off_needs_the_coin(planned):
    figure = '\n[figures.f]\nkind = "trade-off"\ntitle = "t"\ntables = ["loop"]\ngap = "accuracy"\nseries = []\n'
    with pytest.raises(PaperError, match="a trade-off shows the coin; remove coin = false, or the figure"):
        planned("rerun.toml", "coin = false\n", f"coin = false\n{figure}")


def test_a_paper_by_generation_is_run_and_written(fairbench, tmp_path):
    plugin = tmp_path / "loops_paper.py"
    (tmp_path / "loops").mkdir()
    for name, text in DIRECTORY.items():
        (tmp_path / "loops" / name).write_text(text)
    plugin.write_text(
        "from pathlib import Path\n"
        "from fairbench.api import Paper, hookimpl\n"
        "@hookimpl\n"
        "def fairbench_papers():\n"
        "    return [Paper('loops', 'Loops', 'Nobody (2024)', Path(__file__).with_name('loops'))]\n"
    )
    status, out, err = fairbench("reproduce", "loops", "--plugin", str(plugin), "--workers", "1", "--out", "r")
    assert status == 0, err
    rows = list(csv.DictReader((tmp_path / "r" / "reproduction.csv").read_text().splitlines()))
    assert {(row["row"], row["metric"], row["step"], row["repeats"]) for row in rows} == {
        (label, metric, step, "2")
        for label in ("plain", "STAR")
        for metric in ("accuracy", "generator_loss")
        for step in ("0", "1")
    }
    assert "STAR keeps accuracy." in out


def test_the_recomputed_numbers_of_feedback_loops_are_complete(registry):
    published = read_published(registry.paper("feedback-loops"), registry)
    assert published.called == "recomputed"
    counts = {name: (len(table.rows), len(table.columns)) for name, table in published.tables.items()}
    embedded = {"digits": (7, 15), "gauss": (14, 8)}
    assert counts == {**embedded, "colored_mnist": (6, 30), "colored_svhn": (6, 30), "synthetic_share": (8, 6)}
    assert {name: table.runs for name, table in published.tables.items()} == {
        **dict.fromkeys(counts, 10),
        **dict.fromkeys(embedded, 3),
    }
    mnist = {row.label: row.numbers for row in published.tables["colored_mnist"].rows}
    place = published.tables["colored_mnist"].columns.index(Column("accuracy", step=10))
    assert (mnist["seq_class, no reparation"][place].mean, mnist["seq_class, no reparation"][place].spread) == (
        0.893,
        0.02,
    )
    doubtful = [row.label for row in published.tables["synthetic_share"].rows if row.numbers[0].uncertain]
    assert doubtful == ["share 0.5"]


FULL_SIZE = ("colored_mnist", "colored_svhn", "synthetic_share")


def test_every_recomputed_number_of_feedback_loops_has_cells(registry):
    whole = plan_reproduction(f"feedback-loops:{','.join(FULL_SIZE)}", registry)
    assert not whole.left_out
    cells = {grid.table.name: sum(map(len, grid.cells.values())) for grid in whole.grids}
    assert cells == {"colored_mnist": 60, "colored_svhn": 60, "synthetic_share": 80}
    assert len(whole.cells) == 190  # the share of 1 is the coloured MNIST of the first table


@pytest.mark.parametrize(("table", "suite"), [("digits", "feedback-digits"), ("gauss", "feedback-tabular")])
def test_tables_on_embedded_data_are_run_as_the_suites_in_benchmarks(registry, table, suite):
    path = Path(__file__).parents[2] / "benchmarks" / f"{suite}.toml"
    theirs = {(str(cell.method), str(cell.scenario), cell.repeat) for cell in plan(read_suite(path), registry)}
    (grid,) = plan_reproduction(f"feedback-loops:{table}", registry).grids
    cells = [cell for row in grid.cells.values() for cell in row]
    assert {(str(cell.method), str(cell.scenario), cell.repeat) for cell in cells} <= theirs
    assert len(cells) == 3 * len(grid.table.rows)  # each row of the suite has its numbers


def test_what_takes_weeks_is_run_only_by_name(registry):
    whole = plan_reproduction("feedback-loops", registry)
    assert [grid.table.name for grid in whole.grids] == ["digits", "gauss"]
    assert len(whole.cells) == 63
    assert whole.left_out == (
        "colored_mnist, colored_svhn, synthetic_share are run only if named "
        "('fairbench reproduce feedback-loops:colored_mnist'), because of the cost",
    )


def test_a_table_may_have_other_runs_than_the_paper(planned, registry):
    reproduction = planned(old='title = "A loop"', new='title = "A loop"\nruns = 3')
    (grid,) = reproduction.grids
    assert {len(row) for row in grid.cells.values()} == {3}
    assert reproduction.published.runs == 2
    records = [loop(cell, 0.8 + 0.01 * cell.repeat, 0.1) for cell in reproduction.cells]
    outcome = Reproduced.of(reproduction, Results(records, {}, len(records), {}))
    text = render(outcome, Drawn((), (), 0.0), "fairbench reproduce loops", "figures")
    assert "*Recomputed* numbers are mean ± spread over 3 runs" in text
    assert "(first" not in text


def test_tables_of_different_runs_each_say_theirs(planned, tmp_path, registry):
    start, end = PUBLISHED.index("[tables.loop]"), PUBLISHED.index("[claims.keeps]")
    again = PUBLISHED[start:end].replace("tables.loop", "tables.again").replace("steps = ", "runs = 1\nsteps = ")
    (tmp_path / "again.toml").write_text(SUITE)
    reproduction = planned(old="[claims.keeps]", new=f"{again}[claims.keeps]")
    outcome = Reproduced.of(reproduction, Results([loop(cell, 0.8, 0.1) for cell in reproduction.cells], {}, 4, {}))
    text = render(outcome, Drawn((), (), 0.0), "fairbench reproduce loops", "figures")
    assert "over 1 or 2 runs" in text
    assert "2 repeats; the recomputed numbers are over 2 runs." in text
    assert "the recomputed numbers are over 1 run." in text


def test_one_table_at_least_is_run_without_being_named(planned):
    with pytest.raises(
        PaperError, match="every table has by_name = true; leave at least one to be run when none is named"
    ):
        planned("rerun.toml", "coin = false\n", "coin = false\n[tables.loop]\nby_name = true\n")


def test_the_numbers_on_celeba_have_the_same_form(registry, tmp_path):
    source = Path(__file__).parents[2] / "benchmarks" / "published" / "feedback-loops-celeba.toml"
    (tmp_path / "published.toml").write_bytes(source.read_bytes())
    published = read_published(Paper("celeba", "t", "r", tmp_path), registry)
    assert [len(row.numbers) for row in published.tables["celeba"].rows] == [24] * 5
