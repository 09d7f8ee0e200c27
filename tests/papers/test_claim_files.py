"""Claim files: what they may say, how claims are judged, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from stored_runs import DP, EO, PARTS, coin_of, drawn_parts, noisy, stored_run, unfair

from fairbench.analysis.intervals import NO_INTERVAL, CorrectedT
from fairbench.analysis.paired import change_limits
from fairbench.api import Predictions
from fairbench.cells import Choice
from fairbench.data.score_limits import wilson
from fairbench.errors import PaperError
from fairbench.papers.claim_files import judge_run, read_claim_file, suite_path
from fairbench.papers.claim_form import Range
from fairbench.papers.claims import CONTRARY, DOES_NOT_HOLD, HELD, HOLDS, OPEN, UNJUDGED, judge
from fairbench.papers.claims_shown import as_markdown, as_plain

CLAIM = """
[claims.one]
text = "One claim."
metrics = ["demographic_parity_difference"]
expected = "lower"
compare = [{ method = "threshold", against = "mlp", datasets = "german" }]
"""


def fair(repeat, samples):
    return noisy(samples, flips=0.1, seed=300 + repeat)


def worse(repeat, samples):
    return noisy(samples, flips=0.4, seed=500 + repeat)


def broken(repeat, samples):
    return None


def everybody(repeat, samples):
    return Predictions(np.ones(len(samples), dtype=int))


def like_unfair(repeat, samples):
    return unfair(repeat, samples)


METHODS = {
    "mlp": unfair,
    "threshold": fair,
    "mba_dp": worse,
    "mba_eod": broken,
    "constant": everybody,
    "logistic": like_unfair,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the dataset german of methods whose standing is known."""
    path = tmp_path_factory.mktemp("claimed")
    return stored_run(path, METHODS, {"german": drawn_parts(repeats=8)}, baseline="mlp")


@pytest.fixture
def judged(tmp_path, registry, run):
    """Judge the claim file with this text by the run, or by another one."""

    def made(text, other=None):
        file = tmp_path / "claims.toml"
        file.write_text(text, encoding="utf-8")
        results = run if other is None else other
        return judge_run(read_claim_file(file, registry, results), results, registry)

    return made


def claim(metrics, expected, compare, more=""):
    return (
        f'[claims.one]\ntext = "x"\nmetrics = "{metrics}"\nexpected = {expected}\ncompare = [{{ {compare} }}]\n{more}\n'
    )


def test_the_oracle_of_a_comparison_is_scipys_paired_t_with_the_correction(judged, run):
    (found,) = judged(claim(DP, '"lower"', 'method = "threshold", against = "mlp"'))
    (contrast,) = found.contrasts
    values = [
        [
            v.value
            for r in run.records
            for v in r.values
            if r.cell.method.name == name and v.metric == DP and not v.group
        ]
        for name in ("threshold", "mlp")
    ]
    t = stats.ttest_rel(*values)
    error = abs(np.mean(np.subtract(*values)) / t.statistic) * np.sqrt((1 / 8 + PARTS.test / PARTS.train) / (1 / 8))
    assert contrast.measured.mean == pytest.approx(np.mean(np.subtract(*values)))
    assert contrast.measured.high == pytest.approx(contrast.measured.mean + stats.t.ppf(0.975, 7) * error)
    assert (found.standing, contrast.outcome, contrast.measured.n) == (HOLDS, HELD, 8)


