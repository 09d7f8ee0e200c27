"""What a reproduction runs: the cells of every table under every protocol, each cell once even if several use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Optional

from fairbench.cells import Cell, Choice, canonical
from fairbench.choices import parse_choices, stands_for
from fairbench.errors import PaperError, UnknownName
from fairbench.papers.checked import named
from fairbench.papers.columns import has_method
from fairbench.papers.published import Published, Table, read_published
from fairbench.papers.rerun import EXPLANATION, Figure, Protocol, Rerun, read_rerun
from fairbench.plugins.components import Paper
from fairbench.plugins.registry import Registry
from fairbench.running.hyperparameters import default_parameters, merge_parameters
from fairbench.running.suite import ALL, Suite, plan, read_suite, tune

CONSTANT = Choice("constant")
Key = tuple[str, str, str]  # of a row: the dataset, and method and scenario with all their parameters


@dataclass(frozen=True)
class Grid:
    """The cells of one table under one protocol.

    Args:
        table: the published table.
        protocol: the protocol.
        suites: what was planned, as the protocol changed it.
        cells: for each row its cells by repeat, rows in the order of the suites.
        labels: for each row the method as its suite writes it.
        baseline: what the coin mixes with a constant; None if there is to be no coin.
        registry: completes the methods that published rows, claims and figures name.
    """

    table: Table
    protocol: Protocol
    suites: tuple[Suite, ...]
    cells: Mapping[Key, tuple[Cell, ...]]
    labels: Mapping[Key, str]
    baseline: Optional[Choice]
    registry: Registry

    @property
    def datasets(self) -> list[str]:
        """Return the datasets, in the order of the suites."""
        return list(dict.fromkeys(dataset for dataset, _, _ in self.cells))

    def matches(self, dataset: str, method: Choice, scenario: Optional[Choice] = None) -> list[Key]:
        """Return the rows of a method that gives some of its parameters, the suite the others.

        Args:
            dataset: as planned.
            method: the method.
            scenario: the scenario with some of its parameters; None for any.
        """
        for suite in self.suites:
            start = _key(self.registry, suite, dataset, method)
            found = [
                key
                for key in self.cells
                if key[:2] == start and (scenario is None or stands_for(scenario, self.cells[key][0].scenario))
            ]
            if found:
                return found
        return []

    def find(self, dataset: str, method: Choice, scenario: Optional[Choice] = None) -> Optional[Key]:
        """Return the one row that matches; None if there is none, or if there are several."""
        found = self.matches(dataset, method, scenario)
        return found[0] if len(found) == 1 else None

    def row(self, dataset: str, method: Choice) -> Key:
        """Return the row of a method that was checked to be there."""
        key = self.find(dataset, method)
        assert key is not None  # noqa: S101 - planning has made sure of it
        return key

    def label(self, key: Key) -> str:
        """Return the method as its suite writes it, and the scenario if there are several."""
        alone = len({scenario for _, _, scenario in self.cells}) == 1
        return self.labels[key] if alone else f"{self.labels[key]}, {self.cells[key][0].scenario}"


def _key(registry: Registry, suite: Suite, dataset: str, method: Choice) -> Optional[tuple[str, str]]:
    """Return dataset and method of the rows that it stands for in a suite; None if the method is not installed."""
    if not has_method(registry, method.name):
        return None
    (name,) = parse_choices(dataset)
    return dataset, _identity(registry.complete("methods", tune(suite.parameters, name.name, method)))


def _identity(method: Choice) -> str:
    return canonical([method.name, dict(method.params)])


@dataclass(frozen=True)
class Reproduction:
    """What is to be run again from a paper, planned.

    Args:
        paper: the paper.
        published: what it reports.
        rerun: how it is run again.
        grids: the cells, for each table and protocol.
        figures: those to be drawn.
        explained: by figure and protocol, for each series of an explanation its cells by repeat.
        left_out: sentences that say which rows are missing, and why.
    """

    paper: Paper
    published: Published
    rerun: Rerun
    grids: tuple[Grid, ...]
    figures: tuple[Figure, ...]
    explained: Mapping[tuple[str, str], tuple[tuple[Cell, ...], ...]]
    left_out: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        """Return every cell once, those that share a split side by side."""
        tables = (row for grid in self.grids for row in grid.cells.values())
        rows = chain(tables, chain.from_iterable(self.explained.values()))
        unique = {cell.key: cell for cell in chain.from_iterable(rows)}
        by_split: dict[str, list[Cell]] = {}
        for cell in unique.values():
            by_split.setdefault(cell.split_key, []).append(cell)
        return [cell for cells in by_split.values() for cell in cells]

    @property
    def repeats(self) -> int:
        """Return the largest number of repeats of a row."""
        return max(cell.repeat for cell in self.cells) + 1

    @property
    def tables(self) -> list[tuple[Table, list[Grid]]]:
        """Return each table with its grids, one for each protocol."""
        found: dict[str, list[Grid]] = {}
        for grid in self.grids:
            found.setdefault(grid.table.name, []).append(grid)
        return [(grids[0].table, grids) for grids in found.values()]


def plan_reproduction(
    text: str, registry: Registry, *, times: Optional[int] = None, datasets: Optional[str] = None
) -> Reproduction:
    """Read a paper's directory and plan what is to be run.

    Args:
        text: name of a paper, or ``paper:part,part`` with names of its tables and figures.
        registry: of all components.
        times: multiplies the paper's number of runs, in every table; None for what ``rerun.toml`` says.
        datasets: a list of datasets to keep; None for all.

    Raises:
        UnknownName: there is no such paper, part or dataset.
        PaperError, SuiteError: a file of the paper's directory is wrong.
    """
    name, _, wanted = text.partition(":")
    paper = registry.paper(name)
    published = read_published(paper, registry)
    planner = _Planner(paper, published, read_rerun(paper, published), registry)
    tables, figures = planner.select([part.strip() for part in wanted.split(",") if part.strip()])
    grids = [planner.grid(table, protocol, times) for table in tables for protocol in planner.rerun.protocols]
    planner.check(grids, figures)
    if datasets is not None:
        grids, figures = _keep_datasets(grids, figures, datasets, registry)
    explained = {
        (figure.name, protocol.name): tuple(planner.explained(figure, protocol))
        for figure in figures
        if figure.kind == EXPLANATION
        for protocol in planner.rerun.protocols
    }
    left_out = (*planner.unnamed(tables, wanted), *planner.absent(tables))
    return Reproduction(paper, published, planner.rerun, tuple(grids), tuple(figures), explained, left_out)


@dataclass(frozen=True)
class _Planner:
    """A paper's directory, read, and what is needed to make cells of it."""

    paper: Paper
    published: Published
    rerun: Rerun
    registry: Registry

    def select(self, parts: Sequence[str]) -> tuple[list[str], list[Figure]]:
        """Return the tables and figures asked for: without a choice all but those that are run only if named.

        A figure brings the tables that it draws.
        """
        tables, figures = self.published.tables, self.rerun.figures
        known = [*tables, *figures]
        for part in parts:
            if part not in known:
                hint = f" (it has {', '.join(known)})"
                raise UnknownName(f"table or figure of paper {self.paper.name}", part, known, hint)
        drawn = [figure for name, figure in figures.items() if not parts or name in parts]
        needed = {table for figure in drawn for table in figure.tables}
        chosen = parts or [name for name in tables if not self.rerun.parts[name].by_name]
        return [name for name in tables if name in chosen or name in needed], drawn

    def grid(self, name: str, protocol: Protocol, times: Optional[int]) -> Grid:
        """Return the planned cells of a table, checked against its published rows."""
        part = self.rerun.parts[name]
        cells: dict[Key, list[Cell]] = {}
        labels: dict[Optional[tuple[str, str]], str] = {}
        repeats = self.published.tables[name].runs * (times or part.times)
        suites = tuple(self._suite(file, protocol, repeats, name) for file in part.suites)
        for suite in suites:
            for cell in self._planned(suite):
                cells.setdefault((str(cell.dataset), _identity(cell.method), _identity(cell.scenario)), []).append(cell)
            for dataset in dict.fromkeys(dataset for dataset, _, _ in cells):
                for choice in _methods(suite):
                    labels.setdefault(_key(self.registry, suite, dataset, choice), str(choice))
        for (dataset, _, _), row in cells.items():
            if len({cell.repeat for cell in row}) < len(row):
                raise PaperError(
                    f"{self._where(part.suites)}: {row[0].method.name} on {dataset} is planned in several variants "
                    "(group or scale); a table needs exactly one"
                )
        known = {key: labels.get(key[:2], row[0].method.name) for key, row in cells.items()}
        rows = {key: tuple(row) for key, row in cells.items()}
        table, baseline = self.published.tables[name], self.rerun.baseline
        grid = Grid(table, protocol, suites, rows, known, baseline, self.registry)
        seen: dict[Key, str] = {}
        for line in table.rows:
            found = grid.matches(str(line.dataset), line.method, line.scenario)
            if len(found) > 1:
                scenarios = ", ".join(dict.fromkeys(str(cells[key][0].scenario) for key in found))
                raise PaperError(
                    f"{line.where}: {len(found)} rows are planned for it; give its scenario the parameters that "
                    f"distinguish it from the others ({scenarios})"
                )
            key = found[0] if found else None
            if key is None and has_method(self.registry, line.method.name):
                raise PaperError(
                    f"{line.where}: nothing is planned for it under protocol {protocol.name!r}; "
                    f"add it to the datasets and methods of {' or '.join(part.suites)}"
                )
            if key is not None and seen.setdefault(key, line.where) != line.where:
                raise PaperError(f"{line.where}: the same row as {seen[key]}; remove one, or give different parameters")
        for dataset in grid.datasets if baseline else ():
            for needed in filter(None, (CONSTANT, baseline)):
                if grid.find(dataset, needed) is None:
                    raise PaperError(
                        f"{self._where(part.suites)}: no row for {needed} on {dataset}; add it to the methods, "
                        "since the coin needs it"
                    )
        return grid

    def check(self, grids: Sequence[Grid], figures: Sequence[Figure]) -> None:
        """Refuse a claim or a figure that names a method which none of its tables has."""
        for claim in self.published.claims:
            mine = [grid for grid in grids if grid.table.name == claim.table]
            for pair in claim.pairs:
                self._check_row(mine, pair.method, claim.where, pair.scenario)
                if pair.against is not None:
                    self._check_row(mine, pair.against, claim.where, pair.against_scenario)
        for figure in figures:
            mine = [grid for grid in grids if grid.table.name in figure.tables]
            curve = [figure.curve] if figure.curve else []
            for method in (*curve, *(method for series in figure.series for method in series.methods)):
                self._check_row(mine, method, figure.where)
            if figure.gap:
                named(partial(self.registry.metric, figure.gap), figure.where)

    def _check_row(self, grids: Sequence[Grid], method: Choice, where: str, scenario: Optional[Choice] = None) -> None:
        if method.name in self.published.optional_methods and not has_method(self.registry, method.name):
            return
        named(lambda: self.registry.complete("methods", method), where)
        if grids and not any(grid.find(dataset, method, scenario) for grid in grids for dataset in grid.datasets):
            tables = ", ".join(dict.fromkeys(grid.table.name for grid in grids))
            wanted = f"{method} under {scenario}" if scenario else method
            raise PaperError(f"{where}: no row of {tables} is {wanted}, or several are; check what its suite runs")

    def explained(self, figure: Figure, protocol: Protocol) -> Iterator[tuple[Cell, ...]]:
        """Yield for each series the cells that an explanation fits again, with the group among the features."""
        for series in figure.series:
            methods = tuple(map(str, series.methods))
            suite = Suite(figure.name, (figure.dataset,), methods, parameters=default_parameters())
            suite = replace(_changed(suite, protocol, self.published.runs), sensitive_as_feature=(True,))
            yield tuple(self._planned(suite))

    def unnamed(self, tables: Sequence[str], wanted: str) -> Iterator[str]:
        """Yield a sentence about the tables that nobody named, where no part was asked for."""
        names = [] if wanted else [name for name in self.published.tables if name not in tables]
        if names:
            yield (
                f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} run only if named "
                f"('fairbench reproduce {self.paper.name}:{names[0]}'), because of the cost"
            )

    def absent(self, tables: Sequence[str]) -> Iterator[str]:
        """Yield a sentence for each optional method that is not installed and has rows in the tables."""
        for method in self.published.optional_methods:
            rows = ((name, row) for name in tables for row in self.published.tables[name].rows)
            where = dict.fromkeys(name for name, row in rows if row.method.name == method)
            if where and not has_method(self.registry, method):
                yield (
                    f"{method} is left out of {', '.join(where)}: no method of this name is installed "
                    "('fairbench plugins' says which plugins could not be loaded)"
                )

    def _suite(self, file: str, protocol: Protocol, repeats: int, table: str) -> Suite:
        """Return a suite as the protocol changes it, without the optional methods that are not installed."""
        suite = _changed(read_suite(self.paper.directory / file), protocol, repeats)
        absent = {name for name in self.published.optional_methods if not has_method(self.registry, name)}
        parameters = {
            dataset: {method: params for method, params in methods.items() if method not in absent}
            for dataset, methods in suite.parameters.items()
        }
        kept = tuple(str(choice) for choice in _methods(suite) if choice.name not in absent)
        scenarios = protocol.scenarios.get(table, suite.scenarios)
        return replace(suite, name=file, methods=kept, parameters=parameters, scenarios=scenarios)

    def _planned(self, suite: Suite) -> list[Cell]:
        return named(lambda: plan(suite, self.registry), self._where([suite.name]))

    def _where(self, files: Sequence[str]) -> str:
        return f"paper {self.paper.name}, {', '.join(files)}"


