"""Downloads from web addresses, with reasons for failures in words; nothing that a server says is trusted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Callable
from urllib.parse import urljoin, urlsplit

from fairbench.data.checksums import CHUNK, one_line

TIMEOUT = (3, 30)  # seconds to connect, seconds between two chunks
REDIRECTS = 10
# What trying again at once cannot mend: refused, no such host, no answer in time, no trust.
HOPELESS = (ConnectionRefusedError, socket.gaierror, socket.timeout, ssl.SSLError)


class RefusedError(Exception):
    """A source will not serve the file; the message is one line."""


class BusyError(Exception):
    """A server cannot serve the file at the moment; the message is one line."""


class DownError(Exception):
    """A host does not serve; the message is one line."""

    def __init__(self, reason: str, hopeless: bool) -> None:
        """Say why, and whether it is of no use to ask again."""
        super().__init__(reason)
        self.hopeless = hopeless


def host_of(url: str) -> str:
    """Return the host of an address.

    Raises:
        RefusedError: the address is malformed, or not a web address.
    """
    said = one_line(url)[:200]
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        raise RefusedError(f"{said}: is not a valid address ({one_line(str(error))[:200]})") from None
    if scheme not in ("http", "https"):
        raise RefusedError(f"{said}: only http and https addresses are supported")
    if not host or port == 0:
        wrong = "no server has port 0" if host else "it names no host"
        raise RefusedError(f"{said}: is not a valid address ({wrong})")
    return one_line(parts.netloc.rpartition("@")[2])


def get(url: str, write: Callable[[bytes], object]) -> None:
    """Write what an address serves, as it is stored there.

    Raises:
        RefusedError: it will not serve the file, now or later.
        BusyError: it may serve the file later.
    """
    import requests

    asked = one_line(url)[:200]
    # Some servers declare a .gz a transfer encoding: to unpack it would change the file, and might fill the memory.
    headers = {"Accept-Encoding": "identity"}
    with requests.Session() as session:
        for _ in range(REDIRECTS):
            with session.get(url, stream=True, timeout=TIMEOUT, headers=headers, allow_redirects=False) as response:
                location = session.get_redirect_target(response)
                if location:  # followed here: requests would read whatever comes with it into the memory
                    url = _next(url, location, asked)
                    continue
                status = response.status_code
                if status != 200:
                    said = f"{asked}: HTTP {status} {one_line(str(response.reason or ''))[:200]}".rstrip()
                    raise BusyError(said) if status >= 500 or status == 429 else RefusedError(said)
                size = 0
                # read, not stream: urllib3's own reader of chunks takes a line of any length for a chunk's size
                while chunk := response.raw.read(CHUNK, decode_content=False):
                    size += len(chunk)
                    write(chunk)
                length = response.headers.get("Content-Length", "")
                if length.isdigit() and length != str(size):
                    raise ConnectionError("the connection was closed before the end of the file")
                return
    raise RefusedError(f"{asked}: redirects more than {REDIRECTS} times")


def _next(url: str, location: str, asked: str) -> str:
    try:
        url = urljoin(url, location)
        host_of(url)
    except (RefusedError, ValueError) as reason:
        raise RefusedError(f"{asked}: redirects to {one_line(str(reason))[:400]}") from None
    return url


def in_words(error: BaseException, host: str, url: str) -> BaseException:
    """Return an error of the network as one of the three above, and any other one as it is."""
    if isinstance(error, (RefusedError, BusyError)) or not isinstance(error, Exception):
        return error
    causes = list(_chain(error))
    hopeless = any(isinstance(cause, HOPELESS) for cause in causes)
    if isinstance(error, ValueError) and not hopeless:  # requests' word for addresses and headers that make no sense
        return RefusedError(f"{one_line(url)[:200]}: cannot be requested ({one_line(str(error))[:200]})")
    return DownError(f"{host}: {_words(causes)}", hopeless)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it: requests wraps urllib3, which wraps the socket's error."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(causes: Sequence[BaseException]) -> str:
    """Return in a few words why a host did not serve, from the socket's error nearest to it."""
    if any(isinstance(cause, socket.timeout) for cause in causes):
        return f"no answer within {TIMEOUT[0]} s (to connect) or {TIMEOUT[1]} s (to send)"
    cause = [cause for cause in causes if isinstance(cause, OSError)][-1:] or causes[-1:]
    said = getattr(cause[0], "strerror", None) or str(cause[0]) or type(cause[0]).__name__
    return one_line(" ".join(str(said).split()))[:200]
