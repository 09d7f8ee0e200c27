"""Names, reasons, notes and tracebacks from anywhere, formatted for Markdown, a spreadsheet or one line."""

from __future__ import annotations

import html
import re
from typing import Any


def escape_markdown(text: str) -> str:
    """Return the text on one line, with all Markdown and HTML markup escaped."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return re.sub(r"([\\`*_|\[\]~#$])", r"\\\1", html.escape(flat, quote=False))


def without_nul(cell: Any) -> Any:
    """Return a cell of a CSV file without NUL characters, which many programs cannot read, nor older Pythons write."""
    return cell.replace("\0", "\ufffd") if isinstance(cell, str) and "\0" in cell else cell


def without_formula(cell: Any) -> Any:
    """Return a cell of a CSV file that a spreadsheet runs no formula from: an apostrophe stands before such a text.

    Numbers, of whatever sign, and all other values are unchanged.
    """
    runs = ("=", "+", "-", "@", "\t", "\r", "\n")
    cell = without_nul(cell)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(runs) else cell


def counted(number: int, noun: str) -> str:
    """Return a ``number`` of things named by a ``noun``: ``1 cell`` or ``3 cells``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def last_line(text: str) -> str:
    """Return the last line that is not blank (of a traceback: the error and its message), or an empty text."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1]
