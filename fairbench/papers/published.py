"""What a paper reports: tables of numbers and claims about them, read from ``published.toml``.

::

    runs = 5                                # independent runs behind each number
    notes = ["a sentence that must stand beside the tables"]
    optional_methods = ["fair_maml"]        # left out, with the reason, where they are not installed
    recomputed = "from what"                # only where the numbers are not the paper's: they are called recomputed

    [columns]                               # short name -> metric, for a group if need be; rates and gaps are fractions
    accuracy = "accuracy"
    theirs = { metric = "accuracy", group = "female", heading = "accuracy of women" }
    loss = { diagnostic = "training_bce" }  # the last value of a curve that the method records while training
    time = { cpu_seconds_per = "training_bce", judged = false }  # the cell's, by the length of a curve; shown only
    share = { value = "population_kl", heading = "KL of samples" }  # what the scenario measures itself
    tasks = { number_of = "task_sizes", heading = "tasks" }   # how many values a curve has; mean_of: their mean

    [tables.table1]
    title = "what it shows"
    columns = ["accuracy", "theirs"]
    otherwise = "not reported"              # for columns that a row leaves out; else every row gives all
    beside = ["tasks"]                      # columns that are measured only, shown in a table of their own
    rows = [
      { dataset = "adult", method = "mlp", label = "baseline", accuracy = 0.82, theirs = "not reported" },
      { dataset = "adult", method = "faalgrad[inner_steps=10]", accuracy = [0.52, 0.07], theirs = 0.6,
        uncertain = ["theirs"] },
    ]                                       # of several scenarios: scenario = "seq_class[reparation=none]"

    [tables.table2]
    runs = 3                                # behind the numbers of this table, where it differs from the others
    steps = [0, 10]                         # each number stands for these steps (generations): accuracy = [0.9, 0.8]

    [quoted.front]                          # numbers that correspond to no row: shown, not compared
    title = "decoded from a figure"
    dataset = "adult"                       # if a figure is to draw them
    columns = ["what", "accuracy", "dp"]    # of [columns], or headings
    uncertain = true                        # all numbers of it
    rows = [["their best", 0.84, 0.02]]

    [claims.fairer]                         # as in claim files, see ``claim_form``, but of a table
    table = "table1"
    text = "FaAlGrad lowers the difference."
    metrics = ["demographic_parity_difference"]
    expected = "lower"
    compare = [{ method = "faalgrad[inner_steps=1|10]", against = "mlp" }]   # scenario, against_scenario: as in rows
    step = 10                               # else the last one

    [claims.cheaper]
    text = "FaAlGrad's loss is lower wherever it is as fair."
    table = "table1"
    test = "equal_gaps"                     # the paper's plugin brings it (``Paper.tests``)

A number is a mean, or [mean, spread]; a text says why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from fairbench.cells import Choice
from fairbench.errors import PaperError, did_you_mean
from fairbench.papers.checked import Node, read_toml
from fairbench.papers.claim_form import Claim, read_claims
from fairbench.papers.columns import METRIC, VALUE, Column, Names, at_steps, read_columns
from fairbench.plugins.components import Paper
from fairbench.plugins.registry import Registry

FILE = "published.toml"


@dataclass(frozen=True)
class Number:
    """A published number: mean and spread, both None where there is none (``reason``)."""

    mean: Optional[float] = None
    spread: Optional[float] = None
    uncertain: bool = False
    reason: str = ""


@dataclass(frozen=True)
class PublishedRow:
    """A line of a published table; ``numbers`` go with the table's columns.

    ``scenario`` gives the parameters that distinguish it from the others of the table's suites; None if there is one.
    """

    dataset: Choice
    method: Choice
    label: str
    numbers: tuple[Number, ...]
    where: str
    scenario: Optional[Choice] = None


@dataclass(frozen=True)
class Table:
    """A published table.

    ``runs`` independent runs are behind each of its numbers; ``beside`` has columns for which nothing is published.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[PublishedRow, ...]
    notes: tuple[str, ...]
    runs: int
    beside: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Quoted:
    """Published numbers that correspond to no row, of this paper or, if its notes say so, of another one.

    ``dataset`` is empty where no figure draws them; a number of ``rows`` goes with each of the columns.
    """

    title: str
    dataset: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Number, ...], ...]
    notes: tuple[str, ...]

    def numbers(self, *columns: Column) -> list[tuple[Number, ...]]:
        """Return the numbers of each row in these columns; nothing if one of them is not there."""
        if not set(columns) <= set(self.columns):
            return []
        return [tuple(row[self.columns.index(column)] for column in columns) for row in self.rows]


@dataclass(frozen=True)
class Published:
    """All that a paper reports; ``recomputed`` says where numbers come from that the paper itself does not print."""

    runs: int
    tables: Mapping[str, Table]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    optional_methods: tuple[str, ...]
    recomputed: str = ""
    quoted: Mapping[str, Quoted] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """Return what its numbers are called: ``published`` or ``recomputed``."""
        return "recomputed" if self.recomputed else "published"


def read_published(paper: Paper, registry: Optional[Registry] = None) -> Published:
    """Read a paper's ``published.toml``; with a registry, names and ranges are checked too.

    Raises:
        PaperError: a key, a value or a name is wrong; the message says where.
    """
    top = read_toml(paper.directory / FILE, f"paper {paper.name}, {FILE}")
    top.only(["runs", "notes", "optional_methods", "recomputed", "columns", "tables", "quoted", "claims"])
    runs = _runs(top)
    optional = top.texts("optional_methods", [])
    columns = read_columns(top, registry)
    names = Names(registry, optional)
    tables = {name: _table(name, node, columns, names, runs) for name, node in top.children("tables").items()}
    if not tables:
        raise PaperError(f"{top.where} has no tables; add [tables.table1] with title, columns and rows")
    claims = read_claims(top, columns, names, tables, list(paper.tests))
    quoted = {name: _quoted(node, columns, names) for name, node in top.children("quoted").items()}
    return Published(runs, tables, claims, top.texts("notes", []), optional, top.get("recomputed", str, ""), quoted)


