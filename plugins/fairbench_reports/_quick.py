"""A table of a large run, printed quickly: where nothing has to be folded, no library has to look at every cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Layout:
    """How a table is laid out where there is room.

    Args:
        cells: by column the lines of each cell, the heading first.
        widths: of the columns, with the blanks behind each.
        folded: whether a cell is wider than its column may be.
    """

    cells: list[list[list[str]]]
    widths: list[int]
    folded: bool

    @property
    def width(self) -> int:
        """Return the width of the table, with a blank between two columns."""
        return sum(self.widths) + len(self.widths) - 1


class QuickTable(Table):
    """A table that is written line by line where nothing has to be folded, and is otherwise what rich makes of it.

    Either way the lines are the same, but for blanks at their ends.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the table."""
        layout = layout_of(self)
        if layout is None or layout.folded or layout.width > options.max_width or self.box is None:
            yield from super().__rich_console__(console, options)
            return
        for number, row in enumerate(zip(*layout.cells)):
            for line in self._row(row, layout.widths, below=not number):
                yield Segment(line)
                yield Segment.line()
            if not number:
                yield Segment(self.box.get_row(layout.widths, "head", edge=False))
                yield Segment.line()

    def _row(self, row: tuple[list[str], ...], widths: list[int], *, below: bool) -> Iterator[str]:
        """Yield the lines of a row; cells with fewer lines have theirs at the top, or ``below``."""
        height = max(map(len, row))
        padded = [[""] * (height - len(cell)) + cell if below else cell + [""] * (height - len(cell)) for cell in row]
        behind = self.padding[1]
        for place in range(height):
            parts = []
            for column, cell, width in zip(self.columns, padded, widths):
                line, gap = cell[place], 0 if column is self.columns[-1] else behind
                if column.justify == "right":
                    line = line.rstrip()
                    parts.append(" " * (width - gap - cell_len(line)) + line + " " * gap)
                else:
                    parts.append(line + " " * (width - cell_len(line)))
            yield " ".join(parts)


def layout_of(table: Table) -> Optional[Layout]:
    """Return the layout of a table that ``new_table`` made; None if only rich can tell what a cell looks like."""
    cells = [[_lines(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    known = [[cell for cell in column if cell is not None] for column in cells]
    if not known or any(len(column) < len(every) for column, every in zip(known, cells)):
        return None
    natural = [max(max(map(cell_len, lines)) for lines in column) for column in known]
    if not all(natural):
        return None
    most = [column.max_width for column in table.columns]
    widths = [width if limit is None else min(width, limit) for width, limit in zip(natural, most)]
    spaced = [width + table.padding[1] for width in widths[:-1]] + widths[-1:]
    return Layout(known, spaced, widths != natural)


def _lines(cell: Any) -> Optional[list[str]]:
    """Return the lines of a plain text; None for what may be marked up or steers a terminal."""
    if isinstance(cell, Text):
        text = cell.plain
    elif isinstance(cell, str) and "[" not in cell and ":" not in cell:
        text = cell
    else:
        return None
    lines = text.split("\n")
    return lines if all(line.isprintable() for line in lines) else None
