"""What the audit hook takes for a method's own doing, and what it leaves alone."""

from __future__ import annotations

import os

import pytest

import fairbench.running.cell
from fairbench.testing.audit.watch import Watch, functions, replaced


@pytest.fixture
def told():
    return []


def watching(told, code, tmp_path, places=None, **names):
    """Run code as if it stood in a method's file, and return what was told of it; no hook is left in this process."""
    watch = Watch(lambda file, what: told.append(what), places or {}, [])
    watch.roots = [str(tmp_path)]
    scope = {"watch": watch, **names}
    exec(compile(code, str(tmp_path / "method.py"), "exec"), scope)  # noqa: S102 - the test's own
    return told


@pytest.mark.parametrize("event", ["gc.get_objects", "sys._current_frames", "subprocess.Popen", "socket.connect"])
def test_an_event_of_own_code_is_told_once(told, tmp_path, event):
    assert len(watching(told, f"for _ in range(3): watch({event!r}, ('x', []))", tmp_path)) == 1


def test_what_a_library_does_on_its_own_is_left_alone(told, tmp_path):
    def library(watch):
        watch("sys._getframe", ())
        watch("gc.get_objects", ())
        watch("open", ("/etc/hostname", "r", 0))

    assert watching(told, "library(watch)", tmp_path, library=library) == []


def test_what_a_library_reads_for_it_is_told(told, tmp_path):
    data = tmp_path / "data"

    def library(watch, path):
        watch("open", (path, "r", 0))

    code = "library(watch, path)\nlibrary(watch, 7)\nlibrary(watch, other)"
    names = {"library": library, "path": str(data / "a.csv").encode(), "other": str(tmp_path / "own.txt")}
    assert watching(told, code, tmp_path, {str(data): "$DATA"}, **names) == ["opens $DATA/a.csv"]


def test_relative_paths_links_and_addresses_of_stores_are_followed(told, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    code = """
watch("open", ("link/a", "r", 0))
watch("sqlite3.connect", (f"file:{runs}/b?mode=ro",))
watch("os.listdir", (None,))
watch("open", ("/proc/self/fd/3", "r", 0))
"""
    found = watching(told, code, tmp_path, {str(tmp_path / "runs"): "runs", os.getcwd(): "."}, runs=tmp_path / "runs")
    assert found == ["opens runs/a", "opens runs/b", "lists .", "opens /proc/self/fd/3"]


def test_where_modules_are_looked_for_may_be_listed(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["__editable__.finder"])
    code = "watch('os.listdir', ('__editable__.finder',))\nwatch('os.listdir', ('__editable__',))"
    assert watching(told, code, tmp_path, {str(tmp_path): "."}) == ["lists ./__editable__"]


def test_code_in_a_string_counts_as_its_callers(told, tmp_path):
    assert watching(told, "exec(\"watch('gc.get_objects', ())\")", tmp_path)


def test_other_plugins_under_the_same_folder_are_not_its_own(tmp_path):
    watch = Watch(lambda *_: None, {}, [str(tmp_path / "other")])
    watch.roots = [str(tmp_path)]
    assert watch.owns(str(tmp_path / "method.py"))
    assert not watch.owns(str(tmp_path / "other" / "store.py"))
    assert not watch.owns(str(tmp_path / "venv" / "site-packages" / "torch.py"))
    assert not watch.owns(str(tmp_path) + "2/method.py")


def test_a_replaced_function_is_named_and_so_is_a_class_s_method(monkeypatch):
    before = functions()
    assert list(replaced(before)) == []
    monkeypatch.setattr(fairbench.running.cell, "run_cell", lambda *_: None)
    monkeypatch.setattr(fairbench.running.cell.Workbench, "split", lambda *_: None)
    assert {what for _, what in replaced(before)} == {
        "replaces fairbench.running.cell.run_cell",
        "replaces fairbench.running.cell.Workbench.split",
    }
    assert {file for file, _ in replaced(before)} == {__file__}
