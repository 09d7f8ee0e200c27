"""The tables of an audit of predictions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from fairbench.analysis.audit import Audit, Findings, GapFinding
from fairbench.analysis.impact import FOUR_FIFTHS, Impact
from fairbench.analysis.lines import ABOVE, BELOW, AboveLine
from fairbench.analysis.noise import NOT_FAIR
from fairbench.analysis.sizes import FEW_ROWS
from fairbench.analysis.verdicts import Verdict
from fairbench.cli.options import print_rows, say
from fairbench.texts import counted

WIDTH = 100
FAINT, SMALL, PROTECTED = "~", "°", "+"
GAP = {
    "demographic_parity_difference": "demographic parity",
    "equalized_odds_difference": "equalized odds",
    "equal_opportunity_difference": "equal opportunity",
    "false_positive_rate_difference": "false positive rate",
}
ELSEWHERE = {*GAP, "n", "constant_classifier"}
"""Metrics that are shown in a table, or in a sentence of their own."""


def print_audit(audit: Audit, about: Mapping[str, Any]) -> None:
    """Print the tables of an ``audit`` and what must be known to read them; ``about`` says what it is of."""
    _say(*_head(audit, about))
    for found in audit.findings:
        _say("", _title(found), "")
        print_rows([_category(audit, found, one) for one in found.impact], False)
        _say("")
        print_rows([_gap(one) for one in found.gaps], False)
        if audit.audited.baseline is not None:
            _say("")
            print_rows([_verdict(one.metric, one.verdict) for one in found.gaps if one.verdict], False)
        _say("", *_sentences(found))
    _say("", "Left out:" if audit.register else "No row and no category is left out.")
    if audit.register:
        print_rows([_excluded(entry._asdict()) for entry in audit.register], False)
    _say("", *_reading(audit), *about["notes"])


def _say(*lines: str) -> None:
    for line in lines:
        say(textwrap.fill(line, WIDTH, subsequent_indent="  "), err=False)


def _head(audit: Audit, about: Mapping[str, Any]) -> Iterator[str]:
    audited, question, data = audit.audited, audit.audited.question, about["data"]
    yield f"{data['file']}: {counted(data['rows'], 'row')}, {counted(data['columns'], 'column')}"
    yield f"sha256 {data['sha256']}"
    if audited.median is not None:
        yield f"selected: {question.score} above the median of all rows, {audited.median:g}"
        return
    cut = f", where {question.score} is at least {question.threshold:g}" if question.threshold is not None else ""
    yield f"selected, and y = 1: the favourable outcome, {audited.favorable}{cut}"


def _title(found: Findings) -> str:
    rows = sum(one.rows for one in found.impact)
    fewer = "" if found.rows == rows else f"; {found.rows:,} of them count below the table"
    return f"by {found.grouping.name}: {counted(rows, 'row')} in {len(found.impact)} categories{fewer}"


def _category(audit: Audit, found: Findings, one: Impact) -> dict[str, Any]:
    """Return a line of the table of categories."""
    kept, protected = found.grouping.categories, found.grouping.protected
    is_protected = protected is not None and one.category == kept[protected]
    marks = (PROTECTED if is_protected else "") + (SMALL if one.small else "")
    within = {value.metric: value.value for value in found.values if value.group == one.category}
    labelled = {"TPR": "true_positive_rate", "FPR": "false_positive_rate", "accuracy": "accuracy"}
    return {
        found.grouping.name: f"{one.category} {marks}".rstrip(),
        "rows": f"{one.rows:,}",
        "rate": _number(one.rate),
        "impact": _number(one.ratio),
        "95%": _interval(one.low, one.high),
        "4/5": one.four_fifths or "-",
        **({} if audit.audited.y is None else {name: _number(within.get(rate)) for name, rate in labelled.items()}),
    }


def _gap(one: GapFinding) -> dict[str, Any]:
    """Return a line of the table of gaps."""
    smallest, floor = one.smallest, one.floor
    return {
        "gap": GAP[one.metric],
        "value": f"{_number(one.rows.value)}{FAINT if one.faint else ''}",
        "95%": _interval(one.rows.low, one.rows.high),
        "floor": "-" if floor is None else _number(floor.mean),
        "apart from fair": "-" if floor is None else "yes" if floor.reading == NOT_FAIR else "no",
        "shown from": "-" if smallest is None else "none" if smallest.value is None else _number(smallest.value),
    }


def _verdict(metric: str, verdict: Verdict) -> dict[str, Any]:
    """Return a line of the table of verdicts."""
    return {"at the gap in": GAP[metric], "points above the coin": _points(verdict.above), "verdict": verdict.reading}


def _sentences(found: Findings) -> Iterator[str]:
    """Yield what is to be said under the tables of a grouping."""
    others = [value for value in found.values if not value.group and value.metric not in ELSEWHERE]
    yield ", ".join(f"{value.metric} {value.value:.3f}" for value in others if value.value is not None)
    for one in found.gaps:
        if one.signed is not None and found.grouping.protected is not None:
            protected, (value, low, high) = found.grouping.protected, one.signed
            between = f"{found.grouping.categories[protected]} minus {found.grouping.categories[1 - protected]}"
            yield f"{GAP[one.metric]}, {between}: {value:+.3f}, {low:+.3f} to {high:+.3f}"
    for reason in dict.fromkeys(value.reason for value in others if value.value is None):
        yield f"no {', '.join(value.metric for value in others if value.reason == reason)}: {reason}"
    notes: dict[str, list[str]] = {}
    for one in found.gaps:
        said = (*one.rows.missing, *filter(None, [one.rows.reason]), *(one.verdict.notes if one.verdict else ()))
        for words in said:
            notes.setdefault(words, []).append(GAP[one.metric])
    yield from (f"{', '.join(kinds)}: {words}" for words, kinds in notes.items())
    few = [f"{one.category!r} has {one.rows}" for one in found.impact if one.rows < FEW_ROWS and not one.excluded]
    if few:
        yield f"fewer than {FEW_ROWS} rows: {', '.join(few)}; any statement about so few is doubtful"
    if found.alike:
        yield "nearly everybody is decided alike: small gaps mean nothing then"
    if found.accuracy is not None and found.above_constant is not None:
        yield _against_constant(found, found.above_constant)


def _against_constant(found: Findings, above: AboveLine) -> str:
    words = f"accuracy is {_points(above)} points above that of always predicting {found.constant}"
    if above.reading == BELOW:
        return f"{words}, which has no gap either: these predictions lie below every coin"
    return words if above.reading == ABOVE else f"{words}: not told apart from it"


def _excluded(entry: Mapping[str, Any]) -> dict[str, str]:
    rate = "-" if entry["rate"] is None else _number(entry["rate"])
    shown = {"column or attribute": entry["where"], "category": entry["category"] or "-", "rows": f"{entry['rows']:,}"}
    return {**shown, "rate": rate, "why": entry["reason"]}


def _reading(audit: Audit) -> Iterator[str]:
    """Yield how the tables are to be read."""
    yield (
        "impact: the impact ratio, the rate of a category over that of the most selected one; its 95% interval allows "
        f"for the choice of that one; 4/5: whether the interval lies below or above {FOUR_FIFTHS}, or is open"
    )
    yield (
        "95% of a gap: what these rows leave open, everything else as it is; floor: the mean gap on so many rows if "
        "there is none; shown from: the smallest gap that they show with a chance of 80%"
    )
    marks = {
        f"{FAINT} smaller than these rows can show, and its interval holds 0": any(
            one.faint for found in audit.findings for one in found.gaps
        ),
        f"{SMALL} fewer than 2% of the rows": any(one.small for found in audit.findings for one in found.impact),
        f"{PROTECTED} the protected category": bool(audit.audited.question.protected),
    }
    yield from (words for words, here in marks.items() if here)
    if audit.audited.baseline is not None:
        yield (
            f"above the coin: accuracy beyond that of tossing a coin between {audit.audited.question.baseline} and a "
            "constant prediction with the same gap, in per cent of the rows, with its 95% interval over these rows"
        )


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(low: Optional[float], high: Optional[float]) -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _points(above: Optional[AboveLine]) -> str:
    """Return a height above a line in per cent of the rows, with its interval."""
    if above is None:
        return "-"
    ends = [round(100 * end, 1) + 0.0 for end in (above.value, above.low, above.high) if end is not None]
    return f"{ends[0]:+.1f}" if len(ends) < 3 else f"{ends[0]:+.1f} [{ends[1]:+.1f}, {ends[2]:+.1f}]"