@pytest.mark.parametrize(
    ("text", "standing"),
    [
        (claim(DP, '"lower"', 'method = "threshold", against = "mlp"'), HOLDS),
        (claim(DP, '"higher"', 'method = "threshold", against = "mlp"'), DOES_NOT_HOLD),
        (claim(DP, '"higher"', 'method = "mlp", against = "threshold", datasets = "german", group = "sex"'), HOLDS),
        (claim(DP, '"lower"', 'method = "mlp", against = "logistic"'), OPEN),
        (claim("accuracy", '"higher"', 'method = "threshold|mlp", against = "mba_dp"'.replace("|", ",")), HOLDS),
        (claim("accuracy", '"higher"', 'method = "threshold,mba_dp", against = "mba_dp,threshold"'), DOES_NOT_HOLD),
        (claim("accuracy", '"higher"', 'method = "threshold,mlp", against = "mba_dp,logistic"'), OPEN),
        # at most so much worse
        (claim(DP, '"lower"', 'method = "threshold", against = "mlp"', "loss = { accuracy = 0.05 }"), HOLDS),
        (claim(DP, '"lower"', 'method = "constant", against = "mlp"', "loss = { accuracy = 0.1 }"), DOES_NOT_HOLD),
        (claim("accuracy", '"higher"', 'method = "mlp", against = "mba_dp"', f"loss = {{ {DP} = 0.9 }}"), HOLDS),
        (
            claim("accuracy", '"higher"', 'method = "mlp", against = "threshold"', f"loss = {{ {DP} = 0 }}"),
            DOES_NOT_HOLD,
        ),
        # in a range
        (claim("accuracy", "[0.9, 0.05]", 'method = "threshold"'), HOLDS),
        (claim("accuracy", "[0.7, 0.05]", 'method = "threshold"'), DOES_NOT_HOLD),
        (claim("accuracy", "[0.9, 0.0]", 'method = "threshold"'), OPEN),
        (claim(DP, "[0, 0]", 'method = "constant"'), HOLDS),
        # the coin
        (claim(DP, '"above the coin"', 'method = "threshold"'), HOLDS),
        (claim(DP, '"above the coin"', 'method = "mba_dp"'), DOES_NOT_HOLD),
        (claim(DP, '"above the coin"', 'method = "mlp"'), OPEN),
        # what cannot be judged
        (claim(DP, '"lower"', 'method = "mba_eod", against = "mlp"'), UNJUDGED),
        (claim(DP, '"lower"', 'method = "coin", against = "mlp"'), UNJUDGED),
        (claim(DP, '"lower"', 'method = "threshold", against = "coin"'), UNJUDGED),
        (claim(DP, '"lower"', 'method = "threshold", against = "mlp", datasets = "german,adult"'), UNJUDGED),
        (claim(DP, '"higher"', 'method = "threshold", against = "mlp", datasets = "german,adult"'), DOES_NOT_HOLD),
        (claim(DP, '"lower"', 'method = "threshold", against = "mlp", group = "age"'), UNJUDGED),
        (claim("roc_auc", '"lower"', 'method = "threshold", against = "mlp"'), UNJUDGED),
    ],
)
def test_claims_are_judged_as_they_are_made(judged, text, standing):
    (found,) = judged(text)
    assert found.standing == standing
    unjudged = [contrast for contrast in found.contrasts if contrast.outcome not in (HELD, OPEN, CONTRARY)]
    assert bool(unjudged) == (standing == UNJUDGED or "adult" in text)
    assert all(contrast.reason for contrast in unjudged)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (claim(DP, '"lower"', 'method = "mba_eod", against = "mlp"'), "mba_eod: failed: ValueError: it broke"),
        (claim(DP, '"lower"', 'method = "coin", against = "mlp"'), "the run has no row of coin (its methods are mlp, "),
        (claim(DP, '"lower"', 'method = "mlp", against = "coin"'), "no such row of coin on german (its methods there"),
        (claim(DP, "[0, 1]", 'method = "mlp", datasets = "adult"'), "no dataset 'adult' (it has german)"),
        (claim("roc_auc", '"lower"', 'method = "threshold", against = "mlp"'), "no value of roc_auc"),
    ],
)
def test_what_cannot_be_judged_says_why(judged, text, reason):
    assert reason in as_markdown(judged(text), replace_path(), "claims.toml").replace("\\", "")


def replace_path():
    from fairbench.records import Results

    return Results([], {}, 0, {})


