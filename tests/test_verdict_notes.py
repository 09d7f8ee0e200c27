"""What reports say where a run has another baseline than was meant, no verdict or no line."""

from __future__ import annotations

import pytest
from fairbench_reports import fronts, harm, latex, lines, markdown, noise, terminal
from stored_runs import DP, noisy, people, stored_run

from fairbench.api import Predictions


def unfair(repeat, samples):
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0, 0.3])


def failed(repeat, samples):
    return None


def zero(repeat, samples):
    return Predictions(0 * samples.y)


def parts(repeats=3):
    return {"d": [people((0.2, 0.4), (200, 200), seed=repeat) for repeat in range(repeats)]}


def flat(text):
    return " ".join(text.split())


REPLACED = "the suite's baseline logistic has no finished repeat here; instead the most accurate method"
RENDERERS = [terminal.render, markdown.render, latex.render]


@pytest.mark.parametrize("render", RENDERERS)
def test_a_baseline_that_stands_in_for_the_suites_is_named_with_the_reason(tmp_path, render):
    methods = {"logistic": failed, "tree": unfair, "zero": zero}
    text = flat(render(stored_run(tmp_path, methods, parts(), baseline="logistic")))
    assert f"compared with tree: {REPLACED}" in text.replace("\\'", "'").replace("{'}", "'")


def test_the_baseline_that_was_meant_needs_no_words(tmp_path):
    text = flat(terminal.render(stored_run(tmp_path, {"mlp": unfair, "zero": zero}, parts())))
    assert "compared with" not in text


@pytest.mark.parametrize("render", RENDERERS)
def test_a_run_without_any_verdict_says_why(tmp_path, render):
    found = stored_run(tmp_path, {"logistic": failed, "tree": unfair}, parts(), baseline="logistic")
    text = flat(render(found))
    assert "no verdicts on d by sex: tree is the baseline (the suite" in text
    assert "and no other method has a finished repeat" in text


def test_a_run_of_reference_methods_alone_says_that_nothing_is_compared(tmp_path):
    found = stored_run(tmp_path, {"zero": zero}, parts(), references=("zero",))
    why = "no method but reference methods has a finished repeat with an accuracy"
    assert f"no verdicts on d by sex: {why}" in flat(terminal.render(found))
    assert f"no lines: {why}" in flat(lines.render(found))


@pytest.mark.parametrize(
    ("metrics", "lacking"),
    [
        ((DP,), "mlp lacks accuracy,"),
        (("accuracy",), "mlp lacks one of demographic_parity_difference, "),
    ],
)
def test_lines_without_their_metrics_say_which_is_lacking(tmp_path, metrics, lacking):
    text = flat(lines.render(stored_run(tmp_path, {"mlp": unfair, "zero": zero}, parts(), metrics=metrics)))
    assert f"no lines: {lacking}" in text


def test_lines_without_stored_predictions_say_so(tmp_path):
    text = flat(lines.render(stored_run(tmp_path, {"mlp": unfair, "zero": zero}, parts(), kept=False)))
    assert "no lines: the run has no stored predictions" in text


def test_fits_of_one_split_are_no_further_repeats(fairbench):
    """Fits that are all alike tell nothing new: intervals, sentences and what can be shown stay as with one fit."""
    told = {}
    for fits in ("1", "3"):
        run = ("--repeats", "2", "--fits", fits, "--workers", "1", "--out", f"r{fits}", "--baseline", "logistic")
        methods = ("--methods", "logistic,logistic[C=0.001]", "--datasets", "synthetic[rows=300]", "--scale", "none")
        assert fairbench("run", *methods, *run)[0] == 0
        for name in ("harm", "noise", "ranks", "terminal"):
            told[name, fits] = fairbench("report", f"r{fits}", "--format", name)[1]
    assert told["harm", "1"] == told["harm", "3"]
    assert told["ranks", "1"] == told["ranks", "3"]
    for columns in (slice(3, 7), slice(8, 9)):  # all but the floor, which is drawn for each fit
        lines = [
            [line.split()[columns] for line in told["noise", fits].splitlines() if "DP diff." in line] for fits in "13"
        ]
        assert lines[0] == lines[1]
        assert lines[0]
    assert "the smallest gap that 2 repeats can show" in told["terminal", "3"]
    assert "by group, 2 repeats: of 1 method" in " ".join(told["terminal", "3"].split())
    assert "those in which" not in told["terminal", "3"]


