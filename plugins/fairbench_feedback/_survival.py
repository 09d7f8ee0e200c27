"""Which fair method survives the loop, in a paragraph generated from the numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

from ._histories import Line, Strip

PLAIN = ("mlp", "cnn", "logistic", "tree")  # the first of these that took part is what the others are compared with
GAPS = {
    "demographic_parity_difference": "demographic parity difference",
    "equalized_odds_difference": "equalized odds difference",
}
LEAD = 0.02  # a gap smaller than the plain model's by this much is a lead
LOSS = 0.05  # accuracy that may be lost from the first generation to the last
CRITERION = (
    "Here a method has a lead if its gap (of demographic parity or of equalized odds, whichever it narrows more in the "
    f"first generation) is at least {LEAD:g} smaller than the plain model's in the same generation; it survives if it "
    "has a lead in the first and in the last generation, no run of it ends as a constant or as the group alone, and "
    f"its mean accuracy falls by at most {LOSS:g}."
)


def survival(shown: Sequence[Strip]) -> str:
    """Return a paragraph for each setting in which a plain and other methods took part; empty if there is none."""
    places: dict[tuple[str, str], list[Line]] = {}
    for strip in shown:
        for line in strip.lines:
            where = f"On {strip.cell.place}, {strip.cell.scenario.name}"
            places.setdefault((where, line.setting), []).append(line)
    paragraphs = []
    for (where, setting), lines in places.items():
        plain = next((line for name in PLAIN for line in lines if _name(line) == name), None)
        others = [line for line in lines if _name(line) not in PLAIN]
        if plain is not None and others:
            told = [_verdict(line, plain) for line in others]
            head = f"{where}{f' ({setting})' if setting else ''}, the plain {plain.method} {_course(plain)}."
            survivors = [line.method for line, (survives, _) in zip(others, told) if survives]
            end = f"Surviving: {', '.join(survivors) or 'none'} of {', '.join(line.method for line in others)}."
            paragraphs.append(" ".join([head, *(sentence for _, sentence in told), end]))
    return "\n\n".join([*paragraphs, CRITERION]) if paragraphs else ""


def _name(line: Line) -> str:
    return line.method.partition("[")[0]


def _ends(line: Line) -> tuple[int, int]:
    return line.steps[0], line.steps[-1]


def _values(line: Line, metric: str) -> tuple[float, float]:
    """Return the means of the first and the last generation, NaN where there is none."""
    first, last = (line.mean(metric, step) for step in _ends(line))
    return (float("nan") if first is None else first), (float("nan") if last is None else last)


def _course(line: Line) -> str:
    first, last = _ends(line)
    told = [f"{words} {{:.3f}} to {{:.3f}}".format(*_values(line, gap)) for gap, words in GAPS.items()]
    accuracy = "accuracy {:.3f} to {:.3f}".format(*_values(line, "accuracy"))
    return f"goes from generation {first} to {last} with {accuracy}, {', '.join(told)}{_collapse(line)}"


def _collapse(line: Line) -> str:
    count = line.collapsed(line.steps[-1])
    return f"; {count} of {len(line.records)} runs end collapsed" if count else ""


def _verdict(line: Line, plain: Line) -> tuple[bool, str]:
    """Return whether a method survives, and the sentence that says why."""
    leads = {gap: [p - own for own, p in zip(_values(line, gap), _values(plain, gap))] for gap in GAPS}
    gap = max(GAPS, key=lambda name: leads[name][0])
    (own, own_last), (others, others_last) = _values(line, gap), _values(plain, gap)
    numbers = (
        f"{GAPS[gap]} {own:.3f} against {others:.3f} at first, {own_last:.3f} against {others_last:.3f} at the end"
    )
    accuracy, accuracy_last = _values(line, "accuracy")
    numbers += f"; accuracy {accuracy:.3f} to {accuracy_last:.3f}{_collapse(line)}"
    if leads[gap][0] < LEAD:
        gained = ", but has one in the end" if leads[gap][1] >= LEAD else ""
        return False, f"{line.method} has no lead to begin with{gained} ({numbers})."
    faults = []
    if not leads[gap][1] >= LEAD:  # a NaN is not a lead
        faults.append("loses its lead")
    if not accuracy - accuracy_last <= LOSS:
        faults.append("loses its accuracy")
    if line.collapsed(line.steps[-1]):
        faults.append("collapses")
    return not faults, f"{line.method} {' and '.join(faults) or 'keeps its lead'} ({numbers})."
