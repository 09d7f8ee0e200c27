"""Standard streams that are closed, and a standard output that cannot be written, such as to a full disk."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class OutputError(OSError):
    """Standard output cannot be written; its message is for users."""


class _Output(io.FileIO):
    """A descriptor whose errors say that they are those of the output, and not of some other file."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:  # its reader has seen enough
            raise
        except OSError as error:
            advice = "make room, or send it elsewhere"
            raise OutputError(error.errno, f"the output cannot be written: {error.strerror}; {advice}") from error


def open_closed_streams() -> None:
    """Let the null device stand for each standard stream that is closed, so that no other file gets its descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  # open for as long as the process is
            os.set_inheritable(stream.fileno(), True)  # as standard streams are
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def name_output_errors() -> None:
    """Let writing to standard output, if it is a descriptor's, raise ``OutputError`` where it fails."""
    stream = sys.stdout
    buffer = stream.buffer if isinstance(stream, io.TextIOWrapper) else None
    if type(getattr(buffer, "raw", buffer)) is not io.FileIO:  # python -u has no buffer in between
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=bool(stream.line_buffering),
    )


def drop_output() -> None:
    """Send to nowhere what standard output still holds: Python writes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
