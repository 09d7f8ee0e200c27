"""A run as frames of pandas and as HTML: what Python users look at."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.analysis.standings import JUDGED, section_standings
from fairbench.analysis.values import CELL, cell_row, only, shown_parameters, telling_parameters
from fairbench.cells import Choice
from fairbench.choices import metric_called, parse_choices
from fairbench.errors import SuiteError, UnknownName
from fairbench.records import Results
from fairbench.texts import error_line

if TYPE_CHECKING:
    import pandas

SHOWN = ("accuracy", "demographic_parity_difference", "equalized_odds_difference")
ROW = ["dataset", "sensitive", "scenario", "scale", "sensitive_as_feature", "stratify"]
ROW += ["group_known", "group_at_prediction", "method"]
WHO = CELL[: CELL.index("parameters") + 1]  # setting and method, as in the other frames
VERDICT = (
    *(*WHO, "metric"),
    *("value", "points", "points_low", "points_high", "verdict", "reason"),
)
MARKS = "† leaves repeats out; ‡ makes the same decision for everybody in more than half of its repeats"
COIN = "points: per cent of all rows above the coin, with the 95% interval; a coin costs nothing"


def means_as_text(means: pandas.DataFrame, metrics: Sequence[str], where: str) -> pandas.DataFrame:
    """Return means ± standard deviations as text, a row for each method and a column for each metric.

    Args:
        means: the report ``csv``.
        metrics: their names, in order; ``dp`` and ``eo`` are two of them. None means ``SHOWN``.
        where: continues a message about an unknown metric.

    Raises:
        UnknownName: there is no such metric.
    """
    means = means.copy()
    known = list(dict.fromkeys(means["metric"]))
    named = [metric_called(str(name), known) for name in metrics]
    for name in named:
        if name not in known:
            raise UnknownName("metric", name, known, where)
    wanted = named or [name for name in SHOWN if name in known] or known
    means["shown"] = [_shown(row) for row in means.to_dict("records")]
    means["method"] = _labels(means.to_dict("records"))
    means["scenario"] = _scenarios(means["scenario"])
    rows = [name for name in ROW if name in ("dataset", "method") or means[name].nunique() > 1]
    table = means.pivot_table("shown", rows, "metric", aggfunc="first", sort=False)
    return table.reindex(columns=wanted)


def _labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the label of each row: its method, with the parameters in which variants beside it differ."""
    choices = [Choice(str(row["method"]), _params(str(row["parameters"]))) for row in rows]
    beside: dict[tuple[Any, ...], list[Choice]] = {}
    places = [tuple(row[name] for name in ROW if name != "method") for row in rows]
    for place, choice in zip(places, choices):
        beside.setdefault(place, []).append(choice)
    telling = {place: telling_parameters(here) for place, here in beside.items()}
    return [
        only(choice, telling[place][choice.name]) + (" ‡" if str(row.get("constant")).lower() == "true" else "")
        for place, choice, row in zip(places, choices, rows)
    ]


def _scenarios(texts: Iterable[str]) -> list[str]:
    """Return the scenarios with the parameters that tables show of them."""
    read = {text: _scenario(text) for text in dict.fromkeys(texts)}
    shown = shown_parameters(read.values())
    return [only(read[text], shown[read[text].name]) for text in texts]


def _scenario(text: str) -> Choice:
    """Return a scenario as it was before it was shown; one with a name that nobody could type stays as it is."""
    try:
        return parse_choices(text)[0]
    except SuiteError:
        return Choice(text)


def _params(text: str) -> Mapping[str, Any]:
    """Return parameters as they were before they were shown."""
    return parse_choices(f"any[{text}]")[0].params if text else {}


def _shown(row: Mapping[str, Any]) -> str:
    unfinished = "/" in str(row["repeats"])
    mark = "†" if row["undefined"] or row["partial"] or unfinished else ""
    if row["mean"] != row["mean"]:
        return f"-{mark}"
    spread = "" if row["std"] != row["std"] else f" ±{row['std']:.3f}"
    return f"{round(row['mean'], 3) + 0.0:.3f}{spread}{mark}"  # no -0.000


def verdict_frame(results: Results) -> pandas.DataFrame:
    """Return the verdict on each method at each kind of gap, the rows and numbers of the tables of verdicts.

    ``value`` is the mean gap, a fraction. ``points`` are accuracy above the coin in per cent of all rows, between
    ``points_low`` and ``points_high``, the ends of the 95% interval; what does not exist is missing. ``reason`` says
    why there is no verdict, or what else must be known.

    Raises:
        StoreError: the run's store is damaged.
    """
    import pandas

    rows = []
    for here in section_standings(results):
        for done, told in here.methods:
            row = cell_row(done[0].cell)
            who = tuple(row[name] for name in WHO)
            for metric in JUDGED:
                if metric in told:
                    verdict = told[metric].verdict
                    above, gap = verdict.above, told[metric].gap
                    ends = (None, None, None) if above is None else (above.value, above.low, above.high)
                    points = [None if end is None else 100 * end for end in ends]
                    reason = verdict.reason or "; ".join(verdict.notes)
                    value = None if gap is None else gap.mean
                    rows.append((*who, metric, value, *points, verdict.reading, reason))
    numbers = dict.fromkeys(("value", "points", "points_low", "points_high"), "float64")
    return pandas.DataFrame(rows, columns=list(VERDICT)).astype(numbers)


def as_html(results: Results, means: pandas.DataFrame, summary: str) -> str:
    """Return means, verdicts and what must be known of both as HTML for a notebook; everything is escaped.

    Args:
        results: of the run.
        means: the report ``csv``.
        summary: the run in one sentence.
    """
    notes = results.run.get("notes", {})
    said = [f"{dataset}: {sentence}" for dataset, sentences in notes.items() for sentence in sentences]
    skipped = dict.fromkeys(
        f"{record.cell.dataset}, {record.cell.method}: {error_line(record.reason)}"
        for record in results.records
        if record.reason.strip()
    )
    table = means_as_text(means, (), "").to_html(na_rep="", escape=True) if len(means) else ""
    verdicts, judged = _verdicts_as_html(verdict_frame(results)), []
    if verdicts:
        judged = [COIN]
    lines = [summary, "mean ± standard deviation over repeats", MARKS, *judged, *said, *skipped]
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"{table}{verdicts}<ul>{listed}</ul>"


def _verdicts_as_html(frame: pandas.DataFrame) -> str:
    """Return the verdicts as a table, with the interval beside the points; empty if there are none."""
    if not len(frame):
        return ""
    labelled = frame.assign(method=_labels(frame.to_dict("records")), scenario=_scenarios(frame["scenario"]))
    telling = [name for name in ROW if name in ("dataset", "sensitive", "method") or frame[name].nunique() > 1]
    shown = labelled[[*telling, "metric"]].copy()
    shown["gap"] = ["" if value != value else f"{value:.3f}" for value in frame["value"]]
    shown["points"] = [
        "" if value != value else f"{value:+.1f}" + ("" if low != low else f" [{low:+.1f}, {high:+.1f}]")
        for value, low, high in zip(frame["points"], frame["points_low"], frame["points_high"])
    ]
    shown["verdict"] = frame["verdict"]
    return str(shown.to_html(index=False, escape=True))
