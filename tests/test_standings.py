"""How methods stand: what surrounds a gap, and the section in one sentence."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from stored_runs import DP, EO, PARTS, noisy, people, stored_run

from fairbench.analysis.intervals import corrected_t
from fairbench.analysis.standings import section_standings
from fairbench.api import Predictions


def unfair(repeat, samples):
    last = len(samples.group_names) - 1
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0] * last + [0.3])


def better(repeat, samples):
    """Return nearly right decisions, some of the favoured group's taken back, so that its gap is narrow."""
    y = samples.y * (np.random.default_rng(repeat).random(len(samples)) < np.take([1.0, 0.75], samples.group))
    return Predictions(y)


def worse(repeat, samples):
    return noisy(samples, flips=0.4, seed=repeat)


def half(repeat, samples):
    return Predictions.from_decision(0.5 * unfair(repeat, samples).decision, seed=repeat)


def parts(repeats=5, rows=(200, 200), rates=(0.2, 0.4)):
    return {"d": [people(rates, rows, seed=repeat) for repeat in range(repeats)]}


def standing(found, name, metric=DP, place=0):
    """Return how a method stands in a section."""
    methods = section_standings(found)[place].methods
    return next(here[metric] for done, here in methods if str(done[0].cell.method) == name)


# ------------------------------------------------------------------------ numbers


def test_baseline_and_references_are_not_judged_and_all_others_are(tmp_path):
    methods = {
        "mlp": unfair,
        "attainable": lambda repeat, samples: {"unconstrained": unfair(repeat, samples)},
        "always_0": lambda repeat, samples: Predictions(0 * samples.y),
        "half": half,
        "lost": lambda repeat, samples: None,
    }
    found = stored_run(tmp_path, methods, parts(), references=("attainable", "always_0"))
    (here,) = section_standings(found)
    assert [done[0].cell.method.name for done, _ in here.methods] == ["half"]
    assert {*here.methods[0][1]} == {DP, EO}
    baseline = here.lines.baseline
    assert baseline.ran([record for record in found.records if record.cell.method.name == "mlp"])
    assert not baseline.ran(here.methods[0][0])


def test_a_suite_of_references_alone_has_nothing_to_judge(tmp_path):
    methods = {"always_0": lambda repeat, samples: Predictions(0 * samples.y)}
    (here,) = section_standings(stored_run(tmp_path, methods, parts(), references=("always_0",)))
    assert here.methods == ()
    assert here.sentence(DP) == ""


def test_the_interval_over_repeats_and_the_spread_of_the_rows_are_kept_apart(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "worse": worse}, parts())
    here, gaps, variances = standing(found, "worse"), [], []
    for repeat, samples in enumerate(parts()["d"]):
        made = worse(repeat, samples).y_pred
        rates = np.array([made[samples.group == code].mean() for code in (0, 1)])
        gaps.append(abs(rates[1] - rates[0]))
        variances.append((rates * (1 - rates) / 200).sum())
    assert here.gap == corrected_t(gaps, PARTS.test / PARTS.train)
    assert here.rows == pytest.approx(1.959964 * np.sqrt(np.mean(variances)), rel=1e-6)
    pooled = [worse(repeat, samples).y_pred.mean() for repeat, samples in enumerate(parts()["d"])]
    floor = np.mean([np.sqrt(2 / np.pi * p * (1 - p) * 2 / 200) for p in pooled])
    assert here.floor.mean == pytest.approx(floor, rel=1e-6)
    assert here.within is None


def test_the_floor_of_many_groups_needs_no_more_draws_for_many_repeats(tmp_path, monkeypatch):
    """The mean over repeats shares the draws: it is as exact as that of one test part, for the same work."""
    one = people((0.2, 0.4, 0.3), (200, 200, 100))
    coin = {"mlp": lambda r, s: unfair(0, s), "half": lambda r, s: unfair(0, s)}
    alone = standing(stored_run(_made(tmp_path / "a"), coin, {"d": [one]}), "half", EO)
    drawn, seeds, multinomial = [], [], np.random.Generator.multinomial
    several = stored_run(_made(tmp_path / "b"), coin, {"d": [one] * 10})

    class Counting:
        def __init__(self, seed):
            seeds.append(seed)
            self.generator = np.random.Generator(np.random.PCG64(seed))

        def multinomial(self, n, chances, size):
            drawn.append(size)
            return multinomial(self.generator, n, chances, size)

    monkeypatch.setattr("fairbench.analysis.noise.np.random.default_rng", Counting)
    many = standing(several, "half", EO)
    monkeypatch.undo()
    assert set(drawn) == {400}  # 4,000 shared by ten repeats
    assert set(seeds) == set(range(10))
    assert many.floor.mean == pytest.approx(alone.floor.mean, abs=0.002)
    assert many.floor.quantile == pytest.approx(alone.floor.quantile, abs=0.006)


