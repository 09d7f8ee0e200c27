"""The form of claims, which a paper's ``published.toml`` and a claim file beside its code share.

::

    [claims.fairer]
    text = "FaAlGrad lowers the difference at no loss of accuracy above 1 point."
    source = "section 5.2"                  # may be left out
    metrics = ["demographic_parity_difference"]
    expected = "lower"                      # or "higher": of method than of against, on every dataset, in every metric
    compare = [{ method = "faalgrad[inner_steps=1|10]", against = "mlp", datasets = "adult,german" }]
    loss = { accuracy = 0.01 }              # may be left out: how much worse than against it may be at most

    [claims.useful]
    text = "FaAlGrad beats the coin on compas."
    metrics = ["equalized_odds_difference"]
    expected = "above the coin"             # the coin that mixes the baseline with a constant, at the method's own gap
    compare = [{ method = "faalgrad", datasets = "compas" }]

    [claims.level]
    text = "FaAlGrad's accuracy on adult is .85 ± .01."
    metrics = ["accuracy"]
    expected = [0.85, 0.01]                 # the mean is within .01 of .85
    compare = [{ method = "faalgrad", datasets = "adult" }]

``compare`` knows ``scenario`` and ``against_scenario`` too, and ``group``, an attribute, in claim files. Without
``datasets`` it is on all of them. Of several methods and one ``against``, each is compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from fairbench.analysis.gaps import GAPS
from fairbench.cells import Choice
from fairbench.errors import PaperError, did_you_mean
from fairbench.papers.checked import Node, named
from fairbench.papers.columns import METRIC, Column, Names, at_steps

LOWER, HIGHER, ABOVE_COIN = "lower", "higher", "above the coin"


@dataclass(frozen=True)
class Range:
    """Where a quantity is claimed to lie; ``text`` says it in words, and ``closed`` ranges contain their ends."""

    low: float
    high: float
    text: str
    closed: bool = True


SIDES = {LOWER: Range(-math.inf, 0.0, LOWER, closed=False), HIGHER: Range(0.0, math.inf, HIGHER, closed=False)}
"""Where the difference between two rows is claimed to lie."""


@dataclass(frozen=True)
class Pair:
    """Two rows to be compared, or one (``against`` is None); on all datasets, or on those named.

    ``group`` is the sensitive attribute; empty for whichever there is.
    """

    method: Choice
    against: Optional[Choice]
    datasets: tuple[str, ...] = ()
    scenario: Optional[Choice] = None
    against_scenario: Optional[Choice] = None
    group: str = ""


@dataclass(frozen=True)
class Loss:
    """How much worse than ``against`` a method may be in a column at most: ``most``, in the metric's unit."""

    column: Column
    most: float
    better: str

    @property
    def range(self) -> Range:
        """Return where the difference between the rows is claimed to lie."""
        text = f"at most {self.most:g} worse"
        return Range(-self.most, math.inf, text) if self.better == "higher" else Range(-math.inf, self.most, text)


@dataclass(frozen=True)
class Claim:
    """What is claimed of rows: ``method`` has lower (or higher) values than ``against`` in every pair.

    Or it lies above the coin, or its mean is in a range; or whatever the paper's own ``test`` of that name judges: then
    there are no columns and no pairs. ``losses`` bound what it may lose beside that.
    """

    name: str
    text: str
    source: str
    table: str
    columns: tuple[Column, ...]
    expected: Union[str, Range]
    pairs: tuple[Pair, ...]
    where: str
    test: str = ""
    losses: tuple[Loss, ...] = ()


def read_claims(
    top: Node,
    columns: Mapping[str, Column],
    names: Names,
    tables: Optional[Mapping[str, Any]] = None,
    tests: Sequence[str] = (),
) -> tuple[Claim, ...]:
    """Return the claims of ``[claims]``.

    Args:
        top: of the file.
        columns: those of ``[columns]`` by short name.
        names: looks names up.
        tables: of the paper, one of which each claim names; None in a claim file, whose claims are of its run.
        tests: names of the paper's own tests.

    Raises:
        PaperError: a key, a value or a name is wrong; the message says where.
    """
    return tuple(_claim(name, node, columns, names, tables, tests) for name, node in top.children("claims").items())