def test_a_single_repeat_is_judged_over_the_rows_of_its_test_part(judged, tmp_path):
    parts = drawn_parts(repeats=1)
    alone = stored_run(
        tmp_path, {"mlp": unfair, "threshold": fair}, {"german": parts}, metrics=("accuracy", DP, "roc_auc")
    )
    (found,) = judged(claim(DP, '"lower"', 'method = "threshold", against = "mlp"'), alone)
    assert (found.standing, found.contrasts[0].measured.n) == (HOLDS, 1)
    right = [decide(0, parts[0]).y_pred == parts[0].y for decide in (unfair, fair)]
    table = np.array([[np.sum((right[0] == a) & (right[1] == b)) for b in (0, 1)] for a in (0, 1)], dtype=float)
    (found,) = judged(claim("accuracy", '"higher"', 'method = "threshold", against = "mlp"'), alone)
    measured = found.contrasts[0].measured
    assert (measured.low, measured.high) == pytest.approx(change_limits(table))
    (found,) = judged(claim("accuracy", "[0.9, 0.1]", 'method = "threshold"'), alone)
    n = len(parts[0])
    limits = wilson(np.array(float(right[1].sum())), np.array(float(n)))
    measured = found.contrasts[0].measured
    assert (measured.low, measured.high) == pytest.approx(tuple(map(float, limits)))
    (found,) = judged(claim("roc_auc", '"higher"', 'method = "threshold", against = "mlp"'), alone)
    assert (found.standing, found.contrasts[0].outcome) == (UNJUDGED, NO_INTERVAL)
    assert "no interval over its rows is known" in found.contrasts[0].reason


def test_without_a_baseline_there_is_no_coin(judged, tmp_path):
    alone = stored_run(tmp_path, {"threshold": fair}, {"german": drawn_parts()}, metrics=(DP,))
    (found,) = judged(claim(DP, '"above the coin"', 'method = "threshold"'), alone)
    assert (found.standing, "baseline" in found.contrasts[0].reason) == (UNJUDGED, True)


def test_the_coin_says_whose_it_is(judged):
    (found,) = judged(claim(DP, '"above the coin"', 'method = "threshold"'))
    assert found.contrasts[0].labels == ("threshold", "the coin of mlp")


def test_of_variants_the_parameters_must_leave_one(judged, tmp_path):
    methods = {"mlp[epochs=5]": fair, "mlp[epochs=7]": worse, "threshold": coin_of(0.5)}
    variants = stored_run(tmp_path, methods, {"german": drawn_parts()})
    (found,) = judged(claim("accuracy", '"higher"', 'method = "mlp", against = "threshold"'), variants)
    assert "the run has 2 rows of mlp on german (mlp[epochs=5] by sex" in found.contrasts[0].reason
    (found,) = judged(claim("accuracy", '"higher"', 'method = "mlp[epochs=5]", against = "mlp[epochs=7]"'), variants)
    assert found.standing == HOLDS


def test_a_claim_is_about_every_dataset_though_usual_parameters_differ(judged, registry, tmp_path):
    usual = dict(registry.complete("methods", Choice("mlp")).params)
    parts = drawn_parts()
    found = stored_run(tmp_path, {"mlp": fair, "threshold": worse}, {"german": parts, "compas": parts})
    sizes = {"german": 64, "compas": usual["batch_size"]}
    records = [
        replace(r, cell=replace(r.cell, method=Choice("mlp", {**usual, "batch_size": sizes[r.cell.dataset.name]})))
        if r.cell.method.name == "mlp"
        else r
        for r in found.records
    ]
    (judgement,) = judged(claim("accuracy", "[0.9, 0.1]", 'method = "mlp"'), replace(found, records=records))
    assert [contrast.dataset for contrast in judgement.contrasts] == ["german", "compas"]
    assert judgement.standing == HOLDS


