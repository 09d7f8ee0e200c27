"""Who gains and who loses: every method against the baseline, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, Undefined, hookimpl
from fairbench.api.analysis import (
    CORRECT,
    DESERVED,
    FEW_ROWS,
    GIVEN,
    NO_INTERVAL,
    Baseline,
    Change,
    Harm,
    Levelling,
    Served,
    baseline_of,
    harm_between,
    overlap_correction,
    stored_rows,
)
from fairbench_reports._entries import SMALL, clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_head, print_lines, print_table, printed
from fairbench_reports._table import MethodRow, Section, number, sections

SHOWN = {GIVEN: "given", DESERVED: "deserving given", CORRECT: "correct"}
NAMES_SHOWN = 4
FOOT = (
    "numbers of people per 100: given = the favourable outcome, of all; deserving given = the favourable outcome, of "
    "those whose label is favourable; correct = decided as the label says; rows = how many people they are per repeat",
    "share taken = what the best-off group loses, of that and what the worst-off group gains; levelling down: the gap "
    "falls and the best-off group loses, both beyond their 95% intervals, and at least half is taken; pure: the "
    "worst-off group gains nothing beyond its interval",
    "everyone served worse: the share of correct decisions falls beyond its 95% interval in every group",
    "each interval stands for itself: of 20 changes that are none, one lies beyond its interval by chance",
)
ONE_REPEAT = "one repeat: the intervals say what its test rows leave open, and nothing of other splits (no spread)"
SEVERAL = "intervals are over repeats: Student's t, corrected for the splits' overlap"


def render(results: Results) -> str:
    """Return for each method what it changes for each group against the baseline, and a sentence that says it."""
    console = new_console()
    shown = sections(results)
    told: list[str] = []
    with stored_rows(results) as stored:
        for section in shown:
            print_head(console, section)
            baseline = baseline_of([record for row in section.rows for record in row.records], results)
            if not baseline.records:
                print_lines(console, [f"nothing to compare with: {baseline.why}", ""])
                continue
            label = baseline_label(section, baseline)
            print_lines(console, [f"baseline: {label} ({baseline.why})", ""])
            compared = list(compared_rows(section, baseline, results))
            if not compared:
                print_lines(console, ["no other method but reference methods has a finished repeat", ""])
            for row in compared:
                try:
                    found = harm_between(stored, baseline.records, row.records)
                except Undefined as reason:
                    print_lines(console, [f"{row.label} is not compared: {reason}", ""])
                    continue
                console.print(Text(f"{row.label} against {label}"))
                print_table(console, _changes(found))
                print_lines(console, ["", *notes_on(found), f"{in_words(row.label, label, found)}", ""])
                told += intervals(found, baseline)
    print_lines(console, [*(FOOT if told else ()), *dict.fromkeys(told), *missing(results)])
    if not shown:
        print_lines(console, ["there are no results yet"])
    return printed(console)


def compared_rows(section: Section, baseline: Baseline, results: Results) -> Iterator[MethodRow]:
    """Yield the methods that are compared: all but the baseline, references and those without a finished repeat."""
    references = results.run.get("reference_methods", ())
    for row in section.rows:
        if row.records and not baseline.ran(row.records) and row.method not in references:
            yield row


def baseline_label(section: Section, baseline: Baseline) -> str:
    """Return the label of the baseline in the section's tables."""
    own = (row.label for row in section.rows if baseline.ran(row.records))
    return next(own, baseline.label)  # which need not be among what is shown


# -------------------------------------------------------------------- the table


def _changes(found: Harm) -> Table:
    several = found.repeats > 1
    headings = ["rows", *(["fewest"] if several else []), "baseline", "method", "change", "95% interval"]
    table = new_table(2, ["group", "per 100"], headings)
    for place, group in enumerate(found.groups):
        name = clean(group) + (f" {SMALL}" if min(found.served[GIVEN][place].rows) < FEW_ROWS else "")
        for what, heading in SHOWN.items():
            served = found.served[what][place]
            table.add_row(Text(name if what == GIVEN else ""), Text(heading), *map(Text, _numbers(served, several)))
    return table


def _numbers(served: Served, several: bool) -> list[str]:
    rows = [number(sum(served.rows) / len(served.rows), 0), *([str(min(served.rows))] if several else [])]
    return [*rows, _hundredth(served.before), _hundredth(served.after), *shown_change(served.change)]


def shown_change(change: Change | None) -> tuple[str, str]:
    """Return a change and its interval."""
    return ("-", "-") if change is None else (_signed(change.value), _interval(change))