def _made(path):
    path.mkdir()
    return path


def by_sex(selected):
    """Return a test part like German's, in which so many of each group are selected."""
    samples = people((30 / 46, 75 / 104), (46, 104))
    made = np.zeros(150, dtype=int)
    for code, number in enumerate(selected):
        made[np.flatnonzero(samples.group == code)[:number]] = 1
    return samples, Predictions(made)


def test_small_gaps_of_a_small_dataset_are_faint_because_it_cannot_show_them(tmp_path):
    """46 and 104 rows, four fifths selected: a floor of .06 and .21 as the smallest gap that one split can show."""
    samples, base = by_sex((33, 87))
    _, small = by_sex((35, 86))
    _, large = by_sex((20, 92))
    methods = {"mlp": lambda r, s: base, "small": lambda r, s: small, "large": lambda r, s: large}
    found = stored_run(tmp_path, methods, {"german": [samples]}, parts=replace(PARTS, train=700, test=150))
    here = standing(found, "small")
    assert here.floor.mean == pytest.approx(0.06, abs=0.005)
    assert here.smallest.value == pytest.approx(0.21, abs=0.015)
    assert here.faint
    assert not standing(found, "large").faint
    assert here.within.low == 0.0
    assert here.within.high == pytest.approx(0.206, abs=0.02)


def test_a_small_gap_that_all_repeats_show_is_not_faint(tmp_path):
    """Below what five repeats show with a chance of 80%, but the same in each: its interval does not hold 0."""

    def steady(repeat, samples):
        made = np.zeros(len(samples), dtype=int)
        for code, number in enumerate((100, 108)):
            made[np.flatnonzero(samples.group == code)[:number]] = 1
        return Predictions(made)

    here = standing(stored_run(tmp_path, {"mlp": unfair, "steady": steady}, parts()), "steady")
    assert here.gap.mean == pytest.approx(0.04)
    assert 0 < here.gap.mean < here.smallest.value
    assert not here.faint


def test_more_repeats_show_smaller_gaps(tmp_path):
    """At nearly the same rates by the root of 1/J plus the ratio of test to training rows."""
    smallest = []
    for repeats in (1, 5):
        (path := tmp_path / str(repeats)).mkdir()
        found = stored_run(path, {"mlp": unfair, "half": half}, parts(repeats))
        smallest.append(standing(found, "half").smallest.value)
    assert smallest[1] / smallest[0] == pytest.approx(np.sqrt(1 / 5 + PARTS.test / PARTS.train), rel=0.02)


def test_without_predictions_there_is_the_interval_over_repeats_and_nothing_else(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(), kept=False)
    here = standing(found, "half")
    assert here.gap.low < here.gap.mean < here.gap.high
    assert (here.rows, here.floor, here.smallest, here.within, here.faint) == (None, None, None, None, False)
    assert section_standings(found)[0].sentence(DP) == ""


def test_results_without_a_directory_have_no_standings(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(1))
    assert section_standings(replace(found, path=None)) == []


def test_every_report_on_the_same_results_asks_once(tmp_path, monkeypatch):
    found = stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(1))
    first = section_standings(found)
    monkeypatch.setattr("fairbench.analysis.standings._stand", lambda results: pytest.fail("asked twice"))
    assert section_standings(found) is first


@pytest.mark.parametrize("base", [0, 1])
def test_a_constant_baseline_and_a_group_that_lacks_a_label_are_no_obstacle(tmp_path, base):
    tests = {"d": [people((0.0, 0.5, 0.4), (5, 200, 200), seed=repeat) for repeat in range(3)]}
    methods = {"mlp": lambda repeat, samples: Predictions(0 * samples.y + base), "worse": worse}
    found = stored_run(tmp_path, methods, tests)
    here = standing(found, "worse")
    assert here.verdict.above.n == 3
    assert here.verdict.reading
    assert here.smallest is None  # what a constant's rates could show says nothing about others
    equal = standing(found, "worse", EO)
    assert equal.verdict.above is None  # the first group has nobody with y = 1
    assert equal.gap is None
    assert not any(np.isnan(number) for number in (here.floor.mean, here.rows, equal.floor.mean, equal.rows))


