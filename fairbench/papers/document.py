"""A reproduction as one Markdown document; every sentence about results is made from the numbers."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairbench.data.alike import NEARLY
from fairbench.papers import summaries, words
from fairbench.papers.claims import Contrast, Judgement
from fairbench.papers.columns import Column
from fairbench.papers.drawn import Drawn
from fairbench.papers.measured import GAPS, MeasuredRow
from fairbench.papers.reproduced import Reproduced, TableOutcome
from fairbench.records import DONE

SLOWEST = 6  # how many kinds of cells the document names by their share of the time

READING = """
*{Called}* is mean ± spread over {runs} runs; {uncertain} marks a number that is hard to read in the source.

*Measured* is mean ± standard deviation over repeats, each with a split of its own. Where there are more than {runs}
repeats, the first {runs} of them stand in brackets. [3/5] says that a number is undefined or missing in two of five.

*Off* is the measured mean over all repeats minus the {called} mean, with the verdict: `within` if it is no larger than
the {called} spread, else `higher` or `lower`. {own} says that no spread is known and the measured one over the first
{runs} repeats took its place.
"""

COIN = """
*Points above the coin* are percentage points of accuracy above a coin that mixes `{baseline}` with the better constant
prediction and has the row's own difference between groups; for published rows the coin goes through the published
baseline and our constant, its splits taken to overlap as ours do. In brackets stands the 95% interval, by Student's t
with Nadeau and Bengio's correction for splits that overlap; *above* and *below* say that it leaves 0 out. A row below
the coin is worth less than tossing it.

