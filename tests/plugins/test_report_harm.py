"""The report on harm: runs with known answers, many groups, and what cannot be compared, in words."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
from fairbench_reports import harm

import fairbench
from fairbench.analysis import harm as measured
from fairbench.analysis.harm import GIVEN, harm_between
from fairbench.api import Results
from fairbench.api.analysis import baseline_of, stored_rows
from fairbench.cli.main import main
from fairbench.running.rundir import load_results

METHODS = '''
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairbench.api import Dataset, Predictions, hookimpl


@dataclass(frozen=True)
class People:
    """600 people of three races and two sexes; few are of race c, and none of these has y = 1."""

    name = "people"
    files = ()
    sensitive_features = ("race", "sex")

    def load(self, files):
        generator = np.random.default_rng(0)
        race, sex = generator.choice(list("abc"), 600, p=[0.6, 0.35, 0.05]), generator.choice(list("fm"), 600)
        x = generator.normal(size=600)
        y = ((x + generator.normal(size=600) > 0) & (race != "c")).astype(int)
        return Dataset(
            name=self.name,
            X=pd.DataFrame({"x": x}),
            y=y,
            sensitive_features=pd.DataFrame({"race": race, "sex": sex}),
            protected_group={"race": "b", "sex": "f"},
        )


@dataclass(frozen=True)
class Nobody:
    """Select nobody."""

    name = "nobody"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))


@dataclass(frozen=True)
class Strict:
    """Select whom the feature x puts above a high threshold."""

    name = "strict"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions((inputs.X[:, 0] > 1.0).astype(int))


@dataclass(frozen=True)
class Toss:
    """Toss a fair coin."""

    name = "toss"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.zeros(len(inputs), int), decision=np.full(len(inputs), 0.5))


@hookimpl
def fairbench_methods():
    return [Nobody, Strict, Toss]


@hookimpl
def fairbench_datasets():
    return [People]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a run on two groups, and one on six."""
    path = tmp_path_factory.mktemp("harm")
    (path / "methods.py").write_text(METHODS)
    shared = {"workers": 1, "quiet": True, "plugins": path / "methods.py"}
    two = {"methods": "logistic,nobody,toss", "datasets": "synthetic[rows=2000]", "repeats": 3}
    fairbench.run(**two, out=path / "two", **shared)
    six = {"methods": "logistic,strict", "datasets": "people", "group": "race,sex", "repeats": 1}
    fairbench.run(**six, out=path / "six", **shared)
    return path


@pytest.fixture
def two(folder):
    return load_results(folder / "two")


def of(results, methods, repeats=3, baseline="", **fields):
    """Return the results of some methods and repeats alone."""
    kept = [r for r in results.records if r.cell.method.name in methods.split(",") and r.cell.repeat < repeats]
    suite = {**results.run["suite"], "baseline": baseline, "repeats": repeats}
    return dataclasses.replace(results, records=kept, run={**results.run, "suite": suite}, planned=len(kept), **fields)


def flat(results: Results) -> str:
    return " ".join(harm.render(results).split())


