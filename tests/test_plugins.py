"""Plugins are found, loaded and kept apart: a broken one becomes a problem of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairbench.cells import Choice
from fairbench.errors import PluginError, UnknownName
from fairbench.plugins.kinds import KINDS
from fairbench.plugins.loading import BUILT_IN, entry_points, load_plugins
from fairbench.plugins.registry import Plugin

HERE = Path(__file__).parent
BROKEN = HERE / "broken"
MASSAGING = HERE.parent / "examples" / "massaging"


def test_built_ins_come_through_entry_points_and_none_is_broken():
    registry, problems = load_plugins()
    own = [problem for problem in problems if problem.distribution == BUILT_IN]
    assert [str(problem) for problem in own if not problem.unavailable] == []
    assert {problem.name.split(".")[0] for problem in own} <= {"fairbench_aif360", "fairbench_executors"}
    assert {point.name for point in entry_points() if point.distribution == BUILT_IN} >= {
        "fairbench_baselines",
        "fairbench_meta",
    }
    assert registry.origin("methods", "faalgrad").name == "fairbench_meta.faalgrad"
    assert registry.origin("methods", "faalgrad").distribution == BUILT_IN


@pytest.fixture
def broken(tmp_path):
    """The broken plugins, and one that is not Python, which no formatter would let lie there."""
    shutil.copytree(BROKEN, tmp_path / "broken")
    (tmp_path / "broken" / "no_python.py").write_text("x = = 1\n")
    return tmp_path / "broken"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("import_error", "needs 'a_library_nobody_has', which is not installed"),
        ("misspelt_hook", "'fairbench_metric' is not a hook; did you mean 'fairbench_metrics'?"),
        ("extra_argument", "Argument(s) {'colour'} are declared in the hookimpl but can not be found in the hookspec"),
        ("taken_name", "two methods are named 'constant': fairbench_baselines.constant (fairbench-harness"),
        ("exits", "SystemExit: 3 (exits.py, line 5)"),
        ("no_hook", "it implements no hook"),
        ("no_python", "no_python.py: SyntaxError: invalid syntax (no_python.py, line 1)"),
        ("not_a_list", "fairbench_methods returned str; it must return a list"),
        ("no_fit", "fairbench_methods returned Idle, which has no 'fit'"),
        (
            "no_direction",
            "metric 'sideways' has better = 'left' and label = ''; better must be one of higher, lower, neit",
        ),
        ("not_there", "no such file"),
    ],
)
def test_a_local_file_that_cannot_be_used_is_refused_with_the_reason(broken, name, message):
    with pytest.raises(PluginError) as caught:
        load_plugins([str(broken / f"{name}.py")])
    assert message in str(caught.value)
    assert "importlib" not in str(caught.value)
    assert "plugins.py" not in str(caught.value)
    assert "constant" in load_plugins()[0].names("methods")


def test_a_local_file_is_loaded_beside_the_built_ins():
    registry, _ = load_plugins([str(MASSAGING / "src" / "massaging" / "method.py")])
    assert "massaging" in registry.names("methods")
    assert "faalgrad" in registry.names("methods")
    assert registry.origin("methods", "massaging").distribution == "local file"


def test_only_the_named_plugins_are_loaded(monkeypatch):
    monkeypatch.setenv("FAIRBENCH_PLUGINS", "fairbench_baselines, fairbench_metrics")
    registry, _ = load_plugins()
    assert registry.names("datasets") == []
    assert "mlp" in registry.names("methods")
    assert "faalgrad" not in registry.names("methods")


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_kind_every_component_is_there_and_other_built_ins_are_left_out(kind):
    registry, _ = load_plugins(kind=kind)
    assert registry.names(kind) == load_plugins()[0].names(kind)
    assert len(registry.plugins) < len(load_plugins()[0].plugins) / 2


def test_a_local_file_is_loaded_whatever_kind_is_asked_for():
    registry, _ = load_plugins([str(MASSAGING / "src" / "massaging" / "method.py")], kind="reports")
    assert registry.names("methods") == ["massaging"]


@pytest.mark.long
def test_reports_are_loaded_without_torch_and_scikit_learn():
    words = (
        "import sys; from fairbench.plugins.loading import load_plugins; "
        "print(load_plugins(kind='reports')[0].names('reports'), *({'torch', 'sklearn', 'pandas'} & {*sys.modules}))"
    )
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(load_plugins()[0].names("reports"))


def test_an_unknown_name_among_those_to_load_is_refused():
    with pytest.raises(
        UnknownName, match="no plugin is named 'fairbench_basilines'; did you mean 'fairbench_baselines'"
    ):
        load_plugins(only=["fairbench_basilines"])


def test_an_unknown_component_mentions_plugins_that_could_not_be_loaded(massaging_on_path):
    told = massaging_on_path("show", "metric", "gapp").stderr  # beside adapters of libraries that are not here
    assert re.search(r"; (1 plugin|\d plugins) could not be loaded \('fairbench plugins' says why\)", told)


@pytest.fixture
def massaging_on_path(tmp_path):
    """Install a third party's package, with a broken module, into a folder, and run commands with it on the path."""
    site = tmp_path / "site"
    source = tmp_path / "massaging"
    shutil.copytree(MASSAGING, source)
    shutil.copy(BROKEN / "misspelt_hook.py", source / "src" / "massaging" / "gap.py")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(site),
    ]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)

    def fairbench(*arguments, cwd=tmp_path):
        environment = {**os.environ, "PYTHONPATH": str(site), "FAIRBENCH_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-m", "fairbench", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)

    return fairbench