*Selected* is the selection rate. Rates and gaps are fractions.
"""

NO_COIN = "All numbers are fractions, but for values that a scenario measures in units of its own."

ALIKE = """
"3/5 alike" says that three of five repeats decide alike for everybody: at least {alike:.0%} of the people, both labels
counting equally, have a chance of being selected within {nearly:g} of the median chance. Such a row is even between
groups for that reason alone.
"""

JUDGING = """
A claim is judged by comparing two rows on one dataset: the differences between them, repeat by repeat, with their mean
and its 95% interval, by Student's t with Nadeau and Bengio's correction for splits that overlap. A comparison *held* if
the interval lies on the claimed side of 0, *did not hold* if it lies on the other side, and is *not told apart* if 0 is
in it. It has *no valid interval* where none is known for the way in which the splits overlap. A claim *held* if all its
comparisons did, *held in part* if some did, *did not hold* if none did and one lies on the other side. Nothing corrects
for the number of comparisons.
"""

TESTED = (
    "Where a claim has a test of its own, the verdict is that test's; how it was made stands with its tables below."
)


def render(outcome: Reproduced, drawn: Drawn, command: str, folder: str) -> str:
    """Return the document.

    Args:
        outcome: what was found.
        drawn: the figures that were made, and why others were not.
        command: what makes this document.
        folder: where the figures lie, relative to the document.
    """
    parts = [
        *_head(outcome, command),
        *_claims(outcome),
        *_short(outcome),
        *(line for table in outcome.tables for line in _table(table, outcome)),
        *_quoted(outcome),
        *_figures(drawn, folder),
        *_comparisons(outcome),
        *_notes(outcome),
        *_produced(outcome, drawn, command),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _head(outcome: Reproduced, command: str) -> list[str]:
    """Return what this is and how to read it."""
    paper, rerun, published = outcome.reproduction.paper, outcome.reproduction.rerun, outcome.reproduction.published
    parts = (READING, COIN if rerun.baseline else NO_COIN, ALIKE)
    reading = "\n\n".join(part.strip() for part in parts).format(
        runs=" or ".join(str(runs) for runs in _runs(outcome)) or published.runs,
        uncertain=words.UNCERTAIN,
        own=words.OWN_SPREAD,
        baseline=rerun.baseline,
        alike=1 - NEARLY,
        nearly=NEARLY,
        called=published.called,
        Called=published.called.capitalize(),
    )
    origin = (
        f"**The numbers here called recomputed are not printed in the paper:** {words.escape(published.recomputed)}"
    )
    return [
        f"# {words.escape(paper.title)}: run again",
        "",
        f"{words.escape(paper.reference)}. Made by `{command}`: all measured numbers, and all sentences about them.",
        "",
        *([origin, ""] if published.recomputed else []),
        "## How to read this",
        "",
        *words.bullets(
            f"Protocol **{protocol.name}**: {words.escape(protocol.title)}." for protocol in rerun.protocols
        ),
        reading,
        "",
        *words.bullets(map(words.escape, outcome.without_interval())),
    ]


def _runs(outcome: Reproduced) -> list[int]:
    """Return behind how many runs the numbers of the tables shown are, each number once."""
    return sorted({table.table.runs for table in outcome.tables})


def _claims(outcome: Reproduced) -> list[str]:
    """Return which claims held, a line for each."""
    headings, rows = summaries.claims(outcome)
    if not rows:
        return []
    shown = [list(map(words.escape, row)) for row in rows]
    table = words.table(headings, shown, left=len(headings))
    tested = [TESTED, ""] if any(judgement.claim.test for judgement in outcome.judgements) else []
    return ["## Which claims hold", "", JUDGING.strip(), "", *tested, *table]


def _short(outcome: Reproduced) -> list[str]:
    """Return how often published and measured numbers agree, and how many rows lie above the coin."""
    if not outcome.tables:
        return []
    called = outcome.reproduction.published.called
    agreement = [
        f"## {called.capitalize()} and measured in short",
        "",
        f"How many of the {called} numbers have which verdict.",
        "",
        *words.table(*summaries.verdicts(outcome), left=2),
    ]
    if outcome.reproduction.rerun.baseline is None:
        return agreement
    return [
        *agreement,
        "## Above the coin in short",
        "",
        "How many of the paper's rows, its baseline aside, lie above or below the coin by more than their interval.",
        "",
        *words.table(*summaries.coins(outcome), left=3),
    ]


def _table(outcome: TableOutcome, whole: Reproduced) -> list[str]:
    """Return a table: for each dataset published beside measured, and the points above the coin."""
    table, names = outcome.table, [grid.protocol.name for grid in outcome.grids]
    repeats = max(len(cells) for grid in outcome.grids for cells in grid.cells.values())
    called = whole.reproduction.published.called
    runs = f"; the {called} numbers are over {table.runs} run{'' if table.runs == 1 else 's'}"
    behind = runs if len(_runs(whole)) > 1 else ""
    lines = [f"## {words.escape(table.name)}: {words.escape(table.title)}", "", f"{repeats} repeats{behind}.", ""]
    lines += words.bullets(map(words.escape, table.notes))
    for dataset, protocols in outcome.rows.items():
        rows = list(zip(*(protocols[name] for name in names)))
        lines += [f"### {words.escape(f'{table.name}, {dataset}')}", ""]
        if all(row.reason for versions in rows for row in versions):
            lines += [f"Nothing was measured. {words.escape(rows[0][0].reason)}", ""]
            continue
        headings = ["row", "metric", called]
        headings += [f"{name}: {what}" for name in names for what in ("measured", "off")]
        compared = words.table(headings, _compared(rows, table.runs), left=2)
        lines += compared
        if whole.reproduction.rerun.baseline:
            headings = ["row", *(f"{gap.heading}: {who}" for gap in GAPS for who in (called, *names))]
            headings += [f"selected: {name}" for name in names]
            lines += [
                "Points above the coin at the row's own difference:",
                "",
                *words.table(headings, map(_coin_row, rows)),
            ]
        lines += _beside(rows, names, outcome.table.beside)
    return lines


def _beside(rows: Sequence[Sequence[MeasuredRow]], names: Sequence[str], columns: Sequence[Column]) -> list[str]:
    """Return the choice and what is measured beside the published columns, a line for each row and protocol."""
    if not columns:
        return []
    lines = []
    for versions in rows:
        for name, row in zip(names, versions):
            if row.chosen:
                estimates = (words.estimate(comparison.all, row.planned) for comparison in row.beside)
                lines.append([words.escape(row.label), name, words.chosen(row), *estimates])
    headings = ["row", "protocol", "operating point", *(words.escape(column.heading) for column in columns)]
    return ["How the rows were run, and what else was measured:", "", *words.table(headings, lines, left=3)]


def _compared(rows: Sequence[Sequence[MeasuredRow]], runs: int) -> Iterator[list[str]]:
    """Yield a line for each row and metric, from the row under each protocol."""
    for versions in rows:
        for place, comparison in enumerate(versions[0].comparisons):
            cells = [
                text
                for row in versions
                for text in (words.measured(row, row.comparisons[place], runs), words.off(row.comparisons[place]))
            ]
            label = words.escape(versions[0].label) if place == 0 else ""
            yield [label, words.escape(comparison.column.heading), words.published(comparison.published), *cells]


def _coin_row(versions: Sequence[MeasuredRow]) -> list[str]:
    cells = [words.escape(versions[0].label)]
    for place in range(len(GAPS)):
        cells += [words.above(versions[0].coins[place].published)]
        cells += [words.above(row.coins[place].measured) for row in versions]
    return cells + [words.selected(row) for row in versions]


def _quoted(outcome: Reproduced) -> list[str]:
    """Return the published numbers that no row answers to."""
    published = outcome.reproduction.published
    lines = [f"## {published.called.capitalize()}, with no row of its own here", ""] if published.quoted else []
    for quoted in published.quoted.values():
        lines += [f"### {words.escape(quoted.title)}", "", *words.bullets(map(words.escape, quoted.notes))]
        headings = [words.escape(column.heading) for column in quoted.columns]
        lines += words.table(headings, (list(map(words.published, row)) for row in quoted.rows))
    return lines


def _figures(drawn: Drawn, folder: str) -> list[str]:
    """Return the figures, and the tables that stand beside explanations."""
    if not drawn.pictures and not drawn.left_out:
        return []
    lines = ["## Figures", ""]
    for picture in drawn.pictures:
        stem = f"{folder}/{picture.stem}"
        lines += [f"### {words.escape(f'{picture.figure}, protocol {picture.protocol}')}", ""]
        lines += [f"![{words.escape(picture.title)}]({stem}.png)", ""]
        lines += [f"{words.escape(picture.caption)} ([SVG]({stem}.svg))", ""]
        if picture.rows:
            lines += words.table(picture.headings, picture.rows)
    return lines + words.bullets(map(words.escape, drawn.left_out))


def _comparisons(outcome: Reproduced) -> list[str]:
    """Return every comparison of every claim."""
    claims = summaries.by_claim(outcome)
    lines = ["## The claims, comparison by comparison", ""] if claims else []
    for judged in claims:
        if judged[0].claim.test:
            lines += [f"**{words.escape(judged[0].claim.text)}**", "", *_trials(judged)]
            continue
        called = outcome.reproduction.published.called
        headings = ["dataset", "row", "against", "metric", called, *(judgement.protocol for judgement in judged)]
        table = words.table(headings, _contrasts(judged), left=4) if judged[0].contrasts else ["Not run.", ""]
        lines += [f"**{words.escape(judged[0].claim.text)}**", "", *table]
    return lines


def _trials(judgements: Sequence[Judgement]) -> Iterator[str]:
    """Yield what a claim's own test came to, under each protocol and on each dataset."""
    pairs = [(judgement.protocol, trial) for judgement in judgements for trial in judgement.trials]
    for protocol, trial in pairs:
        yield from (f"On {words.escape(trial.dataset)}, protocol {protocol}: {words.escape(trial.verdict)}.", "")
        if trial.evidence is not None:
            for paragraph in trial.evidence.reading:
                yield from (words.escape(paragraph), "")
            for title, rows in trial.evidence.tables.items():
                yield from (f"{words.escape(title)}:", "")
                headings = [words.escape(heading) for heading in rows[0]] if rows else []
                yield from words.table(headings, (list(map(words.escape, row.values())) for row in rows))