def test_the_command_prints_it(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fairbench", "report", str(folder / "two"), "--format", "harm"])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert out.startswith("synthetic[rows=2000] by group\n")
    assert "nobody against logistic\n" in out


def test_selecting_nobody_is_pure_levelling_down(two):
    results = of(two, "logistic,nobody")
    text, said = harm.render(results), flat(results)
    assert "baseline: logistic (none is named, and mlp did not run; the most accurate method)" in said
    assert "100% taken from 'unprotected', best off ('protected' is worst off): LEVELLING DOWN, PURE" in said
    base, nobody = ([r for r in results.records if r.cell.method.name == name] for name in ("logistic", "nobody"))
    with stored_rows(results) as stored:
        found = harm_between(stored, base, nobody)
        made = [stored.predictions(record) for record in base]
    protected, unprotected = found.served[GIVEN]
    assert found.groups == ("protected", "unprotected")
    selected = [made.decision[truth.group == 1].mean() for truth, made in made]
    assert unprotected.before == pytest.approx(np.mean(selected))
    fewer = f"of 100 people of 'unprotected' {100 * unprotected.before:.0f} fewer"
    assert f"In words: with nobody instead of logistic, {fewer}" in said
    last = "lose, and 'protected', who had least, do not gain."
    assert f"the groups come closer mostly because 'unprotected', who had most, {last}" in said
    row = next(line.split() for line in text.splitlines() if line.startswith("protected"))
    rows = [f"{np.mean(protected.rows):.0f}", str(min(protected.rows)), f"{100 * protected.before:.1f}"]
    assert row[:6] == ["protected", "given", *rows, "0.0"]


def test_one_repeat_has_the_intervals_of_its_rows_and_says_so(two):
    said = flat(of(two, "logistic,nobody", repeats=1))
    assert "LEVELLING DOWN, PURE" in said
    assert "one repeat: the intervals say what its test rows leave open, and nothing of other splits" in said
    assert "fewest" not in said
    assert "Student" not in said


def test_a_constant_baseline_is_said_to_serve_all_alike(two):
    said = flat(of(two, "logistic,nobody", baseline="nobody"))
    assert "baseline: nobody (named by the suite)" in said
    assert "demographic parity: not judged, the baseline serves all groups alike" in said
    assert "equalized odds: not judged, the baseline serves all groups alike" in said


def test_chances_count_as_chances(two):
    text = harm.render(of(two, "nobody,toss", baseline="toss"))
    given = [line.split() for line in text.splitlines() if " given " in line and "deserving" not in line]
    assert [row[-6:-3] for row in given] == [["50.0", "0.0", "-50.0"]] * 2


def test_groups_of_few_rows_and_without_positives_are_kept_and_marked(folder):
    results = load_results(folder / "six")
    said = flat(results)
    assert "c, f ° given" in said
    assert "° fewer than 10 rows in a test part, each person weighs much: 'c, f', 'c, m'" in said
    assert "groups 'c, f' and 'c, m' have no row with y = 1 in the test part" in said
    odds = [v for record in results.records for v in record.values if v.metric == "equalized_odds_difference"]
    assert [v.reason for v in odds] == ["groups 'c, f' and 'c, m' have no row with y = 1 in the test part"] * 2
    assert None not in [v.value for v in odds]
    assert "nan" not in said.lower()


def test_what_has_no_stored_rows_or_no_baseline_is_said(two):
    without = flat(of(two, "logistic,nobody", path=None))
    assert "nobody is not compared: there is no repeat with stored predictions of both for the same rows" in without
    references = of(two, "logistic,nobody")
    references.run["reference_methods"] = ["logistic", "nobody"]
    assert "nothing to compare with: no method but reference methods has a finished repeat" in flat(references)
    assert flat(Results((), {}, 0, {})) == "there are no results yet"


def test_references_and_methods_that_failed_are_not_compared(two):
    references = of(two, "logistic,nobody,toss")
    references.run["reference_methods"] = ["toss"]
    said = flat(references)
    assert "nobody against logistic" in said
    assert "toss" not in said
    references.run["reference_methods"] = ["nobody", "toss"]
    assert "no other method but reference methods has a finished repeat" in flat(references)
    failed = [
        dataclasses.replace(record, status="failed", reason="RuntimeError: no", values=())
        if record.cell.method.name == "toss"
        else record
        for record in two.records
    ]
    said = flat(dataclasses.replace(of(two, "logistic"), records=failed))
    assert "toss against" not in said
    assert "3 cells failed (toss on synthetic[rows=2000] by group): RuntimeError: no" in said


def test_repeats_whose_overlap_is_not_known_have_no_intervals(two):
    results = of(two, "logistic,nobody")
    said = flat(dataclasses.replace(results, records=[dataclasses.replace(r, parts=None) for r in results.records]))
    assert "In words: no valid interval, so who gains and who loses with nobody instead of logistic is open." in said
    assert "no valid interval: the store does not say how large the parts of the splits are" in said
    assert "LEVELLING" not in said


def people_of(*tables):
    """Return joint counts (G, 2, 2, 2) from {(label, baseline's, method's decision): number} for each group."""
    made = np.zeros((len(tables), 2, 2, 2))
    for group, table in enumerate(tables):
        for place, count in table.items():
            made[(group, *place)] = count
    return made


def words(found):
    return harm.in_words("ours", "mlp", found), harm.notes_on(found)


def test_everyone_served_worse_is_marked_and_put_in_words():
    right_then_wrong = {(1, 1, 1): 40, (1, 1, 0): 30, (0, 0, 0): 60, (0, 0, 1): 20}
    found = measured.harm([people_of(right_then_wrong, right_then_wrong)], ("a", "b"), 1, None)
    sentence, notes = words(found)
    assert sentence.endswith("; decisions are wrong more often in every group.")
    assert "EVERYONE SERVED WORSE: fewer correct decisions in every group" in notes
    assert "demographic parity: not judged, the baseline serves all groups alike" in notes


def test_who_gains_and_who_loses_is_said_in_people_per_100_the_largest_change_first():
    gains, loses = {(1, 0, 1): 40, (1, 0, 0): 60}, {(1, 1, 1): 30, (1, 1, 0): 60, (1, 0, 0): 10}
    same = {(1, 0, 0): 50, (1, 1, 1): 50}
    found = measured.harm([people_of(gains, loses, same)], ("a", "b", "c"), 1, None)
    sentence, notes = words(found)
    told = "of 100 people of 'b' 60 fewer (49 to 69), of 'a' 40 more (30 to 50) get the favourable outcome"
    assert sentence.startswith(f"In words: with ours instead of mlp, {told} (no change can be told for 'c'); among")
    assert "; the groups come closer mostly because 'b', who had most, lose." in sentence
    assert any("gap 90.0 points, -70.0" in note and "60% taken from 'b'" in note for note in notes)


def test_many_groups_are_counted_in_the_sentence():
    gains = {(1, 0, 1): 40, (0, 0, 0): 60}
    same = {(1, 0, 0): 50, (0, 1, 1): 50}
    names = tuple("abcdefghijkl")
    found = measured.harm([people_of(*[gains] * 6, *[same] * 6)], names, 1, None)
    sentence, _ = words(found)
    assert "and others in 2 more groups get the favourable outcome (no change can be told for 6 other" in sentence


def test_compas_by_race_and_sex_counts_not_being_selected_as_the_benefit(folder):
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with the raw files")
    path = folder / "compas"
    fairbench.run(
        methods="logistic,tree", datasets="compas", group="race,sex", repeats=1, workers=1, quiet=True, out=path
    )
    results = load_results(path)
    base = results.records[["logistic", "tree"].index(baseline_of(results.records, results).name)]
    selected = {v.group: v.value for v in base.values if v.metric == "selection_rate" and v.group}
    rows = dict(base.supports)
    assert len(rows) == 4
    lines = harm.render(results).splitlines()
    for group, rate in selected.items():
        (line,) = (line for line in lines if line.startswith(f"{group} "))
        place = ["given", str(rows[group]), f"{100 * (1 - rate):.1f}"]
        assert line[len(group) :].split()[:3] == place
