"""How a paper is run again: protocols, suites, repeats and figures.

``rerun.toml`` may be left out: then every table has a suite of its name (``table1.toml``), run as it is. ::

    baseline = "mlp"                        # the coin mixes it with a constant
    coin = true                             # false: rows are not compared with it, and suites need neither of the two

    [protocols.paper]                       # each changes every suite in the same way
    title = "features as they are"
    scale = "none"
    parameters.any.faalgrad = { epochs = 100 }
    scenarios.table1 = "by_task"            # of that table, in place of the suite's; several in a list

    [tables.table1]
    suites = ["table1.toml"]
    times = 10                              # multiply the paper's number of runs
    by_name = true                          # run only if named, because it takes so long

    [figures.figure2]
    kind = "trade-off"
    title = "Accuracy against demographic parity difference"
    tables = ["table1"]                     # whose cells it draws
    gap = "demographic_parity_difference"
    curve = "threshold"                     # the method whose operating points make a curve
    series = [
      { label = "ours", methods = "faalgrad[inner_steps=1|10]", texts = ["1", "10"] },
      { label = "theirs", quoted = "front" },   # drawn hollow, and compared with the others in a table
    ]

    [figures.figure3]
    kind = "explanation"
    title = "SHAP values"
    dataset = "adult"
    series = [{ label = "baseline", methods = "mlp" }]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from fairbench.cells import SCALES, Choice
from fairbench.errors import PaperError
from fairbench.papers.checked import Node, named, read_toml
from fairbench.papers.columns import ACCURACY, Column
from fairbench.papers.published import Published
from fairbench.plugins.components import Paper
from fairbench.running.hyperparameters import checked_parameters

FILE = "rerun.toml"
TRADE_OFF, EXPLANATION = "trade-off", "explanation"


@dataclass(frozen=True)
class Protocol:
    """What a protocol changes in every suite (``scenarios``: by table); None leaves a part as it is."""

    name: str
    title: str
    scale: Optional[str] = None
    sensitive_as_feature: Optional[bool] = None
    stratify: Optional[bool] = None
    parameters: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    scenarios: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    """Methods that belong together in a figure, and what is written beside their points, if anything.

    Or, without methods, the points of the published numbers that are quoted under that name.
    """

    label: str
    methods: tuple[Choice, ...]
    texts: tuple[str, ...]
    quoted: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure: a trade-off of tables' cells (``gap``, ``curve``), or an explanation of fits on one dataset."""

    name: str
    kind: str
    title: str
    series: tuple[Series, ...]
    where: str
    tables: tuple[str, ...] = ()
    gap: str = ""
    curve: Optional[Choice] = None
    dataset: str = ""


@dataclass(frozen=True)
class Part:
    """How one table is run: its suites, by what to multiply the paper's runs, and whether it runs only if named."""

    suites: tuple[str, ...]
    times: int = 1
    by_name: bool = False


@dataclass(frozen=True)
class Rerun:
    """How a paper is run again; without a baseline nothing is compared with a coin."""

    baseline: Optional[Choice]
    protocols: tuple[Protocol, ...]
    parts: Mapping[str, Part]
    figures: Mapping[str, Figure]


def read_rerun(paper: Paper, published: Published) -> Rerun:
    """Read a paper's ``rerun.toml``, or return what stands for it where there is none.

    Raises:
        PaperError: a key or a value is wrong; the message says where.
    """
    where = f"paper {paper.name}, {FILE}"
    top = read_toml(paper.directory / FILE, where) if (paper.directory / FILE).exists() else Node({}, where)
    top.only(["baseline", "coin", "protocols", "tables", "figures"])
    protocols = tuple(_protocol(name, node, published) for name, node in top.children("protocols").items())
    given = top.children("tables")
    for name, node in given.items():
        _known_table(name, node, published)
    parts = {name: _part(name, given.get(name, Node({}, where))) for name in published.tables}
    if all(part.by_name for part in parts.values()):
        raise PaperError(f"{where}: every table has by_name = true; leave at least one to be run when none is named")
    figures = {name: _figure(name, node, published) for name, node in top.children("figures").items()}
    for name in figures:
        if name in parts:
            raise PaperError(f"{where}: {name!r} names both a table and a figure; rename one")
    alone = (Protocol("suite", "as the suite says"),)
    baseline = top.choice("baseline") if "baseline" in top.table else Choice("mlp")
    coin = top.get("coin", bool, True)
    for figure in figures.values():
        if figure.kind == TRADE_OFF and not coin:
            raise PaperError(f"{figure.where}: a {TRADE_OFF} shows the coin; remove coin = false, or the figure")
    return Rerun(baseline if coin else None, protocols or alone, parts, figures)


