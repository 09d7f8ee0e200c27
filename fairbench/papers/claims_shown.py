"""Judged claims as Markdown that reads well in a terminal too, or as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairbench.papers import words
from fairbench.papers.claims import DOES_NOT_HOLD, HELD, HOLDS, MISSING, OPEN, UNJUDGED, Contrast, Judgement
from fairbench.records import Results
from fairbench.texts import counted

HOW = (
    "Each comparison is over the repeats that its rows share, with the corrected 95% interval. It *held* if the whole "
    "interval lies where it is claimed to lie, *did not hold* if all of it lies elsewhere, and is *not told apart* "
    "otherwise. A claim holds if all its comparisons held, and does not hold if one did not; as all must hold, none "
    "needs a correction for their number."
)
HEADINGS = ("dataset", "row", "against", "metric", "repeats", "measured", "outcome")


def as_markdown(judgements: Sequence[Judgement], results: Results, name: str) -> str:
    """Return the claims, each with its standing and its comparisons.

    Args:
        judgements: of the claims.
        results: of the run that they are judged by.
        name: of the claim file.
    """
    run = str(results.path or "a run in memory")
    lines = [f"# The claims of {words.escape(name)}", "", f"Judged by {words.escape(run)}. {HOW}", ""]
    lines += [f"- {results.unfinished}.", ""] if results.unfinished else []
    for judgement in judgements:
        claim = judgement.claim
        source = f" ({words.escape(claim.source)})" if claim.source else ""
        lines += [f"## {judgement.standing}: {words.escape(claim.text)}{source}", ""]
        lines += [f"- {words.escape(reason)}" for reason in reasons(judgement)]
        lines += [""] if reasons(judgement) else []
        lines += words.table(HEADINGS, map(_line, judgement.contrasts), left=4)
    return "\n".join([*lines, summary(judgements)]) + "\n"


def _line(contrast: Contrast) -> list[str]:
    names = (contrast.dataset, *contrast.labels, contrast.column.heading)
    repeats = "" if contrast.measured is None else str(contrast.measured.n)
    alike = f" ({contrast.alike[0]}/{contrast.alike[1]} alike)" if contrast.mostly_alike else ""
    return [*map(words.escape, names), repeats, words.interval(contrast.measured), _outcome(contrast) + alike]


def _outcome(contrast: Contrast) -> str:
    """Return the outcome in words: cells can have run without a value, so what is missing was not always not run."""
    return UNJUDGED if contrast.outcome == MISSING else contrast.outcome


def reasons(judgement: Judgement) -> list[str]:
    """Return why comparisons could not be judged, each reason once, and whom a method that held treats alike."""
    told = [f"{c.dataset}, {c.column.heading}: {c.reason}" for c in judgement.contrasts if c.reason]
    alike = any(c.mostly_alike for c in judgement.contrasts if c.outcome == HELD)
    note = ["alike: the first row makes the same decision for everybody in most repeats, so its gaps say nothing"]
    return [*dict.fromkeys(told), *(note if alike else [])]


def summary(judgements: Sequence[Judgement]) -> str:
    """Return in one line how many claims hold."""
    found = [judgement.standing for judgement in judgements]
    told = [f"{found.count(word)} {_of_several(word, found.count(word))}" for word in _WORDS if word in found]
    return f"{counted(len(found), 'claim')}: {', '.join(told)}"


_WORDS = (HOLDS, DOES_NOT_HOLD, OPEN, UNJUDGED)


def _of_several(word: str, number: int) -> str:
    return {HOLDS: "hold", DOES_NOT_HOLD: "do not hold"}.get(word, word) if number != 1 else word


def as_plain(judgements: Sequence[Judgement], results: Results, name: str) -> dict[str, Any]:
    """Return the claims as plain data for JSON; the arguments are as in ``as_markdown``."""
    return {
        "file": name,
        "run": str(results.path or ""),
        "unfinished": results.unfinished,
        "all_hold": all(judgement.standing == HOLDS for judgement in judgements),
        "claims": [
            {
                "name": judgement.claim.name,
                "text": judgement.claim.text,
                "source": judgement.claim.source,
                "standing": judgement.standing,
                "comparisons": [_plain(contrast) for contrast in judgement.contrasts],
            }
            for judgement in judgements
        ],
    }


def _plain(contrast: Contrast) -> dict[str, Any]:
    found = contrast.measured
    return {
        "dataset": contrast.dataset,
        "row": contrast.labels[0],
        "against": contrast.labels[1],
        "metric": contrast.column.quantity,
        "group": contrast.column.group,
        "repeats": found.n if found else 0,
        "measured": found.mean if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "outcome": _outcome(contrast),
        "holm_p": contrast.adjusted,
        "decided_alike": contrast.alike[0],
        "reason": contrast.reason,
    }
