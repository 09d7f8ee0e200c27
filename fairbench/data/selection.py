"""Named rules that choose one of several operating points, such as ``max accuracy subject to dp <= 0.05``.

A rule looks at one part of the rows: at validation when a method's point is chosen, at the test part for the oracle
with which the choice is compared. Every method that has points can be chosen from by the same rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.data.coin import coin_accuracy
from fairbench.data.counts import GroupRates, group_rates
from fairbench.data.rows import Floats, Predictions, Samples
from fairbench.data.score_limits import newcombe
from fairbench.errors import NotApplicable, SuiteError

GAPS = {"dp": "demographic parity difference", "eo": "equalized odds difference"}
FORMS = (
    "max accuracy",
    "max accuracy subject to dp <= 0.05",
    "max accuracy subject to eo <= 0.1 (upper)",
    "max accuracy subject to dp ratio >= 0.8",
    "min dp",
    "min eo",
    "knee",
    "knee eo",
)
SEEN_ROWS, SEEN_SELECTED = "validation_rows", "validation_selected"
"""Diagnostics with what a rule saw on validation: rows by group and label, and those that each point selects.

A scenario gives them in the order of its points. A store sorts points by name, so each record says beside them which of
the sorted points they are about, in ``SEEN_ORDER``.
"""
SEEN_ORDER = "validation_order"
"""Diagnostic with the place of each point that a rule saw, in its order, among the stored points sorted by name."""
ROUNDING = 1e-9  # .55 - .5 is a little more than .05
DIGITS = 12  # beyond which accuracies and gaps of equal counts can differ
_PATTERN = re.compile(
    r"(?P<goal>max accuracy|min|knee)"
    r"(?: subject to (?P<limited>dp|eo|dp ratio) ?(?P<sign><=|>=) ?(?P<limit>[^ ()]+)(?P<upper> ?\(upper\))?"
    r"| (?P<gap>dp|eo))?"
)


@dataclass(frozen=True, eq=False)
class Judged:
    """The decisions of one operating point, as a rule sees them.

    Args:
        rates: counts and rates of G groups in the part of the rows that the rule looks at.
    """

    rates: GroupRates

    @classmethod
    def of(cls, samples: Samples, predictions: Predictions) -> Judged:
        """Return what a rule sees of ``predictions`` for the rows of ``samples``."""
        return cls(group_rates(samples, predictions))

    @property
    def accuracy(self) -> float:
        """Return the share of correct decisions among all rows."""
        return float(np.nansum(self.rates.accuracy * self.rates.n) / self.rates.n.sum())

    @property
    def constant_accuracy(self) -> float:
        """Return the accuracy of the better of the two constant predictions on the same rows."""
        ones = float(self.rates.positives.sum() / self.rates.n.sum())
        return max(ones, 1 - ones)

    @property
    def ratio(self) -> float:
        """Return the demographic parity ratio; 0 where nobody is selected: that is no parity."""
        selection = self.rates.selection[self.rates.n > 0]
        return float(selection.min() / selection.max()) if selection.max() > 0 else 0.0

    def gap(self, name: str) -> float:
        """Return the gap of this ``name``, ``dp`` or ``eo``; a group without rows to count is left out.

        Raises:
            NotApplicable: fewer than two groups have such rows.
        """
        return max(float(rate.max() - rate.min()) for rate, _ in self._compared(name))

    def upper(self, name: str) -> float:
        """Return the upper end of the interval of a gap: the largest that the rows leave possible, at 95%.

        It is the largest upper end among all pairs of groups, and for the ``name`` ``eo`` among both rates, each by
        Newcombe's method: no correction is needed, as the largest difference is one of them. A randomised decision
        counts as its chance of being selected; the interval is then too wide rather than too short.

        Raises:
            NotApplicable: as for ``gap``.
        """
        ends = []
        for rate, rows in self._compared(name):
            first, second = np.triu_indices(len(rows), 1)
            selected = rate * rows
            low, high = newcombe((selected[first], selected[second]), (rows[first], rows[second]))
            ends.append(np.maximum(np.abs(low), np.abs(high)).max())
        return float(max(ends))

    def _compared(self, name: str) -> list[tuple[Floats, Floats]]:
        """Return each rate that a gap compares, and the rows that it is over, of the groups that have some."""
        rates = self.rates
        compared = {
            "dp": [(rates.selection, rates.n, "rows")],
            "eo": [
                (rates.true_positive, rates.positives, "rows with y = 1"),
                (rates.false_positive, rates.n - rates.positives, "rows with y = 0"),
            ],
        }[name]
        found = []
        for rate, rows, what in compared:
            here = rows > 0
            if here.sum() < 2:
                raise NotApplicable(
                    f"a rule about {name} compares groups, and {here.sum()} of {len(rows)} groups "
                    f"{'has' if here.sum() == 1 else 'have'} {what} in the part that it looks at; "
                    "use another rule, such as 'max accuracy', or another group"
                )
            found.append((rate[here], rows[here]))
        return found


@dataclass(frozen=True)
class Chosen:
    """What a rule chose: the point's ``label``; ``feasible`` is False if no point satisfies the rule's condition."""

    label: str
    feasible: bool = True


@dataclass(frozen=True)
class Rule:
    """A rule that chooses one of several operating points; ``Rule.parse`` reads its text, and ``str`` writes it.

    - ``max accuracy``: the most accurate point.
    - ``max accuracy subject to dp <= 0.05`` (or ``eo``): the most accurate among those whose gap is at most so large;
      of equals the one with the smaller gap. If there are none, the one with the smallest gap, marked infeasible.
      With ``(upper)`` this is about the upper end of the gap's interval instead of the plain gap.
    - ``max accuracy subject to dp ratio >= 0.8``: the most accurate among those whose demographic parity ratio is at
      least so large, else the one with the largest ratio.
    - ``min dp`` (or ``eo``): the smallest gap; of equals the more accurate one. A constant prediction wins it.
    - ``knee`` (or ``knee eo``): the point that lies highest above the line of the coin between the better constant and
      the most accurate of the points, which stands for the baseline; of equals the more accurate one.

    Of points that are equal in everything the rule looks at, the earliest is chosen.

    Args:
        goal: ``max accuracy``, ``min`` or ``knee``.
        gap: ``dp`` or ``eo``, the gap that the rule looks at; ``dp ratio``; empty for none.
        limit: what the gap, or the ratio, is held to; None if there is no condition.
        upper: whether the upper end of the gap's interval is held to the limit.
    """

    goal: str
    gap: str = ""
    limit: Optional[float] = None
    upper: bool = False

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Return the rule that a text names.

        Raises:
            SuiteError: it names none; the message shows the forms.
        """
        found = _PATTERN.fullmatch(" ".join(text.lower().split()))
        if found is None:
            raise SuiteError(f"{text!r} is not a selection rule; rules are written like {'; '.join(map(repr, FORMS))}")
        goal, gap, limited, upper = found["goal"], found["gap"], found["limited"], bool(found["upper"])
        if (goal == "max accuracy" and gap) or (goal == "min" and not gap) or (goal != "max accuracy" and limited):
            raise SuiteError(f"{text!r} is not a selection rule; rules are written like {'; '.join(map(repr, FORMS))}")
        if limited is None:
            return cls(goal, gap or ("dp" if goal == "knee" else ""))
        sign = ">=" if limited == "dp ratio" else "<="
        if found["sign"] != sign:
            raise SuiteError(f"{text!r}: {limited} is held to a limit by {sign}, not by {found['sign']}")
        if upper and limited == "dp ratio":
            raise SuiteError(f"{text!r}: (upper) is about the interval of a difference; leave it out for a ratio")
        return cls(goal, limited, _limit(found["limit"], text), upper)

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        if self.limit is None:
            return f"{self.goal} {self.gap}".strip()
        sign = ">=" if self.gap == "dp ratio" else "<="
        return f"{self.goal} subject to {self.gap} {sign} {self.limit:.12g}{' (upper)' if self.upper else ''}"

    @property
    def shown_gap(self) -> str:
        """Return the gap, of ``GAPS``, that is reported beside the accuracy of what the rule chooses."""
        return "eo" if self.gap == "eo" else "dp"

    def choose(self, points: Mapping[str, Judged]) -> Chosen:
        """Return the choice among one or more points, by label and in order.

        Raises:
            NotApplicable: the gap that the rule looks at cannot be computed, see ``Judged.gap``.
        """
        if self.goal == "min":
            keys = {
                label: (-_rounded(point.gap(self.gap)), _rounded(point.accuracy)) for label, point in points.items()
            }
            return Chosen(_first_largest(keys))
        if self.goal == "knee":
            return Chosen(_first_largest(self._heights(points)))
        if self.gap == "dp ratio":
            return self._by_ratio(points)
        if self.limit is None:
            return Chosen(_first_largest({label: (_rounded(point.accuracy),) for label, point in points.items()}))
        held, accurate = {}, {}
        for label, point in points.items():
            gap, accuracy = point.gap(self.gap), _rounded(point.accuracy)
            held[label] = point.upper(self.gap) if self.upper else gap
            accurate[label] = (accuracy, -_rounded(gap))
        feasible = {label: accurate[label] for label in points if held[label] <= self.limit + ROUNDING}
        if feasible:
            return Chosen(_first_largest(feasible))
        return Chosen(_first_largest({label: (-_rounded(held[label]), accurate[label][0]) for label in points}), False)

    def _by_ratio(self, points: Mapping[str, Judged]) -> Chosen:
        """Return the choice by a ratio; nothing is rounded, as ever in the scenario ``tuned``."""
        ratios = {label: (point.ratio,) for label, point in points.items()}
        feasible = {
            label: (points[label].accuracy,) for label, (ratio,) in ratios.items() if ratio >= (self.limit or 0)
        }
        return Chosen(_first_largest(feasible or ratios), bool(feasible))

    def _heights(self, points: Mapping[str, Judged]) -> dict[str, tuple[float, ...]]:
        """Return for each point its height above the coin, then its accuracy."""
        places = {label: (point.gap(self.gap), point.accuracy) for label, point in points.items()}
        gap, accuracy = max(places.values(), key=lambda place: (_rounded(place[1]), -place[0]))
        constant = next(iter(points.values())).constant_accuracy
        return {
            label: (_rounded(a - coin_accuracy(g, accuracy, gap, constant)), _rounded(a), -_rounded(g))
            for label, (g, a) in places.items()
        }


def _limit(text: str, rule: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= 1:
        raise SuiteError(f"{rule!r}: the limit is {text}; it must be a fraction, from 0 to 1 (0.05, not 5%)")
    return limit


def _rounded(number: float) -> float:
    return round(number, DIGITS)


def _first_largest(keys: Mapping[str, tuple[float, ...]]) -> str:
    """Return the label with the largest key, the earliest of equals."""
    return max(keys, key=lambda label: keys[label])
