"""Two compared runs as text of at most 80 columns, as Markdown, or as plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Optional

from fairbench.analysis.changes import IDENTICAL, NOT_IN, PAIRED_ROWS, Change, Compared, Lost
from fairbench.analysis.compared import compare_runs
from fairbench.analysis.gate import ANY, Gate
from fairbench.analysis.ranks import DIGITS
from fairbench.analysis.wanted import Wanted
from fairbench.errors import printable
from fairbench.records import Results
from fairbench.texts import counted, escape_markdown

if TYPE_CHECKING:
    import pandas

LONGEST = 60  # characters of a fact about a run
WIDTHS = (15, 9, 9, 9, 19, 0)
WIDTH = 80  # columns of a terminal
WORDS = ("metric", "A", "B", "change", "95% interval", "reading")
READING = (
    "Change is B minus A. better, worse, higher and lower: 0 lies outside the change's own 95% interval; * marks those "
    "that Holm's correction ({tested} tested) leaves standing. identical: the same in every repeat that both "
    "have, to 12 decimals."
)


class Shown:
    """Two compared runs: printed, they read as the command prints them; ``frame`` has a row for each value."""

    def __init__(self, compared: Compared) -> None:
        """Take what ``compare_runs`` returned."""
        self.compared = compared

    @property
    def frame(self) -> pandas.DataFrame:
        """Return a row for each value that both runs have: before, after, change, interval, p and reading."""
        import pandas

        return pandas.DataFrame(rows(self.compared))

    def __str__(self) -> str:
        """Return the text that the command prints; what steers a terminal is spelled out."""
        return printable(as_text(self.compared))

    __repr__ = __str__


def compare_shown(first: Results, second: Results, methods: str = "", datasets: str = "", metrics: str = "") -> Shown:
    """Return what ``compare_runs`` finds, ready to be printed; the lists are as users type them, empty for all.

    Args:
        first: the run that is compared with.
        second: the run that is compared.
        methods: those that are compared.
        datasets: likewise.
        metrics: likewise.
    """
    return Shown(compare_runs(first, second, Wanted.of(methods, datasets, metrics)))


def number(value: Optional[float], signed: bool = False) -> str:
    """Return a value with four decimals, or with two digits that count where these would all be 0."""
    if value is None:
        return "-"
    value = round(value, DIGITS)
    sign = "+" if signed else ""
    if value and abs(value) < 0.00005:
        return f"{value:{sign}.1e}"
    return f"{value + 0.0:{sign}.4f}" if abs(value) < 1000 else f"{value:{sign}.6g}"


def _interval(change: Change) -> str:
    found = change.difference
    if change.how == IDENTICAL or found.low is None:
        return "" if change.how == IDENTICAL else "-"
    return f"[{number(found.low, True)}, {number(found.high, True)}]"


def _reading(change: Change) -> str:
    return change.reading + ("*" if change.significant else "")


def _basis(change: Change) -> str:
    """Return how a change was compared, in words."""
    one, other = change.repeats
    over = counted(one, "repeat") if one == other else f"{one} and {counted(other, 'repeat')}"
    how = f"{change.how} ({over})" if change.how != PAIRED_ROWS else change.how
    return f"{how}{f': {change.reason}' if change.reason else ''}"


def as_text(compared: Compared, gate: Optional[Gate] = None, least: Mapping[str, float] = {}) -> str:
    """Return the comparison as text, with what the ``gate`` found at its end, if there is one."""
    return "\n".join(line for text in _text(compared, gate, least) for line in _wrapped(text)) + "\n"


def _wrapped(line: str) -> list[str]:
    """Return a line in pieces of at most 80 columns, the later ones indented; a word or path is never cut."""
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def _text(compared: Compared, gate: Optional[Gate], least: Mapping[str, float]) -> Iterator[str]:
    for letter, name, cells in zip("AB", compared.names, compared.cells):
        yield f"{letter}: {name} ({_cells(cells)})"
    yield ""
    for title, lines in _differences(compared):
        yield title
        yield from (f"  {line}" for line in lines)
        yield ""
    for place, method, changes in _grouped(compared.changes):
        yield f"{place}: {method}"
        if all(change.how == IDENTICAL for change in changes):
            yield f"  identical: {', '.join(_heading(compared, change) for change in changes)}"
            yield ""
            continue
        yield "  " + _columns(WORDS)
        for change in changes:
            shown = (_heading(compared, change), number(change.before), number(change.after))
            moved = "" if change.how == IDENTICAL else number(change.difference.value, True)
            yield "  " + _columns((*shown, moved, _interval(change), _reading(change)))
        for basis, metrics in _bases(compared, changes):
            yield f"  {basis}{f' [{metrics}]' if metrics else ''}"
        yield ""
    yield from (READING.format(tested=counted(compared.tested, "change")), "", summary(compared))
    if gate is not None:
        yield ""
        yield from gate_lines(gate, least)


def _columns(cells: Sequence[str]) -> str:
    """Return a line of columns; a text that is wider than its column pushes the rest."""
    return "".join(
        f"{cell:<{width}}" if len(cell) < width else f"{cell} " for cell, width in zip(cells, WIDTHS)
    ).rstrip()


def _heading(compared: Compared, change: Change) -> str:
    return compared.headings.get(change.metric) or change.metric


def _bases(compared: Compared, changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return how the changes of a method were compared, each way once, with its metrics if there are several ways."""
    found: dict[str, list[str]] = {}
    for change in changes:
        if change.how != IDENTICAL:
            found.setdefault(_basis(change), []).append(_heading(compared, change))
    return [(basis, ", ".join(metrics) if len(found) > 1 else "") for basis, metrics in found.items()]


