"""Runs with stored predictions, made by hand: which method decided what about whom, without any fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np

from fairbench.analysis.counts import stored_rows
from fairbench.analysis.values import finished, sections
from fairbench.analysis.verdicts import SectionLines
from fairbench.api import Predictions, Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.choices import parse_choices
from fairbench.data.alike import decides_alike
from fairbench.data.counts import supports
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILED, Parts, Record, Results
from fairbench.running.outcomes import measure
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.truth import Truth

DP, EO = "demographic_parity_difference", "equalized_odds_difference"
METRICS = ("accuracy", DP, EO)
PARTS = Parts(train=1400, validation=300, test=300)
Decided = Union[Predictions, Mapping[str, Predictions], None]


def people(rates: Sequence[float], rows: Sequence[int], seed: int = 0) -> Samples:
    """Return rows whose groups have these shares of y = 1, rounded, in an order that is drawn."""
    order = np.random.default_rng(seed).permutation(sum(rows))
    group = np.repeat(np.arange(len(rows)), rows)[order]
    y = np.concatenate([np.arange(n) < round(rate * n) for rate, n in zip(rates, rows)]).astype(int)[order]
    names = tuple(f"g{code}" for code in range(len(rows)))
    return Samples(np.zeros((len(y), 0)), group, Schema((), names, 0), y)


def stored_run(
    path: Path,
    methods: Mapping[str, Callable[[int, Samples], Decided]],
    tests: Mapping[str, Sequence[Samples]],
    *,
    metrics: Sequence[str] = METRICS,
    scenario: Union[str, Mapping[str, str]] = "holdout",
    baseline: str = "",
    references: Sequence[str] = ("attainable",),
    parts: Optional[Parts] = PARTS,
    kept: bool = True,
    chosen: str = "unconstrained",
    diagnostics: Optional[Mapping[str, tuple[float, ...]]] = None,
) -> Results:
    """Write a store and return its results.

    Args:
        path: an empty folder.
        methods: what each method, as users write it, decides about a repeat's test part: one prediction, several by
            operating point, or None for a cell that fails.
        tests: the test parts by dataset, one for each repeat.
        metrics: what is measured.
        scenario: of all methods, or by method.
        baseline: as the suite names it.
        references: names of the reference methods.
        parts: of every split.
        kept: whether predictions are stored.
        chosen: the operating point that represents a method which has several.
        diagnostics: of methods with several operating points.
    """
    registry, _ = load_plugins()
    measures, records = [registry.metric(name) for name in metrics], []
    with Store(path / FILE_NAME, create=True) as store:
        for dataset, several in tests.items():
            for repeat, samples in enumerate(several):
                for text, decide in methods.items():
                    name = scenario if isinstance(scenario, str) else scenario[text]
                    cell = Cell(Choice(dataset), parse_choices(text)[0], "sex", repeat, scenario=parse_choices(name)[0])
                    found = decide(repeat, samples)
                    points = {"": found} if isinstance(found, Predictions) else found
                    if points is None:
                        record, made = Record(cell, FAILED, "ValueError: it broke"), {}
                    else:
                        values = [
                            value
                            for point, predictions in points.items()
                            for value in measure(samples, predictions, measures, point=point)
                        ]
                        alike = [(0, point) for point, here in points.items() if decides_alike(samples.y, here)]
                        record = Record(
                            cell,
                            DONE,
                            values=tuple(values),
                            chosen="" if "" in points else chosen,
                            diagnostics={} if "" in points else dict(diagnostics or {}),
                            cpu_seconds=1.5,
                            parts=parts,
                            alike=tuple(alike),
                            supports=supports(samples.group, samples.group_names),
                        )
                        made = {(0, point): (Truth.of(samples), here) for point, here in points.items()} if kept else {}
                    store.add(Measured(record, made))
                    records.append(record)
    labels = {name: (registry.metric(name).label, registry.metric(name).better) for name in metrics}
    run = {"suite": {"baseline": baseline}, "reference_methods": list(references)}
    return Results(records, run, len(records), labels, path)


def noisy(samples: Samples, *, flips: float, seed: int, select: Sequence[float] = ()) -> Predictions:
    """Return labels of which a share is flipped, with a score; ``select`` adds a chance of selection by group."""
    draw = np.random.default_rng(seed)
    score = np.where(draw.random(len(samples)) < flips, 1 - samples.y, samples.y) * 0.5 + 0.25
    if select:
        score = np.where(draw.random(len(samples)) < np.take(select, samples.group), 0.75, score)
    return Predictions.from_score(np.clip(score + draw.uniform(-0.2, 0.2, len(samples)), 0, 1))


def drawn_parts(groups: int = 2, repeats: int = 5, rows: int = 200):
    """Return test parts in which 0 is the more frequent label, rarer in later groups."""
    rates = [0.2 + 0.4 * code / groups for code in range(groups)]
    return [people(rates, [rows] * groups, seed=repeat) for repeat in range(repeats)]


def unfair(repeat, samples):
    """Return an accurate baseline that selects more of the last group."""
    last = len(samples.group_names) - 1
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0] * last + [0.3])


def coin_of(share, *, drawn=False):
    """Return a method that is a coin between the baseline and 0."""

    def decide(repeat, samples):
        chance = share * unfair(repeat, samples).decision
        if drawn:
            return Predictions((np.random.default_rng(repeat + 7).random(len(chance)) < chance).astype(int))
        return Predictions.from_decision(chance, seed=repeat)

    return decide


def verdicts(found, metric=DP, place=0):
    """Return the verdicts on a section's finished methods, by name with parameters."""
    records = sections(found.records)[place]
    with stored_rows(found) as rows:
        lines = SectionLines.of(records, found, rows)
        told = {}
        for record in finished(records):
            told.setdefault(str(record.cell.method), []).append(record)
        return {name: lines.verdict(done, metric) for name, done in told.items()}


def equalised(tolerance):
    """Return decisions that are right, but for enough of the group with more positives to narrow the DP gap."""

    def decide(samples):
        y, group = samples.y, samples.group
        rates = [y[group == code].mean() for code in (0, 1)]
        drop = max(rates[1] - rates[0] - tolerance, 0) / rates[1]
        return Predictions.from_decision(np.where(group == 1, y * (1 - drop), y), seed=0)

    return decide


def optimal(repeat, samples):
    """Return what a perfect score allows, at four tolerances."""
    points = {f"dp<={tolerance:g}": equalised(tolerance)(samples) for tolerance in (0.0, 0.02, 0.05, 0.1)}
    return {**points, "unconstrained": Predictions(samples.y)}
