"""The coin for ratios between groups: against explicit mixtures, and verdicts on decisions whose merit is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_runs import METRICS, noisy, people, stored_run

from fairbench.analysis.counts import stored_rows
from fairbench.analysis.intervals import NO_INTERVAL, corrected_t
from fairbench.analysis.lines import ABOVE, BELOW, OPEN
from fairbench.analysis.ratios import Decided, RatioLines, above_ratio_coin, linearised, ratio_coin
from fairbench.analysis.values import finished, sections
from fairbench.analysis.verdicts import NO_BETTER, SectionLines
from fairbench.api import Predictions

DP, EO = "demographic_parity_ratio", "equalized_odds_ratio"
RATIO = 0.15 / 0.70


# ------------------------------------------------------------------------ the line


def ratio_of(weights, rates) -> float:
    """Return the worst ratio of a mixture: weights of baseline, constant 0 and constant 1."""
    mixed = [weights[0] * rate + weights[2] for rate in rates]
    return min(rate.min() / rate.max() if rate.max() > 0 else 1.0 for rate in mixed)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=1, max_size=2),
    st.floats(0.3, 0.9),
    st.floats(0.1, 0.9),
    st.floats(0.05, 0.95),
)
def test_the_coin_of_a_ratio_is_the_best_mixture_of_three_predictions(pairs, accuracy, ones, ratio):
    """Against a grid over the weights; a mixture with constant 0 never helps, and a pure random one stands apart."""
    rates = [np.array(pair) for pair in pairs]
    found = ratio_coin(ratio, accuracy, rates, ones)
    best = max(ones, 1 - ones)
    for share in np.linspace(0.001, 1, 400):
        for one in (1 - share) * np.linspace(0, 1, 11):
            weights = (share, 1 - share - one, one)
            if ratio_of(weights, rates) >= ratio - 1e-12:
                best = max(best, share * accuracy + (1 - share - one) * (1 - ones) + one * ones)
    assert found >= best - 1e-9
    assert found <= best + 0.02


def test_the_ratio_of_a_mixture_with_one_rises_as_the_specified_example_says():
    rates = np.array([0.75, 0.25])
    for share, ratio in ((1, 1 / 3), (0.5, 0.7142857), (0.1, 0.9487179)):
        assert ratio_of((share, 0, 1 - share), [rates]) == pytest.approx(ratio)
        assert ratio_of((share, 1 - share, 0), [rates]) == pytest.approx(1 / 3)
        expected = share * 0.9 + (1 - share) * 0.6
        assert ratio_coin(ratio, 0.9, [rates], 0.6) == pytest.approx(expected, abs=1e-6)
    assert ratio_coin(1.0, 0.9, [rates], 0.6) == 0.6


def test_the_worse_of_two_rates_decides_how_much_of_one_is_needed():
    """κ = (.8 of .5 - .1) / .2 = 1.5 for the second rate and 0 for the first, whose own ratio is .9."""
    rates = [np.array([0.9, 0.81]), np.array([0.5, 0.1])]
    assert ratio_coin(0.8, 0.9, rates, 0.6) == pytest.approx((0.9 + 1.5 * 0.6) / 2.5)
    assert ratio_coin(0.8, 0.9, rates[:1], 0.6) == 0.9


def test_a_baseline_at_parity_is_itself_the_line():
    assert ratio_coin(1.0, 0.9, [np.array([0.3, 0.3])], 0.6) == 0.9


@pytest.mark.parametrize("accuracy", [0.55, 0.6])
def test_a_baseline_no_better_than_a_constant_leaves_the_constant(accuracy):
    assert ratio_coin(0.8, accuracy, [np.array([0.75, 0.25])], 0.6) == 0.6
    assert ratio_coin(0.8, accuracy, [np.array([0.75, 0.25])], 0.4) == 0.6


def test_a_baseline_that_selects_nobody_leaves_the_constant():
    assert ratio_coin(0.8, 0.6, [np.zeros(2)], 0.4) == 0.6


# ------------------------------------------------------------------------ its interval


def test_a_linearised_function_of_means_has_the_interval_of_its_gradient():
    values = np.array([[0.5, 0.6, 0.7], [0.2, 0.1, 0.3]])
    found = linearised(lambda means: means[0] * means[1], values, 0.25)
    linear = 0.2 * values[0] + 0.6 * values[1]
    assert found.value == pytest.approx(0.12)
    assert found.high - found.value == pytest.approx(4.302653 * linear.std(ddof=1) * np.sqrt(1 / 3 + 0.25), rel=1e-6)
    assert linearised(lambda means: means[0], values[:, :1], 0.25).low is None


def drawn(seed, *, n=6, rows=(2000, 2000)):
    """Return a baseline over repeats whose rates vary as those of so many rows do, and the share of ones."""
    draw = np.random.default_rng(seed)
    rates = np.stack([draw.binomial(m, p, n) / m for m, p in zip(rows, (0.6, 0.3))])[None]  # (1, G, J)
    return Decided(0.8 + draw.normal(scale=0.01, size=n), rates), 0.55 + draw.normal(scale=0.01, size=n)


def test_the_height_and_its_interval_are_those_of_the_formula():
    """Far from the bend: V = a - (a_b + κ a_1) / (1 + κ) at the means, with numerical derivatives."""
    base, ones = drawn(1)
    method, _ = drawn(2)
    method = Decided(method.accuracy - 0.05, 0.2 * method.rates + 0.7)
    found = above_ratio_coin(method, base, ones, RATIO)

    def height(z):
        ratio = min(z[1], z[2]) / max(z[1], z[2])
        needed = (ratio * max(z[4], z[5]) - min(z[4], z[5])) / (1 - ratio)
        return z[0] - (z[3] + needed * z[6]) / (1 + needed)

    z = np.array([method.accuracy, *method.rates[0], base.accuracy, *base.rates[0], ones])
    steps = np.eye(7) * 1e-6
    slope = [(height(z.mean(axis=1) + step) - height(z.mean(axis=1) - step)) / 2e-6 for step in steps]
    half = 2.570582 * (np.array(slope) @ z).std(ddof=1) * np.sqrt(1 / 6 + RATIO)
    assert found.value == pytest.approx(height(z.mean(axis=1)), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=1e-7)
    assert (found.n, above_ratio_coin(method, base, ones, None).low) == (6, None)


def test_a_method_equal_to_the_baseline_is_seldom_above_its_coin():
    """The coin bends at the baseline: 3.3% of such methods would be above by its flat side's interval alone."""
    above = []
    for seed in range(1500):
        (base, ones), (method, _) = drawn(2 * seed, n=10), drawn(2 * seed + 1, n=10)
        above.append(above_ratio_coin(method, base, ones, 0.0).side == 1)
    assert np.mean(above) <= 0.025


