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

from fairbench.api import Choice
from fairbench.data.files import DataSource
from fairbench.running.cell import CellRunner

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
        ('UPDATE "values" SET value = 0.923', [*READERS, ["run", *RUN]]),
        ("UPDATE cells SET versions = '[]'", [*READERS, ["run", *RUN]]),
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
