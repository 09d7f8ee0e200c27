"""Exports and rescoring: the numbers of the run again, joined to the rows of the dataset, or a reason."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fairbench.analysis import export
from fairbench.analysis.values import COLUMNS
from fairbench.api import Choice, Metric, Predictions, Undefined
from fairbench.cells import Cell, Preparation
from fairbench.data.files import DataSource
from fairbench.errors import UnknownName
from fairbench.plugins.registry import Plugin, Registry
from fairbench.records import DONE, FAILED, Record, Results, Value
from fairbench.running.cell import CellRunner
from fairbench.running.store import FILE_NAME, Measured, Store, Truth

RUN = ["--methods", "logistic", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1", "--out", "r"]
READERS = [["report"], ["export"], ["export", "--diagnostics"], ["export", "--predictions"], ["rescore"]]
OLD_RUN = Path(__file__).parent / "old_run"
PLUGIN = '''"""Metrics that read what only the dataset knows."""

from fairbench.api import Metric, hookimpl


def signed(samples, predictions):
    """Return the signed gap in the chance of the favourable outcome."""
    good = predictions.decision if samples.schema.favorable_label == 1 else 1 - predictions.decision
    return float(good[samples.protected].mean() - good[~samples.protected].mean())


def places(samples, predictions):
    """Return what the rows and the keys say."""
    return float(samples.rows.sum() + sum(values.sum() for values in samples.keys.values()))


def features(samples, predictions):
    """Return the mean of the features."""
    return float(samples.X.mean())


def broken(samples, predictions):
    """Fail where there are no features."""
    return 1.0 if type(samples).__name__ == "Samples" else {}["nothing"]


@hookimpl
def fairbench_metrics():
    names = {"signed": signed, "places": places, "features": features, "broken": broken}
    return [Metric(name, function, better="neither", range=(-1e9, 1e9)) for name, function in names.items()]
'''


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    return ["--metrics", "accuracy,signed,places,features,broken", "--plugin", "own.py"]


def test_rescoring_gives_the_runs_own_values_or_the_reason(fairbench, plugin):
    assert fairbench("run", *RUN, *plugin)[0] == 0
    run = {row["metric"]: row for row in rows(fairbench("export", "r")[1]) if not row["group"]}
    status, out, err = fairbench("rescore", "r", *plugin)
    assert (status, err) == (0, "")
    anew = {row["metric"]: row for row in rows(out) if not row["group"]}
    for name in ("accuracy", "signed", "places"):
        assert anew[name]["value"] == run[name]["value"] != ""
    assert (anew["features"]["value"], anew["broken"]["value"]) == ("", "")
    assert anew["features"]["reason"].startswith("features are not stored")
    assert anew["broken"]["reason"] == "the metric raised KeyError: 'nothing'"


def test_values_of_a_metric_that_is_not_computed_anew_are_left_out(fairbench, plugin):
    fairbench("run", *RUN, *plugin)
    assert {row["metric"] for row in rows(fairbench("rescore", "r", "--metrics", "accuracy")[1])} == {"accuracy"}


def test_exported_predictions_are_joined_to_the_rows_of_the_dataset(fairbench):
    fairbench("run", *RUN)
    exported = rows(fairbench("export", "r", "--predictions")[1])
    bench = CellRunner(DataSource(None, offline=True)).workbench
    dataset = bench.dataset(Choice("synthetic", {"rows": 300}))
    places = np.array([int(row["row"]) for row in exported])
    assert len(set(places)) == len(places)
    assert places.tolist() != sorted(places) or places.max() > len(places)
    assert [int(row["y"]) for row in exported] == dataset.y[places].tolist()
    assert [row["group"] for row in exported] == dataset.sensitive_features.iloc[places, 0].tolist()


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_the_path_of_a_store_stands_for_its_directory(fairbench, tmp_path, command, monkeypatch):
    fairbench("run", *RUN)
    expected = fairbench(*command, "r")
    assert expected[0] == 0
    assert fairbench(*command, "r/results.sqlite") == expected
    monkeypatch.chdir(tmp_path / "r")
    assert fairbench(*command, "results.sqlite")[:2] == expected[:2]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_folder_without_a_store_is_refused(fairbench, tmp_path, command):
    fairbench("run", *RUN)
    (tmp_path / "empty").mkdir()
    (tmp_path / "r/results.sqlite").unlink()
    for path, words in (
        ("empty", "empty is not a run directory: it has no run.json"),
        ("empty/results.sqlite", "empty is not a run directory: it has no run.json"),
        ("nowhere", "nowhere is not a run directory: it has no run.json"),
        ("r", "r/results.sqlite does not exist; 'fairbench run' makes run directories"),
        ("r/results.sqlite", "r/results.sqlite does not exist; 'fairbench run' makes run directories"),
    ):
        status, out, err = fairbench(*command, path)
        assert (status, out) == (2, "")
        assert words in err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE predictions SET y_pred = x'00'", READERS[3:]),
        ("UPDATE cells SET numbers = zeroblob(length(numbers))", [*READERS, ["run", *RUN]]),
        ("UPDATE cells SET status = 'skipped'", [*READERS, ["run", *RUN]]),
    ],
)
def test_every_command_names_the_damaged_cell(fairbench, tmp_path, change, told):
    fairbench("run", *RUN)
    with closing(sqlite3.connect(tmp_path / "r/results.sqlite")) as connection, connection:
        connection.execute(change)
    for command in told:
        status, _, err = fairbench(*command, *(() if command[0] == "run" else ("r",)))
        assert status == 2
        assert "r/results.sqlite is damaged: the cell of dataset synthetic[rows=300], method logistic[" in err
        assert "put back a sound copy of the file, or run again with a new --out" in err


@pytest.fixture
def old(tmp_path):
    shutil.copytree(OLD_RUN, tmp_path / "old")
    return tmp_path / "old/results.sqlite"


def test_a_run_of_format_1_is_read_for_what_it_has(fairbench, plugin, old):
    before = old.read_bytes()
    exported = rows(fairbench("export", "old")[1])
    values = [row["value"] for row in exported if (row["metric"], row["group"]) == ("accuracy", "")]
    assert values == ["0.5333333333333333", "0.26666666666666666", "0.6", "0.5333333333333333"]
    anew = rows(fairbench("rescore", "old", *plugin)[1])
    assert [row["value"] for row in anew if row["metric"] == "accuracy"] == [
        row["value"] for row in exported if row["metric"] == "accuracy"
    ]
    for row in anew:
        if row["metric"] in ("signed", "places"):
            assert row["value"] == ""
            assert row["reason"].startswith(
                "this run was stored by an older fairbench, which kept neither the protected"
            )
    predictions = rows(fairbench("export", "old", "--predictions")[1])
    assert {row["row"] for row in predictions} == {""}
    first = [row["y"] == row["y_pred"] for row in predictions if row["cell"] == predictions[0]["cell"]]
    assert np.mean(first) == pytest.approx(float(values[0]))
    assert fairbench("report", "old")[0] == 0
    assert old.read_bytes() == before


def test_records_of_format_1_know_what_decides_alike(old):
    from fairbench.running.store import Store

    with Store(old) as store:
        assert {record.cell.method.name for record in store.records() if record.alike == ((0, ""),)} == {"constant"}
        assert len(store.finished()) == 4
        assert {outline.metrics for outline in store.outline().values()} == {
            ("accuracy", "demographic_parity_difference", "selection_rate")
        }


def test_a_run_of_format_1_cannot_be_continued(fairbench, old):
    suite = json.loads((OLD_RUN / "run.json").read_text())["suite"]
    command = ["run", "--methods", suite["methods"][0], "--datasets", suite["datasets"][0], "--workers", "1"]
    status, _, err = fairbench(*command, "--metrics", suite["metrics"][0], "--repeats", "2", "--out", "old")
    assert status == 2
    assert (
        "old was started by an older fairbench, which did not record all that a run depends on; 'fairbench report old'"
        in err
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE predictions SET y_pred = x'00'",
        "UPDATE predictions SET y_score = y_pred",
        "UPDATE truths SET n = 7",
        "UPDATE truths SET \"group\" = x''",
        "UPDATE truths SET group_names = '[]'",
        "UPDATE truths SET group_names = '{\"a\": 1}'",
        "UPDATE truths SET y = (SELECT y_pred FROM predictions LIMIT 1)",
        'UPDATE truths SET group_names = \'["b", "a"]\'',
        "DELETE FROM truths",
        "UPDATE cells SET versions = '[]'",
        "UPDATE cells SET diagnostics = '{\"loss\": 3}'",
        'UPDATE cells SET diagnostics = \'{"loss": ["a"]}\'',
        "UPDATE cells SET diagnostics = '['",
        "UPDATE cells SET status = 'perhaps'",
        "UPDATE cells SET seconds = 'long'",
        "UPDATE cells SET reason = x'00'",
        "UPDATE cells SET cell = replace(cell, 'logistic', 'constant')",
        "UPDATE cells SET cell = '[]'",
        "UPDATE \"values\" SET value = 'much'",
    ],
)
def test_a_damaged_run_of_format_1_is_no_traceback(fairbench, old, change):
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute(change)
    for command in ("report", "rescore"):
        status, _, err = fairbench(command, "old")
        assert status == 2
        assert "old/results.sqlite is damaged: the cell of " in err


# ------------------------------------------------------------------- row by row

CELL = Cell(Choice("made", {"rows": 3}), Choice("mlp", {"lr": 0.1}), "sex", 4, Preparation("none"), Choice("stream"))
IDENTITY = {
    "scenario": "stream",
    "dataset": "made[rows=3]",
    "sensitive": "sex",
    "scale": "none",
    "method": "mlp",
    "parameters": "lr=0.1",
    "repeat": 4,
    "tuning": 0,
    "fit": 0,
    "cell": CELL.key,
}


@pytest.fixture
def kept(tmp_path):
    """Return the results of a cell with two steps and two points, and of one that failed; their store is beside."""
    placed = Truth(np.array([0, 1]), np.array([1, 0]), ("f", "m"), 0, 1, rows=np.array([7, 2]))
    loose = Truth(np.array([1]), np.array([1]), ("f", "m"), 0, 1)
    made = {
        (0, "a"): (placed, Predictions(np.array([0, 1]), np.array([0.25, 0.75]))),
        (0, "b"): (placed, Predictions(np.array([1, 1]), None, np.array([0.5, 1.0]))),
        (1, "a"): (loose, Predictions(np.array([1]))),
    }
    values = (
        Value(0, "a", "", "own", 3.0),
        Value(0, "a", "", "accuracy", 0.125),
        Value(0, "a", "f", "share", 0.125),
        Value(0, "a", "", "gone", 0.125),
    )
    cell = Cell(CELL.dataset, CELL.method, "sex", 4, CELL.preparation, CELL.scenario, ("accuracy", "gone"))
    done = Record(cell, DONE, values=values, chosen="a", diagnostics={"loss": (1.0, None), "gap": (0.5,)})
    failed = Record(Cell(CELL.dataset, CELL.method, "sex", 5), FAILED, "it broke", values[:1])
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(Measured(done, made))
        store.add(Measured(failed, {}))
    return Results([done, failed], {"suite": {}}, 2, {"accuracy": ("acc.", "higher")})


def test_every_stored_prediction_is_a_row(kept, tmp_path):
    columns = ("step", "point", "chosen", "row", "y", "group", "y_pred", "y_score", "decision")
    expected = [
        (0, "a", True, 7, 0, "m", 0, 0.25, 0.0),
        (0, "a", True, 2, 1, "f", 1, 0.75, 1.0),
        (0, "b", False, 7, 0, "m", 1, None, 0.5),
        (0, "b", False, 2, 1, "f", 1, None, 1.0),
        (1, "a", True, None, 1, "m", 1, None, 1.0),
    ]
    for run in (tmp_path, tmp_path / FILE_NAME):
        found = list(export.prediction_rows(kept, run))
        assert found == [{**IDENTITY, **dict(zip(columns, row))} for row in expected]
    assert list(found[0]) == [*IDENTITY, *columns]


def test_every_epoch_of_a_diagnostic_is_a_row(kept):
    rows = [("loss", 0, 1.0), ("loss", 1, None), ("gap", 0, 0.5)]
    assert list(export.diagnostic_rows(kept)) == [
        {**IDENTITY, "diagnostic": name, "epoch": epoch, "value": value} for name, epoch, value in rows
    ]


def test_rows_are_written_as_csv_and_as_lines_of_json():
    rows = [{"a": "x,y", "b": None, "c": 0.1}, {"a": "=1", "b": 2, "c": -1.0}]
    for form, spreadsheet, expected in (
        ("csv", False, 'a,b,c\n"x,y",,0.1\n=1,2,-1.0\n'),
        ("csv", True, 'a,b,c\n"x,y",,0.1\n\'=1,2,-1.0\n'),
        ("jsonl", False, '{"a": "x,y", "b": null, "c": 0.1}\n{"a": "=1", "b": 2, "c": -1.0}\n'),
    ):
        written = io.StringIO(newline="")
        export.write(iter(rows), written, form, spreadsheet)
        assert written.getvalue() == expected
        written = io.StringIO()
        export.write([], written, form, spreadsheet)
        assert written.getvalue() == ""
    plain = io.StringIO(newline="")
    export.write(rows, plain, "csv")
    assert "\n=1," in plain.getvalue()
    with pytest.raises(ValueError, match="not JSON compliant"):
        export.write([{"a": float("nan")}], io.StringIO(), "jsonl")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_that_a_spreadsheet_would_run_is_marked(first):
    written = io.StringIO(newline="")
    export.write([{"a": f"{first}1"}, {"a": f"1{first}"}], written, "csv", spreadsheet=True)
    assert [row["a"] for row in csv.DictReader(io.StringIO(written.getvalue(), newline=""))] == [
        f"'{first}1",
        f"1{first}",
    ]


def test_metrics_are_computed_anew_and_what_the_scenario_measured_stays(kept, tmp_path):
    def accuracy(samples, predictions):
        return np.float32((samples.y == predictions.y_pred).mean())

    def missing(samples, predictions):
        raise Undefined("nothing to see")

    def broken(samples, predictions):
        raise IndexError("no row 9")

    registry = Registry()
    metrics = [
        Metric("accuracy", accuracy),
        Metric("share", accuracy, by_group=True),
        Metric("missing", missing),
        Metric("broken", broken),
        Metric("masked", lambda samples, predictions: np.ma.masked),
        Metric("texts", lambda samples, predictions: "0.5"),
    ]
    registry.add(Plugin("own", "tests", "1"), {"metrics": metrics})
    anew = export.rescored(kept, tmp_path / FILE_NAME, registry, "accuracy,missing,broken,masked,texts,share")
    assert (anew.run, anew.planned, anew.labels) == (kept.run, kept.planned, kept.labels)
    first, second = anew.records
    assert second == kept.records[1]
    assert (first.cell, first.chosen, first.diagnostics) == (kept.records[0].cell, "a", kept.records[0].diagnostics)
    found = {value[:4]: (value.value, value.reason) for value in first.values}
    assert len(found) == len(first.values)
    assert found.pop((0, "a", "", "own")) == (3.0, "")
    assert {place: found[(*place, "", "accuracy")][0] for place in [(0, "a"), (0, "b"), (1, "a")]} == {
        (0, "a"): 1.0,
        (0, "b"): 0.5,
        (1, "a"): 1.0,
    }
    assert found[0, "b", "m", "share"] == (0.0, "")
    assert {value for key, value in found.items() if key[3] == "missing"} == {(None, "nothing to see")}
    assert {value for key, value in found.items() if key[3] == "broken"} == {
        (None, "the metric raised IndexError: no row 9")
    }
    assert {value for key, value in found.items() if key[3] == "masked"} == {(None, "the metric returned nan")}
    assert {value for key, value in found.items() if key[3] == "texts"} == {
        (None, "metric texts is a str, '0.5'; a number is needed")
    }
    assert {metric for *_, metric in found} == {"accuracy", "share", "missing", "broken", "masked", "texts"}
    with pytest.raises(UnknownName, match="no metric is named 'nosuch'"):
        export.rescored(kept, tmp_path, registry, "nosuch")


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [([], COLUMNS), (["--predictions"], export.PREDICTED), (["--diagnostics"], export.DIAGNOSED)],
)
def test_an_export_of_nothing_has_the_header_of_any_other(fairbench, tmp_path, arguments, columns):
    shutil.copytree(OLD_RUN, tmp_path / "r")
    status, some, _ = fairbench("export", "r", *arguments)
    assert (status, some.partition("\n")[0]) == (0, ",".join(columns))
    (tmp_path / "r" / FILE_NAME).unlink()
    Store(tmp_path / "r" / FILE_NAME, create=True).close()
    status, nothing, said = fairbench("export", "r", *arguments)
    assert (status, nothing) == (0, ",".join(columns) + "\n")
    assert "not run yet" in said
    assert fairbench("export", "r", *arguments, "--format", "jsonl")[:2] == (0, "")
