"""Self-consistency of decisions over fits whose test parts share rows."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fairbench.analysis.arbitrariness import NO_ROWS, NOT_STORED, Consistency, arbitrariness, self_consistency
from fairbench.cells import Cell, Choice
from fairbench.data.rows import Predictions
from fairbench.records import DONE, Record
from fairbench.running.truth import Truth


class Stored:
    """Stored predictions, one pair for each repeat."""

    def __init__(self, pairs):
        self.pairs = pairs

    def predictions(self, record):
        return self.pairs[record.cell.repeat]


def records(count):
    return [Record(Cell(Choice("adult"), Choice("mlp"), "sex", repeat), DONE) for repeat in range(count)]


def part(rows, group, decision):
    """Return a test part of these rows, and decisions about them."""
    group, decision = np.asarray(group), np.asarray(decision, float)
    placed = None if rows is None else np.asarray(rows)
    truth = Truth(np.zeros(len(group), int), group, ("a", "b"), 0, 1, rows=placed)
    return truth, Predictions(np.round(decision).astype(int), decision=decision)


def test_pairs_of_decisions_agree_as_the_formula_of_the_paper_says():
    # row 7: 1 1 0 1, row 2: 0 0, row 5: 1 0, row 9 once
    row = np.array([7, 2, 7, 5, 7, 2, 9, 7, 5])
    chance = np.array([1, 0, 1, 1, 0, 0, 1, 1, 0], float)
    people, times, value = self_consistency(row, chance)
    assert people.tolist() == [2, 5, 7]
    assert times.tolist() == [2, 2, 4]
    assert value == pytest.approx([1, 0, 1 - 2 * 1 * 3 / (4 * 3)])


def test_every_pair_is_counted_and_randomised_decisions_are_taken_in_expectation():
    random = np.random.default_rng(0)
    row, chance = random.integers(0, 12, 60), random.random(60)
    people, _, value = self_consistency(row, chance)
    for person, found in zip(people, value):
        pairs = combinations(chance[row == person], 2)
        assert found == pytest.approx(np.mean([p * q + (1 - p) * (1 - q) for p, q in pairs]))


def test_a_tossed_coin_has_one_half_and_so_does_its_expectation():
    random = np.random.default_rng(1)
    row = np.repeat(np.arange(4000), 3)
    tossed = self_consistency(row, random.integers(0, 2, len(row)).astype(float))[2]
    assert tossed.mean() == pytest.approx(0.5, abs=0.02)  # 3 standard errors of 4,000 people
    assert self_consistency(row, np.full(len(row), 0.5))[2] == pytest.approx(np.full(4000, 0.5))


def test_means_are_over_people_of_a_group_who_are_decided_about_twice():
    pairs = [
        part([1, 2, 3, 4], [0, 0, 1, 1], [1, 0, 1, 1]),
        part([4, 2, 1, 8], [1, 0, 0, 0], [1, 1, 1, 1]),
    ]
    found = arbitrariness(Stored(pairs), records(2))
    # rows 1 (1 1), 2 (0 1) and 4 (1 1) are seen twice; 3 and 8 once
    overall, first, second = found.overall, *found.groups
    assert (overall.people, overall.predictions, overall.value) == (3, 2.0, pytest.approx(2 / 3))
    assert overall.chance == pytest.approx((5 / 6) ** 2 + (1 / 6) ** 2)
    assert (first.group, first.people, first.value) == ("a", 2, pytest.approx(1 / 2))
    assert first.chance == pytest.approx((3 / 4) ** 2 + (1 / 4) ** 2)
    assert second == Consistency("b", 1, 2.0, 1.0, 1.0)


def test_a_group_that_nobody_seen_twice_belongs_to_has_no_value():
    pairs = [part([1, 2], [0, 1], [1, 0]), part([1, 3], [0, 1], [1, 0])]
    assert arbitrariness(Stored(pairs), records(2)).groups[1] == Consistency("b", 0, 0.0, None, None)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([None, None], NOT_STORED),
        ([part(None, [0, 1], [1, 0]), part(None, [0, 1], [1, 0])], NO_ROWS),
        (
            [part([1, 2], [0, 1], [1, 0]), part([3, 4], [0, 1], [1, 0])],
            "nobody is decided about twice: the test parts of 2 repeats share no row",
        ),
        ([part([1, 2], [0, 1], [1, 0])], "nobody is decided about twice in one repeat"),
    ],
)
def test_there_is_a_reason_where_there_is_no_value(pairs, reason):
    found = arbitrariness(Stored(pairs), records(len(pairs)))
    assert (found.overall, found.groups, found.reason) == (None, (), reason)


RUN = ["run", "--methods", "logistic,always_0", "--datasets", "synthetic[rows=300]", "--workers", "1", "--no-reference"]


def test_the_report_shows_groups_and_chance_and_warns_of_few_people(fairbench):
    assert fairbench(*RUN, "--repeats", "3", "--out", "r")[0] == 0
    status, out, _ = fairbench("report", "r", "--format", "arbitrariness")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    logistic = next(line for line in lines if line[:2] == ["logistic", "all"])
    always = next(line for line in lines if line[:2] == ["always_0", "all"])
    assert logistic[2] == always[2]
    assert 0.5 < float(logistic[4]) <= 1
    assert always[4:] == ["1.000", "1.000"]
    exported = fairbench("export", "r", "--predictions")[1].splitlines()
    names = exported[0].split(",")
    seen = {}
    for line in exported[1:]:
        row = dict(zip(names, line.replace("synthetic[rows=300]", "s").split(",")))
        if row["method"] == "always_0":
            seen.setdefault(row["row"], []).append(row["y_pred"])
    assert int(always[2]) == sum(len(decided) > 1 for decided in seen.values())
    assert "are decided about twice: the mean hangs on each of them; run more repeats" in " ".join(out.split())


def test_one_repeat_is_told_in_words(fairbench):
    assert fairbench(*RUN, "--repeats", "1", "--out", "r")[0] == 0
    status, out, _ = fairbench("report", "r", "--format", "arbitrariness")
    assert status == 0
    assert "no self-consistency (logistic, always_0): nobody is decided about twice in one repeat" in out
    assert "nan" not in out.lower()
