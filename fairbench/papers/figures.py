"""Which figures a reproduction has, and what they show; those that cannot be made are left out with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fairbench.analysis.drawing import require_matplotlib
from fairbench.analysis.values import Estimate
from fairbench.cells import Choice
from fairbench.errors import FairbenchError, NotApplicable
from fairbench.papers import words
from fairbench.papers.columns import ACCURACY, Column
from fairbench.papers.drawn import Drawn, Picture
from fairbench.papers.explain import BACKGROUND, COMMON, Explanation, explain, require_shap
from fairbench.papers.grids import Grid
from fairbench.papers.measured import brief, constants
from fairbench.papers.plots import Dot, Panel, draw_explanations, draw_trade_off
from fairbench.papers.published import Number
from fairbench.papers.reproduced import Reproduced
from fairbench.papers.rerun import EXPLANATION, Figure, Series
from fairbench.records import DONE
from fairbench.running.cell import Workbench
from fairbench.texts import counted

FOLDER = "figures"


def draw_all(outcome: Reproduced, workbench: Workbench, path: Path, progress: Callable[[str], None]) -> Drawn:
    """Draw every figure under every protocol into ``path``/figures.

    Args:
        outcome: what was found.
        workbench: for the fits that explanations need.
        path: the run directory; SHAP values are kept there.
        progress: told what is being drawn.
    """
    pictures, left_out, seconds = [], [], 0.0
    for figure in outcome.reproduction.figures:
        for protocol in outcome.reproduction.rerun.protocols:
            progress(f"{figure.name}, protocol {protocol.name}")
            stem = f"{figure.name}-{protocol.name}"
            try:
                require_matplotlib()
                if figure.kind == EXPLANATION:
                    picture, took = _explanation(outcome, figure, protocol.name, workbench, path, stem)
                    seconds += took
                else:
                    picture = _trade_off(outcome, figure, protocol.name, path / FOLDER / stem)
            except FairbenchError as error:
                left_out.append(f"{figure.name} ({protocol.name}) is left out: {error}")
            else:
                pictures.append(picture)
    return Drawn(tuple(pictures), tuple(dict.fromkeys(left_out)), seconds)


def _trade_off(outcome: Reproduced, figure: Figure, protocol: str, stem: Path) -> Picture:
    grids = [
        grid
        for grid in outcome.reproduction.grids
        if grid.protocol.name == protocol and grid.table.name in figure.tables
    ]
    gap = Column(figure.gap)
    datasets = list(dict.fromkeys(dataset for grid in grids for dataset in grid.datasets))
    found = [_panel(outcome, grids, dataset, figure, gap) for dataset in datasets]
    panels = [panel for panel in found if panel is not None]
    if not panels:
        raise NotApplicable("none of its datasets has been run")
    labels = [series.label for series in figure.series]
    axis = figure.gap.replace("_", " ")
    draw_trade_off(panels, labels, str(figure.curve), axis, f"{figure.title}\nprotocol {protocol}", stem)
    published = "; hollow points are published" if any(dots for panel in panels for dots in panel.published) else ""
    curved = any(panel.curve for panel in panels)
    operating = ", or the curve's operating point" if curved else ""
    headings, rows = _beside_quoted(outcome, figure, panels, gap)
    between = " The table compares quoted points with measured series at the same gaps (interpolated)."
    caption = (
        f"{figure.title}. Means over repeats; bars are standard deviations{published}. The number beside a point is "
        f"the parameter that its series varies{operating}."
        f"{' The curve may extend beyond the frame.' if curved else ''}{between if rows else ''}"
    )
    return Picture(figure.name, protocol, figure.title, caption, stem.name, headings, rows)


def _panel(outcome: Reproduced, grids: Sequence[Grid], dataset: str, figure: Figure, gap: Column) -> Panel | None:
    """Return what is drawn for a dataset; None if its baseline has not been run."""
    here = [grid for grid in grids if dataset in grid.datasets]
    first, measurements = here[0], outcome.measurements
    assert first.baseline is not None  # noqa: S101 - a trade-off is refused where there is no coin
    baseline = first.row(dataset, first.baseline)
    size, accuracy = (Estimate.of(measurements.series(first, baseline, column).values()) for column in (gap, ACCURACY))
    constant = constants(measurements, first, dataset)
    if size.mean is None or accuracy.mean is None or not constant:
        return None
    level = sum(constant.values()) / len(constant)
    series = [
        [_dot(outcome, here, dataset, method, gap, text) for method, text in zip(series.methods, series.texts)]
        for series in figure.series
    ]
    said = [
        [_said(here, dataset, method, gap) for method in series.methods]
        + [_point(size, accuracy) for size, accuracy in _quoted(outcome, dataset, series, gap)]
        for series in figure.series
    ]
    return Panel(
        dataset,
        level,
        Dot(size.mean, accuracy.mean),
        _curve(outcome, here, dataset, figure.curve, gap),
        [[dot for dot in dots if dot is not None] for dots in series],
        [[dot for dot in dots if dot is not None] for dots in said],
    )


def _dot(
    outcome: Reproduced, grids: Sequence[Grid], dataset: str, method: Choice, gap: Column, text: str
) -> Dot | None:
    for grid in grids:
        key = grid.find(dataset, method)
        if key is not None:
            size, accuracy = (
                Estimate.of(outcome.measurements.series(grid, key, column).values()) for column in (gap, ACCURACY)
            )
            if size.mean is not None and accuracy.mean is not None:
                return Dot(size.mean, accuracy.mean, size.sd, accuracy.sd, text)
    return None


def _said(grids: Sequence[Grid], dataset: str, method: Choice, gap: Column) -> Dot | None:
    """Return the published point of a method, if both numbers are published."""
    for grid in grids:
        key, columns = grid.find(dataset, method), grid.table.columns
        if key is None or gap not in columns or ACCURACY not in columns:
            continue
        for line in grid.table.rows:
            if grid.find(str(line.dataset), line.method) == key:
                return _point(*(line.numbers[columns.index(column)] for column in (gap, ACCURACY)))
    return None


def _point(gap: Number, accuracy: Number) -> Dot | None:
    return None if gap.mean is None or accuracy.mean is None else Dot(gap.mean, accuracy.mean)


def _quoted(outcome: Reproduced, dataset: str, series: Series, gap: Column) -> list[tuple[Number, ...]]:
    """Return gap and accuracy of a series' quoted points that are about the dataset."""
    quoted = outcome.reproduction.published.quoted.get(series.quoted)
    return quoted.numbers(gap, ACCURACY) if quoted is not None and quoted.dataset == dataset else []