@pytest.mark.parametrize(("short", "metric"), [("dp", DP), ("EO", EO)])
def test_an_alias_names_its_metric(judged, short, metric):
    compared = 'method = "mlp", against = "threshold"'
    by_alias, by_name = (judged(claim(name, '"higher"', compared)) for name in (short, metric))
    assert by_alias[0].contrasts == by_name[0].contrasts
    assert by_alias[0].contrasts[0].measured is not None
    (coin,) = judged(claim(short, '"above the coin"', 'method = "threshold"', f"# {short}"))
    assert coin.contrasts[0].measured is not None


def test_a_method_without_the_value_is_not_said_to_have_not_run(judged, run):
    (found,) = judged(claim("roc_auc", '"lower"', 'method = "constant", against = "mlp"'))
    assert not found.contrasts[0].mostly_alike
    shown = as_markdown([found], run, "c").splitlines()
    assert next(line for line in shown if line.startswith("| german")).endswith("| cannot be judged |")
    assert as_plain([found], run, "c")["claims"][0]["comparisons"][0]["outcome"] == UNJUDGED


def test_an_unfinished_run_is_said_to_be_one_in_a_list_of_one(judged, run):
    part = replace(run, planned=run.planned + 8)
    assert part.unfinished
    lines = as_markdown(judged(claim(DP, '"lower"', 'method = "mlp", against = "threshold"'), part), part, "c")
    head = lines.partition("## ")[0].splitlines()
    assert head[-2:] == [f"- {part.unfinished}.", ""]


def test_each_claim_has_holms_correction_over_its_differences_alone(judged):
    compare = 'method = "threshold,logistic", against = "mlp"'
    (found,) = judged(claim(DP, '"lower"', compare, "loss = { accuracy = 0.9 }"))
    (alone,) = judged(claim(DP, '"lower"', 'method = "threshold", against = "mlp"'))
    differences = [contrast for contrast in found.contrasts if contrast.column.metric == DP]
    assert differences[0].adjusted == pytest.approx(2 * alone.contrasts[0].measured.p)
    assert [c.adjusted for c in found.contrasts if c.column.metric == "accuracy"] == [None, None]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.84, 0.86, HELD),
        (0.845, 0.85, HELD),
        (0.83, 0.85, OPEN),
        (0.86, 0.9, OPEN),
        (0.861, 0.9, CONTRARY),
        (0.7, 0.8, CONTRARY),
    ],
)
def test_a_range_holds_the_whole_interval(low, high, outcome):
    assert judge(CorrectedT(0.85, 0.1, 5, low, high, None, None), Range(0.84, 0.86, "")) == outcome


