"""Reference lines and verdicts as they are printed: against numbers worked out from the stored decisions."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from fairbench_reports import comma_separated, lines
from fairbench_reports._table import sections
from fairbench_reports._verdicts import HEADINGS, verdict_tables
from stored_runs import DP, EO, METRICS, PARTS, noisy, people, stored_run

from fairbench.analysis.claimed import claimed_points
from fairbench.analysis.counts import stored_rows
from fairbench.analysis.verdicts import SectionLines
from fairbench.api import Predictions

DP_RATIO, EO_RATIO = "demographic_parity_ratio", "equalized_odds_ratio"
CLAIMS = {
    "tolerance": (0.0, 0.1),
    "claimed_accuracy_dp": (0.97, 0.99),
    "claimed_gap_dp": (0.0, 0.1),
    "left_out_of_dp: 'g7'": (4.0, 3.0),
}
TESTS = {"d": [people((0.3, 0.45), (200, 200), seed=repeat) for repeat in range(5)]}


def base(repeat, samples):
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0, 0.3])


def attainable(repeat, samples):
    """Return the labels, with enough of the second group's ones refused for gaps of .05 and about .1."""
    rates = [samples.y[samples.group == code].mean() for code in (0, 1)]
    points = {}
    for name, gap in (("dp<=0", 0.05), ("dp<=0.1", 0.1)):
        kept = 1 - (rates[1] - rates[0] - gap) / rates[1]
        points[name] = Predictions.from_decision(samples.y * np.where(samples.group == 1, kept, 1.0), seed=0)
    return {**points, "unconstrained": Predictions(samples.y)}


def half(repeat, samples):
    """Return the coin's decisions, in expectation: the baseline's with probability one half, else 0."""
    return Predictions.from_decision(0.5 * base(repeat, samples).decision, seed=0)


def some(share):
    """Return the labels, of which a share is flipped."""
    return lambda repeat, samples: noisy(samples, flips=share, seed=repeat)


METHODS = {"mlp": base, "attainable": attainable, "half": half, "good": some(0.02)}


def run(path, methods=METHODS, tests=TESTS, **options):
    metrics = (*METRICS, DP_RATIO, EO_RATIO, "selection_rate")
    return stored_run(path, methods, tests, metrics=metrics, diagnostics=CLAIMS, **options)


def means(method, tests=TESTS):
    """Return mean accuracy, mean gap in selection and the mean selection rates (2,) of a method's decisions."""
    found = []
    for repeat, samples in enumerate(tests["d"]):
        made = method(repeat, samples).decision
        rates = [made[samples.group == code].mean() for code in (0, 1)]
        accuracy = np.where(samples.y == 1, made, 1 - made).mean()
        found.append((accuracy, abs(rates[1] - rates[0]), *rates))
    return np.mean(found, axis=0)


def rows_below(text, heading):
    """Return the lines of the table with this heading, split at wide gaps."""
    after = text[text.index(heading) :].splitlines()[2:]
    end = next(place for place, line in enumerate(after) if not line.strip())
    return [re.split(r"\s{2,}", line.strip()) for line in after[:end]]


def test_the_lines_are_printed_at_fixed_gaps(tmp_path):
    text = lines.render(run(tmp_path))
    accuracy, gap, *_ = means(base)
    constant = np.mean([1 - samples.y.mean() for samples in TESTS["d"]])
    for at, coin, _, reached, room in rows_below(text, "demographic parity difference"):
        expected = constant + (accuracy - constant) * min(float(at) / gap, 1)
        assert float(coin) == pytest.approx(expected, abs=6e-4)
        in_brackets = float(at) < 0.05  # the smallest gap that was measured
        assert (reached.startswith("("), room.startswith("(")) == (in_brackets, in_brackets)
        assert float(room.strip("()")) == pytest.approx(float(reached.strip("()")) - float(coin), abs=1.1e-3)
    assert "baseline mlp (none is named; the usual baseline), 5 repeats" in text
    assert "groups too small for a constraint: dp: 'g7'" in text


def test_the_greatest_room_is_printed_with_its_gap(tmp_path):
    """The coin rises less steeply than the attainable line up to its first point, and more steeply after it."""
    text = lines.render(run(tmp_path)).partition("equalized odds difference")[0]
    accuracy, gap, *_ = means(base)
    constant = np.mean([1 - samples.y.mean() for samples in TESTS["d"]])
    room = means(lambda repeat, samples: attainable(repeat, samples)["dp<=0"])[0] - constant
    room -= (accuracy - constant) * 0.05 / gap
    assert f"the greatest room is {room:.3f}, at a gap of 0.050" in text


def test_the_coin_is_printed_at_fixed_ratios(tmp_path):
    text = lines.render(run(tmp_path))
    accuracy, _, low, high = means(base)
    ones = np.mean([samples.y.mean() for samples in TESTS["d"]])
    found = rows_below(text, "coin at a ratio")
    assert [row[0] for row in found] == ["0.8", "0.9", "0.95", "1"]
    for at, dp, _ in found[:3]:
        needed = max((float(at) * high - low) / (1 - float(at)), 0)
        expected = max((accuracy + needed * ones) / (1 + needed), 1 - ones)
        assert float(dp) == pytest.approx(expected, abs=6e-4)
    assert float(found[3][1]) == pytest.approx(1 - ones, abs=6e-4)


