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
from fairbench.papers.short import render_short
from fairbench.records import DONE
from fairbench.texts import counted

SLOWEST = 6  # how many kinds of cells the document names by their share of the time

READING = """
*{Called}* numbers are mean ± spread over {runs} runs; {uncertain} marks a number that is hard to read in the source.

*Measured* numbers are mean ± standard deviation over repeats, each with its own split. Where there are more than
{runs} repeats, the numbers over the first {runs} follow in parentheses. [3/5] means that a number is undefined or
missing in two of five repeats.

*Off* is the measured mean over all repeats minus the {called} mean, with a verdict: `within` if the difference is no
larger than the {called} spread, otherwise `higher` or `lower`. {own} means that no {called} spread is known, so the
measured spread over the first {runs} repeats is used instead.
"""

COIN = """
*Points above the coin* are percentage points of accuracy above a coin that mixes `{baseline}` with the better constant
prediction so that it has the same difference between groups as the row; for published rows the coin mixes the published
baseline with the better constant on the whole dataset, and the paper's splits are assumed to overlap as ours do. The
95% interval in brackets is by Student's t with Nadeau and Bengio's correction for overlapping splits; *above* and
*below* mean that it excludes 0. A row below the coin is worse than tossing the coin.

*Selected* is the selection rate. Rates and gaps are fractions.
"""

NO_COIN = "All numbers are fractions, except values that a scenario measures in its own units."

ALIKE = """
"3/5 alike" means that three of five repeats make the same decision for everybody: at least {alike:.0%} of the people,
with both labels counting equally, have a chance of being selected within {nearly:g} of the median chance. Such a row
shows parity between groups for that reason alone.
"""

JUDGING = """
A claim is judged by comparing two rows on one dataset: the differences between them are taken repeat by repeat, and
their mean is given with its 95% interval by Student's t with Nadeau and Bengio's correction for overlapping splits. A
comparison *held* if the interval lies on the claimed side of 0, *did not hold* if it lies on the other side, and is
*not told apart* if it contains 0. It has *no valid interval* if none is known for the way in which the splits overlap.

A claim *held* if all its comparisons did. It is *mixed* if some held and others lie on the other side; it *held in
part* if some held and none lies there; it *did not hold* if none held and some lie there; otherwise it is *not told
apart*.

Of many comparisons some are held by chance. The verdict therefore comes first with Holm's correction over the claim's
comparisons under one protocol (p of at most 5% after it), then *uncorrected*, from each comparison by itself. *By
chance* says how many would be held without any difference: 2.5% of those with an interval; as many would lie on the
other side. The probability of at least the number seen is binomial; it is a guide, because comparisons share rows and
splits. The tables of comparisons show each outcome by itself, and p where Holm's correction takes it away.
"""

TESTED = "Where a claim has a test of its own, the verdict is that test's; the test is described with its tables below."


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
    """Return the title, what was found in short, and how to read the document."""
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
        f"**The numbers called recomputed here are not printed in the paper:** {words.escape(published.recomputed)}"
    )
    return [
        f"# {words.escape(paper.title)}: run again",
        "",
        f"{words.escape(paper.reference)}. All measured numbers and all sentences about them were made by `{command}`.",
        "",
        *([origin, ""] if published.recomputed else []),
        *render_short(outcome),
        "## How to read this",
        "",
        reading,
        "",
        *words.bullets(map(words.escape, [*outcome.without_interval(), *outcome.without_base_rate()])),
    ]


def _runs(outcome: Reproduced) -> list[int]:
    """Return the numbers of runs behind the tables shown, each once."""
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
        f"## {called.capitalize()} and measured: summary",
        "",
        f"How many of the {called} numbers got each verdict.",
        "",
        *words.table(*summaries.verdicts(outcome), left=2),
    ]
    if outcome.reproduction.rerun.baseline is None:
        return agreement
    return [
        *agreement,
        "## Above the coin: summary",
        "",
        "How many of the paper's rows, apart from its baseline, have an interval that lies above or below the coin.",
        "",
        *words.table(*summaries.coins(outcome), left=3),
    ]


def _table(outcome: TableOutcome, whole: Reproduced) -> list[str]:
    """Return a table: for each dataset published beside measured, and the points above the coin."""
    table, names = outcome.table, [grid.protocol.name for grid in outcome.grids]
    repeats = max(len(cells) for grid in outcome.grids for cells in grid.cells.values())
    called = whole.reproduction.published.called
    runs = f"; the {called} numbers are over {counted(table.runs, 'run')}"
    behind = runs if len(_runs(whole)) > 1 else ""
    lines = [
        f"## {words.escape(table.name)}: {words.escape(table.title)}",
        "",
        f"{counted(repeats, 'repeat')}{behind}.",
        "",
    ]
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
                "Points above the coin at each row's own difference:",
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
    """Return the published numbers that correspond to no row."""
    published = outcome.reproduction.published
    lines = [f"## {published.called.capitalize()} numbers without a row here", ""] if published.quoted else []
    for quoted in published.quoted.values():
        lines += [f"### {words.escape(quoted.title)}", "", *words.bullets(map(words.escape, quoted.notes))]
        headings = [words.escape(column.heading) for column in quoted.columns]
        lines += words.table(headings, (list(map(words.published, row)) for row in quoted.rows))
    return lines


def _figures(drawn: Drawn, folder: str) -> list[str]:
    """Return the figures, each with its table if it has one."""
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
    """Yield the result of a claim's own test, under each protocol and on each dataset."""
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
    return f"{words.interval(contrast.measured)} {contrast.outcome}{_lost(contrast)}{alike}"


def _lost(contrast: Contrast) -> str:
    """Return p after Holm's correction if the outcome does not survive it."""
    if contrast.corrected == contrast.outcome or contrast.adjusted is None:
        return ""
    return f" (not with Holm's correction: p {words.number(contrast.adjusted)})"


def _notes(outcome: Reproduced) -> list[str]:
    """Return what a reader of the tables must know, and what is missing from them."""
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
    done = sum(record.status == DONE for record in outcome.results.records)
    slowest = "; ".join(f"{name} {share / total:.0%}" for name, share in spent.most_common(SLOWEST) if total)
    machines = ", ".join(dict.fromkeys(map(_machine, sessions)))
    wall = sum(map(_seconds, sessions))
    sentences = [
        f"Command: `{command}`.",
        f"{counted(done, 'cell')} took {words.minutes(total / 1000)} of CPU time.",
        *([f"What took longest, by share of CPU time: {words.escape(slowest)}."] if slowest else []),
        f"Wall-clock time was {words.minutes(wall)}, in {counted(len(sessions), 'session')} on {machines}.",
        *([f"Explaining models took another {words.minutes(drawn.seconds)}."] if drawn.seconds else []),
        *dict.fromkeys(map(_versions, sessions)),
    ]
    return ["## How this was made", "", *words.bullets(sentences)]


def _seconds(session: Mapping[str, Any]) -> float:
    """Return how long a session lasted; one that was killed, or during which the clock was put back, counts as 0."""
    if not session.get("ended"):
        return 0.0
    started, ended = (datetime.datetime.fromisoformat(session[name]) for name in ("started", "ended"))
    return max(0.0, (ended - started).total_seconds())


def _machine(session: Mapping[str, Any]) -> str:
    return f"{session['executor']} ({session['machine']}, {counted(session['processors'], 'processor')})"


def _versions(session: Mapping[str, Any]) -> str:
    named = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
    return f"Python {session['python']}, {named}."
