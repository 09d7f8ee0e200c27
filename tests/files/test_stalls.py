"""Servers, name servers and processes that keep a download waiting: it ends, with a reason or by Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from file_helpers import BAD, GOOD, adult, digest, left_in_cache
from filelock import FileLock

from fairbench.data import downloads
from fairbench.data.files import DataSource, cache_dir, fetch_all
from fairbench.data.sources import DataFile
from fairbench.errors import NotApplicable


@pytest.fixture
def hurried(monkeypatch):
    """Let downloads have half a second in place of half a minute."""
    monkeypatch.setattr(downloads, "PATIENCE", 0.5)


def dripping(server, part: bytes):
    """Return an answer that begins with a part and goes on with a byte every tenth of a second, without an end."""

    def answer(handler, number):
        handler.wfile.write(part)
        while not server.ended.wait(0.1):
            handler.wfile.write(b"a")

    return answer


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 160000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    ],
)
def test_a_server_that_sends_a_byte_now_and_then_is_given_up_and_not_asked_again(server, hurried, part):
    server.answers["/adult.data"] = dripping(server, part)
    with pytest.raises(
        NotApplicable, match=r"127\.0\.0\.1:\d+: only \d+ bytes arrived in \d+ s, so the download was stopped"
    ):
        DataSource().fetch(adult(server.url("/adult.data"), server.url("/adult.data?mirror")))
    server.await_question()
    assert server.asked == ["/adult.data"]
    assert left_in_cache() == set()


def test_a_slow_download_may_take_longer_as_long_as_bytes_come(server, monkeypatch):
    now, looks = [0.0], []

    def clock():
        looks.append(now[0] if looks else 0.0)
        return looks[-1]

    def slowly(path, received, total):
        now[0] = downloads.PATIENCE - 1 + received / downloads.SLOWEST
        seen = len(looks)
        while len(looks) < seen + 2:  # until it was looked whether it takes too long
            time.sleep(0.01)

    monkeypatch.setattr(downloads, "time", SimpleNamespace(monotonic=clock))
    server.answers["/adult.data"] = GOOD
    assert DataSource().fetch(adult(server.url("/adult.data")), slowly).read_bytes() == GOOD
    assert looks[-1] > downloads.PATIENCE


def test_a_silent_name_server_is_given_up(hurried, monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait() and [])
    with pytest.raises(
        NotApplicable, match=r"data\.example: only 0 bytes arrived in \d+ s, so the download was stopped"
    ):
        DataSource().fetch(adult("http://data.example/adult.data"))
    answered.set()


def test_what_comes_after_a_download_was_given_up_is_not_written(server, hurried):
    late = threading.Event()

    def answer(handler, number):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        late.wait()
        handler.wfile.write(GOOD)

    server.answers.update({"/adult.data": answer, "/other": GOOD})
    sinks = []
    receive = downloads._Sink.__init__

    def remembered(sink, *arguments):
        receive(sink, *arguments)
        sinks.append(sink)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads._Sink, "__init__", remembered)
        with pytest.raises(NotApplicable, match="the download was stopped"):
            DataSource().fetch(adult(server.url("/adult.data")))
    late.set()
    with pytest.raises(downloads._StoppedError):
        sinks[0].write(GOOD)
    assert left_in_cache() == set()


def test_a_lock_that_another_process_keeps_is_waited_for_so_long(server, monkeypatch):
    monkeypatch.setattr(downloads, "LOCK_PATIENCE", 0.3)
    lock = cache_dir() / "adult/adult.data.lock"
    lock.parent.mkdir(parents=True)
    server.answers["/adult.data"] = GOOD
    with FileLock(lock), pytest.raises(NotApplicable, match=rf"another process has held {lock} for 0 s; wait for it"):
        DataSource().fetch(adult(server.url("/adult.data")))
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD


def test_a_thread_that_waits_for_another_of_the_same_process_waits_as_long_as_it_takes(server, monkeypatch):
    monkeypatch.setattr(downloads, "LOCK_PATIENCE", 0.1)
    server.answers["/adult.data"] = lambda handler, number: time.sleep(0.5) or GOOD
    file = adult(server.url("/adult.data"))
    fetched = fetch_all({"one": [file], "two": [file]}, DataSource())
    assert fetched["one"] == fetched["two"] == {file.path: cache_dir() / file.path}


def test_what_a_killed_process_left_is_cleared_away(server):
    server.answers["/adult.data"] = GOOD
    stale = cache_dir() / "adult/adult.data.x7.part"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(BAD)
    DataSource().fetch(adult(server.url("/adult.data")))
    assert left_in_cache() == {"adult.data"}


FETCH = """
import os
import sys
from fairbench.data import downloads, web
from fairbench.data.sources import DataFile
from fairbench.data.files import DataSource
downloads.PATIENCE, web.TIMEOUT = 3600, (3600, 3600)
try:
    print("fetching", flush=True)
    DataSource().fetch(DataFile("adult/adult.data", sys.argv[1], (sys.argv[2],)), lambda *_: os.write(1, b"began\\n"))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("stalls", ["before a word", "in the middle"])
def test_an_interrupt_ends_a_process_at_once_and_leaves_no_part(server, stalls):
    def answer(handler, number):
        if stalls == "in the middle":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD)
        server.ended.wait()

    server.answers["/adult.data"] = answer
    command = [sys.executable, "-c", FETCH, digest(GOOD), server.url("/adult.data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "fetching\n"
        if stalls == "in the middle":
            assert process.stdout.readline() == "began\n"
        else:
            server.await_question()
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=300)  # it would wait for an hour
    assert "interrupted" in said.splitlines()  # the thread that receives may still print after it
    assert process.returncode == 0
    assert left_in_cache() == set()


def test_an_error_in_one_dataset_is_raised_and_ends_the_others(server, monkeypatch):
    def broken(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(DataSource, "_look", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        fetch_all({"one": [DataFile("adult/adult.data", digest(GOOD))]}, DataSource())
