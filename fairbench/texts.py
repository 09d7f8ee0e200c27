"""Text for Markdown files, whatever names, reasons and notes hold."""

from __future__ import annotations

import html
import re


def escape_markdown(text: str) -> str:
    """Return the text on one line, with what Markdown or HTML would read as more than text made harmless."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return re.sub(r"([\\`*_|\[\]~#$])", r"\\\1", html.escape(flat, quote=False))


def counted(number: int, noun: str) -> str:
    """Return ``1 cell`` or ``3 cells``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
