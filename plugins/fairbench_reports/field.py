"""The state of a field: what the methods of a run are worth under each rule, on each dataset and over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairbench.api import Report, Results, counted, escape_markdown, hookimpl
from fairbench.api.analysis import WIDER, Estimate, finished
from fairbench_reports._board import PLAIN, POST_PROCESSING, Board, FieldRow, Harmed, Overall, UnderRule
from fairbench_reports._field import FEWEST, GAPS, fields, rules_of
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
    "wider gap",
    "mean points",
    "a group loses",
)
COSTS = (
    "method",
    "sd accuracy",
    "sd gap",
    "CPU s",
    "x baseline",
    "repeats",
    "failed",
    "skipped",
    f"budget {UNEQUAL}",
)
ON_ONE = (
    "method",
    "repeats",
    "points above the coin",
    "verdict",
    "tier",
    "of the room",
    "accuracy",
    "gap",
    "worst group's change",
    "x baseline",
    "trials",
)
TEXTS = ("method", "verdict", "worst group's change")
SIDES = {1: "above the coin", 0: "not told apart", -1: "below the coin"}
READING = (
    "points above the coin: accuracy beyond that of tossing a coin between the baseline and a constant prediction with "
    "the same gap, in per cent of all rows, with its 95% interval. Above the coin: the interval lies above 0; above "
    "both: so does that of the points above one common threshold on the baseline's scores, which is stricter; not told "
    "apart: the interval holds 0",
    "wider gap: than the baseline's. The coin is then the baseline itself, so points are more accuracy and no fairness",
    "mean points: over the datasets with a verdict, each of which counts once; how many these are is said where they "
    f"are not all. The interval (Student's t) needs {FEWEST} datasets. The order of the methods is that of the "
    "datasets above the coin, then of the mean, and no ranking",
    "of the room: the height of the attainable line (optimal post-processing that knows the group) above the coin at "
    "the method's gap, in points, and the share of it that is reached; no room: the two lines are not told apart there",
    "worst group's change: in people per 100 against the baseline, of the group that fares worst by the method, in the "
    "favourable outcome (under a rule on equalized odds, of those who deserve it), with its 95% interval; "
    f"{LOSES} the loss holds beyond it; a group loses: on how many datasets",
    "repeats: how many are finished, of how many that the run asks for if these are not all. Compare rows with the "
    "same number: a method can be lucky in those that it has",
    "accuracy and gap are fractions, means ± standard deviations over the repeats; sd accuracy and sd gap are the "
    "medians of these deviations over the datasets",
    "x baseline: CPU time of one repeat with all its trials, as a multiple of the baseline's; over all datasets the "
    "median of these. CPU s: of all cells together, those without values included",
    "tier 1 on a dataset holds the best and all that are not told apart from it at 5%, with Holm's correction over all "
    "pairs: with many methods only large differences are. There are no tiers where nothing is told apart",
    f"{UNEQUAL} the budget is unequal to the others': other trials than the scenario grants, or more than three times "
    f"the median CPU time of the tuned methods; budget {UNEQUAL}: on how many datasets",
)


def render(results: Results) -> str:
    """Return under each rule the findings in words, a table over all datasets and a table for each of them.

    Rules are those that the scenarios name, ``also`` included: all choose among the same fits. Methods are judged at
    the gap that a rule is about.
    """
    lines, shown = ["# The state of the field", ""], fields(results)
    if results.unfinished:
        lines += [escape_markdown(f"This run is not complete: {results.unfinished}."), ""]
    if results.whole is not None:
        lines += ["Only a part of the run is shown, and counted here.", ""]
    for under in shown:
        lines += [f"## {escape_markdown('; '.join(filter(None, [under.rule, under.setting])))}", ""]
        about, *found = findings(under)
        lines += [escape_markdown(about), "", *bullets(found)]
        lines += ["### Over all datasets", "", *_table(OVERALL, [_over_all(each, under) for each in under.overall])]
        lines += ["### Stability, cost and failures", ""]
        lines += _table(COSTS, [_costs(each, under) for each in under.overall])
        lines += bullets(_tests(under))
        for board in under.boards:
            lines += [f"### {escape_markdown(board.title)}", "", escape_markdown(_about(board)), ""]
            lines += _table(ON_ONE, [_on_one(board, row) for row in sorted(board.rows, key=_points)])
            lines += bullets(board.notes)
    post = f"post-processing is represented by {', '.join(POST_PROCESSING)}; plain models are {', '.join(PLAIN)}"
    lines += ["## Notes", "", *bullets([*READING, post] if shown else [_nothing(results)])]
    return "\n".join([*lines, *bullets(foot(results, sections(results), best=""))])


def _nothing(results: Results) -> str:
    """Return why there is no leaderboard."""
    named = {rule for record in results.records for rule in rules_of([record])}
    if not named:
        return (
            "no scenario of this run names a rule by which operating points are chosen, so nothing is shown: run sweep"
        )
    if not any(metric in results.labels for metric in GAPS.values()):
        return f"nothing is shown without one of the metrics {', '.join(GAPS.values())}"
    if not finished([record for record in results.records if rules_of([record])]):
        return "no method has a finished repeat under a rule yet"
    return "nothing is shown, since points above the coin have no other definitions: leave out --definitions"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---" if heading in TEXTS else "---:" for heading in headings]
    shown = [table_row(map(escape_markdown, row)) for row in rows]
    return [table_row(map(escape_markdown, headings)), table_row(rule), *shown, ""]


def _tests(under: UnderRule) -> list[str]:
    """Return what tests over the datasets say, with the tiers if there are any."""
    told = [*under.left_out]
    if under.kept:
        told.append(f"as the run's own rule chose them, for lack of stored validation counts: {', '.join(under.kept)}")
    for ranking in under.rankings:
        across = ranking.across
        for tier in sorted(set(across.tiers.values())) if len(set(across.tiers.values())) > 1 else ():
            members = [across.methods[place] for place, here in across.tiers.items() if here == tier]
            told.append(f"tier {tier} over {counted(len(across.datasets), 'dataset')}: {', '.join(members)}")
        told += notes_on(ranking)
    return told


def _over_all(each: Overall, under: UnderRule) -> tuple[str, ...]:
    return (
        each.label,
        str(each.on_side(1)),
        str(each.count("above_common")),
        str(each.on_side(0)),
        str(each.on_side(-1)),
        str(each.on_side(None)),
        str(each.count("wider")),
        _mean_points(each, len({board.section.cell.dataset.name for board in under.boards})),
        str(each.count("loses")),
    )


def _costs(each: Overall, under: UnderRule) -> tuple[str, ...]:
    rows = each.rows
    failed, cells = sum(row.failed for row in rows), sum(row.cells for row in rows)
    return (
        each.label,
        number(each.median([row.accuracy.sd for row in rows])),
        number(each.median([row.gap.sd for row in rows])),
        number(sum(row.cpu_seconds for row in rows), 0),
        number(each.median([row.cost for row in rows]), 1),
        _finished(sum(len(row.records) for row in rows), under.repeats * len(under.boards)),
        _share(failed, cells),
        _share(sum(row.skipped for row in rows), cells),
        str(each.unequal),
    )


def _mean_points(each: Overall, datasets: int) -> str:
    points = each.points
    if points is None:
        return NOTHING
    ends = "" if points.low is None or points.high is None else f" [{_signed(points.low)}, {_signed(points.high)}]"
    over = "" if points.n == datasets else f" ({points.n} of {datasets})"
    return f"{_signed(points.mean)}{ends}{over}"


def _about(board: Board) -> str:
    """Return the baseline and the budget of a dataset in a sentence."""
    baseline, records = board.baseline, board.baseline.records
    if not records:
        return f"No baseline: {baseline.why}."
    repeats = counted(len({record.cell.repeat for record in records}), "repeat")
    seconds = Estimate.of(record.cpu_seconds for record in records).mean
    budget = "" if board.budget is None else f" Each method is granted {counted(board.budget, 'trial')}."
    return (
        f"Baseline {baseline.label} (in {records[0].cell.scenario.name}, {repeats}, {number(seconds, 2)} s of CPU time "
        f"each).{budget}"
    )


def _on_one(board: Board, row: FieldRow) -> tuple[str, ...]:
    verdict = None if row.standing is None else row.standing.verdict
    spent = row.spent
    unequal = f" {UNEQUAL}" if spent is not None and spent.unequal else ""
    tier = board.tiers.get(row.label) if board.told_apart else None
    return (
        row.label,
        _repeats(row),
        NOTHING if verdict is None else above_coin(verdict),
        "; ".join([_said(row), *(note.replace(WIDER, "wider gap") for note in row.remarks)]),
        NOTHING if tier is None else str(tier),
        NOTHING if verdict is None else of_the_room(verdict),
        _spread(row.accuracy),
        _spread(row.gap),
        NOTHING if row.harmed is None else _harm(row.harmed),
        number(row.cost, 1),
        number(None if spent is None else spent.trials, 0) + unequal,
    )


def _repeats(row: FieldRow) -> str:
    """Return how many repeats are finished, and why others are not."""
    ended = [f"{count} {word}" for count, word in ((row.failed, "failed"), (row.skipped, "skipped")) if count]
    return ", ".join([row.repeats, *ended])


def _said(row: FieldRow) -> str:
    """Return the verdict in the words that the columns over all datasets have."""
    if row.standing is None:
        return "no finished repeat"
    if row.side is None:
        return row.standing.verdict.reading
    return "above both" if row.above_common else SIDES[row.side]


def _points(row: FieldRow) -> float:
    """Return what sorts the rows of a dataset: the most points first, those without a verdict last."""
    return 1.0 if row.points is None else -row.points


def _harm(harmed: Harmed) -> str:
    change = harmed.change
    ends = "" if change.low is None or change.high is None else f" [{_signed(change.low)}, {_signed(change.high)}]"
    return f"{_signed(change.value)}{ends} {harmed.group}{f' {LOSES}' if change.fell else ''}"


def _spread(found: Estimate) -> str:
    return number(found.mean) + ("" if found.sd is None else f" ± {number(found.sd)}")


def _finished(part: int, whole: int) -> str:
    return str(part) if part == whole else f"{part}/{whole}"


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole}" if part else "0"


def _signed(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("field", "", render)]
