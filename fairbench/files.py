"""Raw data files: found, downloaded and verified, so that a pinned digest stands behind every number.

A file is looked for in ``--data-dir``, in the folder that ``FAIRBENCH_DATA`` names and in the user's cache, and is then
downloaded into the cache. It is verified wherever it comes from. ``FAIRBENCH_CACHE`` moves the cache.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from fairbench.errors import DataError, NotApplicable

if TYPE_CHECKING:
    from fairbench.components import Archive, DataFile

DATA_DIR, DATA_VARIABLE, CACHE = "--data-dir", "FAIRBENCH_DATA", "the cache"
TIMEOUT = (3, 30)  # seconds to connect, seconds between two chunks
ATTEMPTS = 3
PAUSE = 0.5  # seconds before the second attempt, twice that before the third
CHUNK = 1 << 16
LARGEST = 1 << 30  # bytes; of a file whose size is not pinned
SIDE_BY_SIDE = 8
# What trying again at once cannot mend: refused, no such host, no answer in time, no trust.
HOPELESS = (ConnectionRefusedError, socket.gaierror, socket.timeout, ssl.SSLError)

Progress = Callable[[str, int, Optional[int]], None]  # path of the file, bytes received, bytes in all where known
Fetched = Union[dict[str, Path], NotApplicable, DataError]

_digests: dict[tuple[str, int, int], str] = {}


class Copy(NamedTuple):
    """A file that lies at one of the places: which place, where, and its digest."""

    place: str
    path: Path
    sha256: str


class _RefusedError(Exception):
    """A source does not give the file; the message is one line."""


class _InterruptedError(Exception):
    """The user has stopped the download."""


class _CacheError(Exception):
    """The cache cannot be written."""


def cache_dir() -> Path:
    """Return the folder that downloads are kept in; it need not exist."""
    root = os.environ.get("FAIRBENCH_CACHE")
    if not root:
        import platformdirs

        root = platformdirs.user_cache_dir("fairbench")
    return Path(root) / "data"


def sha256(path: Path) -> str:
    """Return a file's digest; one that did not change since this process last read it is not read again."""
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
        _digests[key] = digest.hexdigest()
    return _digests[key]


def digests(seen: str, file: DataFile) -> str:
    """Return the digest seen and the digest expected as they stand in messages."""
    return f"sha256 is {seen[:12]}…, expected {file.sha256[:12]}…{f' ({file.doubt})' if file.doubt else ''}"


@dataclass(frozen=True)
class DataSource:
    """Where raw files come from; plain data, so that worker processes find what their parent found.

    Args:
        data_dir: the user's folder (``--data-dir``), asked first.
        offline: whether nothing may be downloaded.
    """

    data_dir: Path | None = None
    offline: bool = False

    def places(self) -> list[tuple[str, Path]]:
        """Return the folders that are looked through, in order, each with its name for messages."""
        named = [(DATA_DIR, self.data_dir), (DATA_VARIABLE, os.environ.get("FAIRBENCH_DATA"))]
        return [*((place, Path(folder)) for place, folder in named if folder), (CACHE, cache_dir())]

    def copies(self, file: DataFile) -> Iterator[Copy]:
        """Yield every copy of a file, sound or damaged, in the order of the places; nothing is moved.

        Raises:
            DataError: the file's path leads out of a data folder, or a copy cannot be read.
        """
        parts = PurePosixPath(file.path)
        if parts.is_absolute() or ".." in parts.parts:
            raise DataError(f"{file.path}: the path of a raw file must lie below a data folder, without '..'")
        for place, folder in self.places():
            path = folder / file.path
            try:
                if path.is_file():
                    yield Copy(place, path, sha256(path))
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}); mend its permissions") from error

    def find(self, file: DataFile) -> Path:
        """Return where a sound copy lies, without a download.

        Raises:
            DataError: a copy in the user's own folder is damaged.
            NotApplicable: there is no sound copy; the reason names every place looked at.
        """
        reasons: list[str] = []
        path = self._look(file, reasons)
        if path is None:
            raise NotApplicable(self._absent(file, reasons))
        return path

    def fetch(self, file: DataFile, progress: Progress | None = None) -> Path:
        """Return where a sound copy lies, after a download into the cache where there was none.

        Raises:
            DataError: a copy in the user's own folder is damaged.
            NotApplicable: the file can be had from nowhere; the reason says what each source answered.
        """
        return self._fetch(file, _Network(progress))

    def _look(self, file: DataFile, reasons: list[str]) -> Path | None:
        for copy in self.copies(file):
            if copy.sha256 == file.sha256:
                return copy.path
            if copy.place != CACHE:
                seen = digests(copy.sha256, file)
                raise DataError(f"{copy.path}: {seen}; the file is damaged or another version: replace or remove it")
            reasons.append(_reject(copy.path, copy.path, copy.sha256, file))
        return None

    def _fetch(self, file: DataFile, network: _Network) -> Path:
        reasons: list[str] = []
        path = self._look(file, reasons)
        if path is None and not file.obtain:
            if self.offline:
                reasons.append("offline, so nothing was downloaded")
            else:
                path = network.download(file, cache_dir(), reasons)
        if path is None:
            raise NotApplicable(self._absent(file, reasons, tried=not self.offline))
        return path

    def _absent(self, file: DataFile, reasons: Sequence[str], *, tried: bool = False) -> str:
        looked = ", ".join(f"{folder} ({place})" for place, folder in self.places())
        said = "; ".join(dict.fromkeys(reasons))  # two addresses of one dead host say the same
        advice = file.obtain or ("" if tried else "get it with 'fairbench data fetch', ") + (
            "put it where 'fairbench data path' says, or name its folder with --data-dir or FAIRBENCH_DATA"
        )
        return f"{file.path}: not found in {looked}{'; ' if said else ''}{said}; {advice}"


