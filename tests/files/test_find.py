"""Where raw files are looked for, and what is said of damaged ones."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import pytest
from file_helpers import BAD, GOOD, adult, digest, put

from fairbench.data.files import DataSource, cache_dir
from fairbench.data.sources import DataFile
from fairbench.errors import DataError, NotApplicable


def test_sources_are_asked_in_order(places, monkeypatch):
    file = adult()
    cached = put(cache_dir())
    assert DataSource().find(file) == cached
    named = put(places / "named")
    monkeypatch.setenv("FAIRBENCH_DATA", str(places / "named"))
    assert DataSource().find(file) == named
    given = put(places / "given")
    assert DataSource(places / "given").find(file) == given
    assert [copy.place for copy in DataSource(places / "given").copies(file)] == [
        "--data-dir",
        "FAIRBENCH_DATA",
        "the cache",
    ]


def test_a_missing_file_names_every_place_looked_at_and_what_to_do(places, monkeypatch):
    monkeypatch.setenv("FAIRBENCH_DATA", str(places / "named"))
    with pytest.raises(NotApplicable) as caught:
        DataSource(places / "given").find(adult())
    said = str(caught.value)
    for part in [
        places / "given",
        places / "named",
        cache_dir(),
        "adult/adult.data",
        "fairbench data path",
        "--data-dir",
    ]:
        assert str(part) in said
    assert "\n" not in said


def test_the_cache_is_the_user_cache_unless_moved(monkeypatch):
    import platformdirs

    monkeypatch.delenv("FAIRBENCH_CACHE")
    assert cache_dir() == Path(platformdirs.user_cache_dir("fairbench")) / "data"


def test_a_source_is_plain_data_for_workers(places):
    source = DataSource(places, offline=True)
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize("by_option", [True, False], ids=["--data-dir", "FAIRBENCH_DATA"])
def test_a_damaged_file_of_the_user_is_left_alone_and_refused(server, places, monkeypatch, by_option):
    server.answers["/adult.data"] = GOOD
    theirs = put(places / "theirs", BAD)
    put(cache_dir())
    monkeypatch.setenv("FAIRBENCH_DATA", "" if by_option else str(places / "theirs"))
    source = DataSource(places / "theirs" if by_option else None)
    for call in (source.find, source.fetch):
        with pytest.raises(DataError) as caught:
            call(adult(server.url("/adult.data")))
        assert str(caught.value).startswith(f"{theirs}: sha256 is {digest(BAD)[:12]}…, expected {digest(GOOD)[:12]}…")
    assert theirs.read_bytes() == BAD
    assert os.listdir(theirs.parent) == ["adult.data"]
    assert server.asked == []


def test_a_file_that_changes_between_two_uses_is_read_again(places):
    path = put(places / "given")
    source = DataSource(places / "given")
    assert source.find(adult()) == path
    path.write_bytes(BAD)
    with pytest.raises(DataError):
        source.find(adult())


def test_a_file_that_did_not_change_is_read_once(places, monkeypatch):
    path = put(places / "given")
    source = DataSource(places / "given")
    source.find(adult())
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
    assert source.find(adult()) == path


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../evil"])
def test_a_path_that_leads_out_of_the_folder_is_refused(path):
    with pytest.raises(DataError, match="below a data folder"):
        DataSource().find(DataFile(path, digest(GOOD)))


def test_offline_never_connects(server, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(NotApplicable, match="offline, so nothing was downloaded"):
        DataSource(offline=True).fetch(adult(server.url("/adult.data")))
