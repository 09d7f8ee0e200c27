"""What reports say of groups that a test part lacks or has few rows of."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_helpers import ACCURACY, DP, REPORTS, done, results, summary

import fairbench
from fairbench.api import Results
from fairbench.api.analysis import positives, stored_rows
from fairbench.running.rundir import load_results

LACKS = "group 'd' has no row in the test part"


def flat(name: str, found: Results) -> str:
    """Return a report with every run of blanks made one."""
    return " ".join(REPORTS[name].render(found).split())


@pytest.fixture
def sometimes() -> Results:
    """Two methods on four repeats; the test parts of two have no row of group d, with much smaller gaps."""
    records = []
    for repeat, (gap, rows) in enumerate([(0.8, 1), (0.1, 0), (0.6, 3), (0.2, 0)]):
        groups = {"c": {"n": 40.0, "selection_rate": 0.5}}
        if rows:
            groups["d"] = {"n": float(rows), "selection_rate": 0.0}
        supports = (("c", 40 + repeat), ("d", rows))
        for method, more in (("plain", 0.0), ("worse", 0.1)):
            record = done(
                method,
                repeat,
                groups,
                supports=supports,
                lacking="" if rows else LACKS,
                accuracy=0.7,
                **{DP: gap + more},
            )
            records.append(record)
    return results(*records)


def test_values_over_fewer_groups_are_not_averaged_with_the_others(sometimes: Results) -> None:
    line = summary(sometimes)["plain", DP]
    assert float(line["mean"]) == pytest.approx(0.7)
    assert float(line["std"]) == pytest.approx(0.1 * 2**0.5)
    assert [line[name] for name in ("n", "undefined", "partial", "lacking")] == ["2", "0", "2", LACKS]
    accuracy = summary(sometimes)["plain", ACCURACY]
    assert [accuracy[name] for name in ("mean", "n", "partial", "lacking")] == ["0.7", "4", "0", ""]
    assert line["best"] == "true"  # of the means that are left


@pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])
def test_the_table_marks_them_and_says_what_is_left_out(sometimes: Results, name: str) -> None:
    text, sign = flat(name, sometimes), r"\S{}" if name == "latex" else "§"
    assert f"{sign} DP diff. left out in 2 of 4 repeats (plain, worse): {LACKS}" in text
    assert f"{LACKS} in 2 of 4 repeats" in text
    assert "group 'd' has only 1 to 3 rows in a test part: gaps depend on each of them" in text
    assert f"{sign} in some repeats the test part lacks a group" in text
    assert "group 'c' has" not in text


def test_a_mean_over_the_same_fewer_groups_in_all_repeats_is_marked_and_never_best() -> None:
    rivals = [
        done(method, repeat, lacking=LACKS, **{DP: gap})
        for method, gap in (("a", 0.1), ("b", 0.2))
        for repeat in (0, 1)
    ]
    found = results(*rivals)
    line = summary(found)["a", DP]
    assert [line[name] for name in ("mean", "n", "partial", "best")] == ["0.1", "2", "2", "false"]
    assert f"§ DP diff. taken over fewer groups in 2 of 2 repeats (a, b): {LACKS}" in flat("terminal", found)


def test_values_that_lack_different_groups_have_no_mean() -> None:
    other = LACKS.replace("'d'", "'c'")
    found = results(*(done("a", repeat, lacking=lacking, **{DP: 0.1}) for repeat, lacking in enumerate((LACKS, other))))
    line = summary(found)["a", DP]
    assert [line[name] for name in ("mean", "n", "partial")] == ["", "0", "2"]
    assert f"§ DP diff. left out in 2 of 2 repeats (a): {LACKS} (and the like)" in flat("terminal", found)


def test_three_whole_and_three_partial_values_are_told_apart() -> None:
    found = results(
        *(done("a", repeat, lacking=LACKS if repeat > 2 else "", **{DP: repeat / 10}) for repeat in range(6))
    )
    line = summary(found)["a", DP]
    assert float(line["mean"]) == pytest.approx(0.1)
    assert "§ DP diff. left out in 3 of 6 repeats (a)" in flat("terminal", found)


def test_the_groups_report_shows_supports_and_why_a_group_has_no_value(sometimes: Results) -> None:
    text = REPORTS["groups"].render(sometimes)
    rows = [line.split() for line in text.splitlines()]
    assert ["method", "group", "rows", "n", "sel.", "rate"] in rows
    assert ["plain", "c", "40-43", "40", "0.500"] in rows
    assert ["d", "°", "0-3", "2†", "0.000†"] in rows
    assert "° fewer than 10 rows in a test part" in text
    told = flat("groups", sometimes)
    assert f"† n of d, sel. rate of d undefined in 2 of 4 repeats (plain, worse): {LACKS}" in told
    assert "not measured" not in told
    assert "group 'd' has only 1 to 3 rows in a test part" in told


def test_a_group_that_no_test_part_has_is_named_all_the_same() -> None:
    groups = {"c": {"selection_rate": 0.5}}
    found = results(done("a", 0, groups, supports=(("c", 40), ("d", 0)), accuracy=0.5))
    rows = [line.split() for line in REPORTS["groups"].render(found).splitlines()]
    assert ["d", "°", "0", "-†"] in rows
    assert f"{LACKS} in 1 of 1 repeats" in flat("terminal", found)


def test_supports_are_shown_where_no_metric_was_taken_by_group() -> None:
    found = results(done("a", 0, supports=(("c", 40), ("d", 10)), accuracy=0.5))
    rows = [line.split() for line in REPORTS["groups"].render(found).splitlines()]
    assert ["a", "c", "40"] in rows
    assert "has only" not in flat("groups", found)  # ten rows are enough


def test_nothing_is_said_of_groups_that_an_old_store_does_not_count() -> None:
    text = flat("terminal", results(done("a", 0, accuracy=0.5)))
    assert "row" not in text


def test_the_groups_report_shows_positives_of_stored_rows(tmp_path: Path) -> None:
    run = {"methods": "constant", "datasets": "synthetic[rows=400]", "metrics": "accuracy,n", "repeats": 2}
    fairbench.run(**run, workers=1, quiet=True, out=tmp_path / "r")
    found = load_results(tmp_path / "r")
    with stored_rows(found) as stored:
        ones = positives(stored, found.records)
        made = [stored.predictions(record) for record in found.records]
    rows = [line.split() for line in REPORTS["groups"].render(found).splitlines()]
    for group, counts in ones.items():
        (row,) = (row for row in rows if group in row)
        assert row[row.index(group) + 2] == "-".join(str(count) for count in sorted({min(counts), max(counts)}))
    truths = [pair[0] for pair in made if pair is not None]
    assert truths[0].group_names == tuple(ones)
    for code, counts in enumerate(ones.values()):
        assert counts == tuple(int(truth.y[truth.group == code].sum()) for truth in truths)