def test_at_the_bend_the_interval_reaches_as_high_as_that_of_either_side():
    for seed in range(40):
        (base, ones), (method, _) = drawn(2 * seed, n=10), drawn(2 * seed + 1, n=10)
        flat = corrected_t(list(method.accuracy - base.accuracy), RATIO)
        assert above_ratio_coin(method, base, ones, RATIO).high >= flat.high - 1e-12


def test_where_mixture_and_constant_are_as_accurate_the_interval_reaches_as_low_as_that_of_either():
    """κ = .47 of the constant 1 (.35) and a baseline of .8 give .656; the constant 0 has .65, which varies."""
    rates = np.repeat(np.array([[[0.6], [0.3]]]), 6, axis=2)
    ones = 0.35 + 0.05 * np.array([1, -1, 1, -1, 1, -1])
    method = Decided(np.full(6, 0.7), rates * 0 + np.array([[[0.5], [0.36]]]))
    found = above_ratio_coin(method, Decided(np.full(6, 0.8), rates), ones, RATIO)
    constant = corrected_t(list(method.accuracy - (1 - ones)), RATIO)
    assert found.value == pytest.approx(0.7 - (0.8 + 0.132 / 0.28 * 0.35) / (1 + 0.132 / 0.28))
    assert found.value < constant.mean
    assert found.low == pytest.approx(constant.low)


# ------------------------------------------------------------------------ verdicts


def parts(repeats=5, groups=2):
    rates = [0.3 + 0.3 * code / groups for code in range(groups)]
    return {"d": [people(rates, [200] * groups, seed=repeat) for repeat in range(repeats)]}


def unfair(repeat, samples):
    last = len(samples.group_names) - 1
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0] * last + [0.3])


def with_ones(share):
    """Return the coin that decides as the baseline does with a probability, and else selects."""
    return lambda repeat, samples: Predictions.from_decision(
        share * unfair(repeat, samples).decision + 1 - share, seed=0
    )


