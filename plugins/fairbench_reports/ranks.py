"""Methods in tiers, on each dataset and over all datasets, with the tests behind them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import AcrossDatasets, cannot_show
from fairbench_reports._entries import clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_lines, print_table, printed
from fairbench_reports._ranked import Ranking, rankings
from fairbench_reports._table import number

READING = (
    "tier 1 holds the best and all that are not told apart from it at 5%; tier 2 the same of the rest, and so on. On "
    "one dataset: Student's t of the differences by repeat, corrected for overlapping splits (Nadeau and Bengio); over "
    "datasets: exact signed-rank tests. Both with Holm's correction over all pairs",
    "a method whose values vary much is told apart from few others, so it can stand in a higher tier than one with a "
    "better mean",
    "a dataset counts once, whatever its repeats, groups and attributes; one on which a method has no value is left "
    "out for all",
)


def render(results: Results) -> str:
    """Return for accuracy and differences between groups which methods are not told apart, and tests over datasets.

    From fewer than six datasets there are no tests over datasets, but the numbers of wins.
    """
    console = new_console()
    found = rankings(results)
    for ranking in found:
        console.print(Text(f"{ranking.heading} {ranking.arrow}".strip()))
        console.print(Text(ranking.setting))
        console.print()
        for table in _tables(ranking):
            print_table(console, table)
            console.print()
        print_lines(console, notes_on(ranking))
        console.print()
    what = READING if found else ("there are no two methods to compare yet",)
    print_lines(console, [*what, *missing(results)])
    return printed(console)


def _tables(ranking: Ranking) -> Iterator[Table]:
    yield _within(ranking)
    across = ranking.across
    if across.tested:
        yield _order(across)
    if len(across.datasets) > 1:
        yield _pairs(across)


def _within(ranking: Ranking) -> Table:
    """Return for each dataset and tier the methods, the best mean first."""
    table = new_table(2, ["dataset", "tier", "methods, the best mean first"], [])
    for found in ranking.within:
        for place, tier in enumerate(sorted({row.tier for row in found.placed})):
            told = (
                f"{row.method} {number(ranking.sign * row.mean, ranking.decimals)}"
                for row in found.placed
                if row.tier == tier
            )
            table.add_row(Text("" if place else found.title), Text(str(tier)), Text(", ".join(told)))
    return table


def _order(across: AcrossDatasets) -> Table:
    """Return the methods over datasets, in the order of their mean ranks."""
    table = new_table(2, ["method"], ["tier", "mean rank"])
    ranks = across.mean_ranks
    for method in sorted(range(len(across.methods)), key=lambda index: (across.tiers[index], ranks[index])):
        table.add_row(Text(across.methods[method]), Text(str(across.tiers[method])), Text(number(ranks[method], 2)))
    return table


def _pairs(across: AcrossDatasets) -> Table:
    """Return on how many datasets each method is better than another, and the tests if there are any."""
    tests = ["N", "p", "p (Holm)"] if across.tested else []
    table = new_table(2, ["method", "against"], ["better on", "worse on", *tests])
    for pair in across.pairs:
        first, second = (Text(across.methods[method]) for method in pair.methods)
        tested = [str(pair.test.n), shown_p(pair.test.p), shown_p(pair.adjusted)] if across.tested else []
        table.add_row(first, second, *(Text(text) for text in (*map(str, pair.wins), *tested)))
    return table


def notes_on(ranking: Ranking) -> list[str]:
    """Return what the tests of a ranking say, and who is not ranked and why."""
    across = ranking.across
    few = cannot_show(len(across.datasets), len(across.methods)) if ranking.datasets > 1 else ""
    return [
        *([few] if few else []),
        *_omnibus(across),
        *([f"over {len(across.datasets)} datasets: {', '.join(across.datasets)}"] if across.tested else []),
        *(
            f"{dataset} is left out over datasets, without a value of {', '.join(methods)}"
            for dataset, methods in across.left_out.items()
        ),
        *(note for found in ranking.within for note in found.notes),
        *ranking.notes,
    ]


def _omnibus(across: AcrossDatasets) -> list[str]:
    """Return Friedman's test in words, if it was made."""
    found, n, k = across.omnibus, len(across.datasets), len(across.methods)
    if found is None:
        return []
    how = f"by {found.draws:,} random permutations" if found.draws else "by the F distribution"
    f = "infinite" if found.f == float("inf") else f"{found.f:.2f}"
    said = (
        f"Friedman's test that all are equal: chi-squared {found.chi2:.2f}, F({k - 1}, {(k - 1) * (n - 1)}) {f}, "
        f"p {shown_p(found.p)} {how}"
    )
    return [clean(said)]


def shown_p(p: float) -> str:
    """Return a p value with three decimals."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the tiers and tests."""
    return [Report("ranks", "", render)]