# ---------------------------------------------------------------------- sentences


def test_the_sentence_counts_every_method_and_names_those_on_either_side(tmp_path):
    methods = {"mlp": unfair, "better[keep=1]": better, "better[keep=2]": better, "half": half, "worse": worse}
    (here,) = section_standings(stored_run(tmp_path, methods, parts()))
    values = {str(done[0].cell.method): by[DP].verdict.above for done, by in here.methods}

    def shown(name):
        above = values[name]
        return f"{name} {100 * above.value:+.1f} points, {100 * above.low:+.1f} to {100 * above.high:+.1f}"

    assert here.sentence(DP) == (
        "On d by sex, 5 repeats: of 4 methods, compared at their own demographic parity difference, 2 are above a coin "
        f"that mixes mlp with a constant prediction ({shown('better[keep=1]')}; {shown('better[keep=2]')}), 1 is not "
        f"told apart from it and 1 is below it ({shown('worse')}); of the 2 above it, 2 are above a "
        "stricter common threshold too."
    )


def test_the_sentence_on_one_method_in_one_repeat(tmp_path):
    (here,) = section_standings(stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(1)))
    assert here.sentence(EO) == (
        "On d by sex, 1 repeat, with intervals over the rows of its test part: of 1 method, compared at its own "
        "equalized odds difference, 1 is not told apart from a coin that mixes mlp with a constant prediction."
    )


def test_one_method_above_the_coin_is_said_to_be_above_the_threshold_or_not(tmp_path):
    (here,) = section_standings(stored_run(tmp_path, {"mlp": unfair, "better": better, "half": half}, parts()))
    assert here.sentence(DP).endswith("; the one above it is above a stricter common threshold too.")


def test_where_the_baseline_beats_no_constant_the_sentence_is_about_the_constant(tmp_path):
    methods = {"mlp": lambda repeat, samples: Predictions(0 * samples.y), "worse": worse}
    (here,) = section_standings(stored_run(tmp_path, methods, parts()))
    assert "the better constant prediction, which mlp does not beat" in here.sentence(DP)
    assert "a coin" not in here.sentence(DP)


def test_methods_with_different_repeats_are_not_said_to_have_the_same(tmp_path):
    methods = {"mlp": unfair, "first": lambda repeat, samples: half(repeat, samples) if repeat == 0 else None}
    (here,) = section_standings(stored_run(tmp_path, {**methods, "half": half}, parts()))
    assert here.sentence(DP).startswith("On d by sex, 1 to 5 repeats: of 2 methods, ")


def test_without_valid_intervals_there_is_no_sentence(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(), parts=None)
    assert section_standings(found)[0].sentence(DP) == ""


def test_methods_without_an_interval_are_counted_apart(tmp_path):
    methods = {"mlp": unfair, "half": half, "hidden": lambda repeat, samples: worse(repeat, samples)}
    (here,) = section_standings(stored_run(tmp_path, methods, parts()))
    (done, told), other = here.methods
    told = {DP: replace(told[DP], verdict=replace(told[DP].verdict, above=replace(told[DP].verdict.above, low=None)))}
    sentence = replace(here, methods=((done, told), other)).sentence(DP)
    assert "1 is below a coin" in sentence
    assert sentence.endswith("and 1 has no valid interval.")


# ----------------------------------------------------------------------------- cost


def test_standings_need_no_torch(tmp_path):
    stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(2))
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fairbench.analysis.standings import section_standings\n"
        "from fairbench.records import Results\n"
        "from fairbench.running.store import Store\n"
        f"with Store(Path({str(tmp_path)!r}) / 'results.sqlite') as store:\n"
        "    records = store.records()\n"
        f"labels = {{'accuracy': ('accuracy', 'higher'), {DP!r}: ('DP', 'lower')}}\n"
        f"(here,) = section_standings(Results(records, {{}}, 4, labels, Path({str(tmp_path)!r})))\n"
        "assert here.methods[0][1] and 'not told apart' in here.sentence('demographic_parity_difference')\n"
        "loaded = {'torch', 'scipy.stats', 'pandas', 'sklearn'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
