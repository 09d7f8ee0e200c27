"""An empty cache for each test, and a server on this machine; no test reaches any other host."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from fairbench.data import downloads

sys.path.append(str(Path(__file__).parent))  # the tests are imported by path, which leaves their folder out


@pytest.fixture
def server():
    """Give a server that answers as the test says."""
    from file_helpers import Server

    server = Server()
    yield server
    server.ended.set()
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def refusing_port():
    """Give a port of this machine at which nobody listens, and which nobody else gets."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Give each test an empty cache and folder of its own, and no pause between attempts."""
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(downloads, "PAUSE", 0.01)
    return tmp_path
