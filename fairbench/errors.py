"""The errors that fairbench raises on purpose; each message says what, where, the value seen and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FairbenchError(Exception):
    """Anything that a user can mend: shown as one line, exit status 2."""


class DataError(FairbenchError):
    """A dataset or its raw file is not what it must be."""


class SuiteError(FairbenchError):
    """A suite file, a parameter or a choice on the command line is malformed."""


class PaperError(FairbenchError):
    """A paper's directory is malformed: its published numbers, its suites or how it is run again."""


class PluginError(FairbenchError):
    """A plugin that was asked for by name cannot be used."""


class StoreError(FairbenchError):
    """A run directory cannot be read or written."""


class Unstorable(FairbenchError):
    """What a cell returned cannot be stored; only that cell fails."""


class UnknownName(FairbenchError):
    """No component has the name that was asked for."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        """Build the message from the kind of thing, the name seen and the names there are."""
        known = sorted(known)
        super().__init__(f"no {kind} is named {name!r}{did_you_mean(name, known)}{hint}")
        self.kind, self.name, self.known = kind, name, known


class NotApplicable(FairbenchError):
    """A method or dataset cannot serve this cell; the cell is skipped with the reason."""


class Undefined(FairbenchError):
    """A metric has no value here; it is stored as null with the reason, never as 0."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
