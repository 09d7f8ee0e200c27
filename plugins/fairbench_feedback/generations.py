"""Loops in words and tables: first and last generation, end states, what died out, and which fair method survives."""

from __future__ import annotations

from collections.abc import Iterator

from fairbench.api import Report, Results, escape_markdown, hookimpl

from ._histories import Line, Strip, strips
from ._survival import survival

COLUMNS = {
    "accuracy": "accuracy",
    "worst_group_accuracy": "worst group",
    "equalized_odds_difference": "EO diff.",
    "demographic_parity_difference": "DP diff.",
    "training_kl": "KL of training rows",
}


def render(results: Results) -> str:
    """Return Markdown: a table for each strip of the picture, notes on what died out, and a paragraph on survival."""
    shown = strips(results)
    if not shown:
        return ""
    parts = ["# Feedback loops", ""]
    for strip in shown:
        parts += [f"## {escape_markdown(strip.title)} ({strip.runs})", "", *_table(strip), ""]
        notes = [f"- {escape_markdown(note)}" for note in _notes(strip)]
        parts += [*notes, ""] if notes else []
    parts += [
        "End states: 1 selects nearly all of a group, 0 nearly nobody, whatever the label; between: some group is "
        "not decided as one. First generation → last, mean over the runs, ± one standard deviation of the last.",
        "",
    ]
    story = survival(shown)
    if story:
        escaped = "\n\n".join(map(escape_markdown, story.split("\n\n")))
        parts += ["## Which fair method survives the loop", "", escaped, ""]
    return "\n".join(parts)


def _table(strip: Strip) -> Iterator[str]:
    groups = escape_markdown(", ".join(strip.lines[0].groups))
    yield f"| | generation | {' | '.join(COLUMNS.values())} | end states ({groups}) |"
    yield f"| --- | --- |{' ---: |' * len(COLUMNS)} --- |"
    for line in strip.lines:
        first, last = line.steps[0], line.steps[-1]
        cells = [_change(line, metric) for metric in COLUMNS]
        span = f"{first} → {last}" if first != last else f"{first}"
        states = ", ".join(f"{count} x {state}" for state, count in line.end_states().items())
        yield f"| {escape_markdown(strip.name(line))} | {span} | {' | '.join(cells)} | {states} |"


def _change(line: Line, metric: str) -> str:
    """Return the first and the last generation's mean, and the last one's standard deviation."""
    first, last = (line.mean(metric, step) for step in (line.steps[0], line.steps[-1]))
    shown = ["-" if value is None else f"{value:.3f}" for value in (first, last)]
    if len(line.steps) == 1:
        shown = shown[:1]
    spread = f" ± {line.spread(metric, line.steps[-1]):.3f}" if len(line.records) > 1 and last is not None else ""
    return " → ".join(shown) + spread


def _notes(strip: Strip) -> Iterator[str]:
    """Yield a sentence for each thing that died out, was replaced or was refused."""
    if all(len(line.steps) == 1 for line in strip.lines):
        yield "one generation: there is no loop to see"
    for line in strip.lines:
        total = len(line.records)
        lost = [f"{name} from generation {step} on ({runs} of {total} runs)" for name, step, runs in _lost(line)]
        if lost:
            rule = "other strata take its place" if line.reparation in ("", "none") else "STAR's refill takes its place"
            yield f"{strip.name(line)}: no training row is left of {'; '.join(lost)}: {rule}, and the loop goes on"
        for value, words in (
            ("degenerate", "the training rows have a single label, so the classifier is that constant"),
            ("refused", "the method refuses its training rows, so the previous classifier stays in use"),
        ):
            steps = [step for step in line.steps if sum(line.values(value, step))]
            if steps:
                runs = max(round(sum(line.values(value, step))) for step in steps)
                yield f"{strip.name(line)}: {words} (from generation {steps[0]} on, in up to {runs} of {total} runs)"


def _lost(line: Line) -> Iterator[tuple[str, int, int]]:
    """Yield each stratum without a training row, its first such generation, and in how many repeats there is one."""
    prefix = "training_share["
    names = {v.metric for record in line.records for v in record.values if v.metric.startswith(prefix)}
    for name in sorted(names):
        runs = [line.run(repeat, name) for repeat in range(len(line.records))]
        firsts = [line.steps[run.index(0.0)] for run in runs if 0.0 in run]
        if firsts:
            yield name[len(prefix) : -1], min(firsts), len(firsts)


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("generations", "-generations.md", render)]
