"""The file of a store: how it is opened to read or to write, and what trouble with it is called."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from pathlib import Path

from fairbench.data.checksums import one_line
from fairbench.errors import StoreError
from fairbench.running.hotcopy import copied

SOUND = (
    "put back a sound copy of the file, or run again with a new --out; 'fairbench store salvage RUN --out NEW' saves "
    "what is sound"
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors while writing into one sentence that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "readonly" in str(error) and not path.exists():
            gone = f"{path} was removed while it was written to, and what was in it is lost"
            raise StoreError(f"{gone}; run the same command again, and leave the run directory alone") from error
        advice = {
            "full": "free some space and run the same command again",
            "readonly": "choose another run directory with --out",
            "unable to open": "choose another run directory with --out",
            "locked": "another run is writing to it; wait for it, or choose another with --out",
        }
        words = next(
            (text for sign, text in advice.items() if sign in str(error)), "free some space or choose another --out"
        )
        raise StoreError(
            f"{path} cannot be written: {one_line(str(error))}; finished cells are kept; {words}"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error}; finished cells are kept; free some space or choose another --out"
        ) from error
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is not a fairbench store or is damaged: {one_line(str(error))}; {SOUND}") from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn any error that a damaged file causes into one sentence."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    except Exception as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise StoreError(f"{path} cannot be read: another run is writing to it; try again") from error
        raise StoreError(f"{path} is not a fairbench store or is damaged: {one_line(str(error))}; {SOUND}") from error


def connected(path: Path, mode: str, cleaning: ExitStack) -> sqlite3.Connection:
    """Return a connection to a file, which ``cleaning`` closes; ``mode`` is SQLite's: ``ro``, ``rw`` or ``rwc``."""
    uri, timeout = f"{path.absolute().as_uri()}?mode={mode}", 1 if mode == "ro" else 60  # s; a reader can copy the file
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout)
    cleaning.callback(connection.close)
    return connection


def reader(path: Path, cleaning: ExitStack) -> sqlite3.Connection:
    """Return a connection that only reads, which ``cleaning`` closes.

    A run that was killed may have left a journal, which SQLite plays back before anybody reads, and a writer may hold
    the file for long; then a copy is read, so that the run's directory need not be writable.
    """
    try:
        connection = connected(path, "ro", cleaning)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("PRAGMA busy_timeout = 10000")  # ms; whoever writes now will soon be done
    except sqlite3.OperationalError:
        connection = connected(cleaning.enter_context(copied(path)), "rw", cleaning)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def recognised(path: Path, connection: sqlite3.Connection, schemas: Mapping[int, str]) -> int:
    """Return the format of a store; ``schemas`` are the statements that make the tables of each format.

    Raises:
        StoreError: the format is another one, or its tables are not there.
    """
    ((seen,),) = connection.execute("PRAGMA user_version")
    tables, latest = _tables(connection), max(schemas)
    if seen == 0 and not tables:
        raise StoreError(f"{path} holds nothing yet; its run has only just begun")
    if seen > latest:
        raise StoreError(f"{path} has format {seen}, this fairbench reads format {latest} and older; run it again")
    if seen not in schemas or not tables >= _tables_of(schemas[seen]):
        raise StoreError(f"{path} is not a fairbench store or is damaged: its tables are different; {SOUND}")
    return int(seen)


def _tables(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


@lru_cache(maxsize=8)
def _tables_of(statements: str) -> frozenset[tuple[str, ...]]:
    """Return what ``_tables`` says of a sound store."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(statements)
        return frozenset(_tables(connection))
