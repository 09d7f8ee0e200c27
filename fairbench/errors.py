"""The errors that fairbench raises on purpose; each message says what, where, the value seen and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FairbenchError(Exception):
    """A mistake that a user can correct: shown as one line, exit status 2."""


class DataError(FairbenchError):
    """A dataset or one of its raw files is not as required."""


class SuiteError(FairbenchError):
    """A suite file, a parameter or a choice on the command line is malformed."""


class PaperError(FairbenchError):
    """A paper's directory is malformed: its published numbers, its suites or how it is rerun."""


class PluginError(FairbenchError):
    """A plugin that was requested by name cannot be used."""


class StoreError(FairbenchError):
    """A run directory cannot be read or written."""


class Unstorable(FairbenchError):
    """What a cell returned cannot be stored; only that cell fails."""


class UnknownName(FairbenchError):
    """No component has the requested name."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        """Build the message from the kind of component, the name seen and the existing names."""
        known = sorted(known)
        super().__init__(f"no {kind} is named {name!r}{did_you_mean(name, known)}{hint}")
        self.kind, self.name, self.known = kind, name, known


class NotApplicable(FairbenchError):
    """A method or dataset cannot serve this cell; the cell is skipped with the reason.

    Raised while a plugin is imported, e.g. because of a library's version, it makes the plugin unavailable.
    """


class CannotExport(FairbenchError):
    """A fitted model cannot be written to files, or what is in the files is no such model."""


class GroupWithheld(FairbenchError):
    """A method asked for the group of rows where it has not declared that it uses it; its cell fails."""


class Undefined(FairbenchError):
    """A metric has no value here; it is stored as null with the reason, never as 0."""


LONGEST = 10_000  # characters of one message


def printable(text: str, longest: int = 0) -> str:
    """Return a text that cannot control a terminal: control characters and lone surrogates are spelled out.

    Args:
        text: text from outside: a name, a path, an error message of other code. Its line ends are kept.
        longest: characters to keep; the middle of a longer text is left out.
    """
    if longest and len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} [... {len(text) - 2 * half} characters left out ...] {text[-half:]}"
    if text.replace("\n", "").isprintable():
        return text
    shown = (letter if letter == "\n" or letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return "".join(shown)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known name, whatever the case of its letters, or nothing."""
    others = {other.lower(): other for other in known if other != name}
    close = difflib.get_close_matches(name[:100].lower(), others, n=1, cutoff=0.65)
    return f"; did you mean {others[close[0]]!r}?" if close else ""
