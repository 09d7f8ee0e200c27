"""Plain text for a terminal: what every report that prints shares."""

from __future__ import annotations

import io
import re
import shutil
import textwrap
from collections.abc import Sequence
from typing import cast

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from fairbench_reports._quick import QuickTable, layout_of
from fairbench_reports._table import ALIKE, MethodRow, Section

WIDTH, NARROWEST = 100, 40


def new_console() -> Console:
    """Return a console without colour that keeps what is printed, as wide as the terminal (100 columns without one)."""
    width = max(shutil.get_terminal_size((WIDTH, 24)).columns, NARROWEST)
    return Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        force_terminal=False,
        legacy_windows=False,
        force_jupyter=False,
    )


def printed(console: Console) -> str:
    """Return what was printed, without blanks at the ends of lines and without two empty lines in a row."""
    lines = cast(io.StringIO, console.file).getvalue().splitlines()
    blank_twice = (not above and not line for above, line in zip(["", *lines], map(str.strip, lines)))
    return "\n".join(line.rstrip() for line, skip in zip(lines, blank_twice) if not skip)


def print_head(console: Console, section: Section) -> None:
    """Print the title and the setting of a section."""
    console.print(Text(section.title))
    console.print(Text(section.setting))
    console.print()


def print_lines(console: Console, lines: Sequence[str]) -> None:
    """Print sentences, each folded to the width."""
    for line in lines:
        folded = textwrap.wrap(line, console.width, subsequent_indent="  ", break_on_hyphens=False)
        console.print(Text("\n".join(folded)))


def width_of(table: Table) -> int:
    """Return how many columns a table takes if nothing is folded."""
    layout = layout_of(table)
    if layout is not None:
        return layout.width
    roomy = Console(file=io.StringIO(), width=10_000, color_system=None)
    return Measurement.get(roomy, roomy.options, table).maximum


def print_table(console: Console, table: Table) -> None:
    """Print a table; if numbers or words would be cut, as wide as where there is no terminal."""
    roomy = Console(file=io.StringIO(), width=10_000, color_system=None)
    least = 0
    for column in table.columns:
        sizes = [Measurement.get(roomy, roomy.options, each) for each in (column.header, *column.cells)]
        least += 2 + max(size.maximum if column.no_wrap else size.minimum for size in sizes)
    width = console.width
    if least > width:
        console.width = max(width, min(width_of(table), max(least, WIDTH)))
    console.print(table)
    console.width = width


def new_table(gap: int, texts: Sequence[str], numbers: Sequence[str], label_width: int | None = None) -> Table:
    """Return a table of columns with text, which fold, and columns with numbers; headings end on one line."""
    table = QuickTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0), pad_edge=False)
    height = max(heading.count("\n") for heading in [*texts, *numbers])
    for heading in texts:
        table.add_column("\n" * height + heading, overflow="fold", max_width=label_width)
    for heading in numbers:
        table.add_column(Text("\n" * (height - heading.count("\n")) + heading), justify="right", no_wrap=True)
    return table


def shown_label(row: MethodRow) -> str:
    """Return a method's label, which can be folded at a parameter, with the sign of one that decides alike."""
    return row.label.replace(",", ", ") + (f" {ALIKE}" if row.constant else "")  # so that it folds at a parameter


def fold(label: str, width: int) -> str:
    """Return a label on lines of at most ``width`` letters, broken after a blank, an underscore or a bracket."""
    lines, line = [], ""
    for piece in re.findall(r"[^\s_\[=]*[\s_\[=]?", label):
        if line and len((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while len(line.rstrip()) > width:
            lines.append(line[:width])
            line = line[width:]
    return "\n".join([*lines, line.rstrip()])
