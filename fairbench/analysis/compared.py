"""Two runs compared: what only one of them has, and by how much the values that both have changed.

A method's value changed from the first run (``before``) to the second (``after``). Repeats with the same seeds whose
test parts hold the same rows are compared one by one (paired); otherwise the runs are taken as independent, which makes
an interval too wide rather than too narrow where they share some rows. Every change has its own interval at 95%, and a
p that Holm's correction adjusts for the number of all changes that were tested.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Optional

from fairbench.analysis.changes import (
    IDENTICAL,
    NOT_IN,
    PAIRED,
    PAIRED_ROWS,
    UNPAIRED,
    UNPAIRED_ROWS,
    Change,
    Compared,
    Lost,
    Unshared,
)
from fairbench.analysis.columns import series
from fairbench.analysis.counts import StoredRows, stored_rows
from fairbench.analysis.differences import (
    ONE_REPEAT,
    SEVERAL_FITS,
    Difference,
    paired_rows,
    paired_t,
    unpaired_rows,
    unpaired_t,
)
from fairbench.analysis.intervals import overlap_correction
from fairbench.analysis.provenance import provenance
from fairbench.analysis.ranks import DIGITS, holm
from fairbench.analysis.values import (
    by_method,
    finished,
    identity,
    measured_metrics,
    only,
    sections,
    shown_parameters,
    telling_parameters,
)
from fairbench.analysis.wanted import Wanted
from fairbench.cells import Cell, Preparation
from fairbench.errors import SuiteError
from fairbench.notation import show_value
from fairbench.records import DONE, Record, Results
from fairbench.texts import counted, error_line


def compare_runs(first: Results, second: Results, wanted: Wanted = Wanted()) -> Compared:  # noqa: B008 - frozen
    """Return what changed from the ``first`` run to the ``second``, in what is ``wanted``.

    Raises:
        UnknownName: neither run has a method, dataset or metric of that name.
        SuiteError: the runs have no method in common on the same data.
        StoreError: a store is damaged.
    """
    wanted.check([first, second])
    kept = [
        replace(results, records=[record for record in results.records if wanted.keeps(record.cell)])
        for results in (first, second)
    ]
    names = _names(first, second)
    with stored_rows(first) as before, stored_rows(second) as after:
        found = _Comparing(kept[0], kept[1], before, after, wanted, names)
        if not found.lines:
            told = [f"{name} has {_contents(results)}" for name, results in zip(names, kept)]
            raise SuiteError(
                f"the two runs have no method in common on the same dataset, attribute, preparation and scenario: "
                f"{'; '.join(told)}; compare runs of the same suite"
            )
        return found.compared((first, second))


def _names(first: Results, second: Results) -> tuple[str, str]:
    one, other = (str(results.path or "a run in memory") for results in (first, second))
    return one, other


def _contents(results: Results) -> str:
    """Return the methods and places of a run in a few words."""
    methods = list(dict.fromkeys(record.cell.method.name for record in results.records))
    places = list(dict.fromkeys(record.cell.place for record in results.records))
    few = [", ".join(several[:4]) + (", …" if len(several) > 4 else "") for several in (methods, places)]
    return f"{few[0]} on {few[1]}" if results.records else "nothing of what was asked for"


@dataclass(frozen=True)
class _Line:
    """A method in one section of the two runs, or of one: its records there, all repeats together."""

    place: str
    method: str
    records: tuple[Sequence[Record], Sequence[Record]]


@dataclass(frozen=True, eq=False)
class _Comparing:
    """Two runs at work: their sections and methods side by side."""

    first: Results
    second: Results
    before: StoredRows
    after: StoredRows
    wanted: Wanted
    names: tuple[str, str]

    @cached_property
    def every(self) -> list[_Line]:
        """Return every method of every section, also those of one run."""
        runs = [{_section(found[0].cell): found for found in sections(r.records)} for r in (self.first, self.second)]
        shown = shown_parameters(found[0].cell.scenario for run in runs for found in run.values())
        lines = []
        for key in dict.fromkeys([*runs[0], *runs[1]]):
            here = [run.get(key, []) for run in runs]
            lines += _lines(_place((here[0] or here[1])[0].cell, shown), here[0], here[1])
        return lines

    @cached_property
    def lines(self) -> list[_Line]:
        """Return the methods that both runs have."""
        return [line for line in self.every if line.records[0] and line.records[1]]

    def compared(self, whole: tuple[Results, Results]) -> Compared:
        """Return the comparison; ``whole`` are the two runs with all of their cells."""
        labels = {**self.second.labels, **self.first.labels}
        changes, lost, gained, unfinished = [], [], [], []
        for line in self.every:
            lost += _lost(line, self.names[1])
            gained += _lost(replace(line, records=line.records[::-1]), self.names[0])
        for line in self.lines:
            one, other = finished(line.records[0]), finished(line.records[1])
            if not one and not other:
                both = [record for records in line.records for record in records]
                unfinished.append(Lost(line.place, line.method, "no cell done in either run", _reasons(both)))
            if not one or not other:
                continue
            measured = [measured_metrics(records, within=False) for records in (one, other)]
            for metric in [name for name in labels if name in measured[0] | measured[1]]:
                if not self.wanted.measures(metric):
                    continue
                values = series(one, metric), series(other, metric)
                if values[0] and values[1]:
                    changes.append(self._change(line, (one, other), metric, labels[metric][1], values))
                elif values[0]:
                    lost.append(Lost(line.place, line.method, metric, _no_value(measured[1], metric)))
                elif values[1]:
                    gained.append(Lost(line.place, line.method, metric, _no_value(measured[0], metric)))
        return Compared(
            self.names,
            (_counts(whole[0]), _counts(whole[1])),
            tuple(provenance(*whole)),
            tuple(change for line in self.lines for change in _parameters(line)),
            tuple(filter(None, map(_unshared, self.every))),
            tuple(lost),
            tuple(gained),
            tuple(unfinished),
            _adjusted(changes),
            {name: heading for name, (heading, _) in labels.items()},
        )

    def _change(
        self,
        line: _Line,
        records: tuple[list[Record], list[Record]],
        metric: str,
        better: str,
        values: tuple[Mapping[int, float], Mapping[int, float]],
    ) -> Change:
        one, other = values
        shared = sorted(one.keys() & other.keys())

        def made(repeats: tuple[Sequence[int], Sequence[int]], how: str, found: Difference, why: str = "") -> Change:
            before, after = (fmean(values[run][repeat] for repeat in repeats[run]) for run in (0, 1))
            counts, dataset = (len(repeats[0]), len(repeats[1])), str(records[0][0].cell.dataset)
            named = (line.place, dataset, line.method, metric, better)
            return Change(*named, before, after, counts, how, found, found.why or why)

        if shared and not any(round(one[repeat] - other[repeat], DIGITS) for repeat in shared):
            return made((shared, shared), IDENTICAL, Difference(0.0, 0.0, 0.0))
        parts = self._parts(records[0], self.before), self._parts(records[1], self.after)
        same = [repeat for repeat in shared if parts[0].get(repeat) and parts[0][repeat] == parts[1].get(repeat)]
        few = max(len(one), len(other)) - len(same)
        left = f"{counted(few, 'repeat')} left out, which the runs do not share" if few else ""
        if len(same) > 1:
            differences = [round(other[repeat] - one[repeat], DIGITS) for repeat in same]
            used = [record for run in records for record in run if record.cell.repeat in same]
            return made((same, same), PAIRED, paired_t(differences, overlap_correction(used)), left)
        if min(len(one), len(other)) > 1:
            found = unpaired_t(list(one.values()), list(other.values()), [overlap_correction(run) for run in records])
            return made((sorted(one), sorted(other)), UNPAIRED, found, _unpaired(shared, parts))
        if not same and max(len(one), len(other)) > 1:
            found = Difference(fmean(other.values()) - fmean(one.values()), why=ONE_REPEAT)
            return made((sorted(one), sorted(other)), UNPAIRED, found)
        repeats = (same, same) if same else (list(one), list(other))
        alone = [[r for r in run if r.cell.repeat == at[0]] for run, at in zip(records, repeats)]
        difference = other[repeats[1][0]] - one[repeats[0][0]]
        if len(alone[0]) > 1 or len(alone[1]) > 1:
            return made(repeats, PAIRED_ROWS if same else UNPAIRED_ROWS, Difference(difference, why=SEVERAL_FITS))
        if same:
            predicted = self.before.predictions(alone[0][0]), self.after.predictions(alone[1][0])
            return made(repeats, PAIRED_ROWS, paired_rows(predicted, metric, difference), left)
        stored = self.before.counts(alone[0][0]), self.after.counts(alone[1][0])
        return made(repeats, UNPAIRED_ROWS, unpaired_rows(stored, metric, difference), _unpaired(shared, parts))

    @staticmethod
    def _parts(records: Sequence[Record], rows: StoredRows) -> dict[int, Optional[str]]:
        """Return by repeat the hash of its test part, which all tunings and fits share; None where they do not."""
        found: dict[int, set[Optional[str]]] = {}
        for record in records:
            found.setdefault(record.cell.repeat, set()).add(rows.test_part(record))
        return {repeat: parts.pop() if len(parts) == 1 else None for repeat, parts in found.items()}


def _unpaired(shared: Sequence[int], parts: tuple[Mapping[int, Optional[str]], Mapping[int, Optional[str]]]) -> str:
    """Return why repeats are not paired."""
    if not shared:
        return "the runs share no repeat"
    known = all(part.get(repeat) for part in parts for repeat in shared)
    return "the test parts hold other rows" if known else "a run has no stored predictions, which tell the rows"


def _section(cell: Cell) -> tuple[str, str, str, Preparation]:
    return identity(cell.scenario), identity(cell.dataset), cell.group, cell.preparation


def _place(cell: Cell, shown: Mapping[str, Collection[str]]) -> str:
    """Return a section in words: what differs from the usual preparation and scenario is named.

    Args:
        cell: one of the section's.
        shown: by scenario, the parameters that are shown of it.
    """
    usual, here = Preparation(), cell.preparation
    fields = ("scale", "sensitive_as_feature", "stratify")
    more = [
        f"{name}={show_value(getattr(here, name))}" for name in fields if getattr(here, name) != getattr(usual, name)
    ]
    scenario = [] if cell.scenario.name == "holdout" else [only(cell.scenario, shown[cell.scenario.name])]
    return ", ".join([cell.place, *more, *scenario])


def _lines(place: str, first: Sequence[Record], second: Sequence[Record]) -> list[_Line]:
    """Return the methods of a section side by side.

    A method whose one variant has other parameters in the second run is the same method, with parameters that changed.
    """
    runs = [{identity(found[0].cell.method): found for found in by_method(records)} for records in (first, second)]
    telling = telling_parameters(found[0].cell.method for run in runs for found in run.values())
    left = [{key: found for key, found in run.items() if key not in other} for run, other in (runs, runs[::-1])]
    renamed = {}
    for key, found in left[0].items():
        name = found[0].cell.method.name
        alike = [[at for at, some in run.items() if some[0].cell.method.name == name] for run in runs]
        if len(alike[0]) == len(alike[1]) == 1:
            renamed[key] = alike[1][0]
    taken, lines = set(renamed.values()), []
    for key, found in runs[0].items():
        method, other = found[0].cell.method, runs[1].get(renamed.get(key, key), [])
        label = method.name if key in renamed else only(method, telling[method.name])
        lines.append(_Line(place, label, (found, other)))
    for key, found in runs[1].items():
        if key not in runs[0] and key not in taken:
            method = found[0].cell.method
            lines.append(_Line(place, only(method, telling[method.name]), ([], found)))
    return lines


def _number(cell: Cell) -> tuple[int, int, int]:
    return cell.repeat, cell.tuning, cell.fit


def _lost(line: _Line, other: str) -> list[Lost]:
    """Return the cells that are done in the first run and not in the other, in one entry."""
    mine, theirs = ({_number(r.cell): r for r in records} for records in line.records)
    done = [at for at, record in mine.items() if record.status == DONE]
    gone = [at for at in done if at not in theirs or theirs[at].status != DONE]
    if not gone:
        return []
    ended = [theirs[at] for at in gone if at in theirs]
    told = [f"{NOT_IN}{other}"] if len(ended) < len(gone) else []
    told += [_reasons(ended)] if ended else []
    return [Lost(line.place, line.method, f"{len(gone)} of {counted(len(done), 'cell')}", "; ".join(told))]


def _reasons(records: Sequence[Record]) -> str:
    """Return the first two reasons why cells are not done."""
    found = dict.fromkeys(f"{r.status}: {error_line(r.reason) or 'no reason was kept'}" for r in records)
    return "; ".join(list(found)[:2])


def _no_value(measured: Iterable[str], metric: str) -> str:
    return "undefined in every repeat" if metric in measured else "not measured"


def _unshared(line: _Line) -> Optional[Unshared]:
    one, other = ({_number(record.cell) for record in records} for records in line.records)
    found = Unshared(line.place, line.method, len(one - other), len(other - one))
    return found if found.before or found.after else None


def _parameters(line: _Line) -> Iterable[tuple[str, str, str, str, str]]:
    """Yield the parameters of a method that differ between the runs."""
    one, other = (records[0].cell.method.params for records in line.records)
    for name in sorted({*one, *other}):
        values = [show_value(params[name]) if name in params else "(none)" for params in (one, other)]
        if values[0] != values[1]:
            yield line.place, line.method, name, values[0], values[1]


def _counts(results: Results) -> Mapping[str, Any]:
    """Return how many cells there are, and how many ended in which way."""
    found: dict[str, int] = {}
    for record in results.records:
        found[record.status] = found.get(record.status, 0) + 1
    left = results.planned - len(results.records)
    return {**found, **({"not run": left} if left > 0 else {})}


def _adjusted(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return the changes with p after Holm's correction over all that were tested; what is identical is no test."""
    tested = {place: change.difference.p for place, change in enumerate(changes) if change.difference.p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values()))))
    return tuple(replace(change, adjusted=adjusted.get(place)) for place, change in enumerate(changes))