@pytest.mark.long
def test_an_installed_third_party_method_runs_beside_the_built_ins_although_its_sister_is_broken(massaging_on_path):
    listed = massaging_on_path("plugins")
    assert listed.returncode == 1
    assert "plugin massaging.gap (massaging 0.1) is broken: 'fairbench_metric' is not a hook" in listed.stdout
    shown = massaging_on_path("show", "method", "massaging")
    assert "massaging.method (massaging 0.1)" in shown.stdout
    assert "What finds the rows near the border." in shown.stdout
    run = massaging_on_path(
        "run",
        "--methods",
        "massaging[share=0.3|0.7],constant",
        "--datasets",
        "synthetic[rows=300]",
        "--repeats",
        2,
        "--workers",
        2,
        "--out",
        "r",
    )
    assert run.returncode == 0, run.stderr
    assert "warning: plugin massaging.gap (massaging 0.1) is broken" in run.stderr
    assert "massaging[share=0.3]" in run.stdout
    assert "6 cells: 6 done, 0 skipped, 0 failed" in run.stderr


def test_what_an_import_changes_is_put_back_and_remembered_and_its_prints_go_to_stderr(capfd, tmp_path, monkeypatch):
    file = Path(shutil.copy(BROKEN / "side_effects.py", tmp_path))  # a file that no other test has loaded
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != "/a/folder/of/helpers"])
    before, path = (np.geterr(), os.getcwd()), list(sys.path)
    registry, _ = load_plugins([str(file)])
    assert (np.geterr(), os.getcwd()) == before
    assert sys.path == [*path, "/a/folder/of/helpers"]  # the plugin may import from it later; nobody else's changes
    assert registry.origin("methods", "talkative").changed == ("the working directory", "numpy's error state")
    registry.build("methods", Choice("talkative"))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == ["Loading the toolbox ... done", "ready"]


def test_no_import_of_ours_changes_the_process():
    code = (
        "from fairbench.plugins.loading import load_plugins; "
        "print([p.name for p in load_plugins()[0].plugins if p.changed])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_nothing_is_taken_in_once_all_plugins_are_loaded():
    registry, _ = load_plugins()
    for late in (lambda plugin: registry.add(plugin, {}), registry.refuse):
        with pytest.raises(PluginError, match=r"acme \(tests 1\) comes too late"):
            late(Plugin("acme", "tests", "1"))
    assert "acme" not in [plugin.name for plugin in registry.plugins]
