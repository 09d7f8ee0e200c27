"""Predictions that somebody else made, read from a file: what is decided about whom, and what has to be left out.

An auditor has a table and no model: a row for each person, with a decision or a score, perhaps what really happened,
and attributes such as sex and race. Nothing is guessed silently. A value whose meaning is not clear is refused in
words, and every row that is left out of something is counted in a register.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.analysis.audited_names import MOST_CATEGORIES, amounts, check_names, not_groups, number
from fairbench.data.columns import shown
from fairbench.data.own.reading import read_table
from fairbench.data.rows import Floats, Integers
from fairbench.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Texts = NDArray[Any]  # (n,) of str; a missing value is an empty one
MISSING = ("NA", "N/A", "NaN", "nan", "null", "NULL", "<NA>")
"""Texts that, like a blank, stand for a missing value."""

YES, NO = ("1", "yes", "true", "y"), ("0", "no", "false", "n")
UNKNOWN = -1  # an outcome that is missing


@dataclass(frozen=True)
class Question:
    """What an audit is of: a file, and the columns that matter.

    Args:
        path: of the file.
        groups: columns of sensitive attributes, at least one.
        label: column of what really happened; empty if nobody knows.
        prediction: column of the decisions; empty if they follow from a score.
        score: column of scores, high where the favourable outcome is likely; empty if there is none.
        threshold: the score from which a row is selected; without it, and without ``prediction``, nothing is decided,
            and a row counts as selected if its score is above the median.
        favorable: the value of label and prediction that is good for the person; empty for 1 (yes, true).
        protected: by attribute, the category whose disadvantage is in question.
        baseline: column of a reference model's decisions; empty if there is none.
        exclude_small: leave categories with less than 2% of the rows out of every comparison.
    """

    path: Path
    groups: tuple[str, ...]
    label: str = ""
    prediction: str = ""
    score: str = ""
    threshold: Optional[float] = None
    favorable: str = ""
    protected: Mapping[str, str] = field(default_factory=dict)
    baseline: str = ""
    exclude_small: bool = False

    def __post_init__(self) -> None:
        """Refuse a question that cannot be answered from any file."""
        if not self.groups:
            raise DataError("an audit of predictions compares groups: name a column with --group, e.g. --group sex")
        if not self.prediction and not self.score:
            raise DataError("name the column of decisions with --prediction, or one of scores with --score")
        if self.threshold is not None and (self.prediction or not self.score):
            what = "the decisions are given by --prediction" if self.prediction else "there is no --score to cut"
            raise DataError(f"--threshold {self.threshold:g} has nothing to do: {what}; leave it out")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise DataError(f"--threshold {self.threshold:g} is not a finite number, so no score reaches it")
        if self.favorable and self.scoring:
            raise DataError(
                f"--favorable {self.favorable}: only scores are given, which have no such value; leave it out"
            )
        if self.baseline and (not self.label or self.scoring):
            lack = "decisions, from --prediction or --threshold" if self.label else "a --label"
            raise DataError(f"--baseline {self.baseline} compares accuracy and gaps, which needs {lack}")
        used: dict[str, str] = {}
        for option in ("label", "prediction", "baseline"):
            name = getattr(self, option)
            if name and name in used:
                raise DataError(
                    f"--{used[name]} and --{option} are both {name!r}, so they agree in every row; name two"
                )
            used[name] = option
        for name in self.groups:
            if name in used or name == self.score:
                what = used.get(name, "score")
                raise DataError(f"--group {name} is the --{what} too; name an attribute of persons, such as sex")
        strange = [attribute for attribute in self.protected if attribute not in self.groups]
        if strange:
            hint = did_you_mean(strange[0], self.groups)
            raise DataError(f"--protected names {strange[0]!r}, which is not given as a --group{hint}")

    @property
    def scoring(self) -> bool:
        """Return whether there are scores alone, without any decision."""
        return not self.prediction and self.threshold is None


class Excluded(NamedTuple):
    """An entry of the register: how many ``rows`` are left out of what, and why.

    ``where`` names the column or attribute, ``category`` the category; empty if it is not one of its categories.
    """

    where: str
    category: str
    rows: int
    reason: str
    rate: Optional[float] = None


@dataclass(frozen=True, eq=False)
class Grouping:
    """The rows whose category of an attribute, or of several together, is known.

    Args:
        attributes: names.
        categories: names, in alphabetical order.
        code: (n,) each row's category; -1 if it is unknown.
        protected: code of the protected category; None if none is named.
    """

    attributes: tuple[str, ...]
    categories: tuple[str, ...]
    code: Integers
    protected: Optional[int]

    @property
    def name(self) -> str:
        """Return the attributes with commas, as the sensitive attribute of a run is written."""
        return ",".join(self.attributes)

    def without(self, categories: Sequence[str]) -> Grouping:
        """Return the grouping in which the rows of some ``categories`` count as unknown."""
        left = [code for code, name in enumerate(self.categories) if name not in categories]
        place = np.full(len(self.categories) + 1, UNKNOWN)  # the last is that of -1
        place[left] = np.arange(len(left))
        protected = left.index(self.protected) if self.protected in left else None
        return Grouping(self.attributes, tuple(self.categories[code] for code in left), place[self.code], protected)


@dataclass(frozen=True, eq=False)
class Audited:
    """What can be audited: the n rows with a decision (or a score).

    Args:
        question: what was asked.
        rows, columns: of the file.
        favorable: the value that is good for the person, as the file writes it.
        y: (n,) 1 where the favourable outcome really happened, 0 where not, -1 if it is missing; None without labels.
        decision: (n,) 1 for selected rows: those that get the favourable outcome, or score above the median.
        score: (n,) or None.
        median: of all scores if there are no decisions; else None.
        baseline: (n,) the reference model's decisions, or None.
        groupings: by each attribute, and by all of them together.
        register: what was left out.
        notes: sentences that a reader must know.
    """

    question: Question
    rows: int
    columns: int
    favorable: str
    y: Optional[Integers]
    decision: Integers
    score: Optional[Floats]
    median: Optional[float]
    baseline: Optional[Integers]
    groupings: tuple[Grouping, ...]
    register: tuple[Excluded, ...]
    notes: tuple[str, ...]


def read_audited(question: Question) -> Audited:
    """Return the rows of the file that the ``question`` names.

    Raises:
        DataError: a column is missing, or a value cannot be understood.
    """
    asked = _asked(question)
    table, said = read_table(question.path, question.path.name, asked.__contains__, advice="")
    texts = {name: _column(table, name, question.path.name) for name in asked}
    register: list[Excluded] = []
    notes = list(said)
    keep = np.ones(len(table), dtype=bool)
    for option in ("prediction", "score"):
        name = getattr(question, option)
        if name:
            gone = texts[name] == ""
            keep &= ~gone
            register += _count(name, gone, f"the {option} is missing: left out of everything")
    if not keep.any():
        raise DataError(f"{question.path.name}: no row has {_listed(_decisive(question))}, so nothing can be audited")
    line = np.flatnonzero(keep)
    texts = {name: values[keep] for name, values in texts.items()}
    outcomes, favorable = _outcomes(question, texts)
    score = _numbers(texts[question.score], question.score, line) if question.score else None
    median = float(np.median(score)) if score is not None and question.scoring else None
    decision = outcomes.get(question.prediction)
    if decision is None:
        assert score is not None  # noqa: S101 - the question has one of the two
        selected = score > median if median is not None else score >= float(question.threshold or 0)
        decision = selected.astype(np.int64)
    y = None if question.scoring else outcomes.get(question.label)
    if y is not None:
        reason = "the label is missing: left out of whatever needs one, counted in selection rates and impact ratios"
        register += _count(question.label, y == UNKNOWN, reason)
        if (y == decision)[y != UNKNOWN].all():
            notes.append(
                f"Every decision agrees with {question.label}: is it what really happened, or the decision again?"
            )
    baseline = outcomes.get(question.baseline)
    if baseline is not None and (baseline == UNKNOWN).any():
        raise DataError(
            f"column {question.baseline!r} of the baseline lacks a value in {(baseline == UNKNOWN).sum():,} rows; "
            "a verdict needs both decisions about every row: fill them, or leave those rows out of the file"
        )
    single = [_grouping(question, (name,), texts) for name in question.groups]
    notes += [sentence for name in question.groups for sentence in amounts(name, set(texts[name].tolist()) - {""})]
    both = [_grouping(question, question.groups, texts)] if len(single) > 1 else []
    for grouping in [*single, *both]:
        unknown = grouping.code == UNKNOWN
        register += _count(grouping.name, unknown, "unknown category: left out of every comparison by it")
    if both and len(both[0].categories) > 2 * MOST_CATEGORIES:
        notes.append(f"By {both[0].name} there are {len(both[0].categories):,} categories, too many to compare.")
        both = []
    return Audited(
        question,
        len(table),
        len(table.columns),
        favorable,
        y,
        decision,
        score,
        median,
        baseline,
        (*single, *both),
        tuple(register),
        tuple(notes),
    )


def _asked(question: Question) -> list[str]:
    names = (question.label, question.prediction, question.score, question.baseline, *question.groups)
    return list(dict.fromkeys(name for name in names if name))


def _decisive(question: Question) -> list[str]:
    return [name for name in (question.prediction, question.score) if name]


def _count(where: str, gone: NDArray[np.bool_], reason: str) -> list[Excluded]:
    return [Excluded(where, "", int(gone.sum()), reason)] if gone.any() else []


def _listed(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))


def _some(values: Sequence[str], most: int) -> str:
    """Return the first of some texts as a message names them: on one line, and short."""
    texts = [value if value.isprintable() and len(value) <= 60 else shown(value) for value in values[:most]]
    return f"{', '.join(texts)}{', …' if len(values) > most else ''}"


def _column(table: pd.DataFrame, name: str, where: str) -> Texts:
    """Return a column as texts without blanks around them."""
    known = [str(column) for column in table.columns]
    if name not in known:
        hint = did_you_mean(name, known) or f"; it has: {_some(known, 20)}"
        raise DataError(f"{where} has no column {name!r}{hint}")
    column = table.iloc[:, known.index(name)]
    missing = column.isna().to_numpy()
    return np.array(["" if gone else _text(value) for value, gone in zip(column, missing)], dtype=object)


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    text = str(value).strip()
    return "" if text in MISSING else text


def _numbers(texts: Texts, name: str, line: Integers) -> Floats:
    """Return scores as finite numbers (n,); ``line`` are the rows' positions in the file, for messages."""
    numbers = np.array([number(text) for text in texts], dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        row = wrong[0]
        raise DataError(f"--score {name}: {shown(texts[row])} in row {line[row] + 1} is not a finite number")
    return numbers


def _word(text: str) -> Optional[int]:
    """Return 1 for yes, 0 for no, in any of the usual spellings; None for anything else."""
    plain = text.lower()
    value = number(plain)
    plain = str(int(value)) if value in (0, 1) else plain
    return 1 if plain in YES else 0 if plain in NO else None


def _outcomes(question: Question, texts: Mapping[str, Texts]) -> tuple[dict[str, Integers], str]:
    """Return by column the outcomes (n,), 1 for the favourable one, and that one as the file writes it."""
    options = {name: getattr(question, name) for name in ("label", "prediction", "baseline")}
    values = {}
    for option, name in options.items():
        if name and not (option == "label" and question.scoring):
            values[name] = sorted(set(texts[name].tolist()) - {""})
            _check_two(option, name, values[name])
    seen = sorted({value for here in values.values() for value in here})
    wanted = question.favorable.strip()
    words = all(_word(value) is not None for value in seen)
    if words and (not wanted or _word(wanted) is not None):
        good = 1 if not wanted else _word(wanted)
        codes = {value: int(_word(value) == good) for value in seen}
        written = next((value for here in values.values() for value in here if codes[value]), wanted or "1")
    else:
        if not wanted:
            named = " and ".join(map(shown, seen))
            raise DataError(f"which of {named} is good for the person? Say so, e.g. --favorable {shown(seen[-1])}")
        if wanted not in seen:
            hint = did_you_mean(wanted, seen) or f"; there are: {_some(seen, 20)}"
            raise DataError(f"no label or prediction is {wanted!r}, which --favorable names{hint}")
        if len(seen) > 2:
            told = "; ".join(f"{name!r} holds {_some(here, 2)}" for name, here in values.items())
            raise DataError(f"{told}: label and predictions must use the same two values")
        codes, written = {value: int(value == wanted) for value in seen}, wanted
    codes[""] = UNKNOWN
    found: dict[str, Integers] = {name: np.array([codes[text] for text in texts[name]], np.int64) for name in values}
    return found, "" if question.scoring else written


def _check_two(option: str, name: str, values: Sequence[str]) -> None:
    """Refuse a column of outcomes with more than two values, or none."""
    if not values:
        raise DataError(f"--{option} {name}: every value is missing")
    if len(values) <= 2:
        return
    seen = _some(values, 4)
    if option == "prediction" and all(np.isfinite(number(value)) for value in values):
        raise DataError(
            f"--prediction {name} has {len(values):,} values ({seen}) and looks like a score; "
            f"give it as --score {name} with a --threshold, e.g. --threshold 0.5"
        )
    raise DataError(f"--{option} {name} has {len(values):,} values ({seen}); an outcome has two, such as 0 and 1")


def _grouping(question: Question, attributes: tuple[str, ...], texts: Mapping[str, Texts]) -> Grouping:
    columns = [texts[name] for name in attributes]
    known = np.all([column != "" for column in columns], axis=0)
    labels = list(zip(*(column.tolist() for column in columns)))
    for name, column in zip(attributes, columns):
        check_names(name, sorted(set(column.tolist()) - {""}))
    categories = sorted({label for label, here in zip(labels, known) if here})
    names = tuple(", ".join(category) for category in categories)
    if len(attributes) == 1 and not 2 <= len(names) <= MOST_CATEGORIES:
        raise DataError(f"--group {attributes[0]} {not_groups(names)}")
    if len(set(names)) < len(names):
        raise DataError(f"--group: two combinations of {_listed(attributes)} read alike; rename a value with a comma")
    place = {category: code for code, category in enumerate(categories)}
    code = np.array([place.get(label, UNKNOWN) for label in labels], dtype=np.int64)
    protected = tuple(question.protected.get(name, "") for name in attributes)
    for name, wanted in zip(attributes, protected):
        values = sorted(set(texts[name].tolist()) - {""})
        if wanted and wanted not in values:
            hint = did_you_mean(wanted, values) or f"; there are: {_some(values, 20)}"
            raise DataError(f"--protected {name}={wanted}: no row has this value{hint}")
    return Grouping(attributes, names, code, place.get(protected))