def _known_table(name: str, node: Node, published: Published) -> None:
    if name not in published.tables:
        raise PaperError(f"{node.where}: no published table is named {name!r} (known: {', '.join(published.tables)})")


def _protocol(name: str, node: Node, published: Published) -> Protocol:
    node.only(["title", "scale", "sensitive_as_feature", "stratify", "parameters", "scenarios"])
    scale = node.get("scale", str, "") or None
    if scale not in (*SCALES, None):
        raise PaperError(f"{node.where}: scale is {scale!r}; it must be one of {', '.join(SCALES)}")
    flags = {key: node.get(key, bool) if key in node.table else None for key in ("sensitive_as_feature", "stratify")}
    parameters = named(lambda: checked_parameters(node.get("parameters", dict, {}), name), node.where)
    scenarios = node.child("scenarios")
    for table in scenarios.table:
        _known_table(table, scenarios, published)
    by_table = {table: scenarios.texts(table) for table in scenarios.table}
    return Protocol(name, node.get("title", str), scale, parameters=parameters, scenarios=by_table, **flags)


def _part(name: str, node: Node) -> Part:
    node.only(["suites", "times", "by_name"])
    times = node.get("times", int, 1)
    if times < 1:
        raise PaperError(f"{node.where}: times is {times}; at least 1 is needed")
    return Part(node.texts("suites", [f"{name}.toml"]), times, node.get("by_name", bool, False))


def _figure(name: str, node: Node, published: Published) -> Figure:
    kind = node.get("kind", str)
    title = node.get("title", str)
    series = tuple(_series(row) for row in node.rows("series"))
    quoting = [one for one in series if one.quoted]
    if kind == TRADE_OFF:
        node.only(["kind", "title", "series", "tables", "gap", "curve"])
        tables = node.texts("tables")
        for table in tables:
            _known_table(table, node, published)
        for one in quoting:
            _known_points(one.quoted, Column(node.get("gap", str)), node, published)
        curve = node.choice("curve") if "curve" in node.table else None
        return Figure(name, kind, title, series, node.where, tables, node.get("gap", str), curve)
    if kind == EXPLANATION and quoting:
        raise PaperError(
            f"{node.where}: quoted numbers cannot be explained; give the series {quoting[0].label!r} methods"
        )
    if kind == EXPLANATION:
        node.only(["kind", "title", "series", "dataset"])
        return Figure(name, kind, title, series, node.where, dataset=str(node.choice("dataset")))
    raise PaperError(f"{node.where}: kind is {kind!r}; it must be {TRADE_OFF!r} or {EXPLANATION!r}")


def _known_points(name: str, gap: Column, node: Node, published: Published) -> None:
    """Refuse a quotation that is not there or has no points to draw."""
    if name not in published.quoted:
        known = ", ".join(published.quoted) or "none"
        raise PaperError(f"{node.where}: nothing is quoted under {name!r} (known: {known})")
    quoted = published.quoted[name]
    if not quoted.dataset or not quoted.numbers(ACCURACY, gap):
        raise PaperError(
            f"{node.where}: {name!r} cannot be drawn without a dataset and the columns accuracy and {gap.metric}"
        )


def _series(node: Node) -> Series:
    if "quoted" in node.table:
        node.only(["label", "quoted"])
        return Series(node.get("label", str), (), (), node.get("quoted", str))
    node.only(["label", "methods", "texts"])
    methods = tuple(node.choices("methods"))
    texts = node.texts("texts", [""] * len(methods))
    if len(texts) != len(methods):
        raise PaperError(f"{node.where}: texts has {len(texts)} entries for {len(methods)} methods; give one for each")
    return Series(node.get("label", str), methods, texts)
