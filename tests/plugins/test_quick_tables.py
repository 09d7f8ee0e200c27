"""Tables that are written line by line are those of rich."""

import pytest
from fairbench_reports._plain import new_console, printed, width_of
from fairbench_reports._quick import QuickTable, layout_of
from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PARTS = st.text(alphabet="aé字 ±.-†*\n[]:/", max_size=9)


@st.composite
def tables(draw):
    """Return the arguments of a table: gap, headings, justification, widest labels, rows."""
    count = draw(st.integers(1, 4))
    columns = [draw(st.tuples(PARTS, st.booleans(), st.sampled_from([None, 3]))) for _ in range(count)]
    rows = draw(st.lists(st.tuples(*[PARTS] * count), max_size=4))
    return draw(st.integers(0, 2)), columns, rows


def made(kind, gap, columns, rows):
    """Return a table of a class, laid out as reports do."""
    table = kind(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap, 0, 0), pad_edge=False)
    for heading, number, widest in columns:
        if number:
            table.add_column(Text(heading), justify="right", no_wrap=True)
        else:
            table.add_column(Text(heading), overflow="fold", max_width=widest)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def text_of(table):
    console = new_console()
    console.print(table)
    return printed(console)


@given(table=tables())
def test_lines_and_width_are_those_of_rich(table):
    quick, slow = (made(kind, *table) for kind in (QuickTable, Table))
    assert text_of(quick) == text_of(slow)
    roomy = Console(width=10_000, color_system=None)
    assert width_of(quick) == Measurement.get(roomy, roomy.options, slow).maximum


def test_markup_and_controls_are_left_to_rich():
    for heading in ("[bold]x", ":smile:", "a\x1bb"):
        table = QuickTable(box=box.SIMPLE_HEAD)
        table.add_column(heading)
        assert layout_of(table) is None


def test_table_that_fits_is_not_left_to_rich(monkeypatch):
    table = made(QuickTable, 1, [("method", False, None), ("acc.", True, None)], [("mlp", "0.5"), ("other", "0.25")])
    monkeypatch.setattr(Table, "__rich_console__", lambda *_: pytest.fail("rich was asked"))
    assert text_of(table).splitlines() == ["method  acc.", "────────────", "mlp      0.5", "other   0.25"]
