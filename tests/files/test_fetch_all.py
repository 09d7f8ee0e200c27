"""Raw files for many datasets, threads and processes at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from file_helpers import BAD, GOOD, adult, digest, left_in_cache, put

from fairbench.data import downloads, web
from fairbench.data.files import DataSource, cache_dir, fetch_all
from fairbench.data.sources import DataFile
from fairbench.errors import DataError, NotApplicable


def test_two_threads_that_want_a_file_get_the_same_sound_one(server):
    def slowly(handler, number):
        time.sleep(0.1)
        return GOOD

    server.answers["/adult.data"] = slowly
    file = adult(server.url("/adult.data"))
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: DataSource().fetch(file), range(4)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == GOOD
    assert server.asked == ["/adult.data"]


FETCH = """
import sys
from fairbench.data.sources import DataFile
from fairbench.data.files import DataSource
print(DataSource().fetch(DataFile("adult/adult.data", sys.argv[1], (sys.argv[2],))))
"""


def test_two_processes_that_want_a_file_get_the_same_sound_one(server):
    together = threading.Event()

    def slowly(handler, number):
        together.wait(0.3)
        return GOOD

    server.answers["/adult.data"] = slowly
    command = [sys.executable, "-c", FETCH, digest(GOOD), server.url("/adult.data")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert said == {str(cache_dir() / "adult/adult.data")}
    assert (cache_dir() / "adult/adult.data").read_bytes() == GOOD
    assert server.asked == ["/adult.data"]


def named(name: str, *urls: str) -> list[DataFile]:
    return [DataFile(f"{name}/{name}.data", digest(GOOD), urls)]


def test_fetch_all_keeps_the_datasets_apart(server, places):
    server.answers["/good"] = GOOD
    theirs = put(places / "theirs", BAD, "damaged/damaged.data")
    wanted = {
        "good": named("good", server.url("/good")),
        "gone": named("gone", server.url("/gone")),
        "damaged": named("damaged", server.url("/good")),
        "made": [],
    }
    fetched = fetch_all(wanted, DataSource(places / "theirs"))
    assert list(fetched) == list(wanted)
    assert fetched["good"] == {"good/good.data": cache_dir() / "good/good.data"}
    assert isinstance(fetched["gone"], NotApplicable)
    assert isinstance(fetched["damaged"], DataError)
    assert str(theirs) in str(fetched["damaged"])
    assert fetched["made"] == {}


def test_fetch_all_downloads_side_by_side_once_a_host_has_answered(server):
    meeting = threading.Barrier(3)
    server.answers["/first"] = GOOD

    def meet(handler, number):
        meeting.wait(300)  # breaks unless three requests are there at once
        return GOOD

    server.answers["/other"] = meet
    wanted = {"first": named("first", server.url("/first"))}
    wanted.update({name: named(name, server.url("/other")) for name in "abc"})
    network = downloads.Network(None)
    assert network.download(wanted["first"][0], cache_dir(), []) is not None
    with ThreadPoolExecutor(3) as threads:
        paths = list(threads.map(lambda name: network.download(wanted[name][0], cache_dir(), []), "abc"))
    assert None not in paths


def test_fetch_all_asks_a_dead_host_once(server, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT", (1, 0.2))
    server.answers.update({f"/set{number}": lambda *_: server.ended.wait() and None for number in range(10)})
    fetched = fetch_all({path[1:]: named(path[1:], server.url(path)) for path in server.answers}, DataSource())
    assert all("no answer within" in str(outcome) for outcome in fetched.values())
    server.await_question()
    assert len(server.asked) == 1


def test_an_interrupt_stops_the_other_downloads(server):
    def endless(handler, number):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 100_000)
            time.sleep(0.01)

    server.answers["/endless"] = endless

    def interrupt(path, received, total):
        raise KeyboardInterrupt

    wanted = {name: named(name, server.url("/endless")) for name in "ab"}
    with pytest.raises(KeyboardInterrupt):
        fetch_all(wanted, DataSource(), interrupt)
    end = time.monotonic() + 300
    while any(thread.name.startswith("fairbench-fetch") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert left_in_cache() == set()
