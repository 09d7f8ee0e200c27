r"""Results as LaTeX tables for ``\input``: as wide as a page, or as one of two columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import planned_repeats
from fairbench_reports._entries import PARTIAL, UNDEFINED, Entry
from fairbench_reports._foot import foot, spread
from fairbench_reports._table import ALIKE, MethodRow, MetricColumn, Section, number, sections
from fairbench_reports._verdicts import HEADINGS, POINTS, VerdictTable, reading, verdict_tables

PAGE, COLUMN = 100, 48  # characters of a small font that fit the width
CELL = 13  # characters of a number with its standard deviation
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after \\ a bare one would open an optional argument, and a bare * belong to the \\
    "*": "{*}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    UNDEFINED: r"$\dagger$",
    ALIKE: r"$\ddagger$",
    PARTIAL: r"\S{}",
}


def render(results: Results) -> str:
    """Return tables as wide as a page, the best of each column in bold, and the notes as a list."""
    return _document(results, "table*", PAGE)  # the starred environment spans both columns of a page


def render_column(results: Results) -> str:
    """Return the same tables as wide as a column of two, each continued below itself where it is too wide."""
    return _document(results, "table", COLUMN)


def _document(results: Results, environment: str, width: int) -> str:
    shown = sections(results)
    lines = ["% needs \\usepackage{booktabs}"]
    labels: list[str] = []
    verdicts = verdict_tables(results, shown)
    for section, judged in zip(shown, verdicts):
        labels.append(_unused(_slug(section.title), labels))
        lines += ["", *_table(section, labels[-1], spread(planned_repeats(results)), environment, width)]
        for verdict in judged:
            title = f"{section.title}, {verdict.title}"
            labels.append(_unused(_slug(title), labels))
            lines += ["", *_verdict(verdict, title, labels[-1], environment, width)]
    every = [verdict for judged in verdicts for verdict in judged]
    lines += ["", r"\paragraph{Notes}", r"\begin{itemize}"]
    notes = [*reading(results, every), *foot(results, shown, best="bold")]
    lines += [f"  \\item {escape(_stopped(sentence))}" for sentence in notes]
    return "\n".join([*lines, r"\end{itemize}", ""])


def _stopped(sentence: str) -> str:
    """Return the sentence with one full stop, unless it ends with another punctuation mark."""
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."


def escape(text: str) -> str:
    """Return the text as LaTeX that prints it."""
    printed = "".join(SPECIAL.get(letter, letter) for letter in text)
    return re.sub("-(?=-)", "-{}", printed)  # two hyphens must not become a dash


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _unused(slug: str, labels: Iterable[str]) -> str:
    taken, candidate, count = set(labels), slug, 1
    while candidate in taken:
        count += 1
        candidate = f"{slug}-{count}"
    return candidate


def _table(section: Section, label: str, what: str, environment: str, width: int) -> list[str]:
    notes = " ".join(escape(_stopped(note)) for note in section.notes())
    return [
        f"\\begin{{{environment}}}",
        r"  \centering",
        r"  \small\setlength{\tabcolsep}{3pt}",
        f"  \\caption{{{escape(section.title)} ({escape(section.setting)}): {escape(_stopped(what))}}}",
        f"  \\label{{tab:{label}}}",
        *_blocks(section, width),
        *([f"  \\par\\smallskip\\footnotesize {notes}"] if notes else []),
        f"\\end{{{environment}}}",
    ]


def _verdict(verdict: VerdictTable, title: str, label: str, environment: str, width: int) -> list[str]:
    """Return the verdicts at one kind of gap, in two tables where the page is a column wide."""
    last = len(HEADINGS) - 1
    blocks = [range(1, POINTS), range(POINTS, last + 1)] if width <= COLUMN else [range(1, last + 1)]
    lines = [
        f"\\begin{{{environment}}}",
        r"  \centering",
        r"  \small\setlength{\tabcolsep}{3pt}",
        f"  \\caption{{{escape(_stopped(title))}}}",
        f"  \\label{{tab:{label}}}",
    ]
    for block in blocks:
        kinds = "".join(r"p{.28\linewidth}" if place == last else "r" for place in block)
        lines += [] if block is blocks[0] else [r"  \par\medskip"]
        lines += [f"  \\begin{{tabular}}{{l{kinds}}}", r"    \toprule"]
        lines += [_row(escape(HEADINGS[place]) for place in (0, *block)), r"    \midrule"]
        lines += [_row(escape(row[place]) for place in (0, *block)) for row in verdict.rows]
        lines += [r"    \bottomrule", r"  \end{tabular}"]
    notes = " ".join(escape(_stopped(note)) for note in verdict.notes)
    return [*lines, f"  \\par\\smallskip\\footnotesize {notes}", f"\\end{{{environment}}}"]


def _blocks(section: Section, width: int) -> Iterator[str]:
    """Yield the table, or as few tables, with its columns shared evenly, as fit the width."""
    count = len(section.columns)
    label = min(max(len(row.label) for row in section.rows), width // 2)  # a longer one is wide in any table
    room = width - label - len(" repeats ")
    parts = -(-count // max(room // CELL, 1)) or 1
    for part in range(parts):
        start, stop = count * part // parts, count * (part + 1) // parts
        if part:
            yield r"  \par\medskip"
        yield f"  \\begin{{tabular}}{{l{'r' * (1 + stop - start)}}}"
        yield r"    \toprule"
        yield _row(["method", "repeats", *map(_heading, section.columns[start:stop])])
        yield r"    \midrule"
        yield from (_row([*_who(row), *map(_entry, row.entries[start:stop])]) for row in section.rows)
        yield r"    \bottomrule"
        yield r"  \end{tabular}"


def _row(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _heading(column: MetricColumn) -> str:
    return escape(f"{column.heading} {column.arrow}".strip())


def _who(row: MethodRow) -> list[str]:
    return [escape(f"{row.label} {ALIKE}" if row.constant else row.label), row.repeats]


def _entry(entry: Entry) -> str:
    """Return a number with its standard deviation in small print; only the mean is bold, as maths would ignore it."""
    estimate = entry.estimate
    mean = number(estimate.mean) if estimate.mean is not None else "--"
    text = f"\\textbf{{{mean}}}" if entry.best else mean
    if estimate.sd is not None:
        text += f"{{\\scriptsize\\,$\\pm$\\,{number(estimate.sd)}}}"
    return text + (f"\\textsuperscript{{{escape(entry.mark)}}}" if entry.mark else "")


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return tables for the width of a page, and for that of a column."""
    return [Report("latex", ".tex", render), Report("latex-column", "", render_column)]