def _grouped(changes: Sequence[Change]) -> list[tuple[str, str, list[Change]]]:
    found: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        found.setdefault((change.place, change.method), []).append(change)
    return [(place, method, several) for (place, method), several in found.items()]


def _cells(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{counted(sum(counts.values()), 'cell')}: {told or 'none'}"


def _cut(value: Optional[str]) -> str:
    if value is None:
        return "(not there)"
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"


def _differences(compared: Compared) -> Iterator[tuple[str, list[str]]]:
    """Yield titles with lines: what else differs between the runs."""
    told = [f"{fact.what}: {_cut(fact.before)} -> {_cut(fact.after)}" for fact in compared.told]
    changed = [
        f"{place}: {method}: {name} {_cut(one)} -> {_cut(other)}"
        for place, method, name, one, other in compared.parameters
    ]
    lacking = [lost for lost in (*compared.lost, *compared.gained) if lost.reason.startswith(NOT_IN)]
    told_below = {(lost.place, lost.method) for lost in lacking}
    unshared = [
        f"{cells.place}: {cells.method}: {counted(cells.before, 'cell')} of A, {cells.after} of B"
        for cells in compared.unshared
        if (cells.place, cells.method) not in told_below
    ]
    for title, lines in (
        ("What produced them differs", told),
        ("Parameters that changed", changed),
        ("Cells that ran in one of them only", unshared),
        ("In A, not in B", list(map(_lost, compared.lost))),
        ("In B, not in A", list(map(_lost, compared.gained))),
        ("In neither", list(map(_lost, compared.unfinished))),
    ):
        if lines:
            yield title, lines


def _lost(lost: Lost) -> str:
    return f"{lost.place}: {lost.method}: {lost.what} ({lost.reason})"


def summary(compared: Compared) -> str:
    """Return in one line how many values changed in which way."""
    counts: dict[str, int] = {}
    for change in compared.changes:
        counts[change.reading] = counts.get(change.reading, 0) + 1
    if compared.changes and set(counts) == {IDENTICAL}:
        shared = f"all {counted(len(compared.changes), 'value')} that both runs have are identical"
        return f"{shared}; nothing changed" if compared.same else shared
    told = ", ".join(f"{count} {reading}" for reading, count in counts.items())
    return f"{counted(len(compared.changes), 'value')} in both runs: {told}" if told else "no value is in both runs"


def gate_lines(gate: Gate, least: Mapping[str, float]) -> Iterator[str]:
    """Yield what a gate checked, what it found, and what it could not check."""
    yield f"gate: {'passed' if gate.passed else 'FAILED'}"
    own = ", ".join(f"{metric} {value:g}" for metric, value in least.items() if metric != ANY)
    effect = f"{least.get(ANY, 0.0):g}{f' ({own})' if own else ''}"
    yield f"  checked {counted(len(gate.checked), 'value')}; worse counts beyond its interval and beyond {effect}"
    for change in gate.worse:
        where = f"{change.place}: {change.method}: {change.metric}"
        moved = f"{number(change.before)} -> {number(change.after)}, by {number(change.difference.value, True)}"
        yield f"  worse: {where} {moved} {_interval(change)}"
    if gate.small:
        yield f"  {counted(len(gate.small), 'change')} for the worse beyond the interval, not beyond the least effect"
    for lost in gate.lost:
        yield f"  missing{' (allowed)' if gate.allow_missing else ''}: {_lost(lost)}"
    for unfinished in gate.unfinished:
        yield f"  not checked: {_lost(unfinished)}"
    unchecked: dict[tuple[str, str, str], list[str]] = {}
    for change in gate.unchecked:
        unchecked.setdefault((change.place, change.method, change.reason), []).append(change.metric)
    for (place, method, reason), metrics in unchecked.items():
        yield f"  not checked: {place}: {method}: {', '.join(metrics)} ({reason})"
    if gate.undirected:
        yield f"  not checked, as neither direction is better: {', '.join(gate.undirected)}"
    if not gate.checked:
        yield "  nothing could be checked, so the gate fails"
    elif gate.by_chance:
        yield f"  by chance alone, {gate.by_chance:.2g} of these would be worse beyond the interval"


def as_markdown(compared: Compared, gate: Optional[Gate] = None, least: Mapping[str, float] = {}) -> str:
    """Return the comparison as Markdown, names escaped."""
    escape = escape_markdown
    lines = ["# Two runs compared", ""]
    for letter, name, counts in zip("AB", compared.names, compared.cells):
        lines.append(f"- {letter}: {escape(name)} ({_cells(counts)})")
    for title, told in _differences(compared):
        lines += ["", f"## {title}", "", *(f"- {escape(line)}" for line in told)]
    lines += ["", "## Values", "", READING.format(tested=counted(compared.tested, "change")).replace("*", r"\*"), ""]
    lines += ["| where | method | metric | A | B | change | 95% interval | Holm p | reading | compared |"]
    lines += ["| --- | --- | --- | ---: | ---: | ---: | --- | ---: | --- | --- |"]
    same = []
    for place, method, changes in _grouped(compared.changes):
        equal = [change.metric for change in changes if change.how == IDENTICAL]
        same += [f"- {escape(place)}: {escape(method)}: {escape(', '.join(equal))}"] if equal else []
        for change in changes:
            if change.how != IDENTICAL:
                numbers = (number(change.before), number(change.after), number(change.difference.value, True))
                judged = (_interval(change), number(change.adjusted), _reading(change), _basis(change))
                lines.append(f"| {' | '.join(map(escape, (place, method, change.metric, *numbers, *judged)))} |")
    lines += ["", "Identical:", "", *same] if same else []
    lines += ["", escape(summary(compared))]
    if gate is not None:
        lines += ["", "## Gate", "", *(f"- {escape(line)}" for line in gate_lines(gate, least))]
    return "\n".join(lines) + "\n"


def as_plain(compared: Compared, gate: Optional[Gate] = None, least: Mapping[str, float] = {}) -> dict[str, Any]:
    """Return the comparison as plain data for JSON."""
    found: dict[str, Any] = {
        "runs": [{"path": name, "cells": dict(cells)} for name, cells in zip(compared.names, compared.cells)],
        "differences": [asdict(fact) for fact in compared.told],
        "parameters": [
            dict(zip(("place", "method", "parameter", "before", "after"), line)) for line in compared.parameters
        ],
        "unshared_cells": [asdict(cells) for cells in compared.unshared],
        "lost": [asdict(lost) for lost in compared.lost],
        "gained": [asdict(lost) for lost in compared.gained],
        "unfinished": [asdict(lost) for lost in compared.unfinished],
        "changes": list(rows(compared)),
        "tested": compared.tested,
        "summary": summary(compared),
    }
    if gate is not None:
        found["gate"] = {
            "passed": gate.passed,
            "least": dict(least),
            "checked": len(gate.checked),
            "worse": [_named(change) for change in gate.worse],
            "below_least": [_named(change) for change in gate.small],
            "unchecked": [{**_named(change), "reason": change.reason} for change in gate.unchecked],
            "undirected": list(gate.undirected),
            "unfinished": [asdict(lost) for lost in gate.unfinished],
            "missing": [asdict(lost) for lost in gate.lost],
            "allow_missing": gate.allow_missing,
        }
    return found


def _named(change: Change) -> dict[str, Any]:
    return {"place": change.place, "method": change.method, "metric": change.metric}


def rows(compared: Compared) -> Iterator[dict[str, Any]]:
    """Yield each change as one flat row."""
    for change in compared.changes:
        found = change.difference
        yield {
            **_named(change),
            "dataset": change.dataset,
            "better": change.better,
            "before": change.before,
            "after": change.after,
            "change": found.value,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "holm_p": change.adjusted,
            "reading": change.reading,
            "significant": change.significant,
            "compared": change.how,
            "repeats_before": change.repeats[0],
            "repeats_after": change.repeats[1],
            "reason": change.reason,
        }