def with_zeros(share):
    return lambda repeat, samples: Predictions.from_decision(share * unfair(repeat, samples).decision, seed=0)


def verdicts(found, metric):
    (records,) = sections(found.records)
    with stored_rows(found) as rows:
        lines = RatioLines(SectionLines.of(records, found, rows))
        told = {}
        for record in finished(records):
            told.setdefault(record.cell.method.name, []).append(record)
        return {name: lines.verdict(done, metric) for name, done in told.items()}, [
            lines.at(metric, r) for r in (0.1, 1)
        ]


def run(path, methods, tests=None, **options):
    return stored_run(path, methods, tests or parts(), metrics=(*METRICS, DP, EO), **options)


@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("metric", [DP, EO])
def test_a_mixture_with_one_lies_on_the_line_and_one_with_zero_below_it(tmp_path, groups, metric):
    methods = {"mlp": unfair, "ones": with_ones(0.9), "zeros": with_zeros(0.5)}
    found = run(tmp_path, methods, parts(groups=groups))
    told, (start, end) = verdicts(found, metric)
    assert told["ones"].above.value == pytest.approx(0, abs=1e-12)
    assert {told[name].reading for name in ("mlp", "ones")} == {OPEN}
    assert told["zeros"].value == pytest.approx(told["mlp"].value)
    assert told["zeros"].reading == BELOW
    own = [v.value for r in found.records if r.cell.method.name == "mlp" for v in r.values if v.metric == "accuracy"]
    assert start == pytest.approx(np.mean(own))  # below the baseline's own ratio
    assert end == pytest.approx(np.mean([1 - samples.y.mean() for samples in parts(groups=groups)["d"]]))


def test_who_is_right_and_selects_alike_is_above_the_coin_without_a_room(tmp_path):
    """The labels' own ratio is .3 / .45; right decisions, some of the rarer group's zeros selected too."""

    def fair(repeat, samples):
        extra = (samples.group == 0) & (np.random.default_rng(repeat).random(len(samples)) < 0.15)
        return Predictions(np.where(extra, 1, samples.y))

    told, _ = verdicts(run(tmp_path, {"mlp": unfair, "fair": fair}), DP)
    assert told["fair"].reading == ABOVE
    assert (told["fair"].room, told["fair"].skill, told["fair"].common) == (None, None, None)


def test_one_repeat_has_no_interval_and_repeats_without_a_ratio_are_left_out(tmp_path):
    def sometimes(repeat, samples):
        return Predictions(0 * samples.y) if repeat == 1 else unfair(repeat, samples)

    told, _ = verdicts(run(tmp_path, {"mlp": unfair, "other": with_ones(0.9)}, parts(1)), DP)
    assert told["other"].reading == NO_INTERVAL
    told, _ = verdicts(run(_made(tmp_path / "b"), {"mlp": unfair, "sometimes": sometimes}), DP)
    assert "compared in 4 of 5 repeats: those in which mlp too has this gap and an accuracy" in told["sometimes"].notes
    assert told["sometimes"].above.n == 4
    told, _ = verdicts(run(_made(tmp_path / "c"), {"mlp": sometimes, "other": unfair}), DP)
    assert told["other"].above.n == 5  # the baseline's rates are 0 in one repeat, which is no ratio but a rate


def test_a_constant_baseline_and_missing_parts_are_said(tmp_path):
    nobody = {"mlp": lambda repeat, samples: Predictions(0 * samples.y), "other": unfair}
    told, (start, end) = verdicts(run(tmp_path, nobody), EO)
    assert NO_BETTER in told["other"].notes
    assert "the baseline makes the same decision for everybody" in told["other"].notes
    assert told["mlp"].reading == "no verdict: no repeat has this ratio, an accuracy and stored predictions"
    assert start == end == pytest.approx(np.mean([1 - samples.y.mean() for samples in parts()["d"]]))
    told, _ = verdicts(run(_made(tmp_path / "b"), {"mlp": unfair, "other": unfair}, kept=False), DP)
    assert told["other"].reading.startswith("no verdict: no repeat has this ratio")
    failed = {"mlp": lambda repeat, samples: None, "always_0": lambda repeat, samples: Predictions(0 * samples.y)}
    told, (start, _) = verdicts(run(_made(tmp_path / "c"), failed, references=("always_0",)), DP)
    assert told["always_0"].reading.startswith("no verdict: there is no baseline")
    assert start is None


def _made(path):
    path.mkdir()
    return path