def _beside_quoted(
    outcome: Reproduced, figure: Figure, panels: Sequence[Panel], gap: Column
) -> tuple[list[str], list[list[str]]]:
    """Return for each quoted point the accuracy of the measured series at its gap, as headings and rows."""
    measured = [number for number, series in enumerate(figure.series) if not series.quoted]
    rows = [
        [
            *map(words.escape, (panel.title, series.label)),
            *map(words.published, numbers),
            *(_accuracy_at(numbers[0].mean, panel.series[number]) for number in measured),
        ]
        for panel in panels
        for series in figure.series
        for numbers in _quoted(outcome, panel.title, series, gap)
    ]
    labels = (words.escape(figure.series[number].label) for number in measured)
    return ["dataset", "points", "gap", "accuracy", *(f"{label}: accuracy" for label in labels)], rows


def _accuracy_at(gap: float | None, dots: Sequence[Dot]) -> str:
    """Return the accuracy at a gap on the line through the dots, a dash if they do not span it."""
    if gap is None or not dots:
        return words.NOTHING
    gaps, accuracies = zip(*sorted((dot.gap, dot.accuracy) for dot in dots))
    value = float(np.interp(gap, gaps, accuracies, left=np.nan, right=np.nan))
    return words.NOTHING if np.isnan(value) else words.number(value)


def _curve(outcome: Reproduced, grids: Sequence[Grid], dataset: str, method: Choice | None, gap: Column) -> list[Dot]:
    """Return a method's stored operating points, in the order of their names."""
    for grid in grids:
        key = grid.find(dataset, method) if method else None
        if key is not None:
            gaps, accuracies = (outcome.measurements.points(grid, key, column) for column in (gap, ACCURACY))
            means = [(gaps[point].mean, accuracies[point].mean, point) for point in gaps if point in accuracies]
            return [
                Dot(size, accuracy, text=point.rpartition("=")[2])
                for size, accuracy, point in means
                if size is not None and accuracy is not None
            ]
    return []


def _explanation(
    outcome: Reproduced, figure: Figure, protocol: str, workbench: Workbench, path: Path, stem: str
) -> tuple[Picture, float]:
    """Draw the first repeat's SHAP values; return the picture with a table over all repeats, and the time it took."""
    require_shap()
    for cell in (cell for cells in outcome.reproduction.explained[figure.name, protocol] for cell in cells):
        record = outcome.measurements.records.get(cell.key)
        if record is None or record.status != DONE:
            reason = "not run" if record is None else f"{record.status}: {brief(record)}"
            raise NotApplicable(f"{cell.method.name} on {cell.dataset} was {reason}")
    rows, parts, seconds, repeats = [], [], 0.0, 0
    for series, cells in zip(figure.series, outcome.reproduction.explained[figure.name, protocol]):
        explanations = [explain(cell, workbench, path) for cell in cells]
        parts.append((series.label, explanations[0]))
        rows.append(_ranked(series.label, explanations))
        seconds += sum(explanation.seconds for explanation in explanations)
        repeats = len(explanations)
    title = f"{figure.title}; protocol {protocol}"
    draw_explanations(parts, title, path / FOLDER / stem)
    people, attributes = parts[0][1].values.shape
    sensitive = parts[0][1].names[-1]
    caption = (
        f"{figure.title}: {people} people from the first repeat's test part, each compared with {BACKGROUND} from its "
        "training part; contributions to the score by shap's permutation estimator (seeded), with the one-hot columns "
        "of an attribute taken together. Beside an attribute of categories stand those with the lowest and the highest "
        f"mean value, of those with at least {COMMON:.0%} of the people; attributes of more than two are grey. Over "
        f"{counted(repeats, 'repeat')}, the table gives the sensitive attribute's rank by mean |SHAP| (1 is the most "
        "important), that mean, its share of the sum over all attributes, and the attribute's mean SHAP value among "
        "protected people minus that among the others."
    )
    headings = [
        "model",
        f"rank of {words.escape(sensitive)} among {attributes}",
        "mean \\|SHAP\\|",
        "share",
        "protected minus others",
    ]
    return Picture(figure.name, protocol, title, caption, stem, headings, rows), seconds


def _ranked(label: str, explanations: Sequence[Explanation]) -> list[str]:
    """Return how much the sensitive attribute counts, over repeats."""
    importance = [float(explanation.importance[-1]) for explanation in explanations]
    shares = [
        float(explanation.importance[-1] / explanation.importance.sum()) if explanation.importance.any() else 0.0
        for explanation in explanations
    ]
    directions = [explanation.direction for explanation in explanations]
    estimates = (Estimate.of(values) for values in (importance, shares, directions))
    ranks = ", ".join(str(explanation.rank) for explanation in explanations)
    return [words.escape(label), ranks, *(words.estimate(estimate, len(explanations)) for estimate in estimates)]
