"""What a method changes for each group: the cases whose truth is known, and the intervals within one test part."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from fairbench_datasets._synthetic_model import PRESETS
from fairbench_datasets._synthetic_truth import Truth as SyntheticTruth
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.analysis.counts import StoredRows, count_jointly
from fairbench.analysis.harm import CORRECT, DESERVED, GIVEN, Change, harm, harm_between
from fairbench.analysis.paired import Term, change_limits, sum_limits
from fairbench.api import Predictions
from fairbench.cells import Cell, Choice
from fairbench.errors import Undefined
from fairbench.records import DONE, Parts, Record, Value
from fairbench.running.truth import Truth

GROUPS = ("unprotected", "protected")
DP, EO = "demographic_parity", "equalized_odds"
RATIO = 0.15 / 0.7


def by_label(rates):
    """Return the rates (G, 2) of being selected by group and label."""
    return np.stack([rates.false_positive, rates.true_positive], axis=1)


def best(setting):
    """Return the rates by label of the best classifiers that see the group: of all, and of those with equal rates."""
    truth = SyntheticTruth(PRESETS[setting])
    return by_label(truth.aware), by_label(truth.optimum(DP, 0.0))


def strata(setting):
    """Return the shares of all rows (G, 2) by group and label."""
    model = PRESETS[setting]
    label = np.array(model.label_rate)
    return np.array(model.weight)[:, None] * np.stack([1 - label, label], axis=1)


def nested(rows, before, after):
    """Return the joint counts of two thresholds on one score, from rows and rates (G, 2) by group and label."""
    both = np.minimum(before, after)
    table = np.array([[1 - before - after + both, after - both], [before - both, both]])  # (2, 2, G, 2)
    return np.moveaxis(table, (0, 1), (2, 3)) * rows[:, :, None, None]


def coin(rows, before, share):
    """Return the joint counts of a baseline and of its mixture with the constant 0."""
    table = np.array([[1 - before, 0 * before], [before * (1 - share), before * share]])
    return np.moveaxis(table, (0, 1), (2, 3)) * rows[:, :, None, None]


def given_of(found):
    return [(round(group.before, 3), round(group.after, 3)) for group in found.served[GIVEN]]


def correct_of(found):
    return [(round(group.before, 3), round(group.after, 3)) for group in found.served[CORRECT]]


def flipped(table):
    """Return the same decisions with labels and predictions exchanged."""
    return table[:, ::-1, ::-1, ::-1]


# ---------------------------------------------------------------- the three cases of known truth, with exact counts


def test_parity_on_equal_groups_levels_down_and_serves_everyone_worse():
    found = harm([nested(10_000 * strata("equal"), *best("equal"))], GROUPS, 1, None)
    assert given_of(found) == [(0.634, 0.428), (0.238, 0.428)]
    assert correct_of(found) == [(0.781, 0.730), (0.806, 0.757)]
    level = found.levelling[DP]
    assert (level.best, level.worst, round(level.share_taken, 2)) == ("unprotected", "protected", 0.52)
    assert level.gap == pytest.approx(0.39599, abs=1e-5)
    assert level.rise.value == pytest.approx(-0.39599, abs=1e-5)
    assert (level.down, level.pure, found.everyone_worse) == (True, False, True)


def test_parity_for_a_small_group_takes_little_and_is_not_marked_but_its_accuracy_is_seen_to_fall():
    found = harm([nested(10_000 * strata("small"), *best("small"))], GROUPS, 1, None)
    assert given_of(found) == [(0.500, 0.479), (0.204, 0.479)]
    level = found.levelling[DP]
    assert (round(level.share_taken, 2), level.down, level.pure) == (0.07, False, False)
    assert level.rise.fell
    assert not found.everyone_worse
    protected = found.served[CORRECT][1]
    assert (round(protected.before, 3), round(protected.after, 3)) == (0.743, 0.675)
    assert protected.change.fell


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_the_coin_with_constant_0_takes_everything_and_is_pure(share):
    before, _ = best("equal")
    found = harm([coin(50_000 * strata("equal"), before, share)], GROUPS, 1, None)
    level = found.levelling[DP]
    assert (level.share_taken, level.down, level.pure) == (1.0, True, True)
    assert level.rise.value == pytest.approx((share - 1) * level.gap)


def test_with_few_rows_nothing_is_marked():
    found = harm([nested(30 * strata("equal"), *best("equal"))], GROUPS, 1, None)
    level = found.levelling[DP]
    assert round(level.share_taken, 2) == 0.52
    assert (level.down, found.everyone_worse) == (False, False)


# ---------------------------------------------------------------- with drawn rows, through stored predictions


class Rows(StoredRows):
    """Predictions that are at hand instead of in a store."""

    def __init__(self, made):
        self.made = made

    def predictions(self, record, point=None):
        return self.made.get(record.cell.key)


def record(method, repeat, parts=None):
    cell = Cell(Choice("synthetic"), Choice(method), "group", repeat)
    return Record(cell, DONE, values=(Value(0, "", "", "accuracy", 0.5),), parts=parts or Parts(700, 150, 150))


def drawn(setting, seed, n=5000, favorable_label=1):
    """Return the truth of a drawn test part, and the predictions of two thresholds with the known rates."""
    generator = np.random.default_rng(seed)
    place = generator.choice(4, n, p=strata(setting).ravel())
    group, y, chance = place // 2, place % 2, generator.random(n)
    truth = Truth(y, group, GROUPS, 1, favorable_label)
    return truth, [Predictions((chance < rates[group, y]).astype(int)) for rates in best(setting)]


def rows_of(setting, repeats, **options):
    """Return the stored rows and the records of a baseline and a method."""
    made, first, second = {}, [], []
    for repeat in range(repeats):
        truth, (before, after) = drawn(setting, repeat, **options)
        for name, predictions, records in (("mlp", before, first), ("fair", after, second)):
            records.append(record(name, repeat))
            made[records[-1].cell.key] = (truth, predictions)
    return Rows(made), first, second


@pytest.mark.parametrize("repeats", [1, 5])
def test_drawn_rows_show_the_marks_in_one_repeat_and_in_several(repeats):
    found = harm_between(*rows_of("equal", repeats))
    level = found.levelling[DP]
    assert (level.down, level.pure, found.everyone_worse, found.repeats) == (True, False, True, repeats)
    assert level.share_taken == pytest.approx(0.52, abs=0.05)
    small = harm_between(*rows_of("small", repeats))
    assert (small.levelling[DP].down, small.everyone_worse) == (False, False)


def test_the_favourable_label_0_turns_the_benefit_around():
    rows, first, second = rows_of("equal", 3, favorable_label=0)
    found = harm_between(rows, first, second)
    level = found.levelling[DP]
    assert (level.best, level.worst) == ("protected", "unprotected")  # who is selected less often
    assert level.share_taken == pytest.approx(0.48, abs=0.05)
    one = harm_between(*rows_of("equal", 3))
    for here, there in zip(found.served[GIVEN], one.served[GIVEN]):
        assert here.before == pytest.approx(1 - there.before)
    for here, there in zip(found.served[CORRECT], one.served[CORRECT]):
        assert dataclasses.astuple(here.change) == pytest.approx(dataclasses.astuple(there.change))
    rise = dataclasses.astuple(one.levelling[DP].rise)
    assert dataclasses.astuple(found.levelling[DP].rise) == pytest.approx(rise)


def test_over_repeats_the_interval_is_the_corrected_t_of_the_differences():
    first = np.array([[[[0, 0], [0, 0]], [[20, 0], [d, 80 - d]]] for d in (1, 2, 0)], dtype=float)  # one group each
    tables = [np.stack([table, table]) for table in first]
    change = harm(tables, GROUPS, 1, RATIO).served[GIVEN][0].change
    values = np.array([-0.01, -0.02, 0.0])
    half = 4.302653 * values.std(ddof=1) * math.sqrt(1 / 3 + RATIO)
    assert (change.value, change.low, change.high) == pytest.approx((-0.01, -0.01 - half, -0.01 + half), abs=1e-6)
    without = harm(tables, GROUPS, 1, None).served[GIVEN][0].change
    assert (without.value, without.low, without.rose, without.fell) == (change.value, None, False, False)


# ---------------------------------------------------------------- bad input, in words


def test_what_cannot_be_compared_is_said():
    rows, first, second = rows_of("equal", 2)
    with pytest.raises(Undefined, match="no repeat is finished for both"):
        harm_between(rows, first[:1], second[1:])
    with pytest.raises(Undefined, match="no repeat with stored predictions of both for the same rows"):
        harm_between(StoredRows(None), first, second)
    other = dict(rows.made)
    other[second[0].cell.key] = drawn("equal", 77)[0], rows.made[second[0].cell.key][1]
    assert harm_between(Rows(other), first, second).repeats == 1
    old = {key: (dataclasses.replace(truth, favorable_label=None), made) for key, (truth, made) in rows.made.items()}
    with pytest.raises(Undefined, match="did not keep which label is favourable; run it again"):
        harm_between(Rows(old), first, second)


def test_a_constant_baseline_serves_all_alike_and_nothing_is_judged():
    rows = 1000 * strata("equal")
    found = harm([nested(rows, np.zeros((2, 2)), best("equal")[0])], GROUPS, 1, None)
    assert found.levelling == {}
    assert found.unjudged == {
        DP: "the baseline serves all groups alike",
        EO: "the baseline serves all groups alike",
    }
    assert all(group.change.rose for group in found.served[GIVEN])


def test_a_method_equal_to_its_baseline_changes_nothing():
    before, _ = best("equal")
    for repeats in (1, 4):
        found = harm([nested(1000 * strata("equal"), before, before)] * repeats, GROUPS, 1, RATIO)
        level = found.levelling[DP]
        assert (level.share_taken, level.down, found.everyone_worse) == (None, False, False)
        assert not any(group.change.fell or group.change.rose for group in found.served[GIVEN])


def test_a_group_without_positives_is_named_and_left_out_where_it_is_not_defined():
    rows = np.array([[50.0, 50.0], [50.0, 50.0], [8.0, 0.0]])
    before, after = np.array([[0.4, 0.8], [0.2, 0.5], [0.5, 0.0]]), np.array([[0.3, 0.6], [0.2, 0.6], [0.25, 0.0]])
    found = harm([nested(rows, before, after)], ("a", "b", "c"), 1, None)
    assert found.missing == ("group 'c' has no row with y = 1 in the test part",)
    third = found.served[DESERVED][2]
    assert (third.rows, third.before, third.after, third.change) == ((0,), None, None, None)
    assert found.served[GIVEN][2].rows == (8,)
    assert (found.levelling[EO].best, found.levelling[EO].worst) == ("a", "b")
    assert found.levelling[DP].best == "a"


def test_a_group_that_some_repeats_lack_is_compared_in_the_others():
    two, three = np.array([[50.0, 50.0], [50.0, 50.0], [0, 0]]), np.array([[50.0, 50.0], [50.0, 50.0], [3, 5]])
    before, after = np.array([[0.4, 0.8], [0.2, 0.6], [0.0, 0.0]]), np.array([[0.2, 0.6], [0.2, 0.6], [0.0, 0.0]])
    found = harm([nested(rows, before, after) for rows in (two, three, three)], ("a", "b", "c"), 1, RATIO)
    assert found.missing == ("group 'c' has no row in the test part in 1 of 3 repeats",)
    assert [group.change.n for group in found.served[GIVEN]] == [3, 3, 2]
    level = found.levelling[DP]
    assert (level.worst, level.gap, level.rise.n) == ("c", pytest.approx(0.6), 2)


def test_with_one_group_left_there_is_no_gap():
    rows = np.array([[50.0, 50.0], [0.0, 0.0]])
    found = harm([nested(rows, *best("equal"))], GROUPS, 1, None)
    assert found.unjudged == dict.fromkeys((DP, EO), "fewer than two groups have the rows for it")
    apart = [np.array([[9.0, 9.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [9.0, 9.0]])]
    found = harm([nested(rows, *best("equal")) for rows in apart], GROUPS, 1, None)
    assert found.unjudged[DP] == "in no repeat do all groups have the rows for it"


def test_three_lost_rows_of_three_do_not_make_a_mark():
    rows = np.array([[50.0, 50.0], [0.0, 3.0]])
    before, after = np.array([[0.4, 0.6], [0.0, 1.0]]), np.array([[0.4, 0.6], [0.0, 1 / 3]])
    found = harm([nested(rows, before, after)], GROUPS, 1, None)
    assert found.served[GIVEN][1].change.value == pytest.approx(-2 / 3)
    assert not found.served[GIVEN][1].change.fell
    assert not found.levelling[DP].down


# ---------------------------------------------------------------- properties

tables = st.integers(2, 4).flatmap(
    lambda groups: st.lists(st.integers(0, 30), min_size=8 * groups, max_size=8 * groups).map(
        lambda numbers: np.array(numbers, dtype=float).reshape(groups, 2, 2, 2)
    )
)


@settings(max_examples=150)
@given(st.lists(tables, min_size=1, max_size=1), st.integers(0, 1))
def test_every_interval_holds_its_value_and_every_mark_its_conditions(one, label):
    names = tuple("abcd"[: len(one[0])])
    found = harm(one, names, label, None)
    for served in found.served.values():
        for group in served:
            if group.change is not None:
                assert -1 <= group.change.low <= group.change.value + 1e-12
                assert group.change.value - 1e-12 <= group.change.high <= 1
                assert group.change.value == pytest.approx(group.after - group.before)
    for criterion, level in found.levelling.items():
        assert level.rise.low <= level.rise.value + 1e-12 <= level.rise.high + 2e-12
        assert level.share_taken is None or 0 <= level.share_taken <= 1
        served = dict(zip(names, found.served[GIVEN if criterion == DP else DESERVED]))
        before = [group.before for group in served.values() if group.before is not None]
        assert served[level.best].before == max(before)
        assert served[level.worst].before == min(before)
        if level.down:
            assert served[level.best].change.fell
            assert level.rise.high < 0
            assert level.share_taken >= 0.5
        assert not level.pure or (level.down and not served[level.worst].change.rose)
    correct = [group.change for group in found.served[CORRECT] if group.change is not None]
    assert found.everyone_worse == (bool(correct) and all(change.high < -1e-9 for change in correct))


@settings(max_examples=60)
@given(tables, st.sampled_from([None, RATIO]), st.integers(1, 3))
def test_flipping_labels_and_decisions_with_the_favourable_label_changes_nothing(table, ratio, repeats):
    names = tuple("abcd"[: len(table)])
    one = harm([table] * repeats, names, 1, ratio)
    other = harm([flipped(table)] * repeats, names, 0, ratio)
    assert one.served == other.served
    assert one.levelling == other.levelling


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_counts_of_rows_give_the_rates_of_the_rows(seed, groups):
    generator = np.random.default_rng(seed)
    n = 60
    truth = Truth(generator.integers(0, 2, n), generator.integers(0, groups, n), tuple("abcde"[:groups]), 0, 1)
    before, after = (Predictions(generator.integers(0, 2, n)) for _ in range(2))
    found = harm([count_jointly(truth, before, after)], truth.group_names, 1, None)
    for code in range(groups):
        here, deserving = truth.group == code, (truth.group == code) & (truth.y == 1)
        if not here.any():
            continue
        assert found.served[GIVEN][code].after == pytest.approx(after.y_pred[here].mean())
        assert found.served[CORRECT][code].before == pytest.approx((before.y_pred == truth.y)[here].mean())
        if deserving.any():
            assert found.served[DESERVED][code].before == pytest.approx(before.y_pred[deserving].mean())


# ---------------------------------------------------------------- intervals of changes on the same rows


@pytest.mark.parametrize(
    ("table", "limits"),
    [
        ([[0, 2], [12, 36]], (-0.3404, -0.0569)),  # Newcombe (1998), table II: 36, 12, 2, 0
        ([[12, 7], [1, 1]], (0.0256, 0.5069)),  # Bentur et al. (2009), as in Fagerland et al. (2014): .026 to .507
    ],
)
def test_published_paired_intervals(table, limits):
    assert change_limits(np.array(table, dtype=float)) == pytest.approx(limits, abs=1e-4)


def test_the_interval_of_a_change_covers_it():
    generator = np.random.default_rng(0)
    chances = np.array([0.35, 0.05, 0.15, 0.45])  # neither, second alone, first alone, both
    for n in (30, 200):
        drawn = generator.multinomial(n, chances, 2000).reshape(-1, 2, 2).astype(float)
        limits = np.array([change_limits(table) for table in drawn])
        covered = ((limits[:, 0] <= -0.1) & (limits[:, 1] >= -0.1)).mean()
        assert 0.93 <= covered <= 0.98


def test_the_interval_of_a_gaps_fall_covers_it():
    generator, covered = np.random.default_rng(1), 0
    chances = {0: [0.35, 0.05, 0.15, 0.45], 1: [0.6, 0.1, 0.1, 0.2]}
    fall = (0.60 - 0.30) - (0.50 - 0.30)
    for _ in range(1500):
        first, second = (generator.multinomial(150, chances[g]).reshape(2, 2).astype(float) for g in (0, 1))
        terms = [Term(1, first, False), Term(-1, second, False), Term(-1, first, True), Term(1, second, True)]
        low, high = sum_limits(terms)
        covered += low <= fall <= high
    assert 0.93 <= covered / 1500 <= 0.98


def test_rates_of_different_rows_add_without_correlation():
    table = np.array([[10.0, 0.0], [0.0, 10.0]])
    same = change_limits(table)
    apart = sum_limits([Term(1, table, True), Term(-1, table.copy(), False)])
    assert same[1] < apart[1]  # one person's decisions under both methods agree


def test_changes_are_told_only_beyond_rounding():
    assert not Change(-1e-17, -1e-17, -1e-17, 3).fell
    assert not Change(1e-17, 1e-17, 1e-17, 3).rose
    assert Change(-0.1, -0.2, -0.01, 3).fell


def test_a_gain_of_the_worst_group_within_its_interval_leaves_levelling_down_pure():
    """800 of 1,000 fall to 500 in the best group; 3 of 1,000 change sides in the worst one, for 2 of them a gain."""
    best, worst = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    best[1] = [[200, 0], [300, 500]]
    worst[1] = [[699, 2], [1, 298]]
    level = harm([np.stack([best, worst])], GROUPS, 1, None).levelling[DP]
    assert (level.best, level.worst) == GROUPS
    assert level.share_taken == pytest.approx(0.3 / 0.301)
    assert (level.down, level.pure) == (True, True)
    worst[1] = [[600, 100], [0, 300]]
    level = harm([np.stack([best, worst])], GROUPS, 1, None).levelling[DP]
    assert (level.share_taken, level.down, level.pure) == (pytest.approx(0.75), True, False)
