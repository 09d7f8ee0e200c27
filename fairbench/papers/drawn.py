"""What figures were made, and why others were not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A figure as files: ``stem``.png and ``stem``.svg, with a caption and perhaps a table."""

    figure: str
    protocol: str
    title: str
    caption: str
    stem: str
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Drawn:
    """All figures of a reproduction.

    Args:
        pictures: those that were made.
        left_out: a sentence for each that was not.
        seconds: the time that fitting and explaining models took, now or when the explanations were stored.
    """

    pictures: tuple[Picture, ...] = ()
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0
