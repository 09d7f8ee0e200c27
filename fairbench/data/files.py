"""Raw data files: found, downloaded and verified, so that a pinned digest stands behind every number.

A file is looked for in ``--data-dir``, in the folder that ``FAIRBENCH_DATA`` names and in the user's cache, and is then
downloaded into the cache. It is verified wherever it comes from. ``FAIRBENCH_CACHE`` moves the cache.
"""

from __future__ import annotations

import os
import queue
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Union

from fairbench.data.checksums import digests, one_line, origin, place_in, put_aside, sha256
from fairbench.data.downloads import DownloadProgress, Network
from fairbench.errors import DataError, NotApplicable
from fairbench.system.cache import cache_directory

if TYPE_CHECKING:
    from fairbench.data.sources import DataFile

DATA_DIR, DATA_VARIABLE, CACHE = "--data-dir", "FAIRBENCH_DATA", "the cache"
SIDE_BY_SIDE = 8

Fetched = Union[dict[str, Path], NotApplicable, DataError]


class Copy(NamedTuple):
    """A file found in one of the places: the place, the path and the digest."""

    place: str
    path: Path
    sha256: str

    @property
    def origin(self) -> str:
        """Where it came from, if known: the place, or what was recorded when it was put into the cache."""
        return (self.place == CACHE and origin(self.path)) or self.place


def cache_dir() -> Path:
    """Return the folder that downloads are kept in; it need not exist."""
    return cache_directory() / "data"


@dataclass(frozen=True)
class DataSource:
    """Where raw files come from; plain data, so that worker processes find what their parent found.

    Args:
        data_dir: the user's folder (``--data-dir``), searched first.
        offline: whether downloads are forbidden.
        plugins: local plugin files, which commands in messages must name too.
    """

    data_dir: Path | None = None
    offline: bool = False
    plugins: tuple[str, ...] = ()

    def places(self) -> list[tuple[str, Path]]:
        """Return the folders that are looked through, in order, each with its name for messages."""
        named = [(DATA_DIR, self.data_dir), (DATA_VARIABLE, os.environ.get("FAIRBENCH_DATA"))]
        return [*((place, Path(folder)) for place, folder in named if folder), (CACHE, cache_dir())]

    def copies(self, file: DataFile) -> Iterator[Copy]:
        """Yield every copy of a file, sound or damaged, in the order of the places; nothing is moved.

        Raises:
            DataError: the file's path leads out of a data folder, or a copy cannot be read.
        """
        for place, folder in self.places():
            path = place_in(folder, file)
            try:
                if path.is_file():
                    yield Copy(place, path, sha256(path))
            except OSError as error:
                said = f"{path}: cannot be read ({error.strerror}); correct its permissions"
                raise DataError(one_line(said)) from error

    def find(self, file: DataFile, dataset: str = "NAME") -> Path:
        """Return the path of a sound copy, without a download; ``dataset`` is for the message.

        Raises:
            DataError: a copy in the user's own folder is damaged.
            NotApplicable: there is no sound copy; the reason names every place that was searched.
        """
        reasons: list[str] = []
        path = self._look(file, reasons)
        if path is None:
            raise NotApplicable(self._absent(file, dataset, reasons))
        return path

    def fetch(self, file: DataFile, progress: DownloadProgress | None = None, dataset: str = "NAME") -> Path:
        """Return the path of a sound copy, after a download to the cache if there was none.

        Raises:
            DataError: a copy in the user's own folder is damaged.
            NotApplicable: no source has the file; the reason says what each source answered.
        """
        outcome = fetch_all({dataset: [file]}, self, progress)[dataset]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome[file.path]

    def command(self, verb: str, dataset: str) -> str:
        """Return a command on a dataset's files as a user would type it."""
        words = ["fairbench", "data", verb, dataset]
        for plugin in self.plugins:
            words += ["--plugin", plugin]
        return f"'{shlex.join(words)}'"

    def _look(self, file: DataFile, reasons: list[str]) -> Path | None:
        for copy in self.copies(file):
            if copy.sha256 == file.sha256:
                return copy.path
            if copy.place != CACHE:
                said = f"{copy.path}: {digests(copy.sha256, file)}; the file is damaged or another version"
                raise DataError(one_line(f"{said}: replace or remove it"))
            reasons.append(put_aside(copy.path, copy.path, copy.sha256, file))
        return None

    def _fetch(self, file: DataFile, dataset: str, network: Network) -> Path:
        reasons: list[str] = []
        path = self._look(file, reasons)
        if path is None and not file.obtain:
            if self.offline:
                reasons.append("offline, so nothing was downloaded")
            else:
                path = network.download(file, cache_dir(), reasons)
        if path is None:
            raise NotApplicable(self._absent(file, dataset, reasons, tried=not self.offline))
        return path

    def _absent(self, file: DataFile, dataset: str, reasons: Sequence[str], *, tried: bool = False) -> str:
        looked = ", ".join(f"{folder} ({place})" for place, folder in self.places())
        said = "; ".join(dict.fromkeys(reasons))  # two addresses of one dead host say the same
        advice = file.obtain or ("" if tried else f"get it with {self.command('fetch', dataset)}, ") + (
            f"put it where {self.command('path', dataset)} says, or name its folder with --data-dir or FAIRBENCH_DATA"
        )
        return one_line(f"{file.path}: not found in {looked}{'; ' if said else ''}{said}; {advice}")


def fetch_all(
    files_by_dataset: Mapping[str, Sequence[DataFile]], source: DataSource, progress: DownloadProgress | None = None
) -> dict[str, Fetched]:
    """Find or download the files of many datasets in parallel; a host that does not answer is tried only once.

    Args:
        files_by_dataset: the files of each dataset, by the dataset's name, with its ``[parameters]`` if it has any.
        source: where to look, and whether to download.
        progress: called from several threads as bytes arrive.

    Returns:
        For each dataset, in the order given, its paths by ``DataFile.path``; or a ``NotApplicable`` if a file cannot be
        obtained; or a ``DataError`` if a copy in the user's own folder is damaged.
    """
    network = Network(progress)
    wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
    outcomes: queue.SimpleQueue[tuple[str, Fetched | BaseException]] = queue.SimpleQueue()
    for name in files_by_dataset:
        wanted.put(name)

    def work() -> None:
        while not network.stopped.is_set():
            try:
                name = wanted.get_nowait()
            except queue.Empty:
                return
            try:
                outcomes.put((name, {file.path: source._fetch(file, name, network) for file in files_by_dataset[name]}))
            except BaseException as error:  # a reason, or what is raised below
                outcomes.put((name, error))

    try:
        # Daemons, so that Ctrl-C need not wait until a server or a name server answers.
        for _ in range(min(SIDE_BY_SIDE, len(files_by_dataset))):
            threading.Thread(target=work, name="fairbench-fetch", daemon=True).start()
        fetched: dict[str, Fetched] = {}
        while len(fetched) < len(files_by_dataset):
            name, outcome = outcomes.get()
            if isinstance(outcome, BaseException) and not isinstance(outcome, (NotApplicable, DataError)):
                raise outcome
            fetched[name] = outcome
        return {name: fetched[name] for name in files_by_dataset}
    finally:
        network.stop()