def _runs(node: Node, otherwise: Optional[int] = None) -> int:
    runs = node.get("runs", int) if otherwise is None else node.get("runs", int, otherwise)
    if runs < 1:
        raise PaperError(f"{node.where}: runs is {runs}; at least 1 is needed")
    return runs


def _table(name: str, node: Node, columns: Mapping[str, Column], names: Names, runs: int) -> Table:
    node.only(["title", "runs", "columns", "steps", "otherwise", "beside", "rows", "notes"])
    chosen, beside = node.texts("columns"), node.texts("beside", [])
    for column in (*chosen, *beside):
        if column not in columns:
            known = ", ".join(columns)
            raise PaperError(
                f"{node.where}: no column is named {column!r}{did_you_mean(column, columns)} ([columns] has: {known})"
            )
    steps = node.get("steps", list, [])
    for step in steps:
        if not isinstance(step, int) or step < 0:
            raise PaperError(f"{node.where}: steps contains {step!r}; steps are whole numbers, counted from 0")
    if steps and any(columns[column].kind not in (METRIC, VALUE) for column in chosen):
        raise PaperError(f"{node.where}: a curve has no steps; remove steps, or the columns of curves")
    otherwise, given = node.get("otherwise", str, ""), {column: columns[column] for column in chosen}
    rows = tuple(_row(row, given, steps, otherwise, names) for row in node.rows("rows"))
    if not rows:
        raise PaperError(f"{node.where} has no rows; add e.g. {{dataset = 'adult', method = 'mlp', ...}}")
    title, notes = node.get("title", str), node.texts("notes", [])
    measured = tuple(at for column in chosen for at in at_steps(columns[column], steps))
    shown = tuple(columns[column] for column in beside)
    return Table(name, title, measured, rows, notes, _runs(node, runs), shown)


def _row(node: Node, columns: Mapping[str, Column], steps: Sequence[int], otherwise: str, names: Names) -> PublishedRow:
    told = (str(node.table[key]) for key in ("dataset", "method", "scenario") if key in node.table)
    described = " ".join(" ".join(told).split())  # on one line
    node = Node(node.table, f"{node.where} ({described})")
    node.only(["dataset", "method", "scenario", "label", "uncertain", *columns])
    uncertain = node.texts("uncertain", [])
    for column in uncertain:
        if column not in columns:
            raise PaperError(f"{node.where}: uncertain names {column!r}, which is not among {', '.join(columns)}")
    dataset, method = names.dataset(node, node.choice("dataset")), names.method(node, node.choice("method"))
    if otherwise:
        missing = [otherwise] * len(steps) if steps else otherwise
        node = Node({**dict.fromkeys(columns, missing), **node.table}, node.where)
    numbers = tuple(
        _number(node, name, value, column, name in uncertain, names)
        for name, column in columns.items()
        for value in _values(node, name, steps)
    )
    label, scenario = node.get("label", str, str(method)), names.scenario(node)
    return PublishedRow(dataset, method, label, numbers, node.where, scenario)


def _values(node: Node, name: str, steps: Sequence[int]) -> list[Any]:
    """Return what a row gives for a column: an entry, or with steps one for each of them."""
    if name not in node.table:
        raise PaperError(
            f"{node.where}: column {name!r} is missing; give a number, [mean, spread], or a text such as 'not reported'"
        )
    value = node.table[name]
    if not steps:
        return [value]
    if not isinstance(value, list) or len(value) != len(steps):
        raise PaperError(f"{node.where}: {name} is {value!r}; give a list with an entry for each of the steps {steps}")
    return value


def _number(node: Node, name: str, value: Any, column: Column, uncertain: bool, names: Names) -> Number:
    if isinstance(value, str):
        return Number(uncertain=uncertain, reason=value)
    parts = value if isinstance(value, list) else [value]
    numeric = all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in parts)
    if not numeric or len(parts) not in (1, 2):
        raise PaperError(
            f"{node.where}: {name} is {value!r}; it must be a number, [mean, spread], or a text such as 'not reported'"
        )
    names.check_range(node, column, parts[0])
    if len(parts) == 2 and not parts[1] >= 0:
        raise PaperError(f"{node.where}: the spread of {name} is {parts[1]:g}; it must be at least 0")
    return Number(float(parts[0]), float(parts[1]) if len(parts) == 2 else None, uncertain)


def _quoted(node: Node, columns: Mapping[str, Column], names: Names) -> Quoted:
    node.only(["title", "dataset", "columns", "uncertain", "rows", "notes"])
    dataset = str(names.dataset(node, node.choice("dataset"))) if "dataset" in node.table else ""
    shorts, uncertain = node.texts("columns"), node.get("uncertain", bool, False)
    given = {short: columns.get(short) or Column(short, heading=short, kind=VALUE) for short in shorts}
    rows = []
    for row in node.get("rows", list):
        if not isinstance(row, list) or len(row) != len(given):
            raise PaperError(f"{node.where}: rows contains {row!r}; give a list with an entry for each of {shorts}")
        cells = zip(given.items(), row)
        rows.append(
            tuple(
                _number(node, short, value, column, uncertain and not isinstance(value, str), names)
                for (short, column), value in cells
            )
        )
    return Quoted(node.get("title", str), dataset, tuple(given.values()), tuple(rows), node.texts("notes", []))
