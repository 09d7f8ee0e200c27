"""What scenarios share that choose by a named rule (``fairbench.api.Rule``) on validation."""

from __future__ import annotations

from collections.abc import Mapping

from fairbench.api import SEEN_ROWS, SEEN_SELECTED, Chosen, Judged, NotApplicable, Predictor, Rule, Samples, known_rows

SMALL_GAP = "max accuracy subject to dp <= 0.05"
"""The default of scenarios that search."""


class ByRule:
    """A scenario with a parameter ``rule``, written in the one form that a rule has."""

    rule: str

    def __post_init__(self) -> None:
        """Write the rule in its one form.

        Raises:
            SuiteError: it is not a rule.
        """
        object.__setattr__(self, "rule", str(Rule.parse(self.rule)))


def judge(validation: Samples, points: Mapping[str, Predictor]) -> dict[str, Judged]:
    """Return what a rule sees of each of the points: its decisions on the validation rows whose group is known.

    Raises:
        NotApplicable: there are no such rows.
    """
    known = known_rows(validation)
    if not len(known):
        raise NotApplicable(
            f"the group of none of the {len(validation)} validation rows is known, and a rule chooses by such rows; "
            "make group_known larger"
        )
    return {label: Judged.of(known, point(known.inputs)) for label, point in points.items()}


def told(judged: Mapping[str, Judged], chosen: Chosen, trials: int, fits: int) -> dict[str, list[float]]:
    """Return what is recorded about a choice.

    These are the configurations tried, the fits, 1 if no point satisfies the rule, and everything that the rule has
    seen, so that any other rule can choose from the stored points: the rows of the validation part by group and label
    (G, 2), and how many of these each of the ``judged`` points selects (points, G, 2), both flat.
    """
    every = list(judged.values())
    return {
        "trials": [float(trials)],
        "fits": [float(fits)],
        "infeasible": [float(not chosen.feasible)],
        SEEN_ROWS: every[0].rates.rows.ravel().tolist(),
        SEEN_SELECTED: [number for point in every for number in point.rates.selected.ravel().tolist()],
    }


def told_of_all(
    rule: Rule, judged: Mapping[str, Judged], chosen: Chosen, trials: int, fits: int
) -> dict[str, list[float]]:
    """Return what is recorded about a choice among fits: accuracy and gap of each on validation, and ``told``."""
    said = {"validation_accuracy": [point.accuracy for point in judged.values()]}
    if rule.gap:
        said["validation_gap"] = [point.gap(rule.shown_gap) for point in judged.values()]
    return {**said, **told(judged, chosen, trials, fits)}
