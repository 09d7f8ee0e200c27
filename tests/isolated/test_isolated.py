"""Isolated plugins, end to end: two versions of a library in one grid, and methods that do what they should not."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fairbench.plugins.isolated.client import _running
from fairbench.running.rundir import load_results
from fairbench.running.store import Store
from fairbench.texts import last_line

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).with_name("acme_isolated.py")
DATASET = ["--datasets", "synthetic[rows=300]"]
GRID = [*DATASET, "--repeats", "2", "--workers", "1"]
ONCE = [*DATASET, "--repeats", "1", "--workers", "1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, wheels):
    """Return a folder of environments with the old plugin, a wheel, and the new one, a file; pip installs both."""
    folder = tmp_path_factory.mktemp("made")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    variables.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels), PIP_CONFIG_FILE=os.devnull)
    variables["FAIRBENCH_ENVIRONMENTS"] = str(folder)
    for what in ("acme_old", str(SCRIPT)):
        line = [sys.executable, "-m", "fairbench", "plugins", "install", what, "--isolated", "--layered"]
        done = subprocess.run(line, env=variables, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert re.search(
            r"(acme-old 1\.0|acme-isolated 0\+\w{12}) on Python 3\.\d+\.\d+, isolated; methods: ", done.stdout
        )
    return folder


@pytest.fixture
def acme(environments, made):
    """Return the folder of environments, a copy in which tests can do damage."""
    shutil.copytree(made, environments, symlinks=True)
    return environments


def values(fairbench, run):
    """Return every exported value of a run by method and place, without times."""
    rows = csv.DictReader(io.StringIO(fairbench("export", run)[1]))
    return [{name: row[name] for name in row if name not in ("seconds", "cell")} for row in rows]


def test_two_versions_of_one_library_stand_in_one_grid(fairbench, acme):
    status, out, err = fairbench("run", "--methods", "old_cut,acme_cut,constant", *GRID, "--out", "r")
    assert status == 0, err
    assert "6 cells: 6 done" in err
    cells = {}
    for row in values(fairbench, "r"):
        cells.setdefault((row["method"], row["point"]), []).append(row["value"])
    assert cells["old_cut", "library"] != cells["acme_cut", "library"]  # the libraries cut elsewhere
    assert cells["old_cut", "0.5"] == cells["acme_cut", "0.5"]  # and nothing else differs
    assert "old_cut" in out
    assert "acme_cut" in out


def test_an_isolated_method_gives_the_numbers_that_it_gives_in_process(fairbench, acme, monkeypatch, tmp_path):
    choice = "acme_cut[rate=0.25,widths=(4),side=down,form=step,most=3]"
    assert fairbench("run", "--methods", choice, *GRID, "--out", "isolated")[0] == 0
    monkeypatch.setenv("FAIRBENCH_ENVIRONMENTS", str(tmp_path / "none"))
    (tmp_path / "lib" / "acme_lib").mkdir(parents=True)
    (tmp_path / "lib" / "acme_lib" / "__init__.py").write_text("CUT = 0.6\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    assert fairbench("run", "--methods", choice, *GRID, "--plugin", SCRIPT, "--out", "here")[0] == 0
    sys.modules.pop("acme_lib")
    isolated, here = (values(fairbench, run) for run in ("isolated", "here"))
    assert isolated == here
    assert len({row["point"] for row in here}) == 3
    curves, predictions = zip(*(kept(tmp_path / run) for run in ("isolated", "here")))
    assert curves[0] == curves[1]
    assert [set(curve) for curve in curves[0]] == [{"loss", "names"}] * 2
    for one, other in zip(*predictions):
        for field in ("y_pred", "y_score", "decision"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_a_declaration_that_depends_on_parameters_is_that_of_the_parameters(fairbench, acme):
    methods = "acme_aware,acme_aware[aware=true],acme_cut"
    grid = [*GRID, "--group-known", "1", "--group-known", "0", "--no-reference"]
    assert fairbench("run", "--methods", methods, *grid, "--out", "r")[0] == 0
    done = {
        (str(record.cell.method), record.cell.preparation.group_known): record
        for record in load_results(Path("r")).records
        if record.cell.repeat == 0
    }
    for known in (0, 1):  # neither learns from the group
        selected = []
        for name in ("acme_aware[aware=false]", "acme_aware[aware=true]"):
            found = {value.metric: value.value for value in done[name, known].values if not value.group}
            selected.append(found["selection_rate"])
        assert selected[0] == 1 > selected[1] > 0
    reason = next(record.reason for (name, known), record in done.items() if name.startswith("acme_cut") and not known)
    assert "acme_cut does not declare its use of the group, and the 0 rows" in reason
    assert fairbench("run", "--methods", methods, *grid, "--no-group-at-prediction", "--out", "b")[0] == 0
    blind = {str(record.cell.method): record for record in load_results(Path("b")).records}
    assert blind["acme_aware[aware=false]"].status == "done"
    assert blind["acme_aware[aware=true]"].reason.startswith("method acme_aware uses the group to predict")
    assert json.loads(fairbench("show", "method", "acme_aware", "--json")[1])["uses_group"] == "neither"


def kept(run):
    """Return the curves and the predictions of a run, in the order of its cells and points."""
    records = load_results(run).records
    with Store(run / "results.sqlite") as store:
        made = [found for record in records for _, found in store.predictions(record.cell.key).values()]
    return [record.diagnostics for record in records], made


def test_its_methods_are_listed_shown_and_checked_like_others(fairbench, acme):
    listed = {row["name"]: row for row in map(json.loads, fairbench("list", "methods", "--json")[1].splitlines())}
    assert listed["old_cut"]["plugin"] == "acme-old (isolated)"
    assert listed["acme_cut"] == {
        "name": "acme_cut",
        "what": "Cut a linear score where acme_lib says.",
        "group": "not declared",
        "plugin": "acme-isolated (isolated)",
    }
    assert listed["acme_needy"]["what"].endswith("(needs value)")
    shown = json.loads(fairbench("show", "method", "acme_cut", "--json")[1])
    taken = {row["name"]: row for row in shown["parameters"]}
    assert taken["rate"] == {
        "name": "rate",
        "type": "float",
        "required": False,
        "default": 0.5,
        "help": "share that is kept",
        "choices": None,
        "minimum": 0,
        "maximum": 1,
        "source": "acme, section 2",
    }
    assert taken["side"]["choices"] == ["up", "down"]
    assert shown["grid"] == [{}, {"widths": [4]}]
    assert shown["ranges"]["rate"]["source"] == "acme"
    for wrong, words in (
        ("acme_cut[rte=1]", "no parameter of method acme_cut is named 'rte'; did you mean 'rate'?"),
        ("acme_cut[rate=2]", "method acme_cut: rate is 2.0; it must be at most 1"),
        ("acme_cut[widths=(1,2)]", "method acme_cut: widths is (1,2); it must be one of (8,4), (8), (4), (4,2)"),
        ("acme_cut[side=left]", "it must be one of up, down"),
        ("acme_cut[most=a]", "it must be a whole number"),
        ("acme_needy", "method acme_needy needs value, which has no default"),
    ):
        status, _, err = fairbench("run", "--methods", wrong, *GRID)
        assert status == 2
        assert words in " ".join(err.split())
    assert {"plugin": "acme-old (isolated)", "version": "1.0"}.items() <= {
        row["plugin"]: row for row in map(json.loads, fairbench("plugins", "--json")[1].splitlines())
    }["acme-old (isolated)"].items()


def test_listing_starts_no_other_python(fairbench, acme, monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError(f"{arguments} was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert fairbench("list", "methods")[0] == 0
    assert fairbench("run", "--methods", "all", *GRID, "--dry-run")[0] == 0


TROUBLE = {
    "prints": ("done", ""),
    "raises": ("failed", "KeyError: 'acme'"),
    "exits": ("failed", "SystemExit: 3"),
    "leaves": ("failed", "the process of the environment acme-old gave no answer: it ended with status 7"),
    "dies": ("failed", "gave no answer: it was killed by SIGKILL (out of memory?)"),
    "closes": ("failed", "gave no answer: it closed its pipe"),
    "garbles": ("failed", "is not a message of fairbench: it does not begin like one"),
    "refuses": ("skipped", "acme wants three groups"),
    "guesses": ("failed", "its predictor returned ndarray; it must return Predictions"),
}


def test_trouble_costs_its_own_cell(fairbench, acme):
    methods = ",".join([*(f"old_trouble[how={how}]" for how in TROUBLE), "old_cut"])
    status, _, err = fairbench("run", "--methods", methods, *ONCE, "--out", "r")
    assert status == 1
    assert "10 cells: 2 done, 1 skipped, 7 failed" in err
    assert "acme says hello" in err  # as that of any method, on stderr
    assert "acme is old" in err
    rows = {row["parameters"]: row for row in values(fairbench, "r")}
    for how, (outcome, reason) in TROUBLE.items():
        row = rows[f'how={how},note=""']
        assert row["status"] == outcome, row
        assert reason in last_line(row["reason"])
    assert "acme leaves" in next(
        row["reason"] for row in rows.values() if "status 7" in row["reason"]
    )  # its last words


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("end", "workers"), [(signal.SIGKILL, "2"), (signal.SIGINT, "1")])
def test_nothing_outlives_the_run_in_which_a_method_hangs(end, workers, acme, tmp_path, monkeypatch):
    parts = [f"fairbench_{part}" for part in ("baselines", "datasets", "executors", "metrics", "reports", "scenarios")]
    monkeypatch.setenv("FAIRBENCH_PLUGINS", ",".join([*parts, "acme-old"]))
    note = tmp_path / "note"
    methods = f'old_trouble[how=hangs,note="{note}"],constant'
    line = [sys.executable, "-m", "fairbench", "run", "--methods", methods, *DATASET, "--repeats", "1"]
    with subprocess.Popen([*line, "--workers", workers], cwd=tmp_path, stderr=subprocess.DEVNULL) as run:
        try:
            wait_for(note.exists)
            process = int(note.read_text())
            assert alive(process)
            run.send_signal(end)
            assert run.wait(300) == (-signal.SIGKILL if end == signal.SIGKILL else 130)
        finally:
            run.kill()
    wait_for(lambda: not alive(process))


def wait_for(what, seconds=300):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def test_cells_share_one_process_and_its_cpu_time_is_counted(fairbench, acme, tmp_path):
    methods = ",".join(f'old_trouble[how=burns,note="{tmp_path / name}"]' for name in ("a", "b"))
    assert fairbench("run", "--methods", methods, *ONCE, "--out", "r")[0] == 0
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    first, second = load_results(tmp_path / "r").records
    assert first.cpu_seconds > 0.95 > second.cpu_seconds  # the process has spent a second, and does so once


def test_a_changed_environment_is_changed_code(fairbench, acme):
    run = ["run", "--methods", "old_cut", *GRID, "--out", "r"]
    assert fairbench(*run)[0] == 0
    code = next(acme.glob("acme-old/lib/*/site-packages/acme_old/methods.py"))
    code.write_text(code.read_text() + "\n# changed\n")
    other = [*run[:2], "old_cut,old_needy[value=1]", *GRID, "--out", "r"]
    for process in list(_running.values()):
        process.kill()
    status, _, err = fairbench(*other)
    assert status == 1
    reason = next(row["reason"] for row in values(fairbench, "r") if row["method"] == "old_needy")
    assert "the environment acme-old is not as it was when it was made: acme_old/methods.py changed;" in reason
    assert last_line(reason).endswith("'fairbench plugins install acme-old --isolated --upgrade' makes it anew")
    manifest = acme / "acme-old" / "fairbench.json"
    about = json.loads(manifest.read_text())
    about["versions"]["acme-lib"] = "1.1"
    manifest.write_text(json.dumps(about))
    status, _, err = fairbench(*other)
    assert status == 2
    assert "acme-lib (installed) changed" in " ".join(err.split())
    assert "--accept-changes" in err