def test_what_attainable_claims_stands_beside_what_is_measured(tmp_path):
    found = run(tmp_path)
    with stored_rows(found) as stored:
        first, second = claimed_points(SectionLines.of(found.records, found, stored), DP)
    assert (first.tolerance, second.tolerance, first.n) == (0.0, 0.1, 5)
    assert first.optimism == pytest.approx((0.97 - first.accuracy, 0.05))
    assert second.optimism == pytest.approx((0.99 - second.accuracy, 0.0), abs=1e-9)
    (shown,) = re.findall(r"^0 +(0.970 .*)", lines.render(found), flags=re.MULTILINE)
    assert shown.split() == [
        "0.970",
        f"{first.accuracy:.3f}",
        f"{0.97 - first.accuracy:.3f}",
        "0.000",
        "0.050",
        "0.050",
    ]


def test_a_run_without_attainable_or_a_baseline_says_so(tmp_path):
    text = lines.render(run(tmp_path, {"mlp": base, "half": half}))
    assert "no attainable line: the method 'attainable' has no finished repeat" in text
    (tmp_path / "b").mkdir()
    text = lines.render(run(tmp_path / "b", {"attainable": attainable}))
    assert "no lines: no method but reference methods" in text
    assert "there are no lines to show" in text


def table(found, metric=DP):
    """Return the rows of a verdict table by method, each by heading."""
    (tables,) = verdict_tables(found, sections(found))
    shown = tables[(DP, EO).index(metric)]
    return {row[0]: dict(zip(HEADINGS, row)) for row in shown.rows}, shown.notes


def test_a_verdict_is_printed_with_its_interval_and_the_room(tmp_path):
    rows, _ = table(run(tmp_path))
    assert {*rows} == {"half", "good"}
    points, low, high = map(float, re.findall(r"[+-][\d.]+", rows["good"]["points above the coin"]))
    accuracy, gap, *_ = means(some(0.02))
    constant, own = np.mean([1 - samples.y.mean() for samples in TESTS["d"]]), means(base)
    above = accuracy - constant - (own[0] - constant) * min(gap / own[1], 1)
    assert points == pytest.approx(100 * above, abs=0.06)
    assert low < points < high
    assert rows["good"]["verdict"] == "above the coin and a stricter common threshold"
    room, share = re.fullmatch(r"([\d.]+) \((\d+)%\)", rows["good"]["of the room"]).groups()
    assert float(share) == pytest.approx(100 * 100 * above / float(room), abs=1)
    half_width = float(rows["good"]["± repeats"])
    assert 0 < half_width < float(rows["good"]["gap"].strip("~"))
    assert rows["half"]["points above the coin"].startswith("+0.0 [")


def test_where_the_coin_is_flat_the_share_of_the_room_is_undefined(tmp_path):
    wrong = {**METHODS, "mlp": lambda repeat, samples: Predictions(1 - samples.y)}
    rows, notes = table(run(tmp_path, wrong))
    assert rows["good"]["of the room"] == "undefined"
    assert any(note.startswith("the baseline is no better than a constant") for note in notes)


def test_where_the_lines_meet_there_is_no_room_and_no_share(tmp_path):
    same = {**METHODS, "attainable": lambda repeat, samples: {"unconstrained": base(repeat, samples)}}
    assert table(run(tmp_path, same))[0]["good"]["of the room"] == "no room"
    (tmp_path / "b").mkdir()
    none = {name: made for name, made in METHODS.items() if name != "attainable"}
    assert table(run(tmp_path / "b", none))[0]["good"]["of the room"] == "-"


def test_csv_has_the_verdict_on_gaps_and_ratios_with_their_intervals(tmp_path):
    written = csv.DictReader(comma_separated.render(run(tmp_path)).splitlines())
    rows = {(row["method"], row["metric"]): row for row in written}
    assert all(rows["mlp", metric]["verdict"] == "" for metric in (DP, EO, DP_RATIO))
    dp, ratio, eo_ratio = (rows["half", metric] for metric in (DP, DP_RATIO, EO_RATIO))
    accuracy, gap, low, high = means(half)
    assert float(dp["gap_debiased"]) < float(dp["mean"]) == pytest.approx(gap)
    assert float(dp["of_mean"]) == pytest.approx(abs(high - low))
    assert float(dp["above_coin"]) == pytest.approx(0, abs=1e-12)
    assert float(ratio["of_mean"]) == pytest.approx(low / high)
    assert float(ratio["selected"]) == pytest.approx((low + high) / 2)
    assert float(ratio["above_coin"]) == pytest.approx(accuracy - means(base)[0])  # mixing with 0 leaves the ratio
    assert ratio["verdict"] == eo_ratio["verdict"] == "below the coin"
    assert float(ratio["above_coin_low"]) < float(ratio["above_coin"]) < float(ratio["above_coin_high"]) < 0
    assert (ratio["room"], ratio["skill"], ratio["floor"], ratio["gap_debiased"]) == ("", "", "", "")
    assert dp["selected"] == ""


def test_a_gap_that_noise_turns_round_is_marked_although_its_mean_excludes_zero(tmp_path):
    """The mean of absolute differences is above 0 in every fair method; that of the signed ones is not."""
    parts = {"d": [people((0.7, 0.7), (46, 104), seed=repeat) for repeat in range(10)]}

    def fair(repeat, samples):
        return Predictions((np.random.default_rng(50 + repeat).random(len(samples)) < 0.7).astype(int))

    found = run(tmp_path, {"mlp": some(0.2), "fair": fair}, parts, parts=replace(PARTS, train=2500))
    shown = next(row for row in csv.DictReader(comma_separated.render(found).splitlines())
                 if (row["method"], row["metric"]) == ("fair", DP))  # fmt: skip
    assert float(shown["low"]) > 0
    assert table(found)[0]["fair"]["gap"].endswith("~")


def test_reference_methods_do_not_compete_for_the_best_of_a_column(tmp_path):
    (section,) = sections(run(tmp_path))
    best = {row.method: [entry.best for entry in row.entries] for row in section.rows}
    assert not any(best["attainable"])
    assert best["good"][[column.metric for column in section.columns].index("accuracy")]