def fetch_all(
    files_by_dataset: Mapping[str, Sequence[DataFile]], source: DataSource, progress: Progress | None = None
) -> dict[str, Fetched]:
    """Find or download the files of many datasets side by side; a host that does not answer is asked once.

    Args:
        files_by_dataset: the files of each dataset, by the dataset's name.
        source: where to look, and whether to download.
        progress: called from several threads as bytes arrive.

    Returns:
        For each dataset, in the order given, its paths by ``DataFile.path``; or a ``NotApplicable`` if they cannot be
        had; or a ``DataError`` if a copy in the user's own folder is damaged.
    """
    network = _Network(progress)

    def paths_or_reason(files: Sequence[DataFile]) -> Fetched:
        try:
            return {file.path: source._fetch(file, network) for file in files}
        except (NotApplicable, DataError) as reason:
            return reason

    threads = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="fairbench-fetch")
    try:
        futures = {name: threads.submit(paths_or_reason, files) for name, files in files_by_dataset.items()}
        return {name: future.result() for name, future in futures.items()}
    finally:
        network.interrupted.set()  # after an error or Ctrl-C the other threads stop at their next chunk
        threads.shutdown(wait=False, cancel_futures=True)


class _Network:
    """Downloads, with what was learned about hosts on the way; shared by the threads of one ``fetch_all``."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.interrupted = threading.Event()
        self._dead: dict[str, str] = {}  # host -> why
        self._answered: set[str] = set()
        self._first: dict[str, threading.Lock] = {}  # held by the first to ask a host
        self._lock = threading.Lock()

    def download(self, file: DataFile, cache: Path, reasons: list[str]) -> Path | None:
        """Bring a file into the cache from the first source that has it; else add what each said and return None."""
        from filelock import FileLock

        target = cache / file.path
        sources = [partial(self._from_url, url, file, target) for url in file.urls]
        if file.archive:
            sources.append(partial(self._from_archive, file.archive, file, target, reasons))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{target}.lock"):  # another process may want the same file: the second finds it
                if target.is_file() and sha256(target) == file.sha256:
                    return target
                for source in sources:
                    try:
                        source()
                        return target
                    except _RefusedError as reason:
                        reasons.append(str(reason))
        except (OSError, NotImplementedError, _CacheError) as error:  # filelock: "locks are not implemented here"
            reasons.append(f"{cache} cannot be written ({error}); name another folder with FAIRBENCH_CACHE")
        return None

    def _from_url(self, url: str, file: DataFile, target: Path) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _RefusedError(f"{url}: only http and https addresses are asked")
        host = parts.netloc.rpartition("@")[2]
        with self._turn(host):
            for attempt in range(ATTEMPTS):
                if host in self._dead:
                    raise _RefusedError(self._dead[host])
                self.interrupted.wait(PAUSE * attempt)
                reason = self._attempt(url, host, file, target, last=attempt + 1 == ATTEMPTS)
                if not reason:
                    return
        raise _RefusedError(reason)

    def _attempt(self, url: str, host: str, file: DataFile, target: Path, *, last: bool) -> str:
        """Return nothing if the file has come, or why it did not where another attempt may help."""
        import pooch

        responses: list[Any] = []
        get = pooch.HTTPDownloader(
            chunk_size=CHUNK,
            timeout=TIMEOUT,
            # The bytes as they are stored: some servers declare a .gz a transfer encoding, and it would come unpacked.
            headers={"Accept-Encoding": "identity"},
            hooks={"response": lambda response, **_: responses.append(response)},  # pooch leaves them open
        )
        try:
            self._receive(file, target, lambda sink: get(url, sink, None))
        except OSError as error:  # every error of requests is one; those of the disk are _CacheError
            response = getattr(error, "response", None)
            if response is not None:
                reason = f"{url}: HTTP {response.status_code} {response.reason}"
                if response.status_code < 500 and response.status_code != 429:
                    raise _RefusedError(reason) from None
                return reason
            causes = [cause for cause in _chain(error) if isinstance(cause, OSError)]
            reason = f"{host}: {_words(causes)}"
            if last or any(isinstance(cause, HOPELESS) for cause in causes):
                self._dead[host] = reason
            return reason
        finally:
            for opened in responses:
                opened.close()
            if host not in self._dead:
                self._answered.add(host)
        return ""

    @contextmanager
    def _turn(self, host: str) -> Iterator[None]:
        """Let one thread ask a host and the others wait for what it learns; then all may go."""
        with self._lock:
            first = self._first.setdefault(host, threading.Lock())
        first.acquire()
        if host in self._answered or host in self._dead:
            first.release()
            yield
            return
        try:
            yield
        finally:
            first.release()

    def _from_archive(self, archive: Archive, file: DataFile, target: Path, reasons: list[str]) -> None:
        member, url, digest = archive.member, archive.url, archive.sha256
        whole = replace(file, path=f"archives/{digest}.zip", sha256=digest, urls=(url,), archive=None, bytes=None)
        path = self.download(whole, cache_dir(), reasons)  # kept: the next file may lie in it as well
        if path is None:
            raise _RefusedError(reasons[-1])  # said once: a message leaves repetitions out

        def unpack(sink: _Sink) -> None:
            # Read as a stream: no member, whatever its name, is ever written to a path of its own.
            with zipfile.ZipFile(path) as opened, opened.open(member) as stream:
                for chunk in iter(lambda: stream.read(CHUNK), b""):
                    sink.write(chunk)

        try:
            self._receive(file, target, unpack)
        except KeyError:
            raise _RefusedError(f"{url}: has no member {member!r}") from None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error, EOFError) as error:
            raise _RefusedError(f"{url}: {member!r} cannot be read ({error})") from error

    def _receive(self, file: DataFile, target: Path, fill: Callable[[_Sink], None]) -> None:
        """Let ``fill`` write to a temporary file, and put that in its place if the digest is right."""
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                sink = _Sink(stream, file, self)
                fill(sink)
            seen = sink.digest.hexdigest()
            if seen != file.sha256:
                raise _RefusedError(_reject(part, target, seen, file))
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


class _Sink:
    """What a download is written to: counts, hashes, reports and limits the bytes."""

    def __init__(self, stream: IO[bytes], file: DataFile, network: _Network) -> None:
        self.stream, self.file, self.network = stream, file, network
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        if self.network.interrupted.is_set():
            raise _InterruptedError
        self.size += len(chunk)
        limit = LARGEST if self.file.bytes is None else self.file.bytes
        if self.size > limit:
            raise _RefusedError(f"{self.file.path}: what came is larger than {limit} bytes and was given up")
        self.digest.update(chunk)
        try:
            self.stream.write(chunk)
        except OSError as error:
            raise _CacheError(error.strerror) from error
        if self.network.progress:
            self.network.progress(self.file.path, self.size, self.file.bytes)

    def flush(self) -> None:
        """Do nothing: the stream is flushed when it is closed."""


def _reject(path: Path, target: Path, seen: str, file: DataFile) -> str:
    """Put a damaged file of the cache aside, where its owner can look at it, and return what to say of it."""
    name = PurePosixPath(file.path).name
    kept = target.with_name(f"{target.name}.rejected")
    said = f"{name}: {digests(seen, file)}; the download is damaged or the source changed"
    with suppress(OSError):  # a cache that cannot be written keeps the file where it is, refused all the same
        os.replace(path, kept)
        said += f"; kept as {kept.name}"
    return said


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it: requests wraps urllib3, which wraps the socket's error."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(causes: Sequence[OSError]) -> str:
    """Return in a few words why a host did not serve, from the error nearest to the socket."""
    if any(isinstance(cause, socket.timeout) for cause in causes):
        return f"no answer within {TIMEOUT[0]} s (to connect) or {TIMEOUT[1]} s (to send)"
    said = causes[-1].strerror or str(causes[-1]) or type(causes[-1]).__name__
    return " ".join(str(said).split())[:200]
