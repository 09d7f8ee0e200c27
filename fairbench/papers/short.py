"""The first page of a reproduction's document: what came of the claims, the numbers and the comparison with a coin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fairbench.papers import summaries, words
from fairbench.papers.claims import HELD, Judgement
from fairbench.papers.reproduced import Reproduced
from fairbench.records import DONE
from fairbench.texts import counted


def render_short(outcome: Reproduced) -> list[str]:
    """Return the section as Markdown; the sections that it links to give the details."""
    protocols = outcome.reproduction.rerun.protocols
    return [
        "## In short",
        "",
        *words.bullets(f"Protocol **{protocol.name}**: {words.escape(protocol.title)}." for protocol in protocols),
        *_claims(outcome),
        *_numbers(outcome),
        *_coin(outcome),
        *_lacking(outcome),
    ]


def _claims(outcome: Reproduced) -> list[str]:
    """Return the verdict on each claim, with how many of its comparisons held."""
    claims = summaries.by_claim(outcome)
    if not claims:
        return []
    protocols = [protocol.name for protocol in outcome.reproduction.rerun.protocols]
    rows = [[words.escape(judged[0].claim.text), *(words.escape(_verdict(one)) for one in judged)] for judged in claims]
    return [
        f"**Claims.** {counted(len(claims), 'claim')}; after each verdict how many of its comparisons held. "
        "[Which claims hold](#which-claims-hold) says how they are judged.",
        "",
        *words.table(["claim", *protocols], rows, left=1 + len(protocols)),
    ]


def _verdict(judgement: Judgement) -> str:
    """Return the verdict with Holm's correction; of a claim with a test of its own, the results of that test."""
    if judgement.claim.test:
        return "; ".join(dict.fromkeys(trial.verdict for trial in judgement.trials))
    outcomes = judgement.corrected_outcomes
    if not outcomes:
        return judgement.outcome
    return f"{judgement.corrected} ({outcomes.count(HELD)} of {len(outcomes)})"


def _numbers(outcome: Reproduced) -> list[str]:
    """Return how many published numbers were met, over all tables."""
    headings, rows = summaries.verdicts(outcome)
    called = outcome.reproduction.published.called
    lines = []
    for (protocol,), counts in _summed(rows, (1,), 2).items():
        total = sum(counts)
        lines.append([protocol, str(total), *(_share(count, total) for count in counts)])
    if not lines:
        return []
    heading = f"**{called.capitalize()} numbers.** How many were met, over all tables."
    return [heading, "", *words.table(["protocol", "numbers", *headings[2:]], lines)]


def _coin(outcome: Reproduced) -> list[str]:
    """Return how many rows lie above the coin, over all tables."""
    headings, rows = summaries.coins(outcome)
    lines = []
    for (who, gap), counts in _summed(rows, (2, 1), 3).items():
        total = sum(counts)
        lines.append([who, gap, str(total), *(_share(count, total) for count in counts)])
    if not lines:
        return []
    heading = "**The coin.** How many of the paper's rows, apart from its baseline, are better than tossing a coin."
    return [heading, "", *words.table(["numbers", "difference", "rows", *headings[3:]], lines, left=2)]


def _summed(rows: Sequence[Sequence[str]], keys: Sequence[int], first: int) -> dict[tuple[str, ...], list[int]]:
    """Return the sums of the columns from ``first`` on, over the rows with the same texts in the columns ``keys``."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        key, counts = tuple(row[place] for place in keys), [int(text) for text in row[first:]]
        found[key] = [old + new for old, new in zip(found.get(key, [0] * len(counts)), counts)]
    return found


def _share(count: int, total: int) -> str:
    return f"{count} ({count / total:.0%})" if count else "0"


def _lacking(outcome: Reproduced) -> list[str]:
    """Return how many cells are without values."""
    statuses = Counter(record.status for record in outcome.results.records)
    done = statuses.pop(DONE, 0)
    others = ", ".join(f"{count} {status}" for status, count in statuses.items())
    rest = f"; {others}: [what is missing](#what-is-missing)" if others else ""
    return [f"**Cells.** {done} of {outcome.results.planned} done{rest}.", ""]
