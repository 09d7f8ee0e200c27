"""The state of a field: what the methods of a run are worth under each rule, on each dataset and over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairbench.api import Report, Results, counted, escape_markdown, hookimpl
from fairbench.api.analysis import Estimate
from fairbench_reports._field import FEWEST, POST_PROCESSING, Board, FieldRow, Harmed, Overall, UnderRule, fields
from fairbench_reports._findings import findings
from fairbench_reports._foot import foot
from fairbench_reports._table import number, sections
from fairbench_reports._verdicts import above_coin, of_the_room
from fairbench_reports.markdown import bullets, table_row
from fairbench_reports.ranks import notes_on

LOSES, UNEQUAL, NOTHING = "▼", "!", "-"
OVERALL = (
    "method",
    "above coin",
    "above both",
    "not told apart",
    "below",
    "no verdict",
    "no room",
    "mean points",
    "a group loses",
    "sd accuracy",
    "sd gap",
    "CPU s",
    "x baseline",
    "failed",
    "skipped",
    f"budget {UNEQUAL}",
)
ON_ONE = (
    "method",
    "tier",
    "accuracy",
    "gap",
    "points above the coin",
    "of the room",
    "verdict",
    "worst group's change",
    "CPU s",
    "x baseline",
    "trials",
    "failed",
)
TEXTS = ("method", "verdict", "worst group's change")
READING = (
    "points above the coin: accuracy beyond that of tossing a coin between the baseline and a constant prediction with "
    "the same gap, in per cent of all rows, with its 95% interval; above both: above the line of one common threshold "
    "on the baseline's scores, too, which is stricter",
    "of the room: the height of the attainable line (optimal post-processing that knows the group) above the coin at "
    "the method's gap, and the share of it that is reached; no room: the two lines are not told apart there",
    "worst group's change: in people per 100 against the baseline, of the group that fares worst by the method, in the "
    "favourable outcome (under a rule on equalized odds, of those who deserve it), with its 95% interval; "
    f"{LOSES} the loss holds beyond it; a group loses: on how many datasets",
    "accuracy and gap are means ± standard deviations over the repeats; over all datasets the medians of these "
    "deviations, the sum of the CPU time of all cells, and the median of its ratio to the baseline's are shown",
    f"mean points: over datasets, each of which counts once; the interval (Student's t) needs {FEWEST} datasets. The "
    "order of the methods is that of the datasets above the coin, then of the mean, and no ranking",
    "tier 1 on a dataset holds the best and all that are not told apart from it at 5%, with Holm's correction over all "
    "pairs; there are no tiers where nothing is told apart, and the order is by points",
    f"{UNEQUAL} the budget is unequal to the others': other trials than the scenario grants, or more than three times "
    f"the median CPU time of the tuned methods; budget {UNEQUAL}: on how many datasets",
)


def render(results: Results) -> str:
    """Return under each rule the findings in words, a table over all datasets and a table for each of them.

    Rules are those that the scenarios name, ``also`` included: all choose among the same fits. Methods are judged at
    the gap that a rule is about.
    """
    lines, found = ["# The state of the field", ""], fields(results)
    for under in found:
        lines += [f"## {escape_markdown(under.rule)}", ""]
        for paragraph in findings(under):
            lines += [escape_markdown(paragraph), ""]
        lines += ["### Over all datasets", "", *_table(OVERALL, [_over_all(each) for each in under.overall])]
        lines += bullets(_tests(under))
        for board in under.boards:
            lines += [f"### {escape_markdown(board.title)}", "", escape_markdown(_about(board)), ""]
            lines += _table(ON_ONE, [_on_one(board, row) for row in sorted(board.rows, key=_points)])
    post = f"post-processing is represented by {', '.join(POST_PROCESSING)}"
    none = "no scenario of this run names a rule by which operating points are chosen, so nothing is shown: run sweep"
    lines += ["## Notes", "", *bullets([*READING, post] if found else [none])]
    return "\n".join([*lines, *bullets(foot(results, sections(results), best=""))])


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---" if heading in TEXTS else "---:" for heading in headings]
    shown = [table_row(map(escape_markdown, row)) for row in rows]
    return [table_row(map(escape_markdown, headings)), table_row(rule), *shown, ""]


def _tests(under: UnderRule) -> list[str]:
    """Return what tests over the datasets say, with the tiers if there are any."""
    told = []
    for ranking in under.rankings:
        across = ranking.across
        for tier in sorted(set(across.tiers.values())) if len(set(across.tiers.values())) > 1 else ():
            members = [across.methods[place] for place, here in across.tiers.items() if here == tier]
            told.append(f"tier {tier} over {counted(len(across.datasets), 'dataset')}: {', '.join(members)}")
        told += notes_on(ranking)
    return told


def _over_all(each: Overall) -> tuple[str, ...]:
    rows = each.rows
    spent = [row.spent for row in rows if row.spent is not None]
    failed, cells = sum(row.failed for row in rows), sum(row.cells for row in rows)
    return (
        each.label,
        str(each.on_side(1)),
        str(each.count("above_common")),
        str(each.on_side(0)),
        str(each.on_side(-1)),
        str(each.on_side(None)),
        str(each.count("no_room")),
        _mean_points(each),
        str(each.count("loses")),
        number(each.median([row.accuracy.sd for row in rows])),
        number(each.median([row.gap.sd for row in rows])),
        number(sum(here.cpu_seconds * here.repeats for here in spent), 0) if spent else NOTHING,
        number(each.median([row.cost for row in rows]), 1),
        _share(failed, cells),
        _share(sum(row.skipped for row in rows), cells),
        str(each.unequal),
    )


def _mean_points(each: Overall) -> str:
    points = each.points
    if points is None:
        return NOTHING
    ends = "" if points.low is None or points.high is None else f" [{_signed(points.low)}, {_signed(points.high)}]"
    return f"{_signed(points.mean)}{ends}"


def _about(board: Board) -> str:
    """Return the baseline and the budget of a dataset in a sentence."""
    baseline, records = board.baseline, board.baseline.records
    if not records:
        return f"No baseline: {baseline.why}."
    repeats = counted(len({record.cell.repeat for record in records}), "repeat")
    seconds = Estimate.of(record.cpu_seconds for record in records).mean
    budget = "" if board.budget is None else f" Each method is granted {counted(board.budget, 'trial')}."
    why = "" if baseline.expected else f": {baseline.why}"
    return (
        f"Baseline {baseline.label}{why} (in {records[0].cell.scenario.name}, {repeats}, {number(seconds, 2)} s of CPU "
        f"time each).{budget}"
    )


def _on_one(board: Board, row: FieldRow) -> tuple[str, ...]:
    verdict = None if row.standing is None else row.standing.verdict
    spent = row.spent
    unequal = f" {UNEQUAL}" if spent is not None and spent.unequal else ""
    return (
        row.label,
        str(board.tiers.get(row.label, NOTHING)),
        _spread(row.accuracy),
        _spread(row.gap),
        NOTHING if verdict is None else above_coin(verdict),
        NOTHING if verdict is None else of_the_room(verdict),
        "no finished repeat" if verdict is None else verdict.reading,
        NOTHING if row.harmed is None else _harm(row.harmed),
        number(None if spent is None else spent.cpu_seconds, 2),
        number(row.cost, 1),
        number(None if spent is None else spent.trials, 0) + unequal,
        _share(row.failed, row.cells),
    )


def _points(row: FieldRow) -> float:
    """Return what sorts the rows of a dataset: the most points first, those without a verdict last."""
    above = row.standing.verdict.above if row.standing else None
    return -above.value if above else 1.0


def _harm(harmed: Harmed) -> str:
    change = harmed.change
    ends = "" if change.low is None or change.high is None else f" [{_signed(change.low)}, {_signed(change.high)}]"
    return f"{_signed(change.value)}{ends} {harmed.group}{f' {LOSES}' if change.fell else ''}"


def _spread(found: Estimate) -> str:
    return number(found.mean) + ("" if found.sd is None else f" ± {number(found.sd)}")


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole}" if part else "0"


def _signed(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("field", "", render)]