def _methods(suite: Suite) -> list[Choice]:
    return [choice for text in suite.methods for choice in parse_choices(text)]


def _changed(suite: Suite, protocol: Protocol, repeats: int) -> Suite:
    """Return the suite as the protocol changes it, with every metric."""
    hidden, stratify = protocol.sensitive_as_feature, protocol.stratify
    return replace(
        suite,
        repeats=repeats,
        metrics=(ALL,),
        scale=suite.scale if protocol.scale is None else (protocol.scale,),
        sensitive_as_feature=suite.sensitive_as_feature if hidden is None else (hidden,),
        stratify=suite.stratify if stratify is None else (stratify,),
        parameters=merge_parameters(suite.parameters, protocol.parameters),
    )


def _keep_datasets(
    grids: Sequence[Grid], figures: Sequence[Figure], datasets: str, registry: Registry
) -> tuple[list[Grid], list[Figure]]:
    """Return what is planned on some datasets."""
    kept = [str(registry.shorten("datasets", choice)) for choice in parse_choices(datasets)]
    planned = [*(dataset for grid in grids for dataset in grid.datasets), *(figure.dataset for figure in figures)]
    known = list(dict.fromkeys(filter(None, planned)))
    for dataset in kept:
        if dataset not in known:
            raise UnknownName("dataset of this reproduction", dataset, known, f" (it has {', '.join(known)})")
    smaller = [replace(grid, cells={key: row for key, row in grid.cells.items() if key[0] in kept}) for grid in grids]
    return [grid for grid in smaller if grid.cells], [f for f in figures if not f.dataset or f.dataset in kept]