def test_a_baseline_with_variants_is_named_with_what_tells_them_apart(tmp_path):
    methods = {"logistic[C=1.0]": unfair, "logistic[C=2.0]": zero}
    found = stored_run(tmp_path, methods, parts(), baseline="logistic[C=1.0]")
    text = flat(terminal.render(found))
    assert "accuracy above the coin of logistic[C=1.0] and a constant" in text
    assert "at the rates of logistic[C=1.0]" in text
    assert "baseline logistic[C=1.0] (named by the suite)" in flat(lines.render(found))


@pytest.mark.parametrize("lost", [None, 0])
def test_a_front_over_other_repeats_than_the_lines_has_no_share_of_the_room(tmp_path, lost):
    methods = {
        "mlp": lambda repeat, samples: None if repeat == lost else unfair(repeat, samples),
        "attainable": lambda repeat, samples: {
            "unconstrained": noisy(samples, flips=0.05, seed=repeat, select=[0.0, 0.3]),
            "dp<=0": noisy(samples, flips=0.1, seed=repeat, select=[0.0, 0.0]),
        },
    }
    text = flat(fronts.render(stored_run(tmp_path, methods, parts())))
    assert ("not compared:" in text) == (lost is not None)
    assert ("%)" in text) == (lost is None)


def test_no_word_of_a_verdict_is_broken_in_a_narrow_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = terminal.render(stored_run(tmp_path, {"mlp": unfair, "threshold": noisy_half}, parts()))
    assert text.count("threshold  not told apart from the") == 2
    assert max(map(len, text.splitlines())) <= 40


def test_no_method_is_squeezed_to_a_few_letters(tmp_path, monkeypatch):
    name = "fairlearn_threshold_optimizer"
    found = stored_run(tmp_path, {"mlp": unfair, name: noisy_half}, parts())
    for columns in range(70, 121):
        monkeypatch.setenv("COLUMNS", str(columns))
        begun = [line for line in terminal.render(found).splitlines() if line.startswith("fair")]
        assert begun
        assert all(line.startswith("fairlearn_") for line in begun)


def test_short_labels_leave_room_for_the_verdicts_in_one_table(tmp_path, monkeypatch):
    def least(name):
        (tmp_path / name).mkdir()
        found = stored_run(tmp_path / name, {"mlp": unfair, name: noisy_half}, parts())
        for columns in range(70, 140):
            monkeypatch.setenv("COLUMNS", str(columns))
            judged = terminal.render(found).partition("accuracy above the coin")[2].partition("On ")[0]
            if judged.count("method") == 1:
                return columns
        return None

    assert least("threshold") == least("threshold_five") - 5


def noisy_half(repeat, samples):
    return Predictions.from_decision(0.5 * unfair(repeat, samples).decision, seed=repeat)


@pytest.mark.parametrize("render", [harm.render, noise.render, lines.render])
def test_no_number_or_name_is_cut_in_a_narrow_terminal(tmp_path, monkeypatch, render):
    found = stored_run(tmp_path, {"mlp": unfair, "threshold": noisy_half}, parts())
    monkeypatch.setenv("COLUMNS", "100")
    wide = render(found).split()
    monkeypatch.setenv("COLUMNS", "40")
    narrow = render(found)
    assert "…" not in narrow
    assert {word for word in wide if "0." in word} <= {*narrow.split()}
    assert "threshold" in narrow or render is lines.render
