"""Loops on real tables with methods of every family, as the command runs them."""

from __future__ import annotations

import os

import pytest

from fairbench.records import DONE
from fairbench.running.rundir import load_results

METHODS = "constant,logistic[steps=20],tree,threshold[epochs=2],faalgrad[epochs=2],fairbinn[epochs=1]"
LOOP = (
    "generations=2,passes={passes},population=100,annotator=logistic[steps=20],"
    "generator=gaussian_mixture[components=3,rows=500,steps=5]"
)
REAL = pytest.mark.skipif(
    not os.environ.get("FAIRBENCH_DATA"), reason="FAIRBENCH_DATA names no folder of real raw files"
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("dataset", "scenario", "passes"),
    [
        ("synthetic[rows=600]", "seq_gen_seq_class[reparation=both,", 0.5),
        pytest.param("german", "seq_gen_seq_class[reparation=both,", 0.5, marks=REAL),
        pytest.param("compas", "seq_class[reparation=classifier,", 0.2, marks=REAL),
        pytest.param("adult", "seq_gen_nonseq_class[synthetic_share=0.5,", 0.03, marks=REAL),
    ],
)
def test_any_method_goes_round_on_any_table(fairbench, tmp_path, dataset, scenario, passes):
    status, _, err = fairbench(
        *("run", "--methods", METHODS, "--datasets", dataset, "--repeats", "1", "--workers", "1", "--out", "r"),
        *("--scenarios", scenario + LOOP.format(passes=passes) + "]"),
        *(("--data-dir", os.environ["FAIRBENCH_DATA"]) if os.environ.get("FAIRBENCH_DATA") else ()),
    )
    assert status == 0, err
    records = load_results(tmp_path / "r").records
    assert [record.status for record in records] == [DONE] * 6
    for record in records:
        steps = {value.step for value in record.values if value.metric == "accuracy" and value.value is not None}
        assert steps == {0, 1}, record.cell.method
    assert (tmp_path / "r" / "report.svg").stat().st_size > 10_000
    assert "the plain logistic goes from generation 0 to 1" in (tmp_path / "r" / "report-generations.md").read_text()
