"""One raw file, from a server that errs."""

from __future__ import annotations

import socket
from random import Random

import pytest
from file_helpers import BAD, GOOD, adult, digest, left_in_cache, put

from fairbench.data import downloads, web
from fairbench.data.files import DataSource, cache_dir
from fairbench.errors import NotApplicable


def test_a_good_file_is_downloaded_once_into_the_cache(server):
    server.answers["/adult.data"] = GOOD
    file = adult(server.url("/adult.data"))
    path = DataSource().fetch(file)
    assert path == cache_dir() / "adult/adult.data"
    assert path.read_bytes() == GOOD
    assert DataSource().fetch(file) == DataSource(offline=True).find(file) == path
    assert server.asked == ["/adult.data"]
    assert left_in_cache() == {"adult.data"}


def test_a_wrong_digest_is_refused_with_both_and_the_file_kept_aside(server):
    server.answers["/adult.data"] = BAD
    with pytest.raises(NotApplicable) as caught:
        DataSource().fetch(adult(server.url("/adult.data")))
    digests = f"adult.data: sha256 is {digest(BAD)[:12]}…, expected {digest(GOOD)[:12]}…"
    assert f"{digests}; the download is damaged or the source changed; kept as adult.data.rejected" in str(caught.value)
    assert (cache_dir() / "adult/adult.data.rejected").read_bytes() == BAD
    assert left_in_cache() == {"adult.data.rejected"}


def test_the_next_address_is_tried_after_a_wrong_digest_or_status(server):
    server.answers.update({"/changed": BAD, "/mirror": GOOD})
    file = adult(server.url("/gone"), server.url("/changed"), server.url("/mirror"))
    assert DataSource().fetch(file).read_bytes() == GOOD
    assert server.asked == ["/gone", "/changed", "/mirror"]


def test_the_status_of_every_address_is_told(server):
    server.answers["/forbidden"] = 403
    with pytest.raises(NotApplicable, match=r"/gone: HTTP 404 .*; http://127.*/forbidden: HTTP 403"):
        DataSource().fetch(adult(server.url("/gone"), server.url("/forbidden")))


def test_a_damaged_file_of_the_cache_is_put_aside_and_downloaded_again(server):
    server.answers["/adult.data"] = GOOD
    put(cache_dir(), BAD)
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD
    assert (cache_dir() / "adult/adult.data.rejected").read_bytes() == BAD


def test_a_refused_connection_is_a_reason_and_not_tried_again(refusing_port, monkeypatch):
    asked, get = [], downloads.get
    monkeypatch.setattr(downloads, "get", lambda url, write: asked.append(url) or get(url, write))
    with pytest.raises(NotApplicable, match=rf"127\.0\.0\.1:{refusing_port}: Connection refused"):
        DataSource().fetch(adult(f"http://127.0.0.1:{refusing_port}/adult.data"))
    assert len(asked) == 1


def test_a_dropped_connection_is_tried_again(server):
    def drop_twice(handler, number):
        if number == 0:  # before a word is said
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        if number == 1:  # in the middle of the file
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(GOOD)))
            handler.end_headers()
            handler.wfile.write(GOOD[:1000])
            return None
        return GOOD

    server.answers["/adult.data"] = drop_twice
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD
    assert len(server.asked) == 3
    assert left_in_cache() == {"adult.data"}


def test_a_download_that_is_cut_anywhere_is_never_taken(server):
    for seed in range(20):
        chance = Random(seed)
        cut, announced = chance.randrange(len(GOOD)), chance.choice(["all", "what is sent", "nothing"])

        def cut_off(handler, number, cut=cut, announced=announced):
            handler.send_response(200)
            if announced != "nothing":
                handler.send_header("Content-Length", str(len(GOOD) if announced == "all" else cut))
            handler.end_headers()
            handler.wfile.write(GOOD[:cut])

        server.answers["/adult.data"] = cut_off
        with pytest.raises(NotApplicable, match=r"/adult\.data: "):
            DataSource().fetch(adult(server.url("/adult.data")))
        assert "adult.data" not in left_in_cache()
    server.answers["/adult.data"] = GOOD
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD


@pytest.mark.parametrize("status", [500, 502])
def test_a_server_that_fails_is_a_reason(server, status):
    server.answers["/adult.data"] = status
    with pytest.raises(NotApplicable, match=rf"/adult\.data: HTTP {status} "):
        DataSource().fetch(adult(server.url("/adult.data")))
    assert left_in_cache() == set()


def test_attempts_are_bounded(server):
    server.answers["/adult.data"] = lambda handler, number: handler.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(NotApplicable, match=r"127\.0\.0\.1:\d+: Remote end closed connection"):
        DataSource().fetch(adult(server.url("/adult.data")))
    assert len(server.asked) == downloads.ATTEMPTS


def test_a_server_that_is_busy_is_asked_again(server):
    server.answers["/adult.data"] = lambda handler, number: GOOD if number else 503
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD


def test_a_stalled_download_is_given_up(server, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT", (1, 0.2))

    def stall(handler, number):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"a start")
        handler.wfile.flush()
        server.ended.wait()

    server.answers["/adult.data"] = stall
    with pytest.raises(NotApplicable, match="no answer within 1 s"):
        DataSource().fetch(adult(server.url("/adult.data"), server.url("/adult.data?mirror")))
    server.await_question()
    assert server.asked == ["/adult.data"]  # the host's second address is not tried


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/adult.data", "adult.data"])
def test_only_web_addresses_are_asked(url):
    with pytest.raises(NotApplicable, match="only http and https"):
        DataSource().fetch(adult(url))


def test_a_redirect_to_a_local_file_is_not_followed(server, places):
    secret = put(places / "secret")

    def redirect(handler, number):
        handler.send_response(302)
        handler.send_header("Location", f"file://{secret}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers["/adult.data"] = redirect
    with pytest.raises(NotApplicable):
        DataSource().fetch(adult(server.url("/adult.data")))


def test_more_bytes_than_pinned_are_not_taken(server):
    server.answers["/adult.data"] = GOOD
    with pytest.raises(NotApplicable, match="exceeds 5 bytes"):
        DataSource().fetch(adult(server.url("/adult.data"), bytes=5))
    assert left_in_cache() == set()


def test_progress_counts_the_bytes(server):
    server.answers["/adult.data"] = GOOD
    calls = []
    DataSource().fetch(adult(server.url("/adult.data"), bytes=len(GOOD)), lambda *call: calls.append(call))
    received = [call[1] for call in calls]
    assert len(calls) > 1
    assert received == sorted(received)
    assert calls[-1] == ("adult/adult.data", len(GOOD), len(GOOD))


def test_a_cache_that_cannot_be_written_is_a_reason(server, places, monkeypatch):
    (places / "blocked").write_text("a file where the folder should be")
    monkeypatch.setenv("FAIRBENCH_CACHE", str(places / "blocked"))
    server.answers["/adult.data"] = GOOD
    with pytest.raises(NotApplicable, match=r"cannot be written .* name another folder with FAIRBENCH_CACHE"):
        DataSource().fetch(adult(server.url("/adult.data")))