def _claim(
    name: str,
    node: Node,
    columns: Mapping[str, Column],
    names: Names,
    tables: Optional[Mapping[str, Any]],
    tests: Sequence[str],
) -> Claim:
    text, source, table = node.get("text", str), node.get("source", str, ""), ""
    if not text.strip():
        raise PaperError(f"{node.where}: text is {text!r}; say in words what is claimed")
    own = [] if tables is None else ["table"]
    if tables is not None:
        table = node.get("table", str)
        if table not in tables:
            raise PaperError(f"{node.where}: table is {table!r}; it must be one of {', '.join(tables)}")
        if "test" in node.table:
            node.only(["text", "source", "table", "test"])
            return Claim(name, text, source, table, (), "", (), node.where, _test(node, tests))
    node.only(["text", "source", *own, "metrics", "step", "expected", "compare", "loss"])
    expected = _expected(node)
    steps = [node.get("step", int)] if "step" in node.table else []
    meant = [_column(node, short, columns, names) for short in node.texts("metrics")]
    if not meant:
        raise PaperError(f"{node.where}: metrics is empty; name at least one")
    compared = tuple(at for column in meant for at in at_steps(column, steps))
    if isinstance(expected, Range):
        for column in meant:
            names.check_range(node, column, (expected.low + expected.high) / 2)
    if expected == ABOVE_COIN:
        for column in compared:
            if column.kind != METRIC or column.metric not in GAPS or column.group or column.step is not None:
                raise PaperError(
                    f"{node.where}: metrics contains {column.metric!r}; the coin is drawn for gaps over all rows, "
                    f"at the last step: {', '.join(GAPS)}"
                )
    alone = expected not in (LOWER, HIGHER)
    pairs = tuple(pair for row in node.rows("compare") for pair in _pairs(row, names, alone, tables is None))
    if not pairs:
        raise PaperError(f"{node.where}: compare is empty; add e.g. {{method = 'mba_dp', against = 'mlp'}}")
    losses = tuple(_losses(node, columns, names))
    if losses and alone:
        raise PaperError(f"{node.where}: loss is against another row; it goes with expected = 'lower' or 'higher'")
    return Claim(name, text, source, table, compared, expected, pairs, node.where, losses=losses)


def _test(node: Node, tests: Sequence[str]) -> str:
    test = node.get("test", str)
    if test not in tests:
        known = ", ".join(tests) or "none"
        raise PaperError(f"{node.where}: no test is named {test!r}{did_you_mean(test, tests)} (Paper.tests: {known})")
    return test


def _expected(node: Node) -> Union[str, Range]:
    value = node.table.get("expected")
    if value in (LOWER, HIGHER, ABOVE_COIN):
        return str(value)
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[1] >= 0:
        mean, most = map(float, value)
        return Range(mean - most, mean + most, f"{mean:g} ± {most:g}")
    if value is None:
        node.get("expected", str)  # says that it is missing
    raise PaperError(
        f"{node.where}: expected is {value!r}; it must be {LOWER!r}, {HIGHER!r}, {ABOVE_COIN!r}, or [mean, tolerance]"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _column(node: Node, short: str, columns: Mapping[str, Column], names: Names) -> Column:
    """Return one of ``[columns]``, or else the column of a metric, with the heading of an equal one."""
    equal = {column: column for column in columns.values()}
    return columns.get(short) or equal.get(Column(short)) or names.column(node, Column(short))


def _losses(node: Node, columns: Mapping[str, Column], names: Names) -> list[Loss]:
    found, child = [], node.child("loss")
    for short, most in child.table.items():
        if not _is_number(most) or not most >= 0:
            raise PaperError(f"{child.where}: {short} is {most!r}; it must be a number of at least 0, such as 0.01")
        column = _column(child, short, columns, names)
        better = "higher" if names.registry is None else _better(child, column, names)
        found.append(Loss(column, float(most), better))
    return found


def _better(node: Node, column: Column, names: Names) -> str:
    registry = names.registry
    better = "neither"
    if registry is not None and column.kind == METRIC:
        better = named(lambda: registry.metric(column.metric), node.where).better
    if better not in ("higher", "lower"):
        raise PaperError(
            f"{node.where}: {column.quantity} cannot get worse, as neither direction is better; leave it out"
        )
    return better


def _pairs(node: Node, names: Names, alone: bool, of_a_run: bool) -> list[Pair]:
    """Return every method with its counterpart: one for all, or as many in the same order; ``alone``: with none."""
    against_keys = [] if alone else ["against", "against_scenario"]
    node.only(["method", "datasets", "scenario", *against_keys, *(["group"] if of_a_run else [])])
    methods = [names.method(node, choice) for choice in node.choices("method")]
    others: list[Optional[Choice]] = [None] if alone else []
    others += [] if alone else [names.method(node, choice) for choice in node.choices("against")]
    if len(others) == 1:
        others = others * len(methods)
    if len(others) != len(methods):
        raise PaperError(
            f"{node.where}: method stands for {len(methods)} rows and against for {len(others)}; "
            "give one, or as many in the same order"
        )
    datasets = tuple(
        str(names.dataset(node, choice)) for choice in (node.choices("datasets") if "datasets" in node.table else ())
    )
    scenarios, group = (names.scenario(node), names.scenario(node, "against_scenario")), node.get("group", str, "")
    return [Pair(method, other, datasets, *scenarios, group) for method, other in zip(methods, others)]
