"""Claims from numbers made by hand: how comparisons are judged, and what they say together."""

from __future__ import annotations

import dataclasses

import pytest

from fairbench.analysis.intervals import NO_INTERVAL, CorrectedT
from fairbench.papers import summaries
from fairbench.papers.checked import Node
from fairbench.papers.claim_form import Claim, read_claims
from fairbench.papers.claims import (
    CONTRARY,
    HELD,
    MISSING,
    MIXED,
    PARTLY,
    Chance,
    Contrast,
    Judgement,
    adjust,
    judge,
    judge_claim,
)
from fairbench.papers.claims import OPEN as UNDECIDED
from fairbench.papers.columns import Column, Names
from fairbench.papers.document import render
from fairbench.papers.drawn import Drawn

DATASET = "synthetic[rows=300]"


@pytest.mark.parametrize(
    ("low", "high", "expected", "outcome"),
    [
        (-0.3, -0.1, "lower", HELD),
        (-0.3, -0.1, "higher", CONTRARY),
        (0.1, 0.3, "lower", CONTRARY),
        (0.1, 0.3, "higher", HELD),
        (-0.1, 0.3, "lower", UNDECIDED),
        (0.0, 0.0, "lower", UNDECIDED),
        (None, None, "lower", NO_INTERVAL),
    ],
)
def test_a_comparison_is_judged_by_the_side_of_its_interval(low, high, expected, outcome):
    assert judge(CorrectedT(0.0, 0.1, 5, low, high, None, None), expected) == outcome
    assert judge(None, expected) == MISSING


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ([HELD, HELD], HELD),
        ([HELD, MISSING], HELD),
        ([HELD, UNDECIDED], PARTLY),
        ([HELD, CONTRARY], MIXED),
        ([HELD, UNDECIDED, CONTRARY], MIXED),
        ([UNDECIDED, CONTRARY], CONTRARY),
        ([UNDECIDED, UNDECIDED], UNDECIDED),
        ([NO_INTERVAL, MISSING], NO_INTERVAL),
        ([NO_INTERVAL, UNDECIDED], UNDECIDED),
        ([NO_INTERVAL, CONTRARY], CONTRARY),
        ([HELD, NO_INTERVAL], PARTLY),
        ([MISSING], MISSING),
        ([], MISSING),
    ],
)
def test_a_claim_is_judged_by_all_its_comparisons(outcomes, word):
    contrasts = tuple(
        Contrast("d", ("a", "b"), Column("accuracy"), None, None, outcome, (0, 5)) for outcome in outcomes
    )
    assert Judgement(None, "raw", contrasts).outcome == word


def compared(p, sign=1):
    """Return a comparison of a claim that expects more, whose difference has this p and sign."""
    low = (0.01 if p <= 0.05 else -0.1) if sign > 0 else -0.3
    measured = CorrectedT(0.1 * sign, 0.1, 5, low, 0.3 if sign > 0 else -0.01, None, p)
    return Contrast("d", ("a", "b"), Column("accuracy"), None, measured, judge(measured, "higher"), (0, 5))


def judged(*contrasts):
    """Return the judgement of a claim with these comparisons."""
    claim = Claim("one", "One is more.", "section 1", "one", (), "higher", (), "")
    return Judgement(claim, "raw", adjust(contrasts))


def test_holm_is_over_all_comparisons_of_the_claim():
    found = judged(compared(0.01), compared(0.02), compared(0.6))
    assert (found.outcome, found.corrected) == (PARTLY, PARTLY)
    assert [contrast.adjusted for contrast in found.contrasts] == pytest.approx([0.03, 0.04, 0.6])
    assert found.corrected_outcomes == [HELD, HELD, UNDECIDED]
    found = judged(compared(0.02), compared(0.03), compared(0.6))
    assert (found.outcome, found.corrected) == (PARTLY, UNDECIDED)  # .06 and .06
    found = judged(compared(0.001), compared(0.002, -1))
    assert (found.outcome, found.corrected) == (MIXED, MIXED)
    found = judged(compared(0.001), compared(0.03, -1), compared(0.04))
    assert (found.outcome, found.corrected) == (MIXED, PARTLY)


def test_the_document_says_where_holms_correction_takes_an_outcome_away(outcome):
    text = render(
        dataclasses.replace(outcome, judgements=(judged(compared(0.02), compared(0.03)),)), Drawn((), ()), "", ""
    )
    assert "| +0.100 [+0.010, +0.300] held |" in text  # .04 after it
    lost = judged(compared(0.001), compared(0.04), compared(0.6))
    text = render(dataclasses.replace(outcome, judgements=(lost,)), Drawn((), ()), "", "")
    assert "| +0.100 [+0.010, +0.300] held (not with Holm's correction: p 0.080) |" in text