def _interval(change: Change) -> str:
    return "-" if change.low is None or change.high is None else f"{_signed(change.low)} to {_signed(change.high)}"


def _hundredth(share: float | None) -> str:
    return number(None if share is None else 100 * share, 1)


def _signed(share: float) -> str:
    text = _hundredth(share)
    return text if text.startswith("-") or not float(text) else f"+{text}"


# -------------------------------------------------------------------- in words


def notes_on(found: Harm) -> list[str]:
    """Return what becomes of each gap, the marks, and which groups are small or lack rows."""
    lines = [_levelled(criterion.replace("_", " "), level) for criterion, level in found.levelling.items()]
    lines += [f"{criterion.replace('_', ' ')}: not judged, {why}" for criterion, why in found.unjudged.items()]
    if found.everyone_worse:
        lines.append("EVERYONE SERVED WORSE: fewer correct decisions in every group")
    small = [
        repr(clean(name)) for name, served in zip(found.groups, found.served[GIVEN]) if min(served.rows) < FEW_ROWS
    ]
    if small:
        lines.append(f"{SMALL} fewer than {FEW_ROWS} rows in a test part, each person weighs much: {', '.join(small)}")
    return lines + [clean(sentence) for sentence in found.missing]


def _levelled(criterion: str, level: Levelling) -> str:
    share = "nothing" if level.share_taken is None else f"{100 * level.share_taken:.0f}%"
    mark = ": LEVELLING DOWN" + (", PURE" if level.pure else "") if level.down else ""
    return (
        f"{criterion}: gap {_hundredth(level.gap)} points, {_signed(level.rise.value)} ({_interval(level.rise)}); "
        f"{share} taken from {clean(level.best)!r}, best off ({clean(level.worst)!r} is worst off){mark}"
    )


def in_words(method: str, baseline: str, found: Harm) -> str:
    """Return who gains and who loses in people per 100, only what holds beyond its interval."""
    changes = {what: [served.change for served in found.served[what]] for what in (GIVEN, DESERVED)}
    known = [change for several in changes.values() for change in several if change is not None]
    if all(change.low is None for change in known):
        return f"In words: {NO_INTERVAL}, so who gains and who loses with {method} instead of {baseline} is open."
    said = f"In words: with {method} instead of {baseline}, "
    if any(change.rose or change.fell for change in known):
        said += f"{_moved(found, GIVEN)}; among those who deserve it, {_moved(found, DESERVED)}"
    else:
        said += "no change in any group's chance of the favourable outcome can be told from chance"
    for level in found.levelling.values():
        if level.down:
            gain = f", and {clean(level.worst)!r}, who had least, do not gain" if level.pure else ""
            said += f"; the groups come closer mostly because {clean(level.best)!r}, who had most, lose{gain}"
            break
    if found.everyone_worse:
        said += "; decisions are wrong more often in every group"
    return f"{said}."


def _moved(found: Harm, what: str) -> str:
    """Return which groups get the favourable outcome more or less often, and of which nothing can be told."""
    told, rest = [], []
    for group, served in zip(found.groups, found.served[what]):
        change = served.change
        if change is not None and (change.rose or change.fell):
            told.append((abs(change.value), f"of {clean(group)!r} {_people(change)}"))
        else:
            rest.append(repr(clean(group)))
    if not told:
        return "no change can be told from chance"
    clauses = [clause for _, clause in sorted(told, key=lambda pair: -pair[0])]
    more = len(clauses) - NAMES_SHOWN
    if more > 0:
        clauses[NAMES_SHOWN:] = [f"and others in {more} more group{'' if more == 1 else 's'}"]
    others = ", ".join(rest) if len(rest) <= NAMES_SHOWN else f"{len(rest)} other groups"
    text = f"of 100 people {', '.join(clauses)} get the favourable outcome"
    return text + (f" (no change can be told for {others})" if rest else "")


def _people(change: Change) -> str:
    """Return "21 fewer (18 to 24)"."""
    low, high = sorted(abs(100 * end) for end in (change.low or 0.0, change.high or 0.0))
    size = abs(100 * change.value)
    decimals = 0 if size >= 1 else 1
    many = f"{size:.{decimals}f} {'more' if change.rose else 'fewer'}"
    return f"{many} ({low:.{decimals}f} to {high:.{decimals}f})"


def intervals(found: Harm, baseline: Baseline) -> Sequence[str]:
    """Return what the intervals of a table are."""
    if found.repeats == 1:
        return [ONE_REPEAT]
    without = overlap_correction(baseline.records).reason
    return [f"{NO_INTERVAL}: {without}" if without else SEVERAL]


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("harm", "", render)]
