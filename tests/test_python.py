"""``fairbench.run`` and ``fairbench.load``: as a script, as a notebook without a terminal, interrupted, and misused."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from filelock import FileLock

import fairbench
from fairbench.errors import DataError, FairbenchError, StoreError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Plugin
from fairbench.python import Run
from fairbench.running.session import Session

SMALL = {"datasets": "synthetic[rows=300]", "repeats": 2, "workers": 1}
ACCURACY, DP = "accuracy", "demographic_parity_difference"
ODD = """
from dataclasses import dataclass
import numpy as np
from fairbench.api import Metric, Predictions, hookimpl

@dataclass(frozen=True)
class Odd:
    name = "odd"

    def fit(self, train, validation, *, seed):
        if seed % 2:
            raise RuntimeError("odd")
        return lambda inputs: Predictions(np.arange(len(inputs.X)) % 2)

def below(samples, predictions):
    return -0.0001

@hookimpl
def fairbench_methods():
    return [Odd]

@hookimpl
def fairbench_metrics():
    return [Metric("below", below, range=(-1, 1))]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def found(folder):
    return fairbench.run(methods="constant,threshold", out="r", metrics=[ACCURACY, DP], quiet=True, **SMALL)


def test_a_run_has_its_values_means_and_tables(found, folder):
    assert isinstance(found, Run)
    assert (found.complete, found.interrupted, found.path) == (True, False, Path("r"))
    assert found.summary == "4 cells: 4 done, 0 skipped, 0 failed; everything is in r"
    values = found.values
    assert isinstance(values, pandas.DataFrame)
    chosen = values[(values.metric == ACCURACY) & values.chosen & (values.group == "")]
    means = found.means.set_index(["method", "metric"])
    for method in ("constant", "threshold"):
        here = chosen[chosen.method == method].value
        assert len(here) == 2
        assert means.loc[(method, ACCURACY), "mean"] == pytest.approx(here.mean())
        assert means.loc[(method, ACCURACY), "std"] == pytest.approx(here.std())
    table = found.table(ACCURACY, DP)
    assert list(table.columns) == [ACCURACY, DP]
    text = f"{means.loc[('threshold', ACCURACY), 'mean']:.3f} ±{means.loc[('threshold', ACCURACY), 'std']:.3f}"
    dataset = values.dataset[0]
    assert list(table.index) == [(dataset, "constant ‡"), (dataset, "threshold")]
    assert table.loc[(dataset, "threshold"), ACCURACY] == text
    assert "threshold" in str(found)
    assert repr(found) == "Run(r: 4 cells: 4 done, 0 skipped, 0 failed)"


def test_variants_are_told_apart_by_what_differs_on_one_dataset(folder):
    given = {"metrics": ACCURACY, "repeats": 1, "workers": 1, "quiet": True}
    found = fairbench.run(
        methods="threshold[epochs=2|3],constant", datasets="synthetic[rows=300|400]", out="r", **given
    )
    labels = [label for _, label in found.table().index]
    assert labels == ["threshold[epochs=2]", "threshold[epochs=3]", "constant ‡"] * 2


def test_what_a_run_left_can_be_loaded_and_goes_on_with_more(found, folder):
    again = fairbench.load("r")
    pandas.testing.assert_frame_equal(again.values, found.values)
    more = fairbench.run(methods=["constant", "threshold", "mlp"], out="r", metrics=ACCURACY, quiet=True, **SMALL)
    assert more.summary.startswith("6 cells: 6 done")
    assert set(more.values.method) == {"constant", "threshold", "mlp"}


def test_a_notebook_gets_escaped_html(found):
    html = found._repr_html_()
    assert html.startswith("<table")
    assert "threshold" in html
    name = "<script>alert(1)</script>"
    object.__setattr__(found.results, "run", {"notes": {name: ["x & y"]}})
    html = found._repr_html_()
    assert name not in html
    assert "&lt;script&gt;" in html
    assert "x &amp; y" in html


