"""Who gains and who loses: what each method changes for each group against the baseline, as rows of one table."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import Results, Undefined
from fairbench.api.analysis import Change, StoredRows, baseline_of, harm_between
from fairbench_reports._entries import clean
from fairbench_reports._table import Section, number
from fairbench_reports.harm import SHOWN, baseline_label, compared_rows, in_words, intervals, notes_on, shown_change

BLANK = "\0"  # in a sentence, where the method's name belongs
HEADINGS = tuple(SHOWN.values())


@dataclass(frozen=True)
class Moved:
    """A change in people per 100: its text with the interval, and ``rose``, ``fell`` or ``open``."""

    text: str
    look: str


@dataclass(frozen=True)
class HarmRow:
    """What a method changes for a group: ``rows`` are its people per repeat, ``moved`` has a change by heading."""

    method: str
    group: str
    rows: str
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class HarmTable:
    """What the methods of a section change.

    Args:
        baseline: label of the method that they are compared with, and why it is that; empty if there is none.
        why: why that is the baseline, or why there is none.
        rows: of all methods.
        words: methods, and the sentence that says it of them.
        notes: by method what else must be known.
        told: what the intervals are, and which methods are not compared.
    """

    baseline: str
    why: str
    rows: tuple[HarmRow, ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    told: tuple[str, ...] = ()


def harm_table(section: Section, results: Results, stored: StoredRows) -> HarmTable:
    """Return what the methods of a section change against its baseline.

    Raises:
        StoreError: the run's store is damaged.
    """
    baseline = baseline_of([record for row in section.rows for record in row.records], results)
    if not baseline.records:
        return HarmTable("", clean(baseline.why))
    label = baseline_label(section, baseline)
    rows: list[HarmRow] = []
    words: dict[str, list[str]] = {}  # methods by the sentence that holds for them
    notes, told = [], []
    for row in compared_rows(section, baseline, results):
        try:
            found = harm_between(stored, baseline.records, row.records)
        except Undefined as reason:
            told.append(clean(f"{row.label} is not compared: {reason}"))
            continue
        for place, group in enumerate(found.groups):
            served = [found.served[what][place] for what in SHOWN]
            people = sum(served[0].rows) / max(len(served[0].rows), 1)
            moved = tuple(_moved(each.change) for each in served)
            rows.append(HarmRow(row.label, clean(group), number(people, 0), moved))
        sentence = in_words(BLANK, label, found).partition(": ")[2]  # without "In words"
        words.setdefault(sentence[:1].upper() + sentence[1:], []).append(row.label)
        notes.append((row.label, tuple(notes_on(found))))
        told += intervals(found, baseline)
    said = [(", ".join(methods), text.replace(BLANK, " or ".join(methods))) for text, methods in words.items()]
    return HarmTable(label, clean(baseline.why), tuple(rows), tuple(said), tuple(notes), tuple(dict.fromkeys(told)))


def _moved(change: Change | None) -> Moved:
    if change is None:
        return Moved("-", "open")
    value, interval = shown_change(change)
    text = value if interval == "-" else f"{value} ({interval})"
    return Moved(text, "rose" if change.rose else "fell" if change.fell else "open")