# what is refused


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[claims.one]", "[claims.one", "claims.toml is not valid TOML: "),
        ("[claims.one]", "[claims.one]\n[claims.one]", "is not valid TOML: "),
        (CLAIM, "", "makes no claims; add [claims.NAME]"),
        (CLAIM, "[claims]\none = 3", "claims: one is 3; it must be a table"),
        ('text = "One claim."', "", "claims.one: 'text' is missing"),
        ('text = "One claim."', 'text = "x"\ntable = "t"', "claims.one: 'table' is not known here"),
        ('text = "One claim."', 'txt = "x"', "claims.one: 'text' is missing"),
        ('"One claim."', '" "', "claims.one: text is ' '; say in words what is claimed"),
        ("[claims.one]", 'suites = "x"\n[claims.one]', "'suites' is not known here; did you mean 'suite'?"),
        ("demographic_parity_difference", "demographic_parity", "claims.one: no metric is named 'demographic_parity'"),
        ('["demographic_parity_difference"]', "[]", "metrics is empty"),
        ('"threshold"', '"treshold"', "compare 1: no method is named 'treshold'; did you mean 'threshold'?"),
        ('"threshold"', '"mlp[epoks=3]"', "compare 1: no parameter of method mlp is named 'epoks'"),
        ('datasets = "german"', 'datasets = "germany"', "compare 1: no dataset is named 'germany'; did you mean"),
        ('datasets = "german"', 'sets = "german"', "compare 1: 'sets' is not known here"),
        (', against = "mlp"', "", "compare 1: 'against' is missing"),
        ("compare = [{", "compare = []\nloss = { accuracy = 0.1 }\n#", "compare is empty"),
        ('"lower"', '"smaller"', "expected is 'smaller'; it must be 'lower', 'higher', 'above the coin', or ["),
        ('"lower"', "[0.85]", "expected is [0.85]; it must be"),
        ('"lower"', "[0.85, -1]", "expected is [0.85, -1]; it must be"),
        ('"lower"', "[0.85, 1]", "'against' is not known here"),
        ('expected = "lower"', "", "'expected' is missing"),
        ('expected = "lower"', 'expected = "lower"\nloss = { accuracy = -1 }', "loss: accuracy is -1; it must be"),
        ('expected = "lower"', 'expected = "lower"\nloss = { n = 1 }', "loss: n cannot get worse"),
        ('expected = "lower"', 'expected = "lower"\nloss = { acuracy = 1 }', "loss: no metric is named 'acuracy'"),
    ],
)  # fmt: skip
def test_a_wrong_claim_file_is_refused_with_file_and_place(tmp_path, registry, old, new, said):
    file = tmp_path / "claims.toml"
    assert old in CLAIM
    file.write_text(CLAIM.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PaperError, match=re.escape(said)) as refused:
        read_claim_file(file, registry)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (claim("accuracy", '"above the coin"', 'method = "mlp"'), "the coin is drawn for gaps over all rows"),
        (claim(DP, '"above the coin"', 'method = "mlp"', "loss = { accuracy = 1 }"), "loss is against another row"),
        (claim("accuracy", "[85, 1]", 'method = "mlp"'), "85 is not a value of accuracy, which runs from 0 to 1"),
        (claim(EO, "[0.1, 1]", 'method = "mlp", against = "mba_dp"'), "'against' is not known here"),
    ],
)
def test_a_claim_that_means_nothing_is_refused(tmp_path, registry, text, said):
    (tmp_path / "claims.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PaperError, match=re.escape(said)):
        read_claim_file(tmp_path / "claims.toml", registry)


def test_a_file_that_names_no_suite_says_what_to_do(tmp_path):
    (tmp_path / "claims.toml").write_text(CLAIM, encoding="utf-8")
    with pytest.raises(PaperError, match=r"names no suite to run; add suite = 'suite.toml', or judge a finished run"):
        suite_path(tmp_path / "claims.toml")
    with pytest.raises(PaperError, match="cannot be read"):
        suite_path(tmp_path / "nosuch.toml")


def test_the_method_of_a_run_needs_not_be_installed(judged, tmp_path):
    theirs = stored_run(tmp_path, {"tomorrows[speed=2]": fair, "mlp": worse}, {"german": drawn_parts()})
    (found,) = judged(claim("accuracy", '"higher"', 'method = "tomorrows", against = "mlp"'), theirs)
    assert found.standing == HOLDS


def test_hostile_texts_are_shown_as_text(judged, run):
    text = claim(DP, '"lower"', 'method = "threshold", against = "mlp"').replace('"x"', '"<script>x</script> | y"')
    found = judged(text)
    shown = as_markdown(found, run, "<b>.toml")
    assert "<script" not in shown
    assert "<b>" not in shown
    assert json.loads(json.dumps(as_plain(found, run, "c"), allow_nan=False))["all_hold"] is True


def test_several_scenarios_or_attributes_must_be_told_apart(judged, run):
    other = [replace(r, cell=replace(r.cell, group="age")) for r in run.records]
    both = replace(run, records=[*run.records, *other])
    (found,) = judged(claim("accuracy", "[0.9, 0.1]", 'method = "threshold"'), both)
    assert "2 rows of threshold on german (threshold by sex, holdout, threshold by age" in found.contrasts[0].reason
    (found,) = judged(claim("accuracy", "[0.9, 0.1]", 'method = "threshold", group = "age"'), both)
    assert found.standing == HOLDS
