r"""Results as LaTeX tables, to be read into a paper with ``\input``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fairbench.api import Report, Results, hookimpl
from fairbench_reports._foot import foot, spread
from fairbench_reports._table import (
    CONSTANT,
    UNDEFINED,
    Column,
    Estimate,
    Row,
    Section,
    number,
    planned_repeats,
    sections,
)

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
    CONSTANT: r"$\ddagger$",
}


def render(results: Results) -> str:
    """Return a ``table`` environment for each section, the best of each column in bold, and the notes as a list."""
    shown = sections(results)
    lines = ["% needs \\usepackage{booktabs}"]
    labels: list[str] = []
    for section in shown:
        labels.append(_unused(_slug(section.title), labels))
        lines += ["", *_table(section, labels[-1], spread(planned_repeats(results)))]
    lines += ["", r"\paragraph{Notes}", r"\begin{itemize}"]
    lines += [f"  \\item {escape(sentence)}." for sentence in foot(results, shown, best="bold")]
    return "\n".join([*lines, r"\end{itemize}", ""])


def escape(text: str) -> str:
    """Return the text as LaTeX that prints it."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _unused(slug: str, labels: Iterable[str]) -> str:
    taken, candidate, count = set(labels), slug, 1
    while candidate in taken:
        count += 1
        candidate = f"{slug}-{count}"
    return candidate


def _table(section: Section, label: str, what: str) -> list[str]:
    notes = " ".join(f"{escape(f'{UNDEFINED} {note}')}." for note in section.undefined())
    return [
        r"\begin{table}",
        r"  \centering",
        r"  \small\setlength{\tabcolsep}{3pt}",
        f"  \\caption{{{escape(section.title)} ({escape(section.setting)}): {escape(what)}.}}",
        f"  \\label{{tab:{label}}}",
        f"  \\begin{{tabular}}{{l{'r' * (1 + len(section.columns))}}}",
        r"    \toprule",
        _row(["method", "repeats", *map(_heading, section.columns)]),
        r"    \midrule",
        *(_row(_cells(row)) for row in section.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        *([f"  \\par\\smallskip\\footnotesize {notes}"] if notes else []),
        r"\end{table}",
    ]


def _row(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _heading(column: Column) -> str:
    return escape(f"{column.heading} {column.arrow}".strip())


def _cells(row: Row) -> list[str]:
    label = escape(f"{row.label} {CONSTANT}" if row.constant else row.label)
    return [label, row.repeats, *map(_estimate, row.estimates)]


def _estimate(estimate: Estimate) -> str:
    """Return a number with its standard deviation in small print; only the mean is bold, as maths would ignore it."""
    mean = number(estimate.mean) if estimate.mean is not None else "--"
    text = f"\\textbf{{{mean}}}" if estimate.best else mean
    if estimate.std is not None:
        text += f"{{\\scriptsize\\,$\\pm$\\,{number(estimate.std)}}}"
    return text + (r"$^{\dagger}$" if estimate.mark else "")


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("latex", ".tex", render)]
