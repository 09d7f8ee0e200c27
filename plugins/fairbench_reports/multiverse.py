"""In which share of a run's universes each verdict stands, i.e. of its choices of dataset, split and preparation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import Compared, Multiverse, multiverses, only, stored_rows, telling_parameters
from fairbench_reports._entries import clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_lines, print_table, printed

SHORT = {
    "demographic_parity_difference": "DP difference",
    "equalized_odds_difference": "EO difference",
}
READING = (
    "a universe is one combination of the choices that the suite varies; + for the method, - against it, = not told "
    "apart, x a trade-off, ? no verdict",
    "better, worse, smaller and larger: the corrected t interval of the differences by repeat excludes 0; dominates: "
    "better in accuracy or gap and worse in neither, which does not prove equality in the other",
    "coin: points above mixing that universe's baseline with a constant, as in the tables",
    "universes share rows and verdicts are not corrected for their number: a verdict that stands in few of many may be "
    "chance, and one that stands in all is no stronger than its weakest",
)
ALONE = (
    "there is only one universe; give a suite alternatives, e.g. scale = ['standard', 'none'], sensitive_as_feature = "
    "[false, true], stratify = [false, true] or datasets = ['adult[missing=category|drop]']"
)


def render(results: Results) -> str:
    """Return for each method and question in how many universes each verdict stands, and the verdict in every one."""
    console = new_console()
    with stored_rows(results) as stored:
        found = multiverses(results, stored)
    for one in found:
        console.print(Text(clean(f"{one.dataset} by {one.group}")))
        assumed = [one.assumption] if one.assumption else []
        told = [f"scenario {one.scenario}", *assumed, _count(one.universes), _baseline(one)]
        console.print(Text(clean("; ".join(told))))
        console.print()
        if one.compared:
            print_table(console, _shares(one))
            console.print()
        if one.universes > 1:
            print_table(console, _universes(one))
            console.print()
        print_lines(console, _notes(one))
        console.print()
    print_lines(console, [*(READING if found else ["there are no results yet"]), *missing(results)])
    return printed(console)


def _count(universes: int) -> str:
    return f"{universes} universe{'' if universes == 1 else 's'}"


def _baseline(one: Multiverse) -> str:
    if not one.baseline.records:
        return f"nothing to compare with: {one.baseline.why}"
    return f"against {one.baseline.label} ({one.baseline.why})"


def _shares(one: Multiverse) -> Table:
    """Return the verdicts of each method and question with their shares, and a sign for each universe, in order."""
    several = [f"1 to {one.universes}"] if one.universes > 1 else []
    table = new_table(2, ["method", "question", "verdict"], ["universes"])
    for heading in several:
        table.add_column(heading, overflow="fold", max_width=40)
    labels = _labels(one.compared)
    above = None
    for compared in one.compared:
        signs = "".join(finding.side for finding in compared.findings)
        label = labels[str(compared.method)]
        for place, (words, count) in enumerate(compared.shares):
            here = ["" if label == above else label, "" if place else _question(compared.question), clean(words)]
            share = f"{count} of {one.universes}"
            table.add_row(*map(Text, here), share, *(Text("" if place else signs) for _ in several))
            above = label
    return table


def _labels(compared: Sequence[Compared]) -> dict[str, str]:
    """Return the label of each method, with those of its parameters that tell it from its siblings."""
    methods = {str(one.method): one.method for one in compared}
    telling = telling_parameters(methods.values())
    return {text: clean(only(method, telling[method.name])) for text, method in methods.items()}


def _question(question: str) -> str:
    for name, short in SHORT.items():
        question = question.replace(name, short)
    return question


def _universes(one: Multiverse) -> Table:
    table = new_table(2, ["universe", *map(clean, one.axes)], [])
    for number in range(one.universes):
        table.add_row(str(number + 1), *(Text(clean(values[number])) for values in one.axes.values()))
    return table


def _notes(one: Multiverse) -> list[str]:
    labels = _labels(one.compared)
    turned = [
        f"{labels[str(compared.method)]}, {_question(compared.question)}"
        for compared in one.compared
        if compared.contradictory
    ]
    lines = [ALONE] if one.universes == 1 else []
    if not one.compared:
        lines.append("there is no other method whose verdicts could be counted")
    if turned:
        lines.append(f"contrary verdicts in different universes: {'; '.join(turned)}")
    return lines


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("multiverse", "", render)]