def test_a_metric_that_the_run_lacks_is_named(found):
    with pytest.raises(UnknownName, match="'accuracyy'; did you mean 'accuracy'"):
        found.table("accuracyy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": "thresold"}, "did you mean 'threshold'"),
        ({"methods": "threshold", "metrics": "acuracy"}, "did you mean 'accuracy'"),
        ({"methods": "threshold", "datasets": None}, "datasets is missing"),
        ({"datasets": None}, "methods and datasets are missing"),
        ({"methods": "threshold", "repeats": 0}, "repeats is 0"),
        ({"methods": "threshold", "repeats": "3"}, "repeats is '3'"),
        ({"methods": ["threshold", 3]}, "methods"),
        ({"methods": 7}, "methods"),
        ({"methods": "threshold", "group": ""}, "empty name"),
        ({"methods": "threshold", "scale": "log"}, "scale is 'log'"),
        ({"methods": "threshold", "executor": "serial,processes"}, "2 executors"),
        ({"suite": "none.toml"}, "none.toml"),
        ({"methods": "threshold", "workers": 0}, "workers"),
        ({"methods": "threshold", "executor": 3}, "executor is 3"),
        ({"methods": "threshold", "metrics": []}, "metrics is empty"),
        ({"methods": []}, "methods is empty"),
        ({"methods": "threshold", "out": ""}, "out is an empty path"),
        ({"methods": "threshold", "data_dir": "nowhere"}, "data_dir nowhere is no folder"),
        ({"methods": "threshold", "plugins": "mine.py"}, r"mine\.py: no such file"),
        ({"methods": "threshold", "plugins": Path("mine.py")}, r"mine\.py: no such file"),
        ({"methods": "threshold", "plugins": 3}, "plugins is 3, of type int; it must be a path"),
        ({"methods": "threshold", "plugins": ["mine.py", 3]}, "plugins is 3, of type int; it must be a path"),
        ({"suite": 3}, "suite is 3, of type int; it must be a path"),
        ({"methods": "threshold", "data_dir": b"raw"}, "data_dir is b'raw', of type bytes; it must be a path"),
        ({"methods": "threshold", "offline": "no"}, "offline is 'no', of type str; it must be True or False"),
        ({"methods": "threshold", "quiet": 1}, "quiet is 1, of type int; it must be True or False"),
        ({"methods": "threshold", "fail_fast": None}, "fail_fast is None, of type NoneType; it must be True or False"),
        ({"methods": "threshold", "accept_changes": []}, r"accept_changes is \[\], of type list; it must be True"),
    ],
)
def test_bad_input_is_refused_in_words_before_anything_runs(folder, given, message):
    with pytest.raises(FairbenchError, match=message):
        fairbench.run(**{**SMALL, "quiet": True, "out": "r", **given})
    assert not (folder / "r").exists()


def test_a_place_that_is_no_run_directory_is_refused(folder):
    with pytest.raises(StoreError, match="nowhere"):
        fairbench.load("nowhere")
    with pytest.raises(FairbenchError, match="path is an empty path"):
        fairbench.load("")
    for opened in (fairbench.load, fairbench.load_model):
        with pytest.raises(FairbenchError, match="path is 3, of type int; it must be a path"):
            opened(3)


def test_numbers_may_be_numpys(folder):
    given = {
        **SMALL,
        "repeats": np.int64(1),
        "workers": np.int64(1),
        "sensitive_as_feature": np.bool_(True),
        "offline": np.bool_(True),
    }
    found = fairbench.run(methods=iter(["constant"]), out="r", stratify=np.bool_(True), quiet=True, **given)
    assert found.complete
    assert list(found.values.sensitive_as_feature.unique()) == [True]


def test_the_callers_random_numbers_go_on_as_if_nothing_had_run(folder):
    def draws():
        return random.random(), np.random.random(), torch.rand(()).item()

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    wanted = draws()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    fairbench.run(methods="mlp[epochs=1]", out="r", quiet=True, **SMALL)
    assert draws() == wanted


def test_means_that_leave_failed_repeats_out_are_marked(folder):
    Path("odd.py").write_text(ODD)
    given = {**SMALL, "metrics": ["accuracy", "below"], "repeats": 6, "quiet": True, "out": "r"}
    found = fairbench.run(methods="odd,constant", plugins="odd.py", **given)
    assert 0 < found.means.set_index("method").loc["odd", "n"].iloc[0] < 6
    table = found.table("accuracy", "below").droplevel("dataset")
    assert table.loc["odd", "accuracy"].endswith("†")
    assert not table.loc["constant ‡", "accuracy"].endswith("†")
    assert table.loc["constant ‡", "below"] == "0.000 ±0.000"  # not -0.000
    again = fairbench.load("r").table("accuracy")  # the plugin is not needed to read it
    assert again.shape == (2, 1)


