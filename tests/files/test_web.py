"""Addresses and answers that make no sense, or are meant to do harm: each is a reason in words."""

from __future__ import annotations

import gzip

import pytest
from file_helpers import BAD, GOOD, adult, left_in_cache, put

from fairbench.data import web
from fairbench.data.files import DataSource, fetch_all
from fairbench.errors import NotApplicable

MALFORMED = [
    "http://[::1/x",
    "http://[::1]x/y",
    "http://127.0.0.1:port/x",
    "http://127.0.0.1:99999/x",
    "http://127.0.0.1:0/x",
    "http://a..b/x",
    f"http://{'a' * 70}.example/x",
    "https:",
    "http://\x1b[31m/x",
    "//127.0.0.1/x",
    "",
]


def refusal(*urls: str, **fields) -> str:
    """Return why a file cannot be had; it is one line that no terminal acts on."""
    with pytest.raises(NotApplicable) as caught:
        DataSource().fetch(adult(*urls, **fields))
    assert str(caught.value).isprintable()
    return str(caught.value)


def redirect(location: str, body: bytes = b""):
    """Return an answer that leads elsewhere."""

    def answer(handler, number):
        handler.wfile.write(
            b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location.encode("utf-8", "surrogateescape")
        )
        handler.wfile.write(b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return answer


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_address_is_a_reason_and_the_next_is_asked(server, url):
    server.answers["/adult.data"] = GOOD
    assert "not found in" in refusal(url)
    assert DataSource().fetch(adult(url, server.url("/adult.data"))).read_bytes() == GOOD


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://127.0.0.1:0/", "is not a valid address (no server has port 0)"),
        ("http:///x", "is not a valid address (it names no host)"),
        ("https://:443/x", "is not a valid address (it names no host)"),
        ("gopher://127.0.0.1/", "only http and https addresses are supported"),
        ("127.0.0.1/x", "only http and https addresses are supported"),
    ],
)
def test_a_malformed_address_says_what_is_wrong_with_it(url, wrong):
    assert f"{url}: {wrong};" in refusal(url)


@pytest.mark.parametrize("location", [url for url in MALFORMED if url.startswith("http://")])
def test_a_redirect_to_a_malformed_address_is_a_reason(server, location):
    server.answers["/adult.data"] = redirect(location)
    assert "127.0.0.1" in refusal(server.url("/adult.data"))
    assert server.asked == ["/adult.data"]


@pytest.mark.parametrize("scheme", ["file", "ftp", "data", "javascript"])
def test_a_redirect_to_another_scheme_is_refused(server, places, scheme):
    server.answers["/adult.data"] = redirect(f"{scheme}://{put(places / 'secret')}")
    said = f"/adult.data: redirects to {scheme}://{places / 'secret'}"
    reason = refusal(server.url("/adult.data"))
    assert said in reason
    assert "only http and https addresses are supported" in reason
    assert server.asked == ["/adult.data"]  # nor was it asked again


def test_redirects_are_followed_up_to_a_number(server):
    server.answers.update({"/old": redirect("/newer"), "/newer": redirect(server.url("/new")), "/new": GOOD})
    assert DataSource().fetch(adult(server.url("/old"))).read_bytes() == GOOD
    server.answers["/circle"] = redirect("/circle")
    assert "redirects more than 10 times" in refusal(server.url("/circle"), content=BAD)
    assert server.asked.count("/circle") == web.REDIRECTS


def test_what_comes_with_a_redirect_is_not_read(server):
    server.answers["/adult.data"] = redirect("/new", gzip.compress(bytes(10_000_000)))
    server.answers["/new"] = GOOD
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 \x1b[31mred\x07\x9b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 " + b"x" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/9.9 what\r\n\r\n",
        b"\x1b[31m\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 200_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_a_reason(server, answer):
    server.answers["/adult.data"] = lambda handler, number: handler.wfile.write(answer) and None
    assert len(refusal(server.url("/adult.data"))) < 700


def test_a_file_is_taken_as_it_is_stored(server):
    """Unpacking it would change the file where a server declares it packed, and fill the memory where it is hostile."""
    stored = gzip.compress(GOOD)

    def answer(handler, number):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(stored)))
        handler.end_headers()
        handler.wfile.write(stored)

    server.answers["/adult.data"] = answer
    assert DataSource().fetch(adult(server.url("/adult.data"), content=stored)).read_bytes() == stored


def test_a_file_in_chunks_is_taken(server):
    def answer(handler, number):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD))

    server.answers["/adult.data"] = answer
    assert DataSource().fetch(adult(server.url("/adult.data"))).read_bytes() == GOOD


def test_one_malformed_address_does_not_end_the_other_datasets(server):
    server.answers["/good"] = GOOD
    fetched = fetch_all(
        {"bad": [adult("http://[::1/x", content=BAD)], "good": [adult(server.url("/good"))]}, DataSource()
    )
    assert isinstance(fetched["bad"], NotApplicable)
    assert fetched["good"]["adult/adult.data"].read_bytes() == GOOD
    assert left_in_cache() == {"adult.data"}
