"""Names, reasons, notes and tracebacks from anywhere, formatted for Markdown, a spreadsheet or one line."""

from __future__ import annotations

import html
import re
from itertools import dropwhile
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


_TRACEBACK = re.compile(r"([ |+]*)(Exception Group )?Traceback \(most recent call last\):$")


def error_line(reason: str) -> str:
    """Return the ``reason`` of a failure on one line: of a traceback the error with its message, without its place.

    Of a message of several lines this is the first, or the first two if the first one announces the second (it ends
    with a colon); an ellipsis stands for those left out. It is an empty text if there is none.
    """
    lines = reason.splitlines()
    heads = [(place, head) for place, head in enumerate(map(_TRACEBACK.match, lines)) if head]
    if heads:
        place, head = next((found for found in heads if found[1][2]), heads[-1])  # a group, or the last of a chain
        margin = head[1].replace("+", "|")
        below = [line[len(margin) :] if line.startswith(margin) else line for line in lines[place + 1 :]]
        lines = list(dropwhile(lambda line: not line.strip() or line.startswith(" "), below))
    told = [line.strip() for line in lines if line.strip()] or [last_line(reason)]
    shown = told[:2] if told[0].endswith(":") else told[:1]
    return " ".join(shown + (["…"] if told[len(shown) :] else []))


def last_line(text: str) -> str:
    """Return the last line that is not blank, or an empty text."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1]