def test_plugins_that_cannot_be_used_are_told(folder, monkeypatch, capsys):
    registry = load_plugins()[0]
    monkeypatch.setattr(
        registry, "problems", [Plugin("acme.gap", "acme", "1", problem="needs 'acme'", unavailable=True)]
    )
    fairbench.run(methods="constant", out="r", **SMALL)
    assert "warning: plugin acme.gap (acme 1) is unavailable: needs 'acme'" in capsys.readouterr().err


def test_a_directory_that_python_began_names_no_command(found):
    with pytest.raises(FairbenchError, match="holds a run of another suite") as refused:
        fairbench.run(methods="mlp", out="r", quiet=True, **SMALL)
    assert "last command" not in str(refused.value)


def test_completion_offers_what_is_not_imported_yet():
    code = "import fairbench; print({'run', 'load', 'Run'} <= set(dir(fairbench)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_two_runs_at_once_on_one_directory(folder):
    Path("r").mkdir()
    with FileLock("r/.lock"), pytest.raises(StoreError, match="another run is writing to r"):
        fairbench.run(methods="constant", out="r", quiet=True, **SMALL)
    assert fairbench.run(methods="constant", out="r", quiet=True, **SMALL).complete


def test_an_interrupted_run_keeps_what_is_finished_and_returns_it(folder, monkeypatch):
    def watch(self, records, advance, budget, done):
        next(iter(records))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_watch", watch)
        found = fairbench.run(methods="constant,threshold", out="r", quiet=True, **SMALL)
    assert found.interrupted
    assert not found.complete
    assert found.summary.startswith("4 cells: 1 done, 0 skipped, 0 failed, 3 not run")
    assert len(set(found.values.cell)) == 1
    again = fairbench.run(methods="constant,threshold", out="r", quiet=True, **SMALL)
    assert again.complete


@pytest.mark.long
def test_a_script_without_a_guard_runs_in_workers_and_leaves_threads_alone(folder):
    Path("main.py").write_text(
        "import torch\n"
        "import fairbench\n"
        "print('once')\n"
        "torch.set_num_threads(2)\n"
        "found = fairbench.run(methods='constant,threshold', datasets='synthetic[rows=300]', repeats=2, workers=2)\n"
        "print(found.complete, torch.get_num_threads())\n"
        "print(found.table('accuracy').shape)\n"
    )
    done = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "once\nTrue 2\n(2, 1)\n"


ENDLESS = """
import time
from dataclasses import dataclass
from pathlib import Path
from fairbench.api import hookimpl

@dataclass(frozen=True)
class Endless:
    name = "endless"

    def fit(self, train, validation, *, seed):
        Path("begun").touch()
        while True:
            time.sleep(1)

@hookimpl
def fairbench_methods():
    return [Endless]
"""


@pytest.mark.long
def test_ctrl_c_in_a_script_returns_the_run(folder):
    Path("endless.py").write_text(ENDLESS)
    Path("main.py").write_text(
        "import fairbench\n"
        "given = {'methods': 'constant,endless', 'plugins': 'endless.py', 'datasets': 'synthetic[rows=300]'}\n"
        "found = fairbench.run(**given, out='r', workers=1)\n"
        "print(found.interrupted, found.summary)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "main.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        while not Path("begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert re.fullmatch(r"True 10 cells: 1 done, 0 skipped, 0 failed, 9 not run.*; everything is in r\n", out), out


def test_a_read_only_place_is_refused(folder):
    Path("file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        fairbench.run(methods="constant", out="file/r", quiet=True, **SMALL)


def test_no_dataset_that_can_be_used(folder, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    given = {"methods": "constant", "datasets": "adult", "offline": True, "quiet": True, "repeats": 1, "workers": 1}
    found = fairbench.run(**given, out="r")
    assert not found.complete
    assert "adult, constant: adult/adult.data: not found" in found._repr_html_()
    Path("adult").mkdir()
    Path("adult/adult.data").write_text("not these bytes")
    with pytest.raises(DataError, match=r"adult\.data"):
        fairbench.run(**given, data_dir=".", out="q")


def test_importing_fairbench_is_light():
    code = "import sys, fairbench; print(sorted(set(sys.modules) & {'torch', 'numpy', 'pandas', 'click', 'rich'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        _ = fairbench.runn
