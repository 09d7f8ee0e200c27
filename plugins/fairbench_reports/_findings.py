"""What a field shows under one rule, in sentences made of its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fairbench.api import counted
from fairbench_reports._field import POST_PROCESSING, Board, UnderRule

NAMES_SHOWN = 8
BY_CHANCE = 0.025  # of 95% intervals lie above 0 by chance if none of the methods is better than the coin


def findings(under: UnderRule) -> list[str]:
    """Return the findings as paragraphs: methods, then datasets."""
    if not under.overall:
        return ["No method has a finished repeat to be compared."]
    return [" ".join(_of_methods(under)), " ".join(_of_datasets(under))]


def _of_methods(under: UnderRule) -> Iterator[str]:
    methods, boards = under.overall, under.boards
    judged = [row for row in under.rows if row.side is not None]
    yield (
        f"{counted(len(methods), 'method')} on {counted(len(boards), 'dataset')}, chosen on validation by "
        f"'{under.rule}' and compared at their own {under.heading}:"
    )
    if not judged:
        yield "no verdict is possible, as no interval is valid or there is no baseline."
        return
    above = Counter(each.on_side(1) for each in methods)
    beating = len(methods) - above[0]
    if beating:
        by_number = [
            f"{count} on {counted(number, 'dataset')}"
            for number, count in sorted(above.items(), reverse=True)
            if number
        ]
        yield f"{_of(beating, methods)} above the coin on some dataset: {', '.join(by_number)}."
    else:
        yield "none is above the coin on any dataset."
    both = [each.label for each in methods if each.count("above_common")]
    places = sum(row.above_common for row in under.rows)
    if both:
        yield (
            f"{_of(len(both), methods)} above the stricter common threshold too on some dataset ({_named(both)}), in "
            f"{counted(places, 'comparison')}."
        )
    elif beating:
        yield "None is above the stricter common threshold."
    nothing = [each.label for each in methods if not each.on_side(1)]
    if nothing and beating:
        yield f"{_of(len(nothing), methods)} above the coin on none: {_named(nothing)}."
    below = [each.label for each in methods if each.on_side(-1) > len(each.rows) / 2]
    if below:
        yield f"Below the coin on more than half of their datasets: {_named(below)}."
    seen = sum(row.side == 1 for row in judged)
    yield (
        f"Of the {counted(len(judged), 'comparison')}, {seen} {_is(seen)} above the coin; if no method were better "
        f"than it, up to about {BY_CHANCE * len(judged):.0f} would be by chance."
    )
    unequal = [each.label for each in methods if each.unequal]
    if unequal:
        yield f"Budgets are unequal for {len(unequal)} on some dataset, as the tables mark: {_named(unequal)}."


def _of_datasets(under: UnderRule) -> Iterator[str]:
    judged = [board for board in under.boards if any(row.side is not None for row in board.rows)]
    if not judged:
        return
    won = [board for board in judged if any(row.side == 1 for row in board.rows)]
    enough = [board.title for board in won if _post_processing_wins(board)]
    more = [board.title for board in won if board.title not in enough]
    none = [board.title for board in judged if board not in won]
    if enough:
        yield (
            "Post-processing is enough on "
            f"{_named(enough)}: such a method is above the coin there and not told apart from the best."
        )
    if more:
        yield (
            f"Post-processing is not enough on {_named(more)}: others are above the coin there, and such methods are "
            "not, or are told apart from the best."
        )
    if none:
        yield f"No method is above the coin on {_named(none)}."
    without = [board.title for board in judged if board.has_room is False and board not in won]
    unknown = [board.title for board in judged if board.has_room is None]
    if without:
        yield (
            f"There is no room to show anything on {_named(without)}: even the attainable line is not told apart from "
            "the coin at any method's gap."
        )
    elif not unknown:
        yield "On every dataset the attainable line is told apart from the coin at some method's gap."
    if unknown:
        yield (
            f"How much room there is cannot be said on {_named(unknown)}, without an attainable line, an interval or a "
            "baseline that is better than a constant."
        )


def _post_processing_wins(board: Board) -> bool:
    """Return whether a post-processing method is above the coin, and not told apart from the best method."""
    return any(
        row.method in POST_PROCESSING and row.side == 1 and board.tiers.get(row.label, 1) == 1 for row in board.rows
    )


def _of(count: int, every: Sequence[object]) -> str:
    return f"{count} of {len(every)} {_is(count)}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names) if more < 1 else f"{', '.join(names[:NAMES_SHOWN])} and {more} more"
