"""What a field shows under one rule, in sentences made of its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from fairbench.api import counted
from fairbench_reports._board import PLAIN, POST_PROCESSING, Board, FieldRow, Overall, UnderRule

NAMES_SHOWN = 8
BY_CHANCE = 0.025  # of 95% intervals lie above 0 by chance if none of the methods is better than the coin


def findings(under: UnderRule) -> list[str]:
    """Return the findings as sentences: what was compared, then about methods, then about datasets."""
    if not under.overall:
        only = dict.fromkeys(f"{board.baseline.label} ({board.baseline.why})" for board in under.boards)
        return [f"There is no method to be compared, only the baseline: {'; '.join(only)}."]
    return [*_of_methods(under), *_of_datasets(under)]


def _of_methods(under: UnderRule) -> list[str]:
    judged = [each for each in under.overall if each.judged]
    about = (
        f"{counted(len(under.overall), 'method')} on {counted(len(under.boards), 'dataset')}, chosen on validation by "
        f"'{under.rule}' and compared at their own {under.heading}."
    )
    if not judged:
        return [about, "No verdict is possible: no interval is valid, or there is no baseline."]
    rest = (_above(judged), _stricter(judged), _nothing(judged), _plain(judged), _chance(judged), _left(under.overall))
    return [about, *(sentence for sentences in rest for sentence in sentences)]


def _above(judged: Sequence[Overall]) -> Iterator[str]:
    above = Counter(each.on_side(1) for each in judged)
    beating = len(judged) - above[0]
    if not beating:
        yield "None is above the coin on any dataset."
        return
    by_number = [
        f"{count} on {counted(number, 'dataset')}" for number, count in sorted(above.items(), reverse=True) if number
    ]
    yield (
        f"Of the {counted(len(judged), 'method')} with a verdict, {beating} {_is(beating)} above the coin on some "
        f"dataset: {', '.join(by_number)}."
    )
    won = _won(_rows(judged))
    wider = sum(row.wider for row in won)
    if wider:
        yield (
            f"In {wider} of these {counted(len(won), 'comparison')} the gap is wider than the baseline's: more "
            "accuracy and no fairness."
        )


def _stricter(judged: Sequence[Overall]) -> Iterator[str]:
    won = _won(_rows(judged))
    known = sum(row.beside_common is not None for row in won)
    both = [each.label for each in judged if each.count("above_common")]
    if both:
        yield (
            f"{len(both)} {_is(len(both))} above the stricter common threshold too on some dataset ({_named(both)}), "
            f"in {counted(sum(row.above_common for row in won), 'comparison')}."
        )
    elif known:
        yield f"None is {'known to be ' if known < len(won) else ''}above the stricter common threshold."
    elif won:
        yield (
            "Whether any is above the stricter common threshold cannot be said: no interval is valid, or the baseline "
            "has no scores."
        )


def _nothing(judged: Sequence[Overall]) -> Iterator[str]:
    nothing = [each.label for each in judged if not each.on_side(1)]
    if nothing and len(nothing) < len(judged):
        yield f"{len(nothing)} {_is(len(nothing))} above the coin on none: {_named(nothing)}."
    below = [each.label for each in judged if 2 * each.on_side(-1) > each.judged]
    if below:
        yield f"Below the coin on more than half of the datasets with a verdict: {_named(below)}."


def _plain(judged: Sequence[Overall]) -> Iterator[str]:
    plain = [each for each in judged if each.rows[0].method in PLAIN]
    if plain and len(plain) < len(judged):
        counts = [f"{each.label} on {each.on_side(1)} of {each.judged}" for each in plain]
        yield f"Plain models, without any fairness method, above the coin: {', '.join(counts)} datasets."


def _chance(judged: Sequence[Overall]) -> Iterator[str]:
    made, seen = sum(each.judged for each in judged), len(_won(_rows(judged)))
    chance = BY_CHANCE * made
    decimals = 2 if chance < 1 else 1 if chance < 10 else 0
    yield (
        f"{seen} of {counted(made, 'comparison')} {_is(seen)} above the coin; if no method were better than it, up to "
        f"about {chance:.{decimals}f} would be by chance."
    )


def _left(methods: Sequence[Overall]) -> Iterator[str]:
    without = [each.label for each in methods if not each.judged]
    if without:
        yield f"Without a verdict on any dataset: {_named(without)}."
    unequal = [each.label for each in methods if each.unequal]
    if unequal:
        yield (
            f"The budget of {counted(len(unequal), 'method')} is unequal to the others' on some dataset, as the tables "
            f"mark: {_named(unequal)}."
        )


def _of_datasets(under: UnderRule) -> list[str]:
    judged = [board for board in under.boards if board.judged]
    rest = (_baselines(judged), _post_processing(judged), _room(judged)) if judged else ()
    return [sentence for sentences in rest for sentence in sentences]


def _baselines(judged: Sequence[Board]) -> Iterator[str]:
    for board in judged:
        if not board.baseline.expected:
            yield f"On {board.title} the coin is that of {board.baseline.label}: {board.baseline.why}."


def _post_processing(judged: Sequence[Board]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for board in judged:
        found.setdefault(_answer(board), []).append(_compared(board))
    for answer, told in (
        ("enough", "a method of that kind is above the coin there, and not told apart from the best"),
        ("behind", "a method of that kind is above the coin there, but told apart from the best"),
        ("below", "others are above the coin there, and no method of that kind is"),
        ("open", "a method of that kind is above the coin there, but no test is possible of whether others are better"),
        ("absent", "others are above the coin there, and no method of that kind has a verdict"),
    ):
        says = {"enough": "is enough", "behind": "is not enough", "below": "is not enough"}.get(answer, "is not judged")
        if answer in found:
            yield f"Post-processing {says} on {', '.join(found[answer])}: {told}."
    if "none" in found:
        yield f"No method is above the coin on {', '.join(found['none'])}."


def _answer(board: Board) -> str:
    post = [row for row in board.judged if row.method in POST_PROCESSING]
    winners = _won(post)
    if not _won(board.judged):
        return "none"
    if not winners:
        return "below" if post else "absent"
    tiers = [board.tiers[row.label] for row in winners if row.label in board.tiers]
    return "open" if not tiers else "enough" if 1 in tiers else "behind"


def _compared(board: Board) -> str:
    """Return a dataset, with the points of the best post-processing and of the best other method there, in per cent."""
    best = [
        max(rows, key=_points)
        for rows in (
            [row for row in board.judged if row.method in POST_PROCESSING],
            [row for row in board.judged if row.method not in POST_PROCESSING],
        )
        if rows
    ]
    if not _won(board.judged):
        return board.title
    return f"{board.title} ({', '.join(f'{row.label} {100 * _points(row):+.1f}' for row in best)})"


def _points(row: FieldRow) -> float:
    return -1.0 if row.points is None else row.points


def _room(judged: Sequence[Board]) -> Iterator[str]:
    without = [board.title for board in judged if board.has_room is False]
    unknown = [board.title for board in judged if board.has_room is None]
    beaten = [board.title for board in judged if board.has_room is False and _won(board.judged)]
    without = [title for title in without if title not in beaten]
    if without:
        yield (
            f"There is no room to show anything on {', '.join(without)}: even the attainable line is not told apart "
            "from the coin at any method's gap."
        )
    if beaten:
        yield (
            f"On {', '.join(beaten)} the attainable line is not told apart from the coin at any method's gap, "
            "though methods are above the coin there."
        )
    if not (without or beaten or unknown):
        yield "On every dataset the attainable line is told apart from the coin at some method's gap."
    if unknown:
        yield (
            f"How much room there is cannot be said on {', '.join(unknown)}, without an attainable line, an interval "
            "or a baseline that is better than a constant."
        )


def _won(rows: Iterable[FieldRow]) -> list[FieldRow]:
    return [row for row in rows if row.side == 1]


def _rows(methods: Sequence[Overall]) -> list[FieldRow]:
    return [row for each in methods for row in each.rows]


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names) if more < 1 else f"{', '.join(names[:NAMES_SHOWN])} and {more} more"
