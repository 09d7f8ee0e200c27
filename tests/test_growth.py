"""A run grows: the same directory with one more method, metric, dataset or repeat runs only what is new."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from leaving_data import people

from fairbench.running.store import Store

METRICS = ["--metrics", "accuracy"]
FEW = ["--methods", "constant,coin", "--datasets", "synthetic[rows=300]", "--repeats", "2", "--workers", "1"]
FEW = ["run", *FEW, "--out", "r"]


def command(**changes):
    words = [*FEW, *METRICS]
    for option, value in changes.items():
        words[words.index(f"--{option}") + 1] = value
    return words


def stored(folder):
    """Return the values by cell, metric and group, and when nothing ran again the seconds that each cell took."""
    with Store(folder / "r/results.sqlite") as store:
        records = {record.cell.key: record for record in store.records()}
    values = {(key, it.metric, it.group): it.value for key, record in records.items() for it in record.values}
    return values, {key: record.seconds for key, record in records.items()}


@pytest.mark.parametrize(
    ("option", "value", "planned"),
    [
        ("methods", "constant,always_1,coin", 6),
        ("datasets", "sklearn-diabetes,synthetic[rows=300]", 8),
        ("repeats", "3", 6),
    ],
)
def test_only_new_cells_are_run_and_run_json_describes_the_whole(fairbench, tmp_path, option, value, planned):
    assert fairbench(*command())[0] == 0
    values, seconds = stored(tmp_path)
    status, _, err = fairbench(*command(**{option: value}))
    assert status == 0, err
    assert f"4 of {planned} cells were finished before" in err
    assert "run again" not in err
    more, longer = stored(tmp_path)
    assert len(longer) == planned
    assert values.items() <= more.items()
    assert seconds.items() <= longer.items()
    run = json.loads((tmp_path / "r/run.json").read_text())
    assert (run["planned"], len(run["cells"]), len(run["sessions"])) == (planned, planned, 2)
    assert run["sessions"][-1]["finished"]
    assert run["suite"][option] == (3 if option == "repeats" else [value])


def test_more_metrics_are_measured_from_stored_predictions(fairbench, tmp_path):
    fairbench(*command())
    _, seconds = stored(tmp_path)
    metrics = "accuracy,roc_auc,demographic_parity_difference,selection_rate"
    status, _, err = fairbench(*command(metrics=metrics))
    assert status == 0
    assert "4 of 4 cells were finished before" in err
    grown, same = stored(tmp_path)
    assert same == seconds  # nothing was fitted again
    fairbench(*command(metrics=metrics, out="whole"))
    (tmp_path / "r").rename(tmp_path / "grown")
    (tmp_path / "whole").rename(tmp_path / "r")
    assert stored(tmp_path)[0] == grown
    assert "demographic_parity_difference" in json.loads((tmp_path / "grown/run.json").read_text())["labels"]


def test_fewer_metrics_leave_what_is_there(fairbench, tmp_path):
    metrics = "accuracy,selection_rate"
    fairbench(*command(metrics=metrics))
    before = stored(tmp_path)
    status, _, err = fairbench(*command())
    assert status == 0
    assert "4 of 4 cells were finished before" in err
    assert stored(tmp_path) == before
    assert "selection_rate" in json.loads((tmp_path / "r/run.json").read_text())["labels"]


PLUGIN = '''"""Metrics that read more than predictions."""

import os
import sys

from fairbench.api import Metric, hookimpl

calls = []


def mean_feature(samples, predictions):
    value = float(samples.X[predictions.y_pred == 1].mean()) % 1
    if "SPOIL" in os.environ:
        samples.X.base[:] = 7  # which no other cell may see
    return value


def leaves(samples, predictions):
    sys.exit(3)


def at_the_second_try(samples, predictions):
    calls.append(1)
    if len(calls) == 1:
        raise RuntimeError("not yet")
    return 0.5


@hookimpl
def fairbench_metrics():
    made = [("mean_feature", mean_feature), ("at_the_second_try", at_the_second_try), ("leaves", leaves)]
    return [Metric(*pair) for pair in made]
'''


def test_a_metric_of_features_has_the_value_that_it_has_in_a_run(fairbench, tmp_path, monkeypatch):
    (tmp_path / "more.py").write_text(PLUGIN)
    one = command(methods="always_1,coin", repeats="1", metrics="accuracy,mean_feature")
    fairbench(*command(methods="always_1,coin", repeats="1"))
    monkeypatch.setenv("SPOIL", "1")
    status, _, err = fairbench(*one, "--plugin", "more.py")
    monkeypatch.delenv("SPOIL")
    assert status == 0
    assert "2 of 2 cells were finished before" in err
    grown, _ = stored(tmp_path)
    fairbench(*[word if word != "r" else "whole" for word in one], "--plugin", "more.py")
    (tmp_path / "r").rename(tmp_path / "grown")
    (tmp_path / "whole").rename(tmp_path / "r")
    assert stored(tmp_path)[0] == grown
    assert [value for (_, metric, _), value in grown.items() if metric == "mean_feature"] != [None]


def test_a_cell_that_a_new_metric_fails_on_is_run_again(fairbench, tmp_path):
    (tmp_path / "more.py").write_text(PLUGIN)
    fairbench(*command(methods="coin", repeats="1"))
    _, seconds = stored(tmp_path)
    tried = command(methods="coin", repeats="1", metrics="accuracy,at_the_second_try")
    status, _, err = fairbench(*tried, "--plugin", "more.py")
    assert status == 0
    assert "finished before" not in err
    grown, again = stored(tmp_path)
    assert again != seconds
    assert [value for (_, metric, _), value in grown.items() if metric == "at_the_second_try"] == [0.5]


@pytest.mark.long
@pytest.mark.parametrize(
    ("left", "told"),
    [
        ("'LEFT' in os.environ", "2 of 2 cells were finished before"),
        ("not Path('there').exists()", "there is gone (--accept-changes would keep its cells): 1 finished cell is run"),
    ],
    ids=["the same code", "a file that the code names is gone"],
)
def test_a_finished_cell_stays_where_its_data_cannot_be_had_any_more(fairbench, tmp_path, left, told):
    (tmp_path / "people.py").write_text(people(left))
    (tmp_path / "there").touch()
    words = command(methods="coin", datasets="people,synthetic[rows=300]", repeats="1")
    assert fairbench(*words, "--plugin", "people.py")[0] == 0
    before = stored(tmp_path)
    (tmp_path / "there").unlink()
    again = [sys.executable, "-m", "fairbench", *words, "--plugin", "people.py"]  # where nothing is loaded yet
    environment = {**os.environ, "LEFT": ""}
    err = subprocess.run(again, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False).stderr
    assert "people is left out: the people have left" in err
    assert told in err
    assert stored(tmp_path) == before


@pytest.mark.long
def test_a_new_metric_that_ends_the_process_ends_no_run(fairbench, tmp_path):
    (tmp_path / "more.py").write_text(PLUGIN)
    fairbench(*command(methods="coin", repeats="1"))
    tried = [sys.executable, "-m", "fairbench", *command(methods="coin", repeats="1", metrics="accuracy,leaves")]
    executor = ["--executor", "processes[workers=1]", "--plugin", "more.py"]
    done = subprocess.run([*tried, *executor], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "coin on synthetic[rows=300] by group, repeat 0: stays as it was, for it failed with more metrics"
        in done.stderr
    )
    assert "failed: SystemExit: 3" in done.stderr
    assert "1 cell: 0 done, 0 skipped, 0 failed, 1 not measured" in done.stderr


@pytest.mark.parametrize("fail_fast", [(), ("--fail-fast",)])
def test_a_new_metric_that_fails_costs_no_finished_cell(fairbench, tmp_path, fail_fast):
    (tmp_path / "more.py").write_text(PLUGIN)
    assert fairbench(*command())[0] == 0
    before = stored(tmp_path)
    with_more = command(metrics="accuracy,leaves", methods="constant,always_1,coin")
    status, _, err = fairbench(*with_more, *fail_fast, "--plugin", "more.py")
    assert status == 1
    values, seconds = stored(tmp_path)
    assert before[0].items() <= values.items()
    assert before[1].items() <= seconds.items()
    if not fail_fast:
        assert "6 cells: 0 done, 0 skipped, 2 failed, 4 not measured; everything is in r" in err
        assert err.count("stays as it was") == 1, "each reason is told once"
    status, _, err = fairbench(*command(methods="constant,always_1,coin"), "--plugin", "more.py")
    assert status == 0
    assert "4 of 6 cells were finished before" in err
