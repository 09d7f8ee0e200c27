"""The command 'new': what it writes, and what it refuses in words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fairbench.templates import TEMPLATES


def texts(folder):
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_name_is_filled_in_everywhere(fairbench, kind):
    status, shown, said = fairbench("new", kind, "two_words", "--into", "made/here")
    folder = Path("made/here/two_words")
    assert (status, said) == (0, "")
    assert shown.splitlines() == [
        f"{folder} is a package with the {kind} 'two_words', in {folder}/src/two_words/{kind}.py; next:",
        f"  pip install -e ./{folder}",
        "  fairbench check two_words",
        f"  pytest {folder}",
    ]
    written = texts(folder)
    assert {
        "pyproject.toml",
        "README.md",
        "src/two_words/__init__.py",
        f"src/two_words/{kind}.py",
        "tests/test_two_words.py",
    } <= set(written)
    whole = "\n".join([*written, *written.values()])
    assert not re.search(rf"my[-_]?{kind}", whole, flags=re.IGNORECASE)
    assert 'name = "two-words"' in written["pyproject.toml"]
    assert 'two_words = "two_words"' in written["pyproject.toml"]
    assert "fairbench check two_words " in written["README.md"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("method", "9lives", "'9lives' cannot be the name of a Python package; use small letters, digits and '_', and"),
        ("method", "9lives", "begin with a letter; try 'lives'"),
        ("method", "../x", "'../x' cannot be the name of a Python package"),
        ("method", "My-Method", "; try 'my_method'"),
        ("method", "名", "and begin with a letter\n"),
        ("method", "", "'' cannot be the name of a Python package"),
        ("method", "class", "'class' is a word of Python itself; try 'class_method'"),
        ("method", "true", "'true' is a word of Python itself"),  # the class would be True
        ("method", "logistic", "a method is named 'logistic' already: fairbench_baselines.logistic (fairbench-harness"),
        ("dataset", "adult", "a dataset is named 'adult' already: fairbench_datasets.adult (fairbench-harness"),
        ("method", "numpy", "'numpy' is installed already ("),
        ("metric", "random", "'random' is installed already ("),
        ("report", "fairbench_harness", "'fairbench_harness' is installed already (distribution fairbench-harness"),
        ("method", "np", "'np' has another meaning in the package that would be written; try 'np_method'"),
        ("dataset", "dataset", "'dataset' has another meaning in the package"),  # the class would be Dataset
        (
            "methd",
            "mine",
            "'methd' is not one of method, dataset, metric, scenario, report, paper; did you mean 'method'?",
        ),
        ("methods", "mine", "; did you mean 'method'?"),
        ("executor", "mine", "'executor' is not one of method, dataset, metric, scenario, report, paper\n"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_words(fairbench, kind, name, message):
    status, shown, said = fairbench("new", kind, name)
    assert (status, shown) == (2, "")
    assert message in said
    assert os.listdir() in ([], ["cache"])


def test_the_same_name_can_be_of_another_kind(fairbench):
    assert fairbench("new", "report", "logistic")[0] == 0


def test_what_is_there_already_is_left_alone(fairbench):
    Path("mine").mkdir()
    Path("mine/notes").write_text("years of work")
    Path("dangling").symlink_to("nowhere")
    for name in ("mine", "dangling"):
        status, _, said = fairbench("new", "method", name)
        assert status == 2
        assert f"{name} is there already; choose another name, or another place with --into" in said
    assert texts(Path("mine")) == {"notes": "years of work"}


def test_a_place_that_is_no_folder_is_refused(fairbench):
    Path("file").write_text("")
    status, _, said = fairbench("new", "method", "mine", "--into", "file")
    assert status == 2
    assert "'file' is a file" in said
    status, _, said = fairbench("new", "method", "mine", "--into", "file/deeper")
    assert status == 2
    assert "file/deeper/mine cannot be written: Not a directory; choose another place with --into" in said


def test_nothing_is_left_of_a_package_that_cannot_be_written_in_full(fairbench, monkeypatch):
    original, written = Path.write_bytes, []

    def full(path, data):
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(path)
        return original(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    status, _, said = fairbench("new", "method", "mine")
    assert status == 2
    assert "mine cannot be written: No space left on device; choose another place with --into" in said
    assert len(written) == 3
    assert not Path("mine").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(fairbench):
    Path("locked").mkdir(mode=0o500)
    status, _, said = fairbench("new", "method", "mine", "--into", "locked")
    assert status == 2
    assert "locked/mine cannot be written: Permission denied; choose another place with --into" in said


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("list", "metods"), "'metods' is not one of datasets, methods,"),
        (("list", "method"), "; did you mean 'methods'?"),
        (("show", "methods", "logistic"), "; did you mean 'method'?"),
    ],
)
def test_a_misspelt_kind_is_corrected_by_the_other_commands_too(fairbench, command, message):
    status, _, said = fairbench(*command)
    assert status == 2
    assert message in said


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine", "no plugin is named 'mine' ('fairbench plugins' shows all; a package must be installed first)"),
        ("logistic", "no plugin is named 'logistic'; components of this name are in fairbench_baselines.logistic"),
    ],
)
def test_a_check_of_what_is_no_plugin_says_what_to_do(fairbench, name, message):
    status, _, said = fairbench("check", name)
    assert status == 2
    assert message in said
