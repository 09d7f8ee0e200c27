"""Names, reasons, notes and tracebacks from anywhere, formatted for Markdown or for one line."""

from __future__ import annotations

import html
import re


def escape_markdown(text: str) -> str:
    """Return the text on one line, with all Markdown and HTML markup escaped."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return re.sub(r"([\\`*_|\[\]~#$])", r"\\\1", html.escape(flat, quote=False))


def counted(number: int, noun: str) -> str:
    """Return a ``number`` of things named by a ``noun``: ``1 cell`` or ``3 cells``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def last_line(text: str) -> str:
    """Return the last line that is not blank (of a traceback: the error and its message), or an empty text."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1]