def _contrasts(judgements: Sequence[Judgement]) -> Iterator[list[str]]:
    """Yield a line for each comparison, from the contrast under each protocol."""
    for contrasts in zip(*(judgement.contrasts for judgement in judgements)):
        first = contrasts[0]
        said = words.NOTHING if first.published is None else words.number(first.published, signed=True)
        names = map(words.escape, (first.dataset, *first.labels, first.column.heading))
        yield [*names, said, *map(_found, contrasts)]


def _found(contrast: Contrast) -> str:
    alike = f" ({contrast.alike[0]}/{contrast.alike[1]} alike)" if contrast.mostly_alike else ""
    return f"{words.interval(contrast.measured)} {contrast.outcome}{alike}"


def _notes(outcome: Reproduced) -> list[str]:
    """Return what must stand beside the tables, and what is missing from them."""
    datasets: Mapping[str, Sequence[str]] = outcome.results.run.get("notes", {})
    used = {str(cell.dataset) for cell in outcome.reproduction.cells}
    notes = [f"{name}: {note}" for name, sentences in datasets.items() if name in used for note in sentences]
    lines = ["## Notes", "", *words.bullets(map(words.escape, [*outcome.reproduction.published.notes, *notes]))]
    missing = outcome.missing()
    return [*lines, *(["## What is missing", "", *words.bullets(map(words.escape, missing))] if missing else [])]


def _produced(outcome: Reproduced, drawn: Drawn, command: str) -> list[str]:
    """Return command, times, what took longest, and versions."""
    sessions = outcome.results.run.get("sessions", [])
    spent: Counter[str] = Counter()
    for record in outcome.results.records:
        spent[f"{record.cell.method.name} on {record.cell.dataset}"] += round(1000 * record.cpu_seconds)
    total = sum(spent.values())
    slowest = "; ".join(f"{name} {share / total:.0%}" for name, share in spent.most_common(SLOWEST) if total)
    machines = ", ".join(dict.fromkeys(map(_machine, sessions)))
    wall = sum(map(_seconds, sessions))
    sentences = [
        f"Command: `{command}`.",
        f"{sum(record.status == DONE for record in outcome.results.records)} cells took {words.minutes(total / 1000)} "
        "of CPU time.",
        *([f"What took longest, by share of it: {words.escape(slowest)}."] if slowest else []),
        f"By the clock, running them took {words.minutes(wall)} in {len(sessions)} "
        f"session{'' if len(sessions) == 1 else 's'} on {machines}.",
        *([f"Explaining models took {words.minutes(drawn.seconds)} more."] if drawn.seconds else []),
        *dict.fromkeys(map(_versions, sessions)),
    ]
    return ["## How this was made", "", *words.bullets(sentences)]


def _seconds(session: Mapping[str, Any]) -> float:
    """Return how long a session lasted; one that was killed did not say when it ended and counts as 0."""
    if not session.get("ended"):
        return 0.0
    started, ended = (datetime.datetime.fromisoformat(session[name]) for name in ("started", "ended"))
    return (ended - started).total_seconds()


def _machine(session: Mapping[str, Any]) -> str:
    return f"{session['executor']} ({session['machine']}, {session['processors']} processors)"


def _versions(session: Mapping[str, Any]) -> str:
    named = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
    return f"Python {session['python']}, {named}."