def test_comparisons_without_an_interval_do_not_count_for_holm_and_chance():
    missing = Contrast("d", ("a", "b"), Column("accuracy"), None, None, MISSING, (0, 0))
    single = CorrectedT(0.1, 0.0, 1, None, None, None, None)
    one_repeat = dataclasses.replace(missing, measured=single, outcome=judge(single, "higher"))
    equal = dataclasses.replace(missing, measured=CorrectedT(0.0, 0.0, 5, 0.0, 0.0, None, None), outcome=UNDECIDED)
    found = judged(missing, one_repeat, equal, compared(0.02))
    assert [contrast.adjusted for contrast in found.contrasts] == [None, None, 1.0, pytest.approx(0.04)]
    assert found.chance == Chance(2, 1)


def test_chance_is_binomial_with_a_fortieth():
    one_of_28 = Chance(28, 1)
    assert one_of_28.expected == pytest.approx(0.7)
    assert one_of_28.probability == pytest.approx(1 - 0.975**28)
    assert Chance(40, 2).probability == pytest.approx(1 - 0.975**40 - 40 * 0.025 * 0.975**39)
    assert Chance(40, 0).probability == 1
    assert summaries.by_chance(one_of_28) == "by chance 0.7 of 28 would be held, 1 or more with probability 0.51"
    assert summaries.by_chance(Chance(28, 0)) == "by chance 0.7 of 28 would be held"
    assert (
        summaries.by_chance(Chance(32, 24))
        == "by chance 0.8 of 32 would be held, 24 or more with probability below 0.01"
    )


def test_the_summary_has_both_readings_and_chance(outcome):
    both = dataclasses.replace(outcome, judgements=(judged(compared(0.02), compared(0.03), compared(0.6)),))
    assert summaries.claims(both)[1][0][1] == (
        "not told apart (of 3: 3 not told apart); uncorrected: held in part (2 held; 1 not told apart); "
        "by chance 0.075 of 3 would be held, 2 or more with probability below 0.01"
    )
    same = dataclasses.replace(outcome, judgements=(judged(compared(0.2), compared(0.3)),))
    assert summaries.claims(same)[1][0][1] == (
        "not told apart (of 2: 2 not told apart); uncorrected: the same; by chance 0.05 of 2 would be held"
    )


def test_a_claim_is_the_paired_difference(outcome):
    judgement = next(found for found in outcome.judgements if (found.claim.name, found.protocol) == ("longer", "raw"))
    measured = {contrast.dataset: contrast for contrast in judgement.contrasts}
    found = measured[DATASET]
    assert found.measured.mean == pytest.approx(-0.085)
    assert found.measured.n == 4
    assert found.outcome == CONTRARY  # -0.10, -0.09, -0.08, -0.07: never above 0
    assert found.mostly_alike
    assert found.published == pytest.approx(0.01 - 0.6)
    assert measured["german"].outcome == MISSING
    assert judgement.outcome == CONTRARY


@pytest.mark.parametrize(
    ("more", "outcomes"),
    [
        ({"expected": [0.63, 0.1]}, [HELD]),  # [0.559, 0.701]
        ({"expected": [0.8, 0.05]}, [CONTRARY]),
        ({"expected": "above the coin", "metrics": ["demographic_parity_difference"]}, [UNDECIDED]),
        (
            {"expected": "lower", "loss": {"accuracy": 0.2}, "against": "mlp[epochs=3]"},
            [HELD, HELD],
        ),  # [-0.121, -0.049]
        ({"expected": "lower", "loss": {"accuracy": 0.01}, "against": "mlp[epochs=3]"}, [HELD, CONTRARY]),
    ],
)
def test_a_papers_claims_have_the_form_of_claim_files(outcome, more, outcomes):
    compare = {"method": "mlp[epochs=4]", "datasets": DATASET}
    compare.update({key: value for key, value in more.items() if key == "against"})
    table = {"text": "x", "table": "one", "metrics": ["accuracy"], "compare": [compare], **more}
    table.pop("against", None)
    grid = outcome.reproduction.grids[0]
    (claim,) = read_claims(Node({"claims": {"one": table}}, "here"), {}, Names(grid.registry, ()), {"one": None})
    found = judge_claim(claim, grid, outcome.measurements, {})
    assert [contrast.outcome for contrast in found.contrasts] == outcomes
    assert not any(contrast.reason for contrast in found.contrasts)


def test_a_claim_with_a_test_gets_the_finished_records_of_its_table(outcome):
    judgement = next(found for found in outcome.judgements if (found.claim.name, found.protocol) == ("many", "raw"))
    here, german = judgement.trials
    assert (here.dataset, here.verdict) == (DATASET, "12 cells")
    assert here.evidence.tables["Cells"] == [
        {"method_of": "constant", "cells": "4"},
        {"method_of": "mlp", "cells": "8"},
    ]
    assert german.verdict == "not run (nothing to count)"
    assert summaries.claims(outcome)[1][1][1] == f"{DATASET}: 12 cells; german: not run (nothing to count)"
