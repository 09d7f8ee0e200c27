"""A server that errs on purpose, and raw files to ask it for; the tests beside import this by its name."""

from __future__ import annotations

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fairbench.data.files import cache_dir
from fairbench.data.sources import DataFile

GOOD = b"age,sex\n39,Male\n" * 10_000
BAD = b"<html>sign in to the airport's network</html>"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server:
    """Serves ``answers[path]``: bytes, a status, or a function of (handler, number of the request for the path).

    A function that keeps its client waiting waits for ``ended``, which is set after the test.
    """

    def __init__(self) -> None:
        self.answers, self.asked, self.ended = {}, [], threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                number = server.asked.count(self.path)
                server.asked.append(self.path)
                answer = server.answers.get(self.path, 404)
                if callable(answer):
                    answer = answer(self, number)
                if isinstance(answer, int):
                    self.send_error(answer)
                elif answer is not None:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # a client that has given up; a later test may look at stderr
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def await_question(self) -> None:
        """Wait until the server has been asked; a client may have given up before."""
        while not self.asked:
            time.sleep(0.01)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"


def adult(*urls: str, content: bytes = GOOD, **fields) -> DataFile:
    return DataFile("adult/adult.data", digest(content), urls, **fields)


def put(folder: Path, content: bytes = GOOD, name: str = "adult/adult.data") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def left_in_cache() -> set[str]:
    """Return the names of the files in the cache, locks and notes aside."""
    return {path.name for path in cache_dir().rglob("*") if path.is_file() and path.suffix not in (".lock", ".origin")}
