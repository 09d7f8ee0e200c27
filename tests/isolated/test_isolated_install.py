"""Installing and removing isolated plugins, and what is said when it cannot be done."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from fairbench.plugins.isolated import install
from fairbench.plugins.isolated.wheels import build_wheel

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).with_name("acme_isolated.py")


def said(fairbench, *arguments, status=2):
    """Return what a command of ``fairbench plugins`` says when it ends with this status."""
    seen, out, err = fairbench("plugins", *arguments)
    assert seen == status, err
    return " ".join((out + err).split())


def add(fairbench, what, *more, status=2):
    return said(fairbench, "install", what, "--isolated", *more, status=status)


def plugin(folder, name, source, **more):
    """Write a wheel of a plugin that is one module."""
    files = {f"{name}.py": source.encode()}
    return build_wheel(folder, name, "1.0", files, **{"entry_points": f"[fairbench]\n{name} = {name}\n", **more})


METHOD = """
import numpy as np
from dataclasses import dataclass
from fairbench.api import Metric, Predictions, hookimpl

@dataclass(frozen=True)
class One:
    name = "NAME"
    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.ones(len(inputs), dtype=int))

@hookimpl
def fairbench_methods():
    return [One]
"""
METRIC = METHOD.replace("fairbench_methods", "fairbench_metrics").replace(
    "return [One]", "return [Metric('m', lambda s, p: 1.0)]"
)


def test_it_is_installed_once_replaced_and_removed(fairbench, unpacking, tmp_path):
    script = tmp_path / "Mine.py"
    script.write_text(METHOD.replace("NAME", "mine"))
    assert "mine 0+" in add(fairbench, script, status=0)
    assert [path.name for path in unpacking.iterdir() if path.suffix != ".lock"] == ["mine"]
    assert "'fairbench plugins install mine --isolated --upgrade' makes it anew" in add(fairbench, script)
    script.write_text(METHOD.replace("NAME", "yours"))
    assert "isolated; methods: yours" in add(fairbench, "mine", "--upgrade", status=0)
    assert "yours" in fairbench("list", "methods")[1]
    assert said(fairbench, "remove", "Mine", status=0) == "removed the isolated plugin Mine"
    assert not (unpacking / "mine").exists()
    assert "no isolated plugin is named 'mine' (there is none; other plugins go with 'pip uninstall')" in said(
        fairbench, "remove", "mine"
    )
    assert "yours" not in fairbench("list", "methods")[1]


def test_a_failed_upgrade_leaves_what_was_there(fairbench, unpacking, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(METHOD.replace("NAME", "mine"))
    add(fairbench, script, status=0)
    before = (unpacking / "mine" / "fairbench.json").read_bytes()
    script.write_text("raise OSError('acme is out')\n")
    heard = add(fairbench, script, "--upgrade")
    assert "the isolated plugin mine has no method that can be used: fairbench_plugin_mine" in heard
    assert "OSError: acme is out" in heard
    assert (unpacking / "mine" / "fairbench.json").read_bytes() == before
    assert not (unpacking / ".mine.partial").exists()


@pytest.mark.parametrize(
    ("source", "more", "words"),
    [
        (METHOD, {"entry_points": ""}, "it brings nothing: it has no entry point in group 'fairbench'"),
        (METRIC, {}, "it brings only metrics, and only methods can be isolated"),
        ("import acme_gone\n", {}, "needs 'acme_gone', which is not installed"),
        (METHOD.replace("NAME", "logistic"), {}, "two methods are named 'logistic': fairbench_baselines.logistic ("),
        (METHOD.replace("NAME", "No Name"), {}, "whose name is 'No Name'"),
        ("import os\nos._exit(4)\n", {}, "odd was installed, but cannot be loaded: the process of the environment odd"),
    ],
    ids=["no entry point", "no method", "no library", "taken", "unnamed", "dies"],
)
def test_a_plugin_that_cannot_be_used_is_not_installed(fairbench, unpacking, tmp_path, source, more, words):
    assert words in add(fairbench, plugin(tmp_path, "odd", source, **more))
    assert not (unpacking / "odd").exists()


def test_components_that_are_no_methods_are_left_out_with_a_word(fairbench, unpacking, tmp_path):
    both = METHOD.replace("NAME", "mine") + METRIC[METRIC.index("@hookimpl") :]
    heard = add(fairbench, plugin(tmp_path, "both", both), status=0)
    assert "warning: left out: its metrics; only methods can be isolated" in heard


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("gone.py", "gone.py: no such file or folder"),
        ("./gone", "./gone: no such file or folder"),
        ("empty", "is no plugin: name a Python file, a wheel, or a folder with a pyproject.toml"),
        ("unnamed", "pyproject.toml has no name in [project]"),
        ("damaged", "pyproject.toml: "),
        ("--yes", "No such option"),
        ("git+https://acme.example/x", "neither a file or folder nor a requirement such as"),
        ("???", "'???' is neither a file or folder nor a requirement such as 'acme-fair>=2'"),
        ("open.py", "does not end its block '# /// script'"),
        ("twice.py", "has 2 blocks '# /// script'"),
        ("toml.py", "its block '# /// script' is not TOML"),
        ("kinds.py", "dependencies in its block '# /// script' is 'numpy'; it must be a list of texts"),
        ("syntax.py", "syntax.py: "),
    ],
)
def test_what_is_no_plugin_is_refused_before_anything_is_made(fairbench, environments, tmp_path, what, words):
    for folder, text in (("empty", None), ("unnamed", "[project]\n"), ("damaged", "[project\n")):
        (tmp_path / folder).mkdir()
        if text is not None:
            (tmp_path / folder / "pyproject.toml").write_text(text)
    block = "# /// script\n# dependencies = {}\n# ///\n"
    (tmp_path / "open.py").write_text("# /// script\n# dependencies = []\n")
    (tmp_path / "twice.py").write_text(2 * block.format("[]"))
    (tmp_path / "toml.py").write_text(block.format("["))
    (tmp_path / "kinds.py").write_text(block.format("'numpy'"))
    (tmp_path / "syntax.py").write_text("def\n")
    fake = ["--python", sys.executable] if what != "--yes" else []
    if what.endswith(".py"):
        fake.append("--layered")  # whose environment is made in a moment
    assert words in add(fairbench, what, *fake)
    assert not [path for path in environments.glob("*") if path.suffix != ".lock"]


def test_an_index_without_the_plugin_is_quoted(fairbench, environments, offline):
    heard = add(fairbench, "acme-nowhere>=2", "--layered")
    assert "cannot install acme-nowhere>=2; the last words of python: " in heard
    assert "No matching distribution found for acme-nowhere>=2" in heard
    assert not (environments / "acme-nowhere").exists()


def test_without_isolated_pip_is_named(fairbench):
    heard = said(fairbench, "install", "acme-fair")
    assert "pip install acme-fair Add --isolated if its libraries must not replace fairbench's." in heard


def test_a_python_that_is_none_is_named(fairbench, environments):
    heard = add(fairbench, SCRIPT, "--layered", "--python", "/no/python")
    assert "cannot make a virtual environment: /no/python: No such file or directory" in heard


def test_a_folder_that_cannot_be_written_is_named(fairbench, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRBENCH_ENVIRONMENTS", str(tmp_path / "file"))
    assert "FAIRBENCH_ENVIRONMENTS names another folder" in add(fairbench, SCRIPT)
    assert fairbench("list", "methods")[0] == 0


def test_a_full_disk_is_named(fairbench, unpacking, monkeypatch, tmp_path):
    def full(folder, wanted):
        folder.mkdir()
        raise OSError(28, "No space left on device", str(folder / "bin"))

    monkeypatch.setattr(install, "_make", full)
    assert ".acme-isolated.partial/bin: No space left on device; environments are kept in" in add(fairbench, SCRIPT)
    assert not (unpacking / ".acme-isolated.partial").exists()


def test_two_installations_of_one_plugin_do_not_meet(fairbench, unpacking):
    unpacking.mkdir()
    with FileLock(unpacking / ".acme-isolated.lock"):
        assert "another process is installing acme-isolated; wait for it" in add(fairbench, SCRIPT)


DAMAGE = [
    (lambda about: "{", "is damaged (JSONDecodeError"),
    (lambda about: json.dumps({**about, "methods": 3}), "is damaged (TypeError: methods is 3)"),
    (lambda about: json.dumps({**about, "name": "other"}), "is damaged (ValueError: it is that of 'other')"),
    (lambda about: json.dumps({**about, "format": 9}), "another fairbench made it (format 9, not 1)"),
    (lambda about: json.dumps({**about, "methods": [{"name": "x"}]}), "damaged (KeyError: 'parameters')"),
    (lambda about: "", "is damaged"),
]


def test_a_damaged_environment_is_a_broken_plugin(fairbench, unpacking, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(METHOD.replace("NAME", "mine"))
    add(fairbench, script, status=0)
    manifest = unpacking / "mine" / "fairbench.json"
    sound = manifest.read_text()
    for damage, words in DAMAGE:
        manifest.write_text(damage(json.loads(sound)))
        heard = said(fairbench, status=1)
        assert "plugin mine (isolated) is broken: " in heard
        assert words in heard
    manifest.write_text(sound)
    shutil.rmtree(unpacking / "mine" / "bin")
    heard = said(fairbench, status=1)
    assert "bin/python is gone; 'fairbench plugins install mine --isolated --upgrade' makes it anew" in heard
    status, _, err = fairbench("run", "--methods", "mine", "--datasets", "synthetic")
    assert status == 2
    assert "('fairbench plugins' says why)" in err
    assert fairbench("run", "--methods", "constant", "--datasets", "synthetic", "--dry-run")[0] == 0
    assert "methods: mine" in add(fairbench, "mine", "--upgrade", status=0)
    said(fairbench, status=0)
